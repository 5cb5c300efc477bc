"""The statistics of a large picture in every instance normalisation, exact, from its tiles.

What a layer sees depends on the statistics of the layers before it. So the layers are measured one
after another. Each takes a pass over the tiles that computes no further than that layer, with the
exact statistics of those before. L layers take L passes: about L / 2 times the time of painting.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from nst_jax.stylizers.architectures import ARCHITECTURES
from nst_jax.stylizers.clip_statistics import combine
from nst_jax.stylizers.model_files import Model
from nst_jax.stylizers.painting import Conditions, Statistics, plan_tiles_of, take
from nst_jax.stylizers.tiling import MaskedPixels, Size

Layer = tuple[str, ...]
"""The path of an instance normalisation among a network's modules."""


def can_measure(model: Model) -> bool:
    """Return whether exact_statistics serves a network; of others no statistics are estimated.

    Args:
        model: The network.

    Raises:
        ValueError: It estimates statistics, and takes pixels around a picture.
    """
    architecture = ARCHITECTURES[model.architecture]
    if architecture.statistics(model.network) != "estimated":
        return False
    if architecture.surroundings:
        raise ValueError(
            "exact_statistics: wanted a network that takes no pixels around a picture, got one of "
            f"{model.architecture}; leave exact_statistics out"
        )
    return True


def exact_statistics(
    model: Model,
    pixels: MaskedPixels | Any,
    conditions: Conditions,
    *,
    size: Size,
    max_pixels: int,
    known: Statistics | None = None,
    on_layer: Callable[[Statistics, int], None] | None = None,
) -> Statistics:
    """Return the statistics that the instance normalisations see in the whole picture.

    With n_t positions in the kept part of tile t, and μ_t and v_t the moments there,
    μ = Σ n_t μ_t / Σ n_t and v = Σ n_t (v_t + (μ_t − μ)²) / Σ n_t.

    Args:
        model: A network whose feature maps are the picture's size, divided by 1, 2 or 4.
        pixels: The picture, or what tiling.cut can cut like one.
        conditions: The network's other arguments.
        size: The picture's, in terms of fit_size.
        max_pixels: How many pixels run at once.
        known: Statistics of the first layers, which on_layer was called with before.
        on_layer: Called after each layer with all statistics so far, and the number of layers.
    """
    architecture = ARCHITECTURES[model.architecture]
    tile_size, tiles = plan_tiles_of(model, size, math.isqrt(max_pixels))
    shape = jax.ShapeDtypeStruct((1, *tile_size, pixels.shape[2]), jnp.float32)
    layers = layers_in_order(model, shape, conditions)
    found: dict[Layer, Any] = flatten_dict(known or {})
    for layer in layers[len(found) // 2 :]:
        groups = []
        for tile in tiles:
            kept = [np.zeros(side, np.float32) for side in tile_size]
            for side, span in zip(kept, tile.kept_within, strict=True):
                side[span] = 1
            counted = {
                (*each, name): side
                for each in layers
                for name, side in zip(("rows", "columns"), kept, strict=True)
            }
            variables = {
                **model.variables,
                "counted": unflatten_dict(counted),
                "given_statistics": unflatten_dict(found),
            }
            images = take(model, pixels, tile.top, tile.left, tile_size)[None]
            moments = _measure(
                model.network, architecture.method, layer, variables, images, conditions
            )
            measured = {"layer": jax.device_get(moments)}
            groups.append((int(kept[0].sum() * kept[1].sum()), measured))
        found |= {(*layer, name): value for name, value in combine(groups)["layer"].items()}
        if on_layer is not None:
            on_layer(unflatten_dict(found), len(layers))
    return unflatten_dict(found)


def layers_in_order(model: Model, images: Any, conditions: Conditions) -> list[Layer]:
    """Return the paths of the instance normalisations, in the order in which they are computed.

    Args:
        model: The network.
        images: The shape and type of a picture that it takes.
        conditions: Its other arguments.
    """
    order: list[Layer] = []

    def trace(variables: Any, images: Any, conditions: Any) -> None:
        _, recorded = model.network.apply(
            variables, images, *conditions, method=_method(model), mutable=["statistics"]
        )
        # Collections keep the order in which their entries were put; pytrees would sort them.
        order.extend(
            path[:-1] for path in flatten_dict(recorded["statistics"]) if path[-1] == "mean"
        )

    jax.eval_shape(trace, model.variables, images, conditions)
    return order


def _method(model: Model) -> str:
    return ARCHITECTURES[model.architecture].method


@partial(jax.jit, static_argnums=(0, 1, 2))
def _measure(network, method: str, layer: Layer, variables, images, conditions):
    """One layer's own moments; what comes after it is not computed."""
    _, recorded = network.apply(
        variables, images, *conditions, method=method, mutable=["statistics"]
    )
    found = flatten_dict(recorded["statistics"])
    return {name: found[(*layer, name)] for name in ("mean", "var")}
