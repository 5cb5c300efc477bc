"""Pictures in whatever form a caller has them: paths, Pillow's pictures, arrays."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
from jaxtyping import Array, Float

from nst_jax import files
from nst_jax.array_types import ImageOfAnySize, check_picture
from nst_jax.files.disk import FilePath, quoted
from nst_jax.ops.resizing import resize_longer_side

ArrayPicture = Float[Array, "1 _ _ 3"] | Float[np.ndarray, "1 _ _ 3"]
"""A picture as an array: RGB in [0, 1]."""

Picture = FilePath | PIL.Image.Image | ArrayPicture
"""A picture's file, Pillow's picture, or an array."""

Pixels = Float[np.ndarray, "_ _ 3"]
Rgba = Float[np.ndarray, "_ _ 4"]


def check_size(name: str, size: int | None) -> None:
    """Refuse a number of pixels that no picture's side can be scaled to.

    Args:
        name: What the error calls it.
        size: In pixels; None where nothing is scaled.

    Raises:
        ValueError: It is out of range.
    """
    sides = range(files.MIN_SIDE, files.MAX_SIDE + 1)
    if size is not None and size not in sides:
        raise ValueError(f"{name}: wanted {sides[0]} to {sides[-1]} pixels, got {size}")


def is_array(picture: Any) -> bool:
    """Return whether a picture is given as an array, so that the answer is to be one."""
    return isinstance(picture, np.ndarray | jax.Array)


def load(picture: Any, *, size: int | None = None, name: str = "content") -> ImageOfAnySize:
    """Return a picture as an array, whatever it is given as.

    Args:
        picture: A path; Pillow's picture; or an array, (1, height, width, 3) of floats in [0, 1].
        size: Pixels of the longer side: files and Pillow's pictures are scaled by a Lanczos filter,
            arrays as resizing.resize does; None leaves the picture as large as it is.
        name: What errors call an argument that is no file.

    Raises:
        ValueError: It is none of these, or what load_image raises.
        OSError: A file cannot be read.
    """
    if isinstance(picture, str | os.PathLike):
        return files.load_image(picture, size=size)
    return jnp.asarray(load_pixels(picture, size=size, name=name)[None])


def load_pixels(picture: Any, *, size: int | None = None, name: str = "content") -> Pixels:
    """Return what load returns, on the host and without a batch; any thread may call it.

    Args:
        picture: As for load.
        size: As for load.
        name: As for load.

    Raises:
        ValueError: As load.
        OSError: As load.
    """
    if isinstance(picture, str | os.PathLike):
        return files.load_pixels(picture, size=size)
    if isinstance(picture, PIL.Image.Image):
        return files.from_pillow(picture, size=size, name=name)
    _refuse_no_picture(picture, name)
    checked = check_picture(name, picture)
    return np.asarray((checked if size is None else resize_longer_side(checked, size))[0])


def load_rgba(picture: Any, *, max_pixels: int, name: str) -> Rgba:
    """Return a mask's picture with its opacity.

    Args:
        picture: As for load; or an array of shape (height, width), from 0 to 1.
        max_pixels: As for files.load_rgba.
        name: What errors call an argument that is no file.

    Raises:
        ValueError: It is none of these, or what load_image raises.
        OSError: A file cannot be read.
    """
    if isinstance(picture, str | os.PathLike):
        return files.load_rgba(picture, max_pixels=max_pixels)
    if is_array(picture) and picture.ndim == 2:
        grey = np.asarray(picture, np.float32)[..., None]
        return np.concatenate([np.repeat(grey, 3, axis=-1), np.ones_like(grey)], axis=-1)
    if isinstance(picture, PIL.Image.Image):
        return files.rgba_from_pillow(picture, max_pixels=max_pixels, name=name)
    pixels = load_pixels(picture, name=name)
    return np.concatenate([pixels, np.ones_like(pixels[..., :1])], axis=-1)


def as_pictures(given: Any, *, name: str) -> tuple[Any, ...]:
    """Return a sequence of pictures as a tuple.

    Args:
        given: The sequence.
        name: What the error calls it.

    Raises:
        ValueError: It is one picture, or no sequence.
    """
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        raise ValueError(
            f"{name}: wanted a sequence of pictures, got {type(given).__name__}; for one picture "
            "give a list of it: [picture]"
        )
    return tuple(given)


def _refuse_no_picture(picture: Any, name: str) -> None:
    if not is_array(picture):
        way_out = "give one of these"
        if isinstance(picture, bytes | bytearray) or hasattr(picture, "read"):
            way_out = "PIL.Image.open opens a file that is in memory"
        raise ValueError(
            f"{name}: wanted a path, Pillow's picture or an array, got {type(picture).__name__}; "
            f"{way_out}"
        )


def name_of(picture: Any, argument: str) -> str:
    """Return what errors call a picture: its file, in quotes, or the argument's name."""
    return quoted(picture) if isinstance(picture, str | os.PathLike) else argument


def stem_of(picture: Any, number: int) -> str:
    """Return what results of a picture are called: as its file, or by its number."""
    if isinstance(picture, str | os.PathLike):
        return Path(picture).stem
    return str(number)


def answer_like(given: Any, image: ImageOfAnySize) -> Any:
    """Return a result as the photograph was given: an array for an array, else Pillow's picture."""
    return image if is_array(given) else files.to_pillow(image)
