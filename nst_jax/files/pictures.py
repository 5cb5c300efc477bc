"""Pictures in whatever form they come, in and out as sRGB: what Pillow decodes and encodes."""

import io
import math
import os
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import PIL.features
import PIL.Image
import PIL.ImageCms
from jaxtyping import Float

from nst_jax.array_types import Image, check_images
from nst_jax.files.decoding import MIN_SIDE, READ_FORMATS, check_side, decode
from nst_jax.files.disk import (
    FilePath,
    check_name,
    claim_temporary,
    existing,
    open_to_read,
    quoted,
    reason,
    refuse_folder,
    replacing,
)
from nst_jax.files.srgb import convert_to_srgb, lay_on_white

MAX_SIDE = 16384  # pixels; more is a slip of the finger, not a picture that fits in memory
_JPEG = ("JPEG", {"quality": 95, "subsampling": "4:4:4"})
_TIFF = ("TIFF", {"compression": "tiff_lzw"})
_WRITE_FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".webp": ("WEBP", {"quality": 95}),
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".bmp": ("BMP", {}),
}
IMAGE_EXTENSIONS = tuple(_WRITE_FORMATS)
"""The extensions that save_image can write."""
READ_EXTENSIONS = (*IMAGE_EXTENSIONS, ".gif", ".jpe", ".jfif", ".avif", ".heic", ".heif")
"""The extensions by which pictures are found in folders; load_image takes any file.

HEIC is among them wherever it can be read or not: a picture that is skipped must be named.
"""
_EXIF_SOFTWARE = 0x0131
_LANCZOS = PIL.Image.Resampling.LANCZOS


def load_image(path: FilePath, *, size: int | None = None) -> Image:
    """Return the picture in a file, of whatever kind, as plain sRGB.

    The EXIF orientation is applied, a colour profile converted to sRGB, transparency laid on
    white, and palette, CMYK, grey, 1-bit and 16-bit pixels brought to RGB. Of several frames or
    pages the first counts.

    Args:
        path: A JPEG, PNG, WebP, TIFF, BMP or GIF file; AVIF where Pillow has it, HEIC where
            pillow-heif is installed.
        size: Pixels of the longer side, reached up or down by a Lanczos filter, aspect kept; None
            leaves the picture as large as it is.

    Returns:
        float32 in [0, 1], of shape (1, height, width, 3).

    Raises:
        ValueError: The file is no picture, is damaged, has a side under 16 pixels, before or after
            scaling, or more pixels than Pillow's limit; or size is not an int in 16 ... 16384.
        OSError: The file cannot be read.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")  # Pillow's remarks on metadata
        return jnp.asarray(_read_pixels(path, size)[None])


def load_pixels(path: FilePath, *, size: int | None = None) -> Float[np.ndarray, "height width 3"]:
    """Return what load_image returns, as a NumPy array without a batch; any thread may call it.

    It leaves alone Python's warning filters, which all threads share; hence Pillow's remarks on
    metadata are to be heard.

    Args:
        path: As for load_image.
        size: Pixels of the longer side; None leaves the picture as large as it is.

    Raises:
        ValueError: As load_image.
        OSError: The file cannot be read.
    """
    return _read_pixels(path, size)


def load_rgba(
    path: FilePath, *, max_pixels: int | None = None
) -> Float[np.ndarray, "height width 4"]:
    """Return a picture's colours as they are stored, and its opacity, as a NumPy array.

    Masks are read so: what is transparent there belongs to no region, whatever its colour.

    Args:
        path: As for load_image.
        max_pixels: A larger picture is sampled down to at most so many, each pixel one of its own,
            so that flat colours stay flat. None keeps all.

    Returns:
        float32 in [0, 1]: red, green, blue, and alpha, which is 1 where the picture has none.

    Raises:
        ValueError: As load_image.
        OSError: The file cannot be read.
    """
    name = quoted(path)
    with open_to_read(path) as stream:
        return rgba_from_pillow(decode(stream, name), max_pixels=max_pixels, name=name)


def decode_picture(
    content: bytes, *, name: str = "the picture", max_pixels: int | None = None
) -> PIL.Image.Image:
    """Return the picture that bytes hold, decoded by the formats that load_image knows.

    Args:
        content: What would be in its file.
        name: What errors call it.
        max_pixels: A picture that has more is refused before it is decoded.

    Raises:
        ValueError: As load_image.
    """
    return decode(io.BytesIO(content), name, max_pixels=max_pixels)


def rgba_from_pillow(
    decoded: PIL.Image.Image, *, max_pixels: int | None = None, name: str = "the picture"
) -> Float[np.ndarray, "height width 4"]:
    """Return what load_rgba returns, of a picture that Pillow has opened or made.

    Args:
        decoded: The picture, in any mode.
        max_pixels: As for load_rgba.
        name: What errors call it.

    Raises:
        ValueError: As load_rgba, of what does not come from the file.
    """
    check_side(decoded, name)
    colours, alpha = convert_to_srgb(decoded, name)
    factor = math.sqrt((max_pixels or math.inf) / (colours.width * colours.height))
    if factor < 1:
        width, height = (max(1, int(side * factor)) for side in colours.size)
        size = (width, height)
        colours = colours.resize(size, PIL.Image.Resampling.NEAREST)
        alpha = None if alpha is None else alpha.resize(size, PIL.Image.Resampling.NEAREST)
    pixels = np.array(colours, dtype=np.float32)
    if colours.mode == "RGB":
        pixels /= 255
    height, width = pixels.shape[:2]
    opacity = 1 if alpha is None else np.asarray(alpha, np.float32)[..., None] / 255
    return np.concatenate(
        [
            np.broadcast_to(pixels.reshape(height, width, -1).clip(0, 1), (height, width, 3)),
            np.broadcast_to(np.float32(opacity), (height, width, 1)),
        ],
        axis=-1,
    )


def save_image(
    path: FilePath,
    image: Image | Float[np.ndarray, "batch height width 3"],
    *,
    overwrite: bool = True,
    origin: str | None = None,
) -> None:
    """Write one picture, clipped to [0, 1] and rounded to 8 bits, in the format of the extension.

    JPEG (4:4:4) and WebP have quality 95; an sRGB profile goes into every format but BMP. What was
    at the path before is replaced once the new file is whole.

    Args:
        path: Where to; ends in .png, .jpg, .jpeg, .webp, .tif, .tiff or .bmp.
        image: Shape (1, height, width, 3).
        overwrite: Whether a file that is there by the end may be replaced.
        origin: A line on what made the picture, for load_origin; BMP has no room for it.

    Raises:
        ValueError: The extension is unknown, the image is a larger batch, not of float type, not
            finite or counts to 255, or the format cannot hold a picture so large.
        FileExistsError: There is a file, and overwrite is false.
        OSError: The file cannot be written.
    """
    name = quoted(path)
    _check_extension(path, IMAGE_EXTENSIONS)
    try:
        picture = to_pillow(image)
    except FloatingPointError as error:
        raise ValueError(f"cannot write {name}: {error}") from error
    format_name, options = _WRITE_FORMATS[Path(path).suffix.lower()]
    if origin is not None and format_name != "BMP":
        exif = PIL.Image.Exif()
        exif[_EXIF_SOFTWARE] = origin
        options = {**options, "exif": exif}
    with replacing(path, overwrite=overwrite) as temporary:
        try:
            picture.save(
                temporary, format=format_name, icc_profile=_srgb_profile_bytes(), **options
            )
        except (ValueError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk's fault, worded by replacing(); the rest is the encoder's
            raise ValueError(
                f"cannot write {name}: {reason(error)}; choose another format, such as .png"
            ) from error


def load_origin(path: FilePath) -> str | None:
    """Return the line that save_image was given as origin; None where there is none."""
    try:
        with open_to_read(path) as stream, PIL.Image.open(stream, formats=READ_FORMATS) as picture:
            origin = picture.getexif().get(_EXIF_SOFTWARE)
    except Exception:  # whatever a file trips Pillow into, it says nothing of its origin
        return None
    return origin if isinstance(origin, str) else None


def to_pillow(image: Image | Float[np.ndarray, "batch height width 3"]) -> PIL.Image.Image:
    """Return one picture as Pillow has it, clipped to [0, 1] and rounded to 8 bits.

    Args:
        image: Shape (1, height, width, 3).

    Raises:
        ValueError: The image is a larger batch, not of float type, or counts to 255.
        FloatingPointError: It is not finite.
    """
    check_images("image", image)
    if image.shape[0] != 1:
        raise ValueError(
            f"image: wanted one picture, (1, H, W, 3), got {tuple(image.shape)}; write a batch "
            "picture by picture, image[i : i + 1]"
        )
    pixels = np.asarray(image)
    if 1 < pixels.max() <= 255 and pixels.min() >= 0 and np.median(pixels) > 1:
        # A run that diverges leaves stranger pictures, of which some values are negative.
        raise ValueError(
            f"image: wanted values from 0 to 1, got up to {float(pixels.max()):.4g}; divide by 255"
        )
    if not np.isfinite(pixels).all():
        raise FloatingPointError(
            "the image holds NaN or infinite values; "
            "lower the learning rate or the weights that made it diverge"
        )
    rounded = np.rint(np.clip(pixels[0].astype(np.float32), 0, 1) * 255).astype(np.uint8)
    return PIL.Image.fromarray(rounded)


def check_output(
    path: FilePath, *, overwrite: bool, extensions: Collection[str] = IMAGE_EXTENSIONS
) -> None:
    """Raise now, before minutes of work, what writing to path would raise at the end of them.

    Args:
        path: The file to be written later.
        overwrite: Whether an existing file may be replaced.
        extensions: What path may end in, in lower case with the dot.

    Raises:
        ValueError: The extension is none of these.
        FileExistsError: The file exists and overwrite is false.
        OSError: The folder is missing or not writable, or path is a folder.
    """
    _check_extension(path, extensions)
    check_name(path)
    temporary = claim_temporary(path)
    temporary.unlink()
    if not overwrite and os.path.exists(path):
        raise existing(path)


def _read_pixels(path: FilePath, size: int | None) -> np.ndarray:
    _check_size(size)
    name = quoted(path)
    with open_to_read(path) as stream:
        return from_pillow(decode(stream, name), size=size, name=name)


def _check_size(size: int | None) -> None:
    whole = isinstance(size, int | np.integer)
    if size is not None and not (whole and MIN_SIDE <= size <= MAX_SIDE):
        raise ValueError(
            f"size must be a whole number of pixels from {MIN_SIDE} to {MAX_SIDE}, "
            f"or None to keep the picture's own; got {_shown(size)}"
        )


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, int | float | str) else type(value).__name__


def from_pillow(
    decoded: PIL.Image.Image, *, size: int | None = None, name: str = "the picture"
) -> Float[np.ndarray, "height width 3"]:
    """Return what load_pixels returns, of a picture that Pillow has opened or made.

    Args:
        decoded: The picture, in any mode.
        size: As for load_pixels.
        name: What errors call it.

    Raises:
        ValueError: As load_pixels, of what does not come from the file.
    """
    _check_size(size)
    check_side(decoded, name)
    picture = lay_on_white(*convert_to_srgb(decoded, name))
    if size is None:
        pixels = np.array(picture, dtype=np.float32)
        pixels = pixels.reshape(*pixels.shape[:2], -1)
    else:
        target = _scaled_size(picture.size, size, name)
        # In floats, since Pillow rounds and clips bytes between its horizontal and vertical pass.
        bands = [band.convert("F").resize(target, _LANCZOS) for band in picture.split()]
        pixels = np.stack([np.asarray(band) for band in bands], axis=-1)
    if picture.mode == "RGB":
        pixels /= 255
    return np.broadcast_to(pixels.clip(0, 1), (*pixels.shape[:2], 3))


def _scaled_size(current: tuple[int, int], size: int, name: str) -> tuple[int, int]:
    width, height = (max(1, round(side * size / max(current))) for side in current)
    if min(width, height) < MIN_SIDE:
        raise ValueError(
            f"size {size} makes {name} {width}x{height} pixels and its shorter side must have at "
            f"least {MIN_SIDE}; choose a larger size or crop the picture"
        )
    return width, height


def _srgb_profile_bytes() -> bytes:
    profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    # Bytes 24 to 35 hold the moment of making; a fixed one keeps equal pictures equal files.
    moment = b"".join(part.to_bytes(2, "big") for part in (2000, 1, 1, 0, 0, 0))
    return profile[:24] + moment + profile[36:]


def _check_extension(path: FilePath, extensions: Collection[str]) -> None:
    refuse_folder(path)
    suffix = Path(path).suffix
    if suffix.lower() not in extensions:
        raise ValueError(
            f"cannot write {quoted(path)}: extension {suffix!r} is not known; "
            f"use {', '.join(extensions)}"
        )
