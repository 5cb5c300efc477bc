"""Pictures painted from file to file, against the same pictures painted in memory."""

import threading
from pathlib import Path

import numpy as np
import pytest
import tifffile
from network_oracle import made_pictures
from small_models import save_models

from nst_jax import files
from nst_jax.jobs import strips
from nst_jax.jobs.strips import StripsJob
from nst_jax.jobs.styles import StyleChoice
from nst_jax.stylizers import load_stylizer

HEIGHT, WIDTH = 150, 310


def made_pixels() -> np.ndarray:
    return (255 * made_pictures(1, HEIGHT, WIDTH, 3)[0]).astype(np.uint8)


@pytest.mark.parametrize(
    "options",
    [{}, {"compression": "zlib", "tile": (64, 48)}, {"compression": "zlib", "rowsperstrip": 7}],
    ids=["as it is", "tiles", "strips"],
)
def test_any_layout_of_a_tiff_file_is_read_by_rows(options, tmp_path):
    pixels = made_pixels()
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", **options)
    found = files.open_tiff(tmp_path / "a.tif", scratch=tmp_path / "raw")
    assert found.shape == (HEIGHT, WIDTH, 3)
    assert (tmp_path / "raw").exists() == bool(options)
    rows, columns = np.array([3, 2, 149]), np.array([309, 0])
    part = found.take(rows, axis=0).take(columns, axis=1)
    np.testing.assert_allclose(part, pixels[rows][:, columns] / np.float32(255), atol=1e-7)
    files.save_tiff(tmp_path / "b.tif", found)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), pixels)
    np.testing.assert_array_equal(
        np.rint(255 * np.asarray(files.load_image(tmp_path / "b.tif")[0])), pixels
    )


def test_other_files_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "grey.tif", made_pixels()[..., 0])
    with pytest.raises(ValueError, match=r"^cannot read .*grey.tif.* wanted RGB of 8 bits, got ui"):
        files.open_tiff(tmp_path / "grey.tif", scratch=tmp_path / "raw")
    (tmp_path / "b.tif").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"^cannot read .*b.tif.* by strips: .*convert it to TIFF"):
        files.open_tiff(tmp_path / "b.tif", scratch=tmp_path / "raw")


def test_what_cannot_be_painted_so_is_refused(tmp_path):
    save_models(tmp_path)
    tifffile.imwrite(tmp_path / "a.tif", made_pixels(), photometric="rgb")

    def refused(message: str, *, out: str = "b.tif", model: str = "many", **choice):
        job = StripsJob(
            tmp_path / "a.tif",
            tmp_path / out,
            StyleChoice(**{"names": ("dots",), **choice}),
            model=tmp_path / f"{model}.safetensors",
        )
        with pytest.raises(ValueError, match=message):
            strips.run(job)

    refused(r"^out: wanted a \.tif", out="b.png")
    refused("^strips: wanted a model of several styles", model="one", names=())
    refused("^strips: wanted one style", names=("dots", "waves"))
    refused("^strips: wanted one style, or one mixture, in its own colours", color="keep")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("a.tif", "many.safetensors", "one.safetensors")
    ]


@pytest.mark.slow
def test_a_stopped_run_goes_on_to_the_picture_of_the_network_run_whole(tmp_path: Path):
    save_models(tmp_path)
    pixels = made_pixels()
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", compression="zlib")
    job = StripsJob(
        tmp_path / "a.tif",
        tmp_path / "b.tif",
        StyleChoice(names=("dots",)),
        model=tmp_path / "many.safetensors",
        max_pixels=128**2,
    )
    stop, told = threading.Event(), []

    def stop_after_two(stage: str, done: int, of: int) -> None:
        told.append((stage, done, of))
        if stage == "painting" and done == 2:
            stop.set()

    painted = strips.run(job, on_progress=stop_after_two, cancel=stop)
    assert not painted.is_finished
    assert not (tmp_path / "b.tif").exists()
    assert told[:2] == [("measuring", 1, 16), ("measuring", 2, 16)]
    tiles = told[-1][2]
    assert tiles > 2
    again: list[tuple[str, int, int]] = []
    painted = strips.run(job, on_progress=lambda *progress: again.append(progress))
    assert painted == (WIDTH, HEIGHT, 2, True)
    assert again == [("painting", done, tiles) for done in range(2, tiles + 1)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("a.tif", "b.tif", "many.safetensors", "one.safetensors")
    ]
    whole = load_stylizer(tmp_path / "many.safetensors")(
        pixels[None].astype(np.float32) / 255, "dots"
    )
    found = tifffile.imread(tmp_path / "b.tif")
    assert np.abs(found - 255 * np.asarray(whole[0])).max() < 0.6
