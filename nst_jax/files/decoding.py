"""What may be decoded, and how: formats, limits, and errors that name the file."""

import importlib
import io
import math

import PIL.features
import PIL.Image

from nst_jax.files.disk import reason

MIN_SIDE = 16  # pixels; below it the deep layers of a VGG have no position left

# The only decoders that a file may reach; Pillow knows dozens, some of them hardly ever attacked.
_AVIF = ("AVIF",) if PIL.features.check("avif") else ()
READ_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", *_AVIF)
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}

_TEXT_CHUNKS = {b"tEXt", b"zTXt", b"iTXt"}

Stream = io.BufferedReader | io.BytesIO
"""A file that is open to be read, or bytes in memory."""


def decode(stream: Stream, name: str, *, max_pixels: int | None = None) -> PIL.Image.Image:
    """Return the picture in an open file or in memory, decoded, in whatever mode it has.

    Args:
        stream: The file.
        name: What errors call it.
        max_pixels: How many it may have; by default as many as Pillow allows, and never more.

    Raises:
        ValueError: The file is no picture, is damaged, too small or too large.
    """
    if stream.seek(0, io.SEEK_END) == 0:
        raise ValueError(f"cannot read {name}: the file is empty; fetch or save it again")
    stream.seek(0)
    formats = _formats_for(stream, name)
    try:
        try:
            picture = _open(stream, formats, max_pixels)
        except ValueError:  # Pillow gives up on a PNG for its texts, which nobody here wants
            without_texts = _without_texts(stream)
            if without_texts is None:
                raise
            picture = _open(without_texts, formats, max_pixels)
    except PIL.UnidentifiedImageError as error:
        raise ValueError(
            f"cannot read {name}: not a JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF picture, or a "
            "damaged one; convert it to PNG, or fetch or save it again"
        ) from error
    except (PIL.Image.DecompressionBombWarning, PIL.Image.DecompressionBombError) as error:
        if max_pixels is not None:
            raise ValueError(
                f"cannot read {name}: it has more than {max_pixels} pixels; make it smaller"
            ) from error
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
    check_side(picture, name)
    return picture


def check_side(picture: PIL.Image.Image, name: str) -> None:
    """Raise a ValueError for a picture that is too small to be used, whatever its mode."""
    if min(picture.size) < MIN_SIDE:
        raise ValueError(
            f"cannot use {name}: it is {picture.width}x{picture.height} pixels and its shorter "
            f"side must have at least {MIN_SIDE}; take a larger picture"
        )


def _open(stream: Stream, formats: tuple[str, ...], max_pixels: int | None) -> PIL.Image.Image:
    """Return the picture, decoded unless it is too small to be used."""
    picture = PIL.Image.open(stream, formats=formats)
    most = min(PIL.Image.MAX_IMAGE_PIXELS or math.inf, max_pixels or math.inf)
    if picture.width * picture.height > most:
        raise PIL.Image.DecompressionBombError  # Pillow itself only warns up to twice the limit
    if min(picture.size) >= MIN_SIDE:
        picture.load()
    return picture


def _formats_for(stream: Stream, name: str) -> tuple[str, ...]:
    """Return the decoders that may see a file; HEIC's, from another package, for HEIC alone."""
    start = stream.read(64)
    stream.seek(0)
    if start[4:8] != b"ftyp":
        return READ_FORMATS
    length = int.from_bytes(start[:4], "big")
    brands = {start[8:12], *(start[at : at + 4] for at in range(16, min(length, 64) - 3, 4))}
    if brands & _AVIF_BRANDS:
        if not _AVIF:
            raise ValueError(
                f"cannot read {name}: it is an AVIF picture and this Pillow reads none; "
                "update Pillow, or convert it to PNG"
            )
        return _AVIF
    if not brands & _HEIC_BRANDS:
        return READ_FORMATS
    try:
        importlib.import_module("pillow_heif").register_heif_opener()
    except ImportError as error:
        raise ValueError(
            f"cannot read {name}: it is a HEIC picture; "
            "pip install pillow-heif reads those, or convert it to JPEG"
        ) from error
    return ("HEIF",)


def _without_texts(stream: Stream) -> io.BytesIO | None:
    """Return a PNG without its texts; None if it is no whole PNG or has none.

    Editors keep a picture's history there, workflows their graphs: over Pillow's limit of 1 MB.
    """
    stream.seek(0)
    data = stream.read()
    signature = b"\x89PNG\r\n\x1a\n"
    if not data.startswith(signature):
        return None
    kept, place, dropped = [signature], len(signature), False
    while place < len(data):
        length = int.from_bytes(data[place : place + 4], "big") + 12  # and length, kind, checksum
        if place + length > len(data):
            return None
        if data[place + 4 : place + 8] in _TEXT_CHUNKS:
            dropped = True
        else:
            kept.append(data[place : place + length])
        place += length
    return io.BytesIO(b"".join(kept)) if dropped else None
