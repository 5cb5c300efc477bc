"""What files and tiles must know of the networks, one entry an architecture."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import flax.linen as nn
import jax
import jax.numpy as jnp

from nst_jax.array_types import Params
from nst_jax.encoders import preprocessing, vgg
from nst_jax.networks import dumoulin, ghiasi, huang, johnson, li_wand, ruder, sanakoyeu, texler
from nst_jax.ops.convolution import Precision

Choices = range | tuple[str, ...]
"""What a setting may be: a whole number within bounds, or one of some words."""


Statistics = Literal["none", "estimated", "pooled", "whole"]
"""A network uses no statistics of the picture; those of layers that depend on one another, which
are estimated from small copies; those of one layer, which its tiles have; or what only the whole
picture has, so that it runs in one piece."""


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
        step: Sides and corners of tiles are multiples of so many pixels.
        conditions: What the method takes besides pictures, as shapes for a batch of one.
        num_styles: How many styles a network has; 0 where styles are among the conditions.
        statistics: How a network's statistics of a whole picture are had of pieces.
        median_filter: The side in pixels of the filter that a network of one style wants after it;
            1 is none.
        outside: The part of its variables that a file does not hold, but names: an encoder's.
        around: Makes such a network of its encoder, its settings and a precision.
        style_size: Pixels of the longer side of paintings, where nobody asks for others.
    """

    network: Callable[..., nn.Module]
    settings: Mapping[str, Choices]
    method: str
    surroundings: int
    margin: int
    step: int
    conditions: Callable[[Any], tuple[jax.ShapeDtypeStruct, ...]]
    num_styles: Callable[[Any], int]
    statistics: Callable[[Any], Statistics]
    median_filter: int = 1
    outside: str | None = None
    around: Callable[[vgg.VGG, Mapping[str, Any], Precision], nn.Module] | None = None
    style_size: int = 512


MEDIAN_FILTER = 3
"""Pixels: the side of the median filter of Johnson's networks, as in the authors' code."""

_WIDTHS = range(1, 257)


def _around_reflecting(
    encoder: vgg.VGG, settings: Mapping[str, Any], precision: Precision
) -> nn.Module:
    del settings  # the encoder's architecture alone
    return huang.HuangNetwork(
        encoder=dataclasses.replace(encoder, padding="reflect"), precision=precision
    )


def _around_given(encoder: vgg.VGG, settings: Mapping[str, Any], precision: Precision) -> nn.Module:
    if settings["encoder_input"] == "signed":
        encoder = dataclasses.replace(encoder, preprocessing=preprocessing.SIGNED)
    return li_wand.LiWandNetwork(encoder=encoder, width=settings["width"], precision=precision)


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
        step=4,
        conditions=lambda network: (),
        num_styles=lambda network: 1,
        statistics=lambda network: "estimated" if network.normalization == "instance" else "none",
        median_filter=MEDIAN_FILTER,
    ),
    "ruder2018": Architecture(
        network=ruder.RuderNetwork,
        settings={"width": _WIDTHS},
        method="apply_padded",
        surroundings=johnson.PADDING,
        margin=ruder.TILE_MARGIN,
        step=4,
        conditions=lambda network: (),
        num_styles=lambda network: 1,
        statistics=lambda network: "estimated",
        median_filter=MEDIAN_FILTER,
    ),
    "dumoulin2017": Architecture(
        network=dumoulin.DumoulinNetwork,
        settings={"num_styles": range(1, 10_001), "width": _WIDTHS},
        method="__call__",
        surroundings=0,
        margin=dumoulin.TILE_MARGIN,
        step=4,
        conditions=lambda network: (jax.ShapeDtypeStruct((1, network.num_styles), jnp.float32),),
        num_styles=lambda network: network.num_styles,
        statistics=lambda network: "estimated",
    ),
    "dumoulin2017-narrow": Architecture(
        network=dumoulin.NarrowDumoulinNetwork,
        settings={"num_styles": range(1, 10_001), "width": range(8, 257, 8)},
        method="__call__",
        surroundings=0,
        margin=dumoulin.NARROW_TILE_MARGIN,
        step=4,
        conditions=lambda network: (jax.ShapeDtypeStruct((1, network.num_styles), jnp.float32),),
        num_styles=lambda network: network.num_styles,
        statistics=lambda network: "estimated",
    ),
    "ghiasi2017": Architecture(
        network=ghiasi.GhiasiNetwork,
        settings={"width": _WIDTHS, "pooling": get_args(vgg.Pooling)},
        method="__call__",
        surroundings=0,
        margin=ghiasi.TILE_MARGIN,
        step=4,
        conditions=lambda network: ghiasi.conditions_shapes(),
        num_styles=lambda network: 0,
        statistics=lambda network: "estimated",
    ),
    "ghiasi2017-mobile": Architecture(
        network=ghiasi.MobileGhiasiNetwork,
        settings={"width": _WIDTHS},
        method="__call__",
        surroundings=0,
        margin=ghiasi.TILE_MARGIN,
        step=4,
        conditions=lambda network: ghiasi.conditions_shapes(),
        num_styles=lambda network: 0,
        statistics=lambda network: "estimated",
        style_size=ghiasi.MOBILE_STYLE_SIZE,
    ),
    "huang2017": Architecture(
        network=huang.HuangNetwork,
        settings={"architecture": get_args(vgg.Architecture)},
        method="__call__",
        surroundings=0,
        margin=huang.TILE_MARGIN,
        step=8,
        conditions=lambda network: huang.conditions_shapes(num_regions=1),
        num_styles=lambda network: 0,
        statistics=lambda network: "pooled" if isinstance(network, huang.HuangNetwork) else "whole",
        outside="params/encoder",
        around=_around_reflecting,
    ),
    "li_wand_2016": Architecture(
        network=li_wand.LiWandNetwork,
        settings={
            "architecture": get_args(vgg.Architecture),
            "width": _WIDTHS,
            "encoder_input": get_args(preprocessing.EncoderInput),
        },
        method="__call__",
        surroundings=0,
        margin=li_wand.TILE_MARGIN,
        step=8,
        conditions=lambda network: (),
        num_styles=lambda network: 1,
        statistics=lambda network: "none",
        outside="params/encoder",
        around=_around_given,
    ),
    "sanakoyeu_2018": Architecture(
        network=sanakoyeu.SanakoyeuNetwork,
        settings={"width": _WIDTHS},
        method="__call__",
        surroundings=0,
        margin=sanakoyeu.TILE_MARGIN,
        step=16,
        conditions=lambda network: (),
        num_styles=lambda network: 1,
        statistics=lambda network: "estimated",
    ),
    "texler_2020": Architecture(
        network=texler.TexlerNetwork,
        settings={"width": _WIDTHS},
        method="__call__",
        surroundings=0,
        margin=texler.TILE_MARGIN,
        step=4,
        conditions=lambda network: (),
        num_styles=lambda network: 1,
        statistics=lambda network: "none",
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
    side = 32 + 2 * architecture.surroundings
    images = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    conditions = architecture.conditions(network)

    def init(key, images, *conditions):
        return network.init(key, images, *conditions, method=architecture.method)

    return jax.eval_shape(init, jax.random.key(0), images, *conditions)
