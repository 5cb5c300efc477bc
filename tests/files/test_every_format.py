"""Every picture that Pillow can write, in any mode and format, is read right or refused by name."""

import io
import warnings

import hypothesis.strategies as st
import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings

from nst_jax import files
from nst_jax.files.decoding import READ_FORMATS

PIL.Image.init()
MODES = (
    *("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB"),
    *("HSV", "I", "F", "I;16", "I;16L", "I;16B"),
)
DEEP = {"I": 65535, "I;16": 65535, "I;16L": 65535, "I;16B": 65535, "F": 1}


def make(mode: str, width: int, height: int, seed: int) -> PIL.Image.Image | None:
    """A smooth picture with some noise; None where Pillow cannot make one of this mode."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    smooth = np.stack([y, x, 1 - (x + y) / 2, 0.3 + 0.7 * x], -1)
    values = np.clip(smooth + rng.normal(0, 0.02, smooth.shape), 0, 1)
    if mode in DEEP:
        kind = {"F": "<f4", "I": "<i4", "I;16B": ">u2"}.get(mode, "<u2")
        grey = (DEEP[mode] * values[..., 0]).astype(kind)
        return PIL.Image.frombytes(mode, (width, height), grey.tobytes())
    colours = PIL.Image.fromarray(np.uint8(255 * values), "RGBA" if "A" in mode else "RGBX")
    steps = {"La": ("LA", "La"), "RGBa": ("RGBA", "RGBa"), "PA": ("RGB", "P", "PA")}
    try:
        for step in steps.get(mode, ("RGB", mode) if mode in ("LAB", "P", "1") else (mode,)):
            colours = colours.convert(step)
    except ValueError:
        return None
    return colours


def written(picture: PIL.Image.Image, kind: str) -> bytes | None:
    """The file; None where the format has no room for the mode, or Pillow writes no such files."""
    stream = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture.save(stream, format=kind)
    except Exception:  # what it raises differs from format to format
        return None
    return stream.getvalue()


def read_by_pillow(data: bytes) -> np.ndarray:
    """(height, width, 3) from 0 to 1 on white, by Pillow's own conversions or by division."""
    with PIL.Image.open(io.BytesIO(data)) as picture:
        if picture.mode in DEEP:
            grey = np.asarray(picture, np.float64)[..., None] / DEEP[picture.mode]
            return np.repeat(grey, 3, -1)
        plain = {"La": "LA", "RGBa": "RGBA"}.get(picture.mode)
        rgba = np.asarray((picture.convert(plain) if plain else picture).convert("RGBA"), float)
    alpha = rgba[..., 3:] / 255
    return rgba[..., :3] / 255 * alpha + 1 - alpha


@pytest.mark.parametrize("kind", READ_FORMATS)
@settings(max_examples=2, deadline=None)
@given(width=st.integers(16, 40), height=st.integers(16, 40), seed=st.integers(0, 99))
def test_a_picture_of_any_mode_is_read_as_pillow_reads_it(
    tmp_path_factory, kind, width, height, seed
):
    path, count = tmp_path_factory.mktemp("pictures") / "a picture", 0
    for mode in MODES:
        picture = make(mode, width, height, seed)
        data = None if picture is None else written(picture, kind)
        if data is None:
            continue
        path.write_bytes(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a profile for Lab, which Pillow has converted
            found = files.load_pixels(path)
        wanted = read_by_pillow(data)
        np.testing.assert_allclose(found, wanted, atol=1.01 / 255, err_msg=f"{kind} {mode}")
        count += 1
    assert count >= 3


def format_by_pillow(path):
    """What Pillow takes a file for, or None: some formats it writes alone, or warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with PIL.Image.open(path) as picture:
                return picture.format
        except PIL.UnidentifiedImageError:
            return None


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted({*PIL.Image.SAVE} - {*READ_FORMATS}))
def test_other_formats_are_refused_by_name_on_one_line(tmp_path, kind):
    path = tmp_path / "a picture"
    for mode in ("RGB", "L", "1"):
        picture = make(mode, 32, 24, 0)
        data = None if picture is None else written(picture, kind)
        if not data:
            continue
        path.write_bytes(data)
        if format_by_pillow(path) in READ_FORMATS:  # such as MPO, which begins as JPEG
            continue
        with pytest.raises(ValueError, match=r"^cannot (read|use) '[^\n]*a picture'[^\n]*$"):
            files.load_pixels(path)
