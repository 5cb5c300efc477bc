"""What visitors send, read within bounds and by our own reader alone."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from nst_jax import files
from nst_jax.app.limits import MEBIBYTE, Limits
from nst_jax.app.visits import Visit
from nst_jax.jobs.pictures import Pixels, Rgba

# What may be a path: an absolute one of any system.
_PATH = re.compile(r"(?:[A-Za-z]:)?[\\/](?:[^\s'\"\\/]+[\\/])+[^\s'\",;:]*")
_MAX_MESSAGE = 400  # characters
_MOST_DRAWN = 1 << 20  # pixels of a drawing; a network sees a mask a 256th as large


def check_upload(given: Any, uploads: Path, *, most_bytes: int, name: str) -> Path:
    """Return an uploaded file's path.

    Args:
        given: What the page says: a path below the folder of uploads.
        uploads: That folder.
        most_bytes: The file's, at most.
        name: What errors call it.

    Raises:
        ValueError: It is none of the uploads, or too large.
    """
    if given is None or given == "":
        raise ValueError(f"{name}: wanted a file, got none; drop one on the page")
    if not isinstance(given, str) or "\0" in given:
        raise ValueError(f"{name}: wanted an uploaded file; drop one on the page")
    path = Path(os.path.realpath(given))
    if not path.is_relative_to(os.path.realpath(uploads)) or not path.is_file():
        raise ValueError(f"{name}: wanted an uploaded file; drop one on the page")
    size = path.stat().st_size
    if size > most_bytes:
        raise _too_large(size, most_bytes, name)
    return path


def read_picture(
    given: Any, visit: Visit, uploads: Path, *, limits: Limits, size: int, name: str
) -> Pixels:
    """Return an uploaded picture at the size at which it is used.

    Args:
        given: As for check_upload; or a picture's bytes, as the drawing board sends them.
        visit: Whose it is: it goes with the visit.
        uploads: As for check_upload.
        limits: How large it may be.
        size: Pixels of the longer side.
        name: What errors call it.

    Raises:
        ValueError: It is no upload, too large, no picture, or damaged.
    """
    content = _read(given, visit, uploads, limits.picture_bytes, name)
    decoded = files.decode_picture(content, name=name, max_pixels=limits.picture_pixels)
    return files.from_pillow(decoded, size=size, name=name)


def read_drawing(given: Any, visit: Visit, uploads: Path, *, limits: Limits, name: str) -> Rgba:
    """Return an uploaded drawing as it is stored, with its opacity; see read_picture."""
    content = _read(given, visit, uploads, limits.picture_bytes, name)
    decoded = files.decode_picture(content, name=name, max_pixels=limits.picture_pixels)
    return files.rgba_from_pillow(decoded, max_pixels=_MOST_DRAWN, name=name)


def _read(given: Any, visit: Visit, uploads: Path, most_bytes: int, name: str) -> bytes:
    if isinstance(given, bytes) and given:
        if len(given) > most_bytes:
            raise _too_large(len(given), most_bytes, name)
        return given
    path = check_upload(given, uploads, most_bytes=most_bytes, name=name)
    visit.uploads.add(path)
    return path.read_bytes()


def _too_large(size: int, most_bytes: int, name: str) -> ValueError:
    return ValueError(
        f"{name}: wanted at most {most_bytes // MEBIBYTE} MB, got {size / MEBIBYTE:.0f} MB; make "
        "it smaller"
    )


def split_brushes(
    drawing: Rgba, colours: list[tuple[int, int, int]]
) -> list[Float[np.ndarray, "height width"]]:
    """Return where each brush has painted: arrays (height, width) of 0 and 1.

    A pixel that is at least half opaque belongs to the brush whose colour is nearest.

    Args:
        drawing: Red, green, blue and opacity in [0, 1].
        colours: The brushes', from 0 to 255.
    """
    brushes = np.asarray(colours, np.float32) / 255
    distances = np.square(drawing[..., None, :3] - brushes).sum(-1)  # (H, W, brushes)
    nearest = np.where(drawing[..., 3] >= 0.5, distances.argmin(-1), -1)
    return [(nearest == number).astype(np.float32) for number in range(len(colours))]


def public_message(error: BaseException) -> str:
    """Return what a visitor is told of an error: one line, without paths.

    Args:
        error: What happened. Errors that nobody has foreseen are told by their kind alone.
    """
    known = isinstance(error, ValueError | OSError) or type(error).__module__.startswith("nst_jax.")
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        return "not enough memory; try a smaller size"
    if not known:
        return f"this failed ({type(error).__name__}); the server's log says more"
    text = " ".join(str(error).split()) or type(error).__name__
    return _PATH.sub("a file", text)[:_MAX_MESSAGE]
