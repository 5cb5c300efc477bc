import io
import os
import re
import struct
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import PIL.features
import PIL.Image
import PIL.ImageCms
import pytest
import tifffile
from PIL import JpegImagePlugin

from nst_jax.files import (
    check_output,
    list_images,
    load_image,
    load_origin,
    load_pixels,
    load_rgba,
    save_image,
)

TABLE = np.array([[250, 3, 7], [11, 130, 17], [19, 23, 201]], np.uint8)  # a palette's colours


def made(height: int = 20, width: int = 24, *, channels: int = 3) -> np.ndarray:
    """Every pixel and channel its own way, nothing symmetric: a turn or a swap shows."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [9 * y + x, 10 * x + 3, (y * x + 40) % 256, 255 - 8 * x - y]
    return np.stack(planes[:channels], -1).clip(0, 255).astype(np.uint8)


def loaded(path: Path, *, size: int | None = None) -> np.ndarray:
    image = np.asarray(load_image(path, size=size))
    assert image.dtype == np.float32
    assert image.shape[0] == 1
    assert image.shape[3] == 3
    return image[0]


def one_line(error: pytest.ExceptionInfo) -> str:
    message = str(error.value)
    assert "\n" not in message
    assert ";" in message, "the way out is missing"
    return message


def png(pixels: np.ndarray, *chunks: tuple[bytes, bytes], colour_type: int, depth: int) -> bytes:
    """A PNG written by hand, for kinds that Pillow reads and does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


# Kinds of pixels ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extension", "options"),
    [
        ("png", {}),
        ("bmp", {}),
        ("tif", {}),
        ("tiff", {"compression": "tiff_lzw"}),
        ("webp", {"lossless": True}),
    ],
)
def test_lossless_formats_give_their_bytes_over_255(tmp_path, extension, options):
    path = tmp_path / f"a.{extension}"
    PIL.Image.fromarray(made()).save(path, **options)
    np.testing.assert_array_equal(loaded(path), made() / np.float32(255))


def test_jpeg_is_close(tmp_path):
    y, x = np.mgrid[0:32, 0:40]
    smooth = np.stack([4 * y + 60, 3 * x + 20, 200 - 2 * y - x], -1).astype(np.uint8)
    PIL.Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95, subsampling=0)
    np.testing.assert_allclose(loaded(tmp_path / "a.jpg"), smooth / 255, atol=5 / 255)


def test_gif_gives_its_first_frame(tmp_path):
    first = np.zeros((20, 24, 3), np.uint8)
    first[4:9, 3:17] = (200, 10, 90)
    frames = [PIL.Image.fromarray(first), PIL.Image.new("RGB", (24, 20), (0, 255, 0))]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(loaded(tmp_path / "a.gif"), first / np.float32(255))


def test_the_extension_does_not_matter_for_reading(tmp_path):
    PIL.Image.fromarray(made()).save(tmp_path / "a.jpg", format="PNG")
    np.testing.assert_array_equal(loaded(tmp_path / "a.jpg"), made() / np.float32(255))


def test_grey_one_bit_and_palette(tmp_path):
    grey = made(channels=1)[..., 0]
    PIL.Image.fromarray(grey).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(
        loaded(tmp_path / "grey.png"), np.repeat(grey[..., None] / np.float32(255), 3, -1)
    )
    bits = (made()[..., 2] % 3 == 0).astype(np.uint8)
    PIL.Image.fromarray(bits * 255).convert("1").save(tmp_path / "bits.tif")
    np.testing.assert_array_equal(loaded(tmp_path / "bits.tif")[..., 1], bits)
    indices = made()[..., 2] % 3
    palette = PIL.Image.fromarray(indices)
    palette.putpalette(TABLE.tobytes())
    palette.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(
        loaded(tmp_path / "palette.png"), TABLE[indices] / np.float32(255)
    )


def test_cmyk_without_profile_is_light_left_by_the_inks(tmp_path):
    inks = made(channels=4)
    PIL.Image.frombytes("CMYK", (24, 20), inks.tobytes()).save(tmp_path / "a.tif")
    left = 1 - inks / 255
    np.testing.assert_allclose(
        loaded(tmp_path / "a.tif"), left[..., :3] * left[..., 3:], atol=1.01 / 255
    )


@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_sixteen_bit_grey_keeps_all_bits(tmp_path, byte_order):
    values = np.arange(0, 65536, 65535 // (16 * 17 - 1))[: 16 * 17].reshape(16, 17)
    values[-1, -1] = 65535
    PIL.Image.fromarray(values.astype(f"{byte_order}u2")).save(tmp_path / "a.tif")
    expected = np.repeat((values / 65535)[..., None], 3, -1)
    np.testing.assert_allclose(loaded(tmp_path / "a.tif"), expected, rtol=1e-6)
    (tmp_path / "a.png").write_bytes(png(values.astype(">u2"), colour_type=0, depth=16))
    np.testing.assert_allclose(loaded(tmp_path / "a.png"), expected, rtol=1e-6)


def test_integers_and_floats_scale_and_never_clip(tmp_path):
    values = np.linspace(0, 65535, 16 * 20).round().astype(np.int32).reshape(16, 20)
    PIL.Image.fromarray(values).save(tmp_path / "int.tif")
    np.testing.assert_allclose(loaded(tmp_path / "int.tif")[..., 0], values / 65535, rtol=1e-6)
    floats = np.linspace(0, 1, 16 * 20, dtype=np.float32).reshape(16, 20)
    PIL.Image.fromarray(floats).save(tmp_path / "float.tif")
    np.testing.assert_array_equal(loaded(tmp_path / "float.tif")[..., 2], floats)
    for name, beyond in {
        "high": values + 1, "low": values - 1, "bright": floats * 2, "nan": floats * np.nan
    }.items():  # fmt: skip
        PIL.Image.fromarray(beyond).save(tmp_path / f"{name}.tif")
        with pytest.raises(ValueError, match=f"{name}.tif") as error:
            load_image(tmp_path / f"{name}.tif")
        assert "was expected" in one_line(error)


def test_lab_is_read_by_its_lightness(tmp_path):
    PIL.Image.new("LAB", (20, 20), (128, 128, 128)).save(tmp_path / "a.tif")
    grey = srgb_encoded(light_of(128 / 255 * 100))
    np.testing.assert_allclose(loaded(tmp_path / "a.tif"), grey, atol=2.5 / 255)


def test_sixteen_bit_colour_keeps_the_high_bytes(tmp_path):
    high = made()
    values = high.astype(np.uint16) * 256 + 77
    (tmp_path / "a.png").write_bytes(png(values.astype(">u2"), colour_type=2, depth=16))
    np.testing.assert_array_equal(loaded(tmp_path / "a.png"), high / np.float32(255))


# Transparency -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_alpha_lies_on_white(tmp_path, mode):
    colours, alpha = made(), made(channels=4)[..., 3]
    assert len(np.unique(alpha)) > 100
    if mode == "RGBA":
        PIL.Image.fromarray(np.dstack([colours, alpha])).save(tmp_path / "a.png")
    elif mode == "LA":
        colours[:] = colours[..., :1]
        PIL.Image.fromarray(np.dstack([colours[..., 0], alpha])).save(tmp_path / "a.png")
    else:
        indices = made()[..., 2] % 3
        colours = TABLE[indices]
        picture = PIL.Image.frombytes("PA", (24, 20), np.dstack([indices, alpha]).tobytes())
        picture.putpalette(TABLE.tobytes())
        picture.save(tmp_path / "a.png", format="TIFF")
    weight = alpha[..., None] / 255
    expected = weight * colours / 255 + (1 - weight)
    np.testing.assert_allclose(loaded(tmp_path / "a.png"), expected, atol=0.51 / 255)


def test_transparent_palette_entries_lie_on_white(tmp_path):
    alpha = np.array([0, 128, 255], np.uint8)
    indices = made()[..., 2] % 3
    picture = PIL.Image.fromarray(indices)
    picture.putpalette(TABLE.tobytes())
    picture.save(tmp_path / "a.png", transparency=alpha.tobytes())
    weight = alpha[indices][..., None] / 255
    expected = weight * TABLE[indices] / 255 + (1 - weight)
    np.testing.assert_allclose(loaded(tmp_path / "a.png"), expected, atol=0.51 / 255)


@pytest.mark.parametrize(
    ("colour_type", "depth", "key"),
    [(0, 8, (71,)), (2, 8, (11, 130, 17)), (0, 16, (40_000,))],
    ids=["grey", "colour", "deep grey"],
)
def test_the_colour_named_transparent_becomes_white(tmp_path, colour_type, depth, key):
    top = 2**depth - 1
    pixels = made().astype(np.int64) if colour_type == 2 else made()[..., :1].astype(np.int64)
    pixels = pixels * (top // 255)
    pixels[3:6, 4:11] = key
    chunk = (b"tRNS", b"".join(struct.pack(">H", value) for value in key))
    content = png(pixels.astype(f">u{depth // 8}"), chunk, colour_type=colour_type, depth=depth)
    (tmp_path / "a.png").write_bytes(content)
    expected = np.where((pixels == key).all(-1, keepdims=True), 1.0, pixels / top)
    assert (expected == 1).all(-1).sum() >= 21
    np.testing.assert_allclose(
        loaded(tmp_path / "a.png"), np.broadcast_to(expected, (20, 24, 3)), rtol=1e-6
    )


# Orientation --------------------------------------------------------------------------------------

UPRIGHT = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: np.rot90(stored, 2),
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).swapaxes(0, 1),
    8: lambda stored: np.rot90(stored, 1),
}


@pytest.mark.parametrize("extension", ["png", "tif", "webp", "jpg"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_is_applied_once(tmp_path, extension, orientation):
    stored = np.repeat(np.repeat(made(5, 6), 8, 0), 8, 1)  # blocks, which a JPEG keeps well
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    # Each format takes of these what it knows.
    options: dict[str, Any] = {"lossless": True, "quality": 100, "subsampling": 0}
    PIL.Image.fromarray(stored).save(tmp_path / f"a.{extension}", exif=exif, **options)
    np.testing.assert_allclose(
        loaded(tmp_path / f"a.{extension}"), UPRIGHT[orientation](stored) / 255, atol=3 / 255
    )


def test_broken_exif_warns_and_gives_the_picture(tmp_path):
    PIL.Image.fromarray(made()).save(tmp_path / "a.png", exif=b"no TIFF header here")
    with pytest.warns(UserWarning, match=r"EXIF data in .*a\.png' cannot be read"):
        pixels = loaded(tmp_path / "a.png")
    np.testing.assert_array_equal(pixels, made() / np.float32(255))


def test_pillows_remarks_are_silenced_without_touching_filters_that_threads_share(tmp_path):
    # One entry of 100 bytes of text at byte 5000, where nothing is.
    exif = b"Exif\0\0II*\0" + struct.pack("<IHHHIII", 8, 1, 0x010E, 2, 100, 5000, 0)
    PIL.Image.fromarray(made()).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(loaded(tmp_path / "a.png"), made() / np.float32(255))
    with pytest.warns(UserWarning, match="Tag data larger than file"):
        load_pixels(tmp_path / "a.png")


# Colour profiles ----------------------------------------------------------------------------------

SRGB_COLORANTS = {  # CIE XYZ of sRGB's primaries, adapted to D50 as the ICC asks
    b"rXYZ": (0.43607, 0.22249, 0.01392),
    b"gXYZ": (0.38515, 0.71687, 0.09708),
    b"bXYZ": (0.14307, 0.06061, 0.71410),
}
LINEAR = b"curv\0\0\0\0" + struct.pack(">I", 0)


def fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def icc_profile(space: bytes, tags: dict[bytes, bytes], *, connection: bytes = b"XYZ ") -> bytes:
    """A version 2 profile of a display or, with CMYK, of a scan of printed inks."""
    xyz = b"XYZ \0\0\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", 2) + b"x\0" + bytes(78)
    tags = {
        b"desc": text,
        b"cprt": b"text\0\0\0\0x\0",
        b"wtpt": xyz + fixed(0.9642, 1, 0.8249),
        **tags,
    }
    start = 128 + 4 + 12 * len(tags)
    table, body = b"", b""
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    kind = b"scnr" if space == b"CMYK" else b"mntr"  # prtr would need the way back as well
    header = struct.pack(">I4xI4s4s4s", start + len(body), 0x02100000, kind, space, connection)
    header += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += fixed(0.9642, 1, 0.8249)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def rgb_profile(colorants: dict[bytes, tuple[float, float, float]]) -> bytes:
    tags = {name: b"XYZ \0\0\0\0" + fixed(*value) for name, value in colorants.items()}
    return icc_profile(b"RGB ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), LINEAR))


def srgb_encoded(light: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def light_of(lightness: float) -> np.ndarray:
    """The luminance of a CIE L* above 8."""
    return np.array(((lightness + 16) / 116) ** 3)


def test_a_linear_profile_is_encoded_as_srgb(tmp_path):
    PIL.Image.fromarray(made()).save(tmp_path / "a.png", icc_profile=rgb_profile(SRGB_COLORANTS))
    np.testing.assert_allclose(
        loaded(tmp_path / "a.png"), srgb_encoded(made() / 255), atol=1.5 / 255
    )


def test_swapped_primaries_swap_the_channels_of_a_palette_too(tmp_path):
    swapped = dict(zip(SRGB_COLORANTS, reversed(SRGB_COLORANTS.values()), strict=True))
    indices = made()[..., 2] % 3
    picture = PIL.Image.fromarray(indices)
    picture.putpalette(TABLE.tobytes())
    picture.save(tmp_path / "a.png", icc_profile=rgb_profile(swapped))
    np.testing.assert_allclose(
        loaded(tmp_path / "a.png"), srgb_encoded(TABLE[indices][..., ::-1] / 255), atol=1.5 / 255
    )


def test_alpha_is_laid_on_white_after_the_profile(tmp_path):
    colours, alpha = made(), made(channels=4)[..., 3]
    PIL.Image.fromarray(np.dstack([colours, alpha])).save(
        tmp_path / "a.png", icc_profile=rgb_profile(SRGB_COLORANTS)
    )
    weight = alpha[..., None] / 255
    expected = weight * srgb_encoded(colours / 255) + (1 - weight)
    np.testing.assert_allclose(loaded(tmp_path / "a.png"), expected, atol=1.5 / 255)


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_a_grey_profile_keeps_the_shadows(tmp_path, mode):
    grey = np.tile(np.arange(256, dtype=np.uint8), (16, 1))
    pixels = {
        "L": grey,
        "LA": np.dstack([grey, np.full_like(grey, 255)]),
        "I;16": grey.astype(np.uint16) * 257,
    }[mode]
    profile = icc_profile(b"GRAY", {b"kTRC": LINEAR})
    PIL.Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=profile)
    expected = np.repeat(srgb_encoded(grey / 255)[..., None], 3, -1)
    np.testing.assert_allclose(loaded(tmp_path / "a.png"), expected, atol=1.01 / 255)


def test_a_printers_profile_decides_what_its_inks_look_like(tmp_path):
    # Full cyan is a neutral L* = 50 here, where light left by the inks would be (0, 1, 1). Black is
    # a neutral L* = 20, which becomes the screen's black and darkens the rest in proportion.
    identity = bytes(range(256))
    paper, cyan_ink, black = (255, 128, 128), (128, 128, 128), (51, 128, 128)
    grid = bytes(
        value
        for cyan in (0, 1)
        for rest in range(8)  # magenta, yellow, black
        for value in (black if rest else cyan_ink if cyan else paper)
    )
    shape = struct.pack(">BBBx", 4, 3, 2) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    table = b"mft1\0\0\0\0" + shape + identity * 4 + grid + identity * 3
    inks = np.zeros((16, 18, 4), np.uint8)
    inks[:, 6:12, 0] = 255
    inks[:, 12:, 3] = 255
    profile = icc_profile(b"CMYK", {b"A2B0": table, b"A2B1": table}, connection=b"Lab ")
    picture = PIL.Image.frombytes("CMYK", (18, 16), inks.tobytes())
    picture.save(tmp_path / "a.tif", icc_profile=profile)
    pixels = loaded(tmp_path / "a.tif")
    darkest = light_of(20)
    grey = (light_of(128 / 255 * 100) - darkest) / (1 - darkest)
    np.testing.assert_allclose(pixels[:, :6], 1, atol=1.5 / 255)
    np.testing.assert_allclose(pixels[:, 6:12], srgb_encoded(grey), atol=2.5 / 255)
    np.testing.assert_allclose(pixels[:, 12:], 0, atol=1.5 / 255)


@pytest.mark.parametrize(
    "profile",
    [b"not a profile", rgb_profile(SRGB_COLORANTS)[:300], icc_profile(b"GRAY", {b"kTRC": LINEAR})],
    ids=["text", "cut off", "for grey"],
)
def test_a_useless_profile_warns_and_is_left_out(tmp_path, profile):
    PIL.Image.fromarray(made()).save(tmp_path / "a.png", icc_profile=profile)
    with pytest.warns(UserWarning, match=r"colour profile in .*a\.png' cannot be used") as caught:
        pixels = loaded(tmp_path / "a.png")
    assert all("\n" not in str(warning.message) for warning in caught)
    np.testing.assert_array_equal(pixels, made() / np.float32(255))


# Size ---------------------------------------------------------------------------------------------


def lanczos_1d(values: np.ndarray, length: int) -> np.ndarray:
    """Lanczos-3 along the first axis, widened by the factor of a reduction."""
    scale = len(values) / length
    width = max(scale, 1.0)
    centres = (np.arange(length) + 0.5) * scale
    t = (np.arange(len(values))[None] + 0.5 - centres[:, None]) / width
    weights = np.where(np.abs(t) < 3, np.sinc(t) * np.sinc(t / 3), 0)
    return np.tensordot(weights / weights.sum(1, keepdims=True), values, axes=1)


@pytest.mark.parametrize("size", [20, 33, 48, 111])
def test_size_is_the_longer_side_by_a_widened_lanczos_filter(tmp_path, size):
    pixels = made(48, 33)
    other = round(33 * size / 48)
    if other < 16:
        pixels, other = made(48, 45), round(45 * size / 48)
    PIL.Image.fromarray(pixels).save(tmp_path / "tall.png")
    PIL.Image.fromarray(pixels.swapaxes(0, 1)).save(tmp_path / "wide.png")
    expected = lanczos_1d(lanczos_1d(pixels / 255, size).swapaxes(0, 1), other).swapaxes(0, 1)
    tall = loaded(tmp_path / "tall.png", size=size)
    assert tall.shape == (size, other, 3)
    np.testing.assert_allclose(tall, expected.clip(0, 1), atol=1e-5)
    wide = loaded(tmp_path / "wide.png", size=size)
    np.testing.assert_allclose(wide.swapaxes(0, 1), tall, atol=1e-5)


def test_reduction_averages_a_fine_checkerboard_instead_of_sampling_it(tmp_path):
    board = (np.indices((64, 96)).sum(0) % 2 * 255).astype(np.uint8)
    PIL.Image.fromarray(board).save(tmp_path / "a.png")
    pixels = loaded(tmp_path / "a.png", size=32)
    assert pixels.shape == (21, 32, 3)
    np.testing.assert_allclose(pixels[3:-3, 3:-3], 0.5, atol=0.05)


def test_deep_grey_is_scaled_without_leaving_the_range(tmp_path):
    values = np.zeros((32, 32), np.uint16)
    values[:, 16:] = 65535
    PIL.Image.fromarray(values).save(tmp_path / "a.png")
    pixels = loaded(tmp_path / "a.png", size=64)
    assert pixels.min() == 0
    assert pixels.max() == 1
    expected = lanczos_1d(values[0] / 65535, 64).clip(0, 1)
    np.testing.assert_allclose(pixels[10, :, 0], expected, atol=1e-5)


@pytest.mark.parametrize("size", [0, -3, 15, 16385, True])
def test_a_size_out_of_range_is_refused(tmp_path, size):
    PIL.Image.fromarray(made()).save(tmp_path / "a.png")
    with pytest.raises(
        ValueError, match="size must be a whole number of pixels from 16 to"
    ) as error:
        load_image(tmp_path / "a.png", size=size)
    assert repr(size) in one_line(error)


def test_a_strip_too_thin_after_scaling_is_refused(tmp_path):
    PIL.Image.new("RGB", (400, 20)).save(tmp_path / "strip.png")
    with pytest.raises(ValueError, match=r"size 200 makes .*strip\.png' 200x10 pixels") as error:
        load_image(tmp_path / "strip.png", size=200)
    one_line(error)
    assert loaded(tmp_path / "strip.png", size=320).shape == (16, 320, 3)


@pytest.mark.parametrize("shape", [(15, 40), (40, 15), (1, 1)])
def test_a_source_under_16_pixels_is_refused_before_scaling(tmp_path, shape):
    PIL.Image.new("RGB", shape).save(tmp_path / "small.png")
    with pytest.raises(ValueError, match=f"{shape[0]}x{shape[1]} pixels") as error:
        load_image(tmp_path / "small.png", size=512)
    assert "small.png" in one_line(error)
    PIL.Image.new("RGB", (16, 40)).save(tmp_path / "enough.png")
    assert loaded(tmp_path / "enough.png").shape == (40, 16, 3)


# Files that are no pictures -----------------------------------------------------------------------


def test_missing_folder_empty_and_text_each_say_so(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("Dear diary, today I named a letter .png\n" * 9)
    (tmp_path / "folder.png").mkdir()
    for name, kind, words in [
        ("missing.png", FileNotFoundError, "No such file"),
        ("text.png/a.png", NotADirectoryError, "Not a directory"),
        ("folder.png", IsADirectoryError, "it is a folder"),
        ("empty.png", ValueError, "the file is empty"),
        ("text.png", ValueError, "not a JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF picture"),
    ]:
        with pytest.raises(kind, match=words) as error:
            load_image(tmp_path / name)
        assert repr(str(tmp_path / name)) in one_line(error)


def test_a_name_of_several_lines_stays_on_one(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        load_image(tmp_path / "two\nlines.png")
    one_line(error)


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(OSError, match="pipe or a device") as error:
        load_image(tmp_path / "pipe.png")
    one_line(error)


def test_no_permission_says_so(tmp_path, monkeypatch):
    PIL.Image.fromarray(made()).save(tmp_path / "a.png")

    def refuse(path, mode):  # root, whom tests may run as, is refused nothing
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("nst_jax.files.disk.open", refuse, raising=False)
    with pytest.raises(PermissionError, match="Permission denied; check the path and") as error:
        load_image(tmp_path / "a.png")
    assert one_line(error).count("a.png") == 1


@pytest.mark.parametrize("kind", ["PPM", "ICO", "TGA", "JPEG2000"])
def test_other_formats_do_not_reach_their_decoders(tmp_path, kind):
    PIL.Image.fromarray(made(32, 32)).save(tmp_path / "a.png", format=kind)
    assert PIL.Image.open(tmp_path / "a.png").format == kind
    with pytest.raises(
        ValueError, match="not a JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF picture"
    ) as error:
        load_image(tmp_path / "a.png")
    one_line(error)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("WEBP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("BMP", {}),
        ("GIF", {}),
    ],
)
def test_a_file_cut_off_anywhere_is_refused_in_one_line(tmp_path, kind, options):
    noise = np.random.default_rng(0).integers(0, 256, (32, 40, 3), dtype=np.uint8)
    whole = io.BytesIO()
    PIL.Image.fromarray(noise).save(whole, format=kind, **options)
    content = whole.getvalue()
    for length in np.linspace(1, len(content) - 24, 40, dtype=int):
        (tmp_path / "cut.png").write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"cut\.png") as error:
            load_image(tmp_path / "cut.png")
        assert re.search("damaged", one_line(error))


def test_a_file_damaged_in_its_middle_is_refused_in_one_line(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (160, 160, 3), dtype=np.uint8)
    PIL.Image.fromarray(noise).save(tmp_path / "a.png")
    first, second, third = (tmp_path / "a.png").read_bytes().split(b"IDAT")
    (tmp_path / "a.png").write_bytes(first + b"IDAT" + second + b"I\xffAT" + third)
    with pytest.raises(ValueError, match=r"a\.png': broken PNG file.*damaged") as error:
        load_image(tmp_path / "a.png")
    one_line(error)


@pytest.mark.parametrize("limit", [600, 300], ids=["warning", "error"])
def test_pillows_bomb_limit_is_one_clear_line(tmp_path, monkeypatch, limit):
    PIL.Image.new("RGB", (32, 32)).save(tmp_path / "a.png")  # 1024 pixels: over it, over twice it
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", limit)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with pytest.raises(ValueError, match=f"safety limit of {limit}") as error:
            load_image(tmp_path / "a.png")
    assert "a.png" in one_line(error)
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 1024)
    assert loaded(tmp_path / "a.png").shape == (32, 32, 3)


@pytest.mark.parametrize("size", [None, 22])
def test_load_pixels_gives_the_same_without_a_batch(tmp_path, size):
    PIL.Image.fromarray(made()).save(tmp_path / "a.png")
    pixels = load_pixels(tmp_path / "a.png", size=size)
    assert isinstance(pixels, np.ndarray)
    assert pixels.dtype == np.float32
    np.testing.assert_array_equal(pixels, loaded(tmp_path / "a.png", size=size))


# Writing ------------------------------------------------------------------------------------------


def image_of(pixels: np.ndarray) -> jnp.ndarray:
    return jnp.asarray(pixels[None], dtype=jnp.float32)


@pytest.mark.parametrize("extension", ["png", "bmp", "tif", "TIFF"])
def test_lossless_files_return_as_they_were(tmp_path, extension):
    path = tmp_path / f"out.{extension}"
    save_image(path, image_of(made() / 255))
    np.testing.assert_array_equal(loaded(path), made() / np.float32(255))


def test_values_are_clipped_and_rounded_to_the_nearest(tmp_path):
    row = np.array([-3.0, 0.0, 0.49 / 255, 0.51 / 255, 100.4 / 255, 100.6 / 255, 1.0, 1.004, 9.0])
    save_image(tmp_path / "a.png", image_of(np.tile(row[None, :, None], (16, 2, 3))))
    with PIL.Image.open(tmp_path / "a.png") as picture:
        stored = np.asarray(picture)
    assert stored[5, :9, 1].tolist() == [0, 0, 0, 1, 100, 101, 255, 255, 255]


@pytest.mark.parametrize("extension", ["jpg", "jpeg"])
def test_a_jpeg_has_quality_95_and_full_colour(tmp_path, extension):
    y, x = np.mgrid[0:32, 0:40]
    smooth = np.stack([4 * y + 60, 3 * x + 20, 200 - 2 * y - x], -1) / 255
    save_image(tmp_path / f"a.{extension}", image_of(smooth))
    np.testing.assert_allclose(loaded(tmp_path / f"a.{extension}"), smooth, atol=6 / 255)
    with PIL.Image.open(tmp_path / f"a.{extension}") as picture:
        assert isinstance(picture, JpegImagePlugin.JpegImageFile)
        assert JpegImagePlugin.get_sampling(picture) == 0  # 4:4:4
        # Annex K's first step, 16, scaled to (200 - 2 · 95) %, rounded.
        assert picture.quantization[0][0] == 2


def test_a_webp_has_quality_95(tmp_path):
    PIL.Image.fromarray(made()).save(tmp_path / "pillow.webp", quality=95)
    save_image(tmp_path / "ours.webp", image_of(made() / 255))
    np.testing.assert_array_equal(loaded(tmp_path / "ours.webp"), loaded(tmp_path / "pillow.webp"))


@pytest.mark.parametrize("extension", ["png", "jpg", "webp", "tif"])
def test_an_srgb_profile_is_embedded_and_equal_pictures_are_equal_files(tmp_path, extension):
    save_image(tmp_path / f"a.{extension}", image_of(made() / 255))
    with PIL.Image.open(tmp_path / f"a.{extension}") as picture:
        embedded = picture.info["icc_profile"]
    profile = PIL.ImageCms.ImageCmsProfile(io.BytesIO(embedded))
    assert "sRGB" in PIL.ImageCms.getProfileDescription(profile)
    assert embedded[24:36] == struct.pack(">6H", 2000, 1, 1, 0, 0, 0)  # not the moment of saving


def test_a_picture_that_cannot_be_saved_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.webp"
    save_image(path, image_of(made() / 255))
    before = path.read_bytes()
    good = made() / 255
    too_wide = np.zeros((16, 16_384, 3))
    for pixels, words in [
        (np.where(np.arange(24)[:, None] == 5, np.nan, good), "NaN or infinite"),
        (np.where(np.arange(24)[:, None] == 5, -np.inf, good), "NaN or infinite"),
        (too_wide, "exceeds WebP limit"),
    ]:
        with pytest.raises(ValueError, match=words) as error:
            save_image(path, image_of(pixels))
        assert "a.webp" in one_line(error)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.webp"]


def test_save_image_refuses_batches(tmp_path):
    with pytest.raises(ValueError, match=r"\(1, H, W, 3\), got \(2, 20, 24, 3\)") as error:
        save_image(tmp_path / "a.png", jnp.zeros((2, 20, 24, 3)))
    one_line(error)


def test_save_image_refuses_what_counts_to_255_and_no_picture_of_a_run_that_ran_away(tmp_path):
    picture = jnp.linspace(0, 255, 20 * 24 * 3).reshape(1, 20, 24, 3)
    with pytest.raises(ValueError, match="got up to 255; divide by 255"):
        save_image(tmp_path / "a.png", picture)
    for diverged in (1e30 * (picture - 100), picture - 1):
        save_image(tmp_path / "b.png", diverged)


def bad_outputs(folder: Path) -> list[tuple[Path, type[Exception], str]]:
    (folder / "file").touch()
    (folder / "folder.png").mkdir()
    return [
        (folder / "a.xyz", ValueError, "extension '.xyz' is not known; use .png, .jpg"),
        (folder / "a.gif", ValueError, "extension '.gif' is not known"),
        (folder / "a", ValueError, "extension '' is not known"),
        (folder / "missing" / "a.png", FileNotFoundError, "No such file or directory"),
        (folder / "file" / "a.png", NotADirectoryError, "Not a directory"),
        (folder / "folder.png", IsADirectoryError, "it is a folder"),
        (folder, IsADirectoryError, "it is a folder"),
    ]


def test_a_bad_target_is_refused_before_and_at_writing(tmp_path):
    for path, kind, words in bad_outputs(tmp_path):
        with pytest.raises(kind, match=words) as at_writing:
            save_image(path, image_of(made() / 255))
        with pytest.raises(kind, match=words) as before:
            check_output(path, overwrite=True)
        assert repr(str(path)) in one_line(before)
        assert one_line(before) == one_line(at_writing)


def test_check_output_protects_what_exists_and_leaves_no_trace(tmp_path):
    check_output(tmp_path / "new.JPG", overwrite=False)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "old.png").write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="--overwrite") as error:
        check_output(tmp_path / "old.png", overwrite=False)
    assert "old.png" in one_line(error)
    check_output(tmp_path / "old.png", overwrite=True)
    assert (tmp_path / "old.png").read_bytes() == b"precious"
    check_output(tmp_path / "record.json", overwrite=False, extensions=[".json"])
    with pytest.raises(ValueError, match=r"extension '\.png' is not known; use \.json"):
        check_output(tmp_path / "record.png", overwrite=False, extensions=[".json"])


def test_check_output_tries_the_folder_itself(tmp_path, monkeypatch):
    def refuse(path, mode):  # root, whom tests may run as, is refused nothing
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PermissionError, match="Permission denied; its folder must") as error:
        check_output(tmp_path / "a.png", overwrite=False)
    assert "a.png" in one_line(error)


# Kinds that other people's software writes --------------------------------------------------------


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"tEXt"])
def test_a_png_with_long_texts_is_read_and_they_are_left_out(tmp_path, kind):
    text = b"x" * 3_000_000
    body = {
        b"zTXt": b"history\0\0" + zlib.compress(text),
        b"iTXt": b"history\0\1\0\0\0" + zlib.compress(text),
        b"tEXt": b"history\0" + text,
    }[kind]
    path = tmp_path / "a.png"
    path.write_bytes(png(made(), (kind, body), colour_type=2, depth=8))
    np.testing.assert_array_equal(loaded(path), made() / np.float32(255))
    # A damaged one stays damaged.
    path.write_bytes(png(made(), (kind, body), colour_type=2, depth=8)[:-40])
    with pytest.raises(ValueError, match=r"cannot read .*a\.png': .*damaged"):
        load_image(path)


def test_grey_that_was_multiplied_by_its_alpha_is_divided_again(tmp_path):
    grey, alpha = np.full((20, 24), 200, np.uint8), np.full((20, 24), 128, np.uint8)
    stored = np.stack([np.uint8(np.rint(grey * (alpha / 255))), alpha], -1)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stored, photometric="minisblack", extrasamples=["assocalpha"])
    with PIL.Image.open(path) as picture:
        assert picture.mode == "La"
    share = 128 / 255
    wanted = share * 200 / 255 + (1 - share)
    np.testing.assert_allclose(loaded(path), wanted, atol=1.5 / 255)
    np.testing.assert_allclose(load_rgba(path)[..., 0], 200 / 255, atol=1.5 / 255)


def test_an_error_of_conversion_names_the_file(tmp_path, monkeypatch):
    PIL.Image.fromarray(made()).save(tmp_path / "a.png")

    def fail(self, *args, **options):
        raise ValueError("conversion from La to L not supported")

    monkeypatch.setattr(PIL.Image.Image, "convert", fail)
    with pytest.raises(ValueError, match=r"cannot read .*a\.png': conversion from La") as caught:
        load_image(tmp_path / "a.png")
    one_line(caught)


@pytest.mark.skipif(not PIL.features.check("avif"), reason="this Pillow is built without AVIF")
def test_avif_is_read_whatever_it_is_called(tmp_path):
    y, x = np.mgrid[0:32, 0:40]
    smooth = np.stack([4 * y + 60, 3 * x + 20, 200 - 2 * y - x], -1).astype(np.uint8)
    PIL.Image.fromarray(smooth).save(tmp_path / "a.heic", format="AVIF", quality=95)
    np.testing.assert_allclose(loaded(tmp_path / "a.heic"), smooth / 255, atol=8 / 255)
    assert list_images(tmp_path) == [tmp_path / "a.heic"]


def test_heic_says_what_reads_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # importing it fails
    header = struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"heic", 0, b"mif1", b"heic")
    (tmp_path / "a.HEIC").write_bytes(header + bytes(100))
    with pytest.raises(ValueError, match=r"a\.HEIC': it is a HEIC picture; pip install") as caught:
        load_image(tmp_path / "a.HEIC")
    one_line(caught)
    assert list_images(tmp_path) == [tmp_path / "a.HEIC"]  # so that whoever reads it is told


def test_rgba_keeps_the_colour_of_what_is_transparent(tmp_path):
    white = np.full((20, 24, 4), 255, np.uint8)
    white[:, :12, 3] = 0
    PIL.Image.fromarray(white).save(tmp_path / "a.png")
    found = load_rgba(tmp_path / "a.png")
    np.testing.assert_array_equal(found, white / np.float32(255))
    PIL.Image.fromarray(made()).save(tmp_path / "b.png")
    np.testing.assert_array_equal(load_rgba(tmp_path / "b.png")[..., :3], made() / np.float32(255))
    np.testing.assert_array_equal(load_rgba(tmp_path / "b.png")[..., 3], 1)


def test_rgba_of_a_large_picture_is_sampled_so_that_colours_stay(tmp_path):
    flat = np.zeros((80, 120, 3), np.uint8)
    flat[:, 40:] = TABLE[0]
    PIL.Image.fromarray(flat).save(tmp_path / "a.png")
    found = load_rgba(tmp_path / "a.png", max_pixels=2400)
    assert found.shape == (40, 60, 4)
    colours = np.unique(found[..., :3].reshape(-1, 3), axis=0)
    np.testing.assert_array_equal(colours, np.stack([0 * TABLE[0], TABLE[0]]) / np.float32(255))


MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "YCbCr", "LAB", "HSV")
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_that_pillow_writes_is_read(tmp_path, mode, format_name):
    """The same colours as Pillow's own conversion gives after reading."""
    y, x = np.mgrid[0:24, 0:40]
    smooth = np.stack([4 * y + 60, 3 * x + 20, 200 - 2 * y - x], -1).astype(np.uint8)
    picture = PIL.Image.fromarray(smooth)
    if mode in ("I;16", "I", "F"):
        levels = np.asarray(picture.convert("L"), np.float32) / 255
        deep = {"I;16": np.uint16(levels * 65535), "I": np.int32(levels * 65535), "F": levels}
        made_picture = PIL.Image.fromarray(deep[mode])
    elif mode == "LAB":
        made_picture = PIL.Image.merge("LAB", picture.convert("YCbCr").split())
    else:
        made_picture = picture.convert(mode)
    path = tmp_path / f"a.{format_name.lower()}"
    try:
        made_picture.save(path, format=format_name)
    except (OSError, KeyError, ValueError):
        return  # no such file exists
    found = loaded(path)
    with PIL.Image.open(path) as opened:
        stored = opened.mode
        wanted = opened.convert("RGBA" if opened.has_transparency_data else "RGB")
    if stored.startswith(("I", "F")):
        wanted = np.repeat(levels[..., None], 3, -1)
    else:
        wanted = np.asarray(wanted, np.float32)[..., :3] / 255
    np.testing.assert_allclose(found, wanted, atol=2 / 255)


@pytest.mark.parametrize("extension", [".png", ".jpg", ".webp", ".tif", ".bmp"])
def test_a_picture_may_say_what_made_it(tmp_path, extension):
    """In every format but BMP, and without another pixel."""
    image = jnp.asarray(made()[None] / np.float32(255))
    plain, marked = tmp_path / f"plain{extension}", tmp_path / f"marked{extension}"
    save_image(plain, image)
    save_image(marked, image, origin="nst-jax 1.2, 3 steps, abcd")
    np.testing.assert_array_equal(load_pixels(plain), load_pixels(marked))
    assert load_origin(plain) is None
    assert load_origin(marked) == (None if extension == ".bmp" else "nst-jax 1.2, 3 steps, abcd")
    (tmp_path / "text").write_text("no picture")
    assert load_origin(tmp_path / "text") is load_origin(tmp_path / "none") is None


def test_a_picture_is_not_replaced_unless_it_may_be(tmp_path):
    image = jnp.asarray(made()[None] / np.float32(255))
    save_image(tmp_path / "a.png", image, overwrite=False)
    before = (tmp_path / "a.png").read_bytes()
    with pytest.raises(FileExistsError, match=r"a\.png' exists"):
        save_image(tmp_path / "a.png", 1 - image, overwrite=False)
    assert (tmp_path / "a.png").read_bytes() == before
    save_image(tmp_path / "a.png", 1 - image)
    assert (tmp_path / "a.png").read_bytes() != before
