import os
from pathlib import Path

import numpy as np
import pytest

from nst_jax.files import (
    find_images,
    list_images,
    make_folder,
    refuse_missing,
    remove_file,
    temporary_folder,
)


def one_line(error: pytest.ExceptionInfo) -> str:
    message = str(error.value)
    assert "\n" not in message
    assert ";" in message, "the way out is missing"
    return message


def make_files(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return [folder / name for name in names]


def test_list_images_gives_pictures_sorted_and_nothing_else(tmp_path):
    for name in ["b.JPG", "a.png", "c.webp", "d.tif", "e.gif", "notes.txt", "._a.png", ".b.png"]:
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "folder.png" / "inner.png").touch()
    assert list_images(tmp_path) == [
        tmp_path / name for name in ["a.png", "b.JPG", "c.webp", "d.tif", "e.gif"]
    ]


def test_list_images_refuses_what_holds_none(tmp_path):
    (tmp_path / "notes.txt").touch()
    for folder, kind in [
        (tmp_path, FileNotFoundError),
        (tmp_path / "missing", FileNotFoundError),
        (tmp_path / "notes.txt", NotADirectoryError),
    ]:
        with pytest.raises(kind) as error:
            list_images(folder)
        assert repr(str(folder)) in one_line(error)


def test_find_images_goes_into_folders_and_sorts_by_path(tmp_path):
    pictures = make_files(tmp_path, "a.png", "b/c.JPG", "b/d/e.webp", "b/f.tif", "g.png/h.gif")
    make_files(tmp_path, "notes.txt", "b/notes.txt", ".a.png", ".hidden/a.png", "b/._c.jpg")
    assert find_images(tmp_path) == tuple(pictures)
    assert find_images(str(tmp_path)) == tuple(pictures)


def test_find_images_takes_several_places_and_each_file_once(tmp_path):
    first, second, other = make_files(tmp_path, "a/1.png", "a/2.png", "picture.dat")
    make_files(tmp_path, "b/1.png")
    assert find_images([second, tmp_path / "a", other]) == (first, second, other)
    assert find_images(other) == (other,)


def test_find_images_does_not_take_the_file_systems_order(tmp_path, monkeypatch):
    pictures = make_files(tmp_path, "a/1.png", "a/2.png", "b/1.png", "c.png")
    listed = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda folder: sorted(listed(folder), reverse=True))
    assert find_images(tmp_path) == tuple(pictures)


def test_find_images_follows_links_and_not_in_circles(tmp_path):
    inside, outside = make_files(tmp_path, "a/1.png", "b/2.png")
    os.symlink(outside, tmp_path / "a" / "linked.png")
    os.symlink(outside.parent, tmp_path / "a" / "folder")
    os.symlink(tmp_path / "a", tmp_path / "b" / "back")
    os.symlink(tmp_path / "nowhere.png", tmp_path / "a" / "dangling.png")
    linked = tmp_path / "a" / "folder" / "2.png"
    assert find_images(tmp_path / "a") == (inside, linked, tmp_path / "a" / "linked.png")


def test_find_images_names_the_place_that_holds_none(tmp_path):
    (good,) = make_files(tmp_path, "good/a.png")
    make_files(tmp_path, "empty/notes.txt")
    for place, kind in [
        (tmp_path / "empty", FileNotFoundError),
        (tmp_path / "missing", FileNotFoundError),
        (tmp_path / "missing.png", FileNotFoundError),
    ]:
        with pytest.raises(kind) as error:
            find_images([good.parent, place])
        assert repr(str(place)) in one_line(error)


def test_all_that_is_missing_is_named_at_once(tmp_path):
    there, gone, lost = (tmp_path / name for name in ("there.png", "gone.png", "lost.png"))
    there.write_bytes(b"")
    refuse_missing([there, "wave", None, np.zeros(3), gone])  # whoever reads it names it alone
    refuse_missing([there], also=[gone, lost])
    for needed, also in (([gone, there, str(lost)], ()), ([lost], [gone, there])):
        with pytest.raises(FileNotFoundError) as caught:
            refuse_missing(needed, also=also)
        told = f"cannot read '{gone}' and '{lost}': no such files; check the paths"
        assert str(caught.value) == told
    with pytest.raises(FileNotFoundError, match=r"; did you mean '.*there\.png'\?$"):
        refuse_missing([tmp_path / "theer.png", gone])


def test_folders_and_files_come_and_go(tmp_path):
    make_folder(tmp_path / "mine", mode=0o700)
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").write_bytes(b"")
    remove_file(tmp_path / "file")
    remove_file(tmp_path / "file")
    assert not (tmp_path / "file").exists()
    with pytest.raises(OSError, match=r"^cannot remove '.*mine': "):
        remove_file(tmp_path / "mine")
    with temporary_folder(prefix="of_mine-") as folder:
        assert folder.name.startswith("of_mine-")
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()
