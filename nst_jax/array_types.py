"""Names for the arrays that cross public boundaries; shapes named alike must agree.

Images are float32 RGB in [0, 1], laid out (batch, height, width, channels).
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

Image = Float[Array, "batch height width 3"]
"""A batch of RGB pictures in [0, 1]."""

ImageOfAnySize = Float[Array, "_ _ _ 3"]
"""The same, of a size that no other picture in the signature must have."""

ImageOfEachRun = Float[Array, "runs 1 height width 3"]
"""One picture for each of several optimisations that run as a batch."""

FeatureMap = Float[Array, "batch height width channels"]
"""What one layer of an encoder answers."""

Features = Mapping[str, Float[Array, "batch _ _ _"]]
"""Layer name, such as 'relu4_2', to that layer's feature map."""

Gram = Float[Array, "batch channels channels"]
"""Second moments of a feature map over positions."""

Scalar = Float[Array, ""]
"""A single number on the device."""

Params = Any
"""A pytree of arrays: the parameters of a network."""

PRNGKey = Key[Array, ""] | Any
"""A JAX random key; always a function's first argument, named key."""


# How far a pixel may lie outside of 0 to 1: as far as rounding and resampling take it.
_OVERSHOOT = 0.01


def check_picture(name: str, picture: Any, *, several: bool = False) -> ImageOfAnySize:
    """Return a picture as float32 on the device, or refuse it in one line that says what to pass.

    Args:
        name: What the error calls it: the argument's name.
        picture: A NumPy or JAX array of floats, (1, height, width, 3), RGB in [0, 1]. float16,
            bfloat16 and float64 become float32.
        several: Whether a batch of several pictures will do.

    Raises:
        ValueError: It is no array, or of another rank, layout, type or range, or not finite.
    """
    wanted = f"{name}: wanted {'pictures, (N' if several else 'one picture, (1'}, H, W, 3), "
    if not isinstance(picture, np.ndarray | jax.Array):
        got = type(picture).__name__
        way_out = "np.asarray(it, np.float32) / 255 for a picture of 0 to 255, with a leading axis"
        if isinstance(picture, str | bytes) or hasattr(picture, "__fspath__"):
            way_out = "read it with nst_jax.load_image"
        raise ValueError(f"{wanted}floats from 0 to 1, got {got}; {way_out}")
    shape = tuple(picture.shape)
    if advice := _find_fault(shape, several=several):
        raise ValueError(f"{wanted}got {shape}; {advice}")
    if not jnp.issubdtype(picture.dtype, jnp.floating):
        raise ValueError(
            f"{wanted}floats from 0 to 1, got {picture.dtype}; divide by the value of white: "
            "np.asarray(picture, np.float32) / 255"
        )
    least, most = float(picture.min()), float(picture.max())
    if not (np.isfinite(least) and np.isfinite(most)):
        raise ValueError(f"{wanted}finite values from 0 to 1, got NaN or infinity")
    if least < -_OVERSHOOT or most > 1 + _OVERSHOOT:
        way_out = (
            "divide by 255" if least >= 0 and 2 < most <= 255 else "scale or clip it to 0 to 1"
        )
        raise ValueError(f"{wanted}values from 0 to 1, got {least:.4g} to {most:.4g}; {way_out}")
    return jnp.asarray(picture, jnp.float32)


def _find_fault(shape: tuple[int, ...], *, several: bool) -> str | None:
    """What to do about a shape that is no picture's; None where it is one's."""
    if len(shape) == 3:
        return "add a leading axis: picture[None]"
    if len(shape) != 4:
        return "give RGB with a leading axis"
    if 0 in shape:
        return "it is empty"
    if shape[3] == 3:
        return None if several or shape[0] == 1 else "give one picture at a time: pictures[:1]"
    if shape[1] == 3:
        return "put the channels last: picture.transpose(0, 2, 3, 1)"
    if shape[3] == 4:
        return "leave out the alpha channel: picture[..., :3]"
    return "give three channels, RGB"
