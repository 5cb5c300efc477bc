"""What files and tiles must know of the networks, one entry an architecture."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import flax.linen as nn
import jax
import jax.numpy as jnp

from nst_jax.array_types import Params
from nst_jax.networks import dumoulin, johnson

Choices = range | tuple[str, ...]
"""What a setting may be: a whole number within bounds, or one of some words."""


@dataclass(frozen=True)
class Architecture:
    """A kind of network, as it is stored and as it is run.

    Attributes:
        network: Its linen module.
        settings: The module's fields that a file keeps, and what they may be. Files come from
            strangers, so that sizes are bounded.
        method: The module's method that runs; its pictures need surroundings.
        surroundings: Pixels around a picture that this method takes and does not return.
        margin: How far, at most, what lies beyond a tile is felt in the tile's output.
        conditions: What the method takes besides pictures, as shapes for a batch of one.
        num_styles: How many styles a network has.
        by_instance: Whether a network normalises by the picture's own statistics.
    """

    network: Callable[..., nn.Module]
    settings: Mapping[str, Choices]
    method: str
    surroundings: int
    margin: int
    conditions: Callable[[Any], tuple[jax.ShapeDtypeStruct, ...]]
    num_styles: Callable[[Any], int]
    by_instance: Callable[[Any], bool]


_WIDTHS = range(1, 257)

ARCHITECTURES: Mapping[str, Architecture] = {
    "johnson2016": Architecture(
        network=johnson.JohnsonNetwork,
        settings={
            "width": _WIDTHS,
            "normalization": get_args(johnson.Normalization),
            "output": get_args(johnson.Output),
        },
        method="apply_padded",
        surroundings=johnson.PADDING,
        margin=johnson.TILE_MARGIN,
        conditions=lambda network: (),
        num_styles=lambda network: 1,
        by_instance=lambda network: network.normalization == "instance",
    ),
    "dumoulin2017": Architecture(
        network=dumoulin.DumoulinNetwork,
        settings={"num_styles": range(1, 10_001), "width": _WIDTHS},
        method="__call__",
        surroundings=0,
        margin=dumoulin.TILE_MARGIN,
        conditions=lambda network: (jax.ShapeDtypeStruct((1, network.num_styles), jnp.float32),),
        num_styles=lambda network: network.num_styles,
        by_instance=lambda network: True,
    ),
}


@functools.lru_cache(maxsize=16)
def variable_shapes(name: str, network: Any) -> Params:
    """Return the shapes and types of a network's variables, of which nothing is computed.

    Args:
        name: The network's architecture.
        network: The linen module.
    """
    architecture = ARCHITECTURES[name]
    side = 8 + 2 * architecture.surroundings
    images = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    conditions = architecture.conditions(network)

    def init(key, images, *conditions):
        return network.init(key, images, *conditions, method=architecture.method)

    return jax.eval_shape(init, jax.random.key(0), images, *conditions)
