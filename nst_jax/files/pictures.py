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
import PIL.Image
import PIL.ImageCms
from jaxtyping import Float

from nst_jax.array_types import Image
from nst_jax.files.disk import (
    FilePath,
    claim_temporary,
    open_to_read,
    quoted,
    reason,
    refuse_folder,
    replacing,
)

MIN_SIDE = 16  # pixels; below it the deep layers of a VGG have no position left
MAX_SIDE = 16384  # pixels; more is a slip of the finger, not a picture that fits in memory

# The only decoders that a file may reach; Pillow knows dozens, some of them hardly ever attacked.
_READ_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
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
READ_EXTENSIONS = (*IMAGE_EXTENSIONS, ".gif", ".jpe", ".jfif")
"""The extensions by which pictures are found in folders; load_image takes any file."""

_LANCZOS = PIL.Image.Resampling.LANCZOS
_EXIF_ORIENTATION = 0x0112
_TURNS = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}


def load_image(path: FilePath, *, size: int | None = None) -> Image:
    """Return the picture in a file, of whatever kind, as plain sRGB.

    The EXIF orientation is applied, a colour profile converted to sRGB, transparency laid on
    white, and palette, CMYK, grey, 1-bit and 16-bit pixels brought to RGB. Of several frames or
    pages the first counts.

    Args:
        path: A JPEG, PNG, WebP, TIFF, BMP or GIF file.
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
        path: A JPEG, PNG, WebP, TIFF, BMP or GIF file.
        size: Pixels of the longer side; None leaves the picture as large as it is.

    Raises:
        ValueError: As load_image.
        OSError: The file cannot be read.
    """
    return _read_pixels(path, size)


def save_image(path: FilePath, image: Image) -> None:
    """Write one picture, clipped to [0, 1] and rounded to 8 bits, in the format of the extension.

    JPEG (4:4:4) and WebP have quality 95; an sRGB profile goes into every format but BMP. What was
    at the path before is replaced once the new file is whole.

    Args:
        path: Where to; ends in .png, .jpg, .jpeg, .webp, .tif, .tiff or .bmp.
        image: Shape (1, height, width, 3).

    Raises:
        ValueError: The extension is unknown, the image is a larger batch, not of float type or not
            finite, or the format cannot hold a picture so large.
        OSError: The file cannot be written.
    """
    name = quoted(path)
    _check_extension(path, IMAGE_EXTENSIONS)
    pixels = np.asarray(image)
    if pixels.ndim != 4 or pixels.shape[0] != 1 or pixels.shape[-1] != 3:
        raise ValueError(
            f"image must be one picture of shape (1, height, width, 3), got {pixels.shape}; "
            "write a batch picture by picture, image[i : i + 1]"
        )
    if not jnp.issubdtype(pixels.dtype, jnp.floating):
        raise ValueError(f"image must hold floats in [0, 1], got {pixels.dtype}; divide by 255")
    if not np.isfinite(pixels).all():
        raise ValueError(
            f"cannot write {name}: the image holds NaN or infinite values; "
            "lower the learning rate or the weights that made it diverge"
        )
    rounded = np.rint(np.clip(pixels[0].astype(np.float32), 0, 1) * 255).astype(np.uint8)
    format_name, options = _WRITE_FORMATS[Path(path).suffix.lower()]
    with replacing(path) as temporary:
        try:
            PIL.Image.fromarray(rounded).save(
                temporary, format=format_name, icc_profile=_srgb_profile_bytes(), **options
            )
        except (ValueError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk's fault, worded by replacing(); the rest is the encoder's
            raise ValueError(
                f"cannot write {name}: {reason(error)}; choose another format, such as .png"
            ) from error


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
    temporary = claim_temporary(path)
    temporary.unlink()
    if not overwrite and os.path.exists(path):
        raise FileExistsError(
            f"{quoted(path)} exists; choose another name, or say overwrite (--overwrite)"
        )


def _read_pixels(path: FilePath, size: int | None) -> np.ndarray:
    whole = isinstance(size, int | np.integer)
    if size is not None and not (whole and MIN_SIDE <= size <= MAX_SIDE):
        raise ValueError(
            f"size must be a whole number of pixels from {MIN_SIDE} to {MAX_SIDE}, "
            f"or None to keep the picture's own; got {size!r}"
        )
    name = quoted(path)
    with open_to_read(path) as stream:
        picture = _to_srgb(_decode(stream, name), name)
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


def _decode(stream: io.BufferedReader, name: str) -> PIL.Image.Image:
    if os.fstat(stream.fileno()).st_size == 0:
        raise ValueError(f"cannot read {name}: the file is empty; fetch or save it again")
    try:
        picture = PIL.Image.open(stream, formats=_READ_FORMATS)
        if picture.width * picture.height > (PIL.Image.MAX_IMAGE_PIXELS or math.inf):
            raise PIL.Image.DecompressionBombError  # Pillow itself only warns up to twice the limit
        too_small = min(picture.size) < MIN_SIDE
        if not too_small:
            picture.load()
    except PIL.UnidentifiedImageError as error:
        raise ValueError(
            f"cannot read {name}: not a JPEG, PNG, WebP, TIFF, BMP or GIF picture, or a damaged "
            "one; convert it to PNG, or fetch or save it again"
        ) from error
    except (PIL.Image.DecompressionBombWarning, PIL.Image.DecompressionBombError) as error:
        raise ValueError(
            f"cannot read {name}: it has more pixels than Pillow's safety limit of "
            f"{PIL.Image.MAX_IMAGE_PIXELS}; make it smaller, or raise PIL.Image.MAX_IMAGE_PIXELS"
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever a damaged file trips them into
        raise ValueError(
            f"cannot read {name}: {reason(error)}; the file is cut off or damaged, "
            "fetch or save it again"
        ) from error
    if too_small:
        raise ValueError(
            f"cannot use {name}: it is {picture.width}x{picture.height} pixels and its shorter "
            f"side must have at least {MIN_SIDE}; take a larger picture"
        )
    return picture


def _to_srgb(picture: PIL.Image.Image, name: str) -> PIL.Image.Image:
    """Return the picture upright and opaque, in mode RGB, or F in [0, 1] for deep grey."""
    alpha = None
    if picture.mode.startswith(("I", "F")):
        plain, alpha = _deep_grey(picture, name)
    else:
        opaque = picture
        if picture.has_transparency_data:
            opaque = picture.convert("RGBA")
            alpha = opaque.getchannel("A")
        plain = opaque.convert("RGB")
    colours = _apply_profile(picture, plain, name)
    if alpha is not None:  # after the profile, so that white is the white of sRGB
        white = PIL.Image.new(colours.mode, colours.size, 1 if colours.mode == "F" else "white")
        colours = PIL.Image.composite(colours, white, alpha)
    turn = _TURNS.get(_orientation(picture, name))
    return colours if turn is None else colours.transpose(turn)


def _deep_grey(
    picture: PIL.Image.Image, name: str
) -> tuple[PIL.Image.Image, PIL.Image.Image | None]:
    """Return grey of 16 bits or floats as mode F in [0, 1], with its mask of opaque pixels."""
    values = np.asarray(picture, dtype=np.float32)
    white = 1 if picture.mode == "F" else 65535
    if not (values.min() >= 0 and values.max() <= white):  # said so that NaN fails as well
        raise ValueError(
            f"cannot read {name}: its values run from {values.min():g} to {values.max():g}, where "
            f"0 to {white} was expected; save it as 8 or 16 bits a channel"
        )
    grey = PIL.Image.fromarray(values / np.float32(white))
    if "transparency" not in picture.info:
        return grey, None
    return grey, PIL.Image.fromarray(np.uint8(255) * (values != picture.info["transparency"]))


def _apply_profile(picture: PIL.Image.Image, plain: PIL.Image.Image, name: str) -> PIL.Image.Image:
    """Return the picture's colours converted to sRGB, or plain where no profile can be used."""
    embedded = picture.info.get("icc_profile")
    if not embedded:
        return plain
    # The profile's black to the screen's, as image editors do, lest print be shown as a haze.
    flags = PIL.ImageCms.Flags.BLACKPOINTCOMPENSATION
    try:
        profile = PIL.ImageCms.ImageCmsProfile(io.BytesIO(embedded))
        space = embedded[16:20].decode("ascii", "replace").strip()
        if space == "RGB" and plain.mode == "RGB" and picture.mode != "CMYK":
            source = plain
        elif space == "CMYK" and picture.mode == "CMYK":
            source = picture
        elif space == "GRAY" and picture.mode.startswith(("1", "L", "I;16")):
            # lcms interpolates grey curves so coarsely that shadows shift by ten levels of 255.
            flags |= PIL.ImageCms.Flags.NOOPTIMIZE
            source = picture if picture.mode.startswith("I;16") else plain.convert("L")
        else:
            raise ValueError(f"it is for {space} and the pixels are {picture.mode}")
        converted = PIL.ImageCms.profileToProfile(
            source,
            profile,
            PIL.ImageCms.createProfile("sRGB"),
            renderingIntent=PIL.ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=flags,
        )
    except (PIL.ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        warnings.warn(
            f"the colour profile in {name} cannot be used ({reason(error)}); "
            "its colours are taken as sRGB",
            stacklevel=5,
        )
        return plain
    return plain if converted is None else converted


def _orientation(picture: PIL.Image.Image, name: str) -> int:
    try:
        return picture.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception as error:  # as with the pixels; but here the picture itself is whole
        warnings.warn(
            f"the EXIF data in {name} cannot be read ({reason(error)}); the picture is not turned",
            stacklevel=5,
        )
        return 1


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
