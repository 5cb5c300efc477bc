"""VGG on a part of a picture: what the whole picture's features are there.

A convolution pads the edges of a picture with zeros at every layer. A part of a picture has edges
of two kinds: the picture's own, which are padded so, and cuts, beyond which the picture goes on.
Here a part may reach beyond the picture, and positions outside the picture are set to zero again
after every layer. Beyond a cut the part must hold enough of the picture, or get it from elsewhere.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax.array_types import Features, Params
from nst_jax.encoders import vgg
from nst_jax.encoders.encoder import Encoder
from nst_jax.encoders.preprocessing import preprocess
from nst_jax.encoders.vgg import VGG
from nst_jax.ops import convolution

Place = tuple[Any, int] | None
"""Where a part begins along an axis, which may be traced, and the whole picture's length there.
None where the part is the whole."""


def require_vgg(encoder: Encoder, *, name: str) -> VGG:
    """Return the encoder if its features can be computed part by part.

    Args:
        encoder: From load_encoder, or one of your own.
        name: What an error calls the option that wants it.

    Raises:
        ValueError: It is no VGG, or one with padding 'reflect' or ceil_mode.
    """
    if isinstance(encoder, VGG) and encoder.padding == "zero" and not encoder.ceil_mode:
        return encoder
    raise ValueError(
        f"{name}: wanted a VGG of zero padding and without ceil_mode, which can be computed part "
        f"by part, got {encoder!r}; leave {name} out"
    )


def stride_of(layers: Sequence[str]) -> int:
    """Return how many pixels a position of the deepest of some layers stands for, along a side."""
    return 2 ** (vgg.num_blocks(layers) - 1 + any(name.startswith("pool") for name in layers))


def reach_of(architecture: vgg.Architecture, layers: Sequence[str]) -> int:
    """Return how far a position sees beyond the pixels that it stands for, on each side.

    A 3×3 convolution in block b adds 2^(b−1) pixels, pooling nothing.

    Args:
        architecture: Of the network.
        layers: The deepest of them counts.
    """
    names = vgg.layer_names(architecture)
    through = names[: 1 + max(names.index(layer) for layer in layers)]
    return sum(2 ** vgg.block_of(name) for name in through if name.startswith("conv"))


def encode_part(
    encoder: VGG,
    encoder_params: Params,
    part: Float[Array, "batch height width 3"],
    *,
    layers: Sequence[str],
    rows: Place,
    columns: Place,
    exchange: Callable[[Array], tuple[Array, Array]] | None = None,
) -> Features:
    """Return {layer: features} of a part of a picture.

    They are the whole picture's features wherever no cut is in reach, and 0 outside the picture.

    Args:
        encoder: From require_vgg.
        encoder_params: Its parameters.
        part: RGB in [0, 1]; what it holds outside the picture does not matter. Its sides, and where
            it begins, are multiples of stride_of(layers).
        layers: Which layers are wanted.
        rows: Where the part begins, and the height of the picture.
        columns: The same along its width.
        exchange: Returns the row above a feature map and the row below it, zeros at the picture's
            edges; without, the map is cut off there.
    """

    def inside(x: Array, level: int) -> Array:
        for axis, place in ((1, rows), (2, columns)):
            if place is not None:
                begin, length = place
                positions = begin // 2**level + jnp.arange(x.shape[axis])
                keep = (positions >= 0) & (positions < length // 2**level)
                keep = keep.reshape([-1 if each == axis else 1 for each in range(4)])
                x = jnp.where(keep, x, jnp.zeros((), x.dtype))
        return x

    vgg.check_layers(layers, encoder.architecture)
    names = vgg.layer_names(encoder.architecture)
    pool = {"max": convolution.max_pool, "average": convolution.average_pool}[encoder.pooling]
    level, features = 0, {}
    x = inside(preprocess(part, encoder.preprocessing), level)
    for name in names[: 1 + max(names.index(layer) for layer in layers)]:
        if name.startswith("conv"):
            weights = encoder_params["params"][name]
            x = _convolve(x, weights["kernel"], encoder.precision, exchange)
            x = inside(x + weights["bias"].reshape(1, 1, 1, -1), level)
        elif name.startswith("relu"):
            x = convolution.relu(x)
        else:
            level += 1
            x = inside(pool(x), level)
        if name in layers:
            features[name] = x
    return features


def _convolve(
    x: Array,
    kernel: Array,
    precision: convolution.Precision,
    exchange: Callable[[Array], tuple[Array, Array]] | None,
) -> Array:
    """The zero-padded convolution; neighbours' rows are in the place of zeros."""
    if exchange is None:
        return convolution.convolve(x, kernel, precision=precision)
    above, below = exchange(x)
    x = jnp.concatenate([above, x, below], axis=1)
    return convolution.convolve(x, kernel, precision=precision)[:, 1:-1]
