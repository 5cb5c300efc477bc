"""What is sent: bounded, from the folder of uploads alone, errors without paths."""

import os

import numpy as np
import PIL.Image
import pytest
from small_models import save_picture

from nst_jax.app.limits import Limits
from nst_jax.app.uploads import (
    check_upload,
    public_message,
    read_drawing,
    read_picture,
    split_brushes,
)
from nst_jax.app.visits import Visits

LIMITS = Limits(picture_bytes=1 << 20, picture_pixels=10_000)


@pytest.fixture
def uploads(tmp_path):
    folder = tmp_path / "uploads"
    folder.mkdir()
    return folder


@pytest.fixture
def visit(tmp_path):
    (tmp_path / "visits").mkdir()
    return Visits(tmp_path / "visits", most=1, idle_seconds=10.0).visit("me")


def read(given, visit, uploads):
    return read_picture(given, visit, uploads, limits=LIMITS, size=32, name="photograph")


def test_a_picture_is_read_at_its_size_and_goes_with_the_visit(visit, uploads):
    path = uploads / "a.png"
    save_picture(path, height=48, width=64)
    assert read(str(path), visit, uploads).shape == (24, 32, 3)
    visit.remove()
    assert not path.exists()


def test_other_files_and_other_things_are_no_uploads(visit, uploads, tmp_path):
    save_picture(tmp_path / "outside.png")
    (uploads / "link.png").symlink_to(tmp_path / "outside.png")
    given = [
        *(None, "", 3, ["a"], {"path": "/etc/passwd"}, "\0", "/etc/passwd"),
        *(str(uploads), f"{uploads}/../outside.png", str(uploads / "link.png"), "a.png"),
        *(str(uploads / "missing.png"), "http://127.0.0.1/a.png", "x" * 10_000),
    ]
    for each in given:
        with pytest.raises(ValueError, match="photograph: wanted") as caught:
            read(each, visit, uploads)
        assert "/" not in public_message(caught.value)


def test_what_is_too_large_or_no_picture_is_refused(visit, uploads):
    cases = {
        "large.png": "has more than 10000 pixels",
        "bytes.png": "wanted at most 1 MB, got 2 MB",
        "text.png": "not a JPEG, PNG",
        "empty.png": "the file is empty",
        "cut.png": "cut off or damaged",
        "svg.png": "not a JPEG, PNG",
        "tiny.png": "shorter side must have",
    }
    save_picture(uploads / "large.png", height=101, width=100)
    (uploads / "bytes.png").write_bytes(bytes(2 << 20))
    (uploads / "text.png").write_text("<script>alert(1)</script>")
    (uploads / "empty.png").write_bytes(b"")
    save_picture(uploads / "cut.png")
    (uploads / "cut.png").write_bytes((uploads / "cut.png").read_bytes()[:2000])
    (uploads / "svg.png").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    save_picture(uploads / "tiny.png", height=8, width=8)
    for name, told in cases.items():
        with pytest.raises(ValueError, match=told) as caught:
            read(str(uploads / name), visit, uploads)
        assert str(uploads) not in public_message(caught.value)
        assert "photograph" in public_message(caught.value)


def test_brushes_are_told_apart_by_the_nearest_colour(visit, uploads):
    drawing = np.zeros((20, 24, 4), np.uint8)
    drawing[:5] = (250, 10, 10, 255)
    drawing[5:10, :12] = (0, 0, 200, 140)
    drawing[10:, :] = (0, 0, 255, 100)  # too thin
    PIL.Image.fromarray(drawing).save(uploads / "layer.png")
    rgba = read_drawing(str(uploads / "layer.png"), visit, uploads, limits=LIMITS, name="regions")
    red, blue = split_brushes(rgba, [(255, 0, 0), (0, 0, 255)])
    assert red.sum() == 5 * 24
    assert red[:5].all()
    assert blue.sum() == 5 * 12
    assert blue[5:10, :12].all()


def test_messages_are_one_line_without_paths(tmp_path):
    assert public_message(ValueError("size: wanted\n 3")) == "size: wanted 3"
    for path in (str(tmp_path / "a.png"), "/etc/passwd", r"C:\Users\me\a.png"):
        told = public_message(OSError(f"cannot read '{path}': gone; check it"))
        assert os.sep not in told
        assert "passwd" not in told
        assert told.startswith("cannot read 'a file'")
        assert told.endswith("gone; check it")
    assert (
        public_message(KeyError("secret")) == "this failed (KeyError); the server's log says more"
    )
    assert public_message(MemoryError()) == "not enough memory; try a smaller size"
    assert len(public_message(ValueError("x" * 10_000))) == 400


def test_an_upload_as_large_as_may_be_is_taken(uploads):
    path = uploads / "a.bin"
    path.write_bytes(bytes(1 << 20))
    assert check_upload(str(path), uploads, most_bytes=1 << 20, name="clip") == path.resolve()
