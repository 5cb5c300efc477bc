"""What FFmpeg decodes, as a picture: upright, of square pixels, in sRGB's numbers, on white."""

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
from jaxtyping import Float

from nst_jax.files.decoding import MIN_SIDE
from nst_jax.files.disk import FilePath, quoted
from nst_jax.files.pictures import MAX_SIDE
from nst_jax.files.video_libraries import reason_of, require_av

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MAX_PIXELS = 1 << 26
"""Pixels that a frame may have, 8192 by 8192: clips come from strangers."""

_QUARTER = 90  # degrees
_WIDE_GAMUT_ROWS = 720  # from which on a clip that says nothing has BT.709's colours


def upright_size(
    frame: "VideoFrame", aspect: Fraction, size: int | None, path: FilePath
) -> tuple[int, int]:
    """Return width and height of what is made of a frame: upright, of square pixels, scaled.

    Args:
        frame: As decoded.
        aspect: A pixel's width over its height.
        size: Pixels of the longer side; None leaves it.
        path: The clip, which errors name.

    Raises:
        ValueError: They are too small or too large.
    """
    name = quoted(path)
    width, height = round(frame.width * max(aspect, 1)), round(frame.height / min(aspect, 1))
    if frame.rotation % (2 * _QUARTER):
        width, height = height, width
    if frame.width * frame.height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise ValueError(
            f"cannot use {name}: its frames have {width}x{height} pixels; at most {MAX_SIDE} a "
            f"side and {MAX_PIXELS} in all are taken; make it smaller"
        )
    if size is not None:
        factor = Fraction(size, max(width, height))
        width, height = (max(1, round(side * factor)) for side in (width, height))
    if min(width, height) < MIN_SIDE:
        raise ValueError(
            f"cannot use {name}: its frames would have {width}x{height} pixels and need at least "
            f"{MIN_SIDE} a side; choose a larger --size, or a larger clip"
        )
    return width, height


def pixel_aspect(stream: "VideoStream") -> Fraction:
    """Return a pixel's width over its height; 1 where a clip says nothing, or nonsense.

    Args:
        stream: The clip's.
    """
    aspect = stream.sample_aspect_ratio
    return Fraction(aspect) if aspect and Fraction(1, 8) <= aspect <= 8 else Fraction(1)


def to_pixels(
    frame: "VideoFrame", size: tuple[int, int], path: FilePath
) -> Float[np.ndarray, "height width 3"]:
    """Return a frame as RGB in [0, 1] on white, turned and scaled.

    Args:
        frame: As decoded.
        size: Width and height.
        path: The clip, which errors name.

    Raises:
        ValueError: FFmpeg has no conversion from its format.
    """
    av = require_av()
    components = frame.format.components
    deep = max(component.bits for component in components) > 8
    alpha = any(component.is_alpha for component in components) or frame.format.name == "pal8"
    layout = {(False, False): "rgb24", (False, True): "rgba"}.get((deep, alpha), "rgba64le")
    try:
        array = frame.to_ndarray(format=layout, src_colorspace=_matrix(frame))
    except (av.FFmpegError, ValueError) as error:
        raise ValueError(
            f"cannot read {quoted(path)}: no conversion of its pixels, {frame.format.name}, to "
            f"RGB ({reason_of(error)}); convert it to MP4 with H.264"
        ) from error
    pixels = array.astype(np.float32) / (255 if array.dtype == np.uint8 else 65535)
    if pixels.shape[-1] == 4:
        pixels = pixels[..., :3] * pixels[..., 3:] + (1 - pixels[..., 3:])
    pixels = np.rot90(pixels, k=round(frame.rotation / _QUARTER))
    if pixels.shape[:2] != (size[1], size[0]):
        pixels = resized(pixels, size)
    return np.ascontiguousarray(pixels)


def _matrix(frame: "VideoFrame") -> Any:
    """The matrix that a frame's colours are converted by; what players take where it says none."""
    spaces = require_av().video.reformatter.Colorspace
    named = {1: spaces.ITU709, 4: spaces.FCC, 5: spaces.ITU601, 6: spaces.ITU601}
    named |= {7: spaces.SMPTE240M, 9: spaces.BT2020, 10: spaces.BT2020}
    if frame.colorspace in named:
        return named[frame.colorspace]
    return spaces.ITU709 if frame.height >= _WIDE_GAMUT_ROWS else spaces.ITU601


def resized(
    pixels: Float[np.ndarray, "_ _ 3"], size: tuple[int, int]
) -> Float[np.ndarray, "_ _ 3"]:
    """Return pixels resampled by Lanczos' filter, in floats, as pictures are.

    Args:
        pixels: RGB in [0, 1].
        size: Width and height.
    """
    lanczos = PIL.Image.Resampling.LANCZOS
    bands = [
        np.asarray(PIL.Image.fromarray(np.ascontiguousarray(band)).resize(size, lanczos))
        for band in np.moveaxis(pixels, -1, 0)
    ]
    return np.stack(bands, axis=-1).clip(0, 1)
