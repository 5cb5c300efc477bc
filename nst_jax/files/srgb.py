"""Decoded pictures of any mode brought to upright sRGB."""

import io
import warnings

import numpy as np
import PIL.Image
import PIL.ImageCms

from nst_jax.files.disk import reason

_UNASSOCIATED = {"La": "LA", "RGBa": "RGBA"}  # colours multiplied by alpha, and plain ones
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


def convert_to_srgb(
    picture: PIL.Image.Image, name: str
) -> tuple[PIL.Image.Image, PIL.Image.Image | None]:
    """Return a picture upright in sRGB, and its opacity; None where it is opaque throughout.

    Args:
        picture: Decoded, of any mode.
        name: What errors call the file.

    Returns:
        The picture in mode RGB, or F in [0, 1] for deep grey; and its alpha in mode L.

    Raises:
        ValueError: Its values cannot be brought there; the line names the file.
    """
    try:
        return _to_srgb(picture, name)
    except MemoryError:
        raise
    except Exception as error:
        if name in str(error):
            raise
        raise ValueError(
            f"cannot read {name}: {reason(error)}; save it as RGB with 8 bits a channel"
        ) from error


def lay_on_white(colours: PIL.Image.Image, alpha: PIL.Image.Image | None) -> PIL.Image.Image:
    """Return what convert_to_srgb gave as one opaque picture, on the white of sRGB."""
    if alpha is None:
        return colours
    white = PIL.Image.new(colours.mode, colours.size, 1 if colours.mode == "F" else "white")
    return PIL.Image.composite(colours, white, alpha)


def _to_srgb(picture: PIL.Image.Image, name: str) -> tuple[PIL.Image.Image, PIL.Image.Image | None]:
    alpha = None
    if picture.mode.startswith(("I", "F")):
        plain, alpha = _deep_grey(picture, name)
    else:
        opaque = picture
        if picture.mode in _UNASSOCIATED:
            opaque = picture.convert(_UNASSOCIATED[picture.mode])
        if picture.has_transparency_data:
            opaque = opaque.convert("RGBA")
            alpha = opaque.getchannel("A")
        plain = opaque.convert("RGB")
    colours = _apply_profile(picture, plain, name)
    turn = _TURNS.get(_orientation(picture, name))
    if turn is None:
        return colours, alpha
    return colours.transpose(turn), None if alpha is None else alpha.transpose(turn)


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
            stacklevel=6,
        )
        return plain
    return plain if converted is None else converted


def _orientation(picture: PIL.Image.Image, name: str) -> int:
    try:
        return picture.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception as error:  # as with the pixels; but here the picture itself is whole
        warnings.warn(
            f"the EXIF data in {name} cannot be read ({reason(error)}); the picture is not turned",
            stacklevel=6,
        )
        return 1
