"""Names for the arrays that cross public boundaries; shapes named alike must agree.

Images are float32 RGB in [0, 1], laid out (batch, height, width, channels).
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
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
            bfloat16 and float64 become float32. Of an array that is traced, as under jax.jit,
            values are not known and not checked.
        several: Whether a batch of several pictures will do.

    Raises:
        ValueError: It is no array, or of another rank, layout, type or range, or not finite.
    """
    wanted = f"{name}: wanted {'pictures, (N' if several else 'one picture, (1'}, H, W, 3), "
    _check_kind(wanted, picture)
    shape = tuple(picture.shape)
    if advice := _find_fault(shape, several=several):
        raise ValueError(f"{wanted}got {shape}; {advice}")
    _check_values(wanted, picture)
    return jnp.asarray(picture, jnp.float32)


def check_pixels(name: str, pixels: Any) -> Float[np.ndarray, "_ _ 3"]:
    """Return a picture without a batch as float32 on the host, or refuse it as check_picture does.

    Args:
        name: What the error calls it.
        pixels: As for check_picture, but (height, width, 3).

    Raises:
        ValueError: As check_picture.
    """
    wanted = f"{name}: wanted a picture, (H, W, 3), "
    _check_kind(wanted, pixels)
    shape = tuple(pixels.shape)
    if len(shape) != 3:
        way_out = "go through a batch picture by picture" if len(shape) == 4 else "give RGB"
        raise ValueError(f"{wanted}got {shape}; {way_out}")
    if advice := _find_fault((1, *shape), several=False):
        raise ValueError(f"{wanted}got {shape}; {advice}")
    _check_values(wanted, pixels)
    return np.asarray(pixels, np.float32)


def check_images(name: str, images: Any) -> None:
    """Refuse what is no batch of RGB pictures; values are left alone, as pure functions must.

    Args:
        name: What the error calls them.
        images: What should be floating point, (batch, height, width, 3).

    Raises:
        ValueError: It is no array, or of another rank, layout or type.
    """
    wanted = f"{name}: wanted pictures, (N, H, W, 3), "
    _check_kind(wanted, images)
    shape = tuple(images.shape)
    if advice := _find_fault(shape, several=True):
        raise ValueError(f"{wanted}got {shape}; {advice}")
    _check_floats(wanted, images)


def check_feature_map(name: str, features: Any) -> None:
    """Refuse what is no feature map: an array of floats, (batch, height, width, channels).

    Args:
        name: What the error calls it.
        features: What should be one.

    Raises:
        ValueError: It is no array, or of another rank or type, or empty.
    """
    wanted = f"{name}: wanted a feature map, (N, H, W, C) of floats, "
    if isinstance(features, Mapping):
        raise ValueError(f"{wanted}got one for each of {', '.join(map(str, features))}; choose one")
    if not isinstance(features, np.ndarray | jax.Array):
        raise ValueError(f"{wanted}got {type(features).__name__}; encoder.apply returns them")
    shape = tuple(features.shape)
    if len(shape) != 4 or 0 in shape or not jnp.issubdtype(features.dtype, jnp.floating):
        way_out = "add a leading axis: features[None]" if len(shape) == 3 else "see encoder.apply"
        raise ValueError(f"{wanted}got {features.dtype} of shape {shape}; {way_out}")


def _check_kind(wanted: str, picture: Any) -> None:
    """Refuse what is no array, and say how it becomes one."""
    if isinstance(picture, np.ndarray | jax.Array):
        return
    pillow = "np.asarray(picture.convert('RGB'), np.float32)[None] / 255"
    way_out = "np.asarray(it, np.float32) / 255 for a picture of 0 to 255, with a leading axis"
    if isinstance(picture, str) or hasattr(picture, "__fspath__"):
        way_out = "read it with nst_jax.load_image"
    elif type(picture).__module__.startswith("PIL."):
        way_out = pillow
    elif isinstance(picture, bytes | bytearray) or hasattr(picture, "read"):
        way_out = f"open the file with picture = PIL.Image.open(...), then {pillow}"
    raise ValueError(f"{wanted}floats from 0 to 1, got {type(picture).__name__}; {way_out}")


def _check_floats(wanted: str, picture: Any) -> None:
    if not jnp.issubdtype(picture.dtype, jnp.floating):
        raise ValueError(
            f"{wanted}floats from 0 to 1, got {picture.dtype}; divide by the value of white: "
            "np.asarray(picture, np.float32) / 255"
        )


def _check_values(wanted: str, picture: Any) -> None:
    _check_floats(wanted, picture)
    if isinstance(picture, Tracer):
        return
    least, most = float(picture.min()), float(picture.max())
    if not (np.isfinite(least) and np.isfinite(most)):
        raise ValueError(f"{wanted}finite values from 0 to 1, got NaN or infinity")
    if least < -_OVERSHOOT or most > 1 + _OVERSHOOT:
        way_out = (
            "divide by 255" if least >= 0 and 2 < most <= 255 else "scale or clip it to 0 to 1"
        )
        raise ValueError(f"{wanted}values from 0 to 1, got {least:.4g} to {most:.4g}; {way_out}")


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
