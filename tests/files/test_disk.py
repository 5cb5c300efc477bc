import os
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nst_jax.files import asset_path, cache_dir, disk, replacing
from nst_jax.files.disk import claim_temporary, open_to_read, remove_temporaries


def test_replacing_puts_the_whole_in_place_of_the_old(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as temporary:
        assert temporary.parent == tmp_path  # a rename across file systems would not be one step
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, OSError])
def test_a_failure_leaves_the_old_and_no_temporary(tmp_path, failure):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def break_off(temporary: Path):
        temporary.write_text("half of the ne")
        raise failure("broken off")

    with pytest.raises(failure), replacing(path) as temporary:
        break_off(temporary)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_line_that_names_the_target(tmp_path):
    words = "No space left on device; its folder must"
    with pytest.raises(OSError, match=words) as error, replacing(tmp_path / "a.txt") as temporary:
        raise OSError(28, "No space left on device", str(temporary))
    assert "a.txt" in str(error.value)
    assert ".tmp" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o002, 0o664)])
def test_the_file_mode_respects_the_umask(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        with replacing(tmp_path / "a.txt") as temporary:
            temporary.write_text("new")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == mode


def test_a_link_stays_a_link_and_its_target_is_replaced(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / "elsewhere" / "a.txt")
    with replacing(tmp_path / "link.txt") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "elsewhere" / "a.txt").read_text() == "new"


def test_a_name_at_the_systems_limit_can_be_written(tmp_path):
    path = tmp_path / ("a" * 251 + ".txt")
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_the_variable_names_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NST_JAX_CACHE", str(tmp_path / "mine"))
    assert cache_dir() == tmp_path / "mine"
    monkeypatch.setenv("NST_JAX_CACHE", "~/mine")
    assert cache_dir() == tmp_path / "mine"


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "home/.cache/nst_jax"),
        ("linux", {"XDG_CACHE_HOME": "{}/xdg"}, "xdg/nst_jax"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "home/.cache/nst_jax"),
        ("darwin", {"XDG_CACHE_HOME": "{}/xdg"}, "home/Library/Caches/nst_jax"),
        ("win32", {"LOCALAPPDATA": "{}/local"}, "local/nst_jax"),
        ("win32", {}, "home/AppData/Local/nst_jax"),
    ],
)
def test_without_it_the_platforms_custom_does(monkeypatch, tmp_path, platform, variables, expected):
    for name in ("NST_JAX_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_dir() == tmp_path / expected
    assert not (tmp_path / "home").exists()


def test_without_a_home_the_variable_is_asked_for(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    for name in ("NST_JAX_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(ValueError, match=r"Could not determine home directory.*set NST_JAX_CACHE"):
        cache_dir()


def test_assets_are_found(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert asset_path("content/kitten.jpg").read_bytes().startswith(b"\xff\xd8")


@pytest.mark.parametrize(
    "name", ["", "../files/disk.py", "content/../../cli.py", "/etc/passwd", "a\\..\\b", "C:/x", "."]
)
def test_names_that_lead_out_of_the_assets_are_refused(name):
    with pytest.raises(ValueError, match="asset name must be like") as error:
        asset_path(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["content/unicorn.jpg", "content"])
def test_a_missing_asset_says_reinstall(name):
    with pytest.raises(FileNotFoundError, match=f"{name}.*reinstall nst-jax") as error:
        asset_path(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("with_links", [True, False])
def test_a_name_is_claimed_at_the_end_without_a_race(tmp_path, monkeypatch, with_links):
    if not with_links:  # as on FAT
        monkeypatch.setattr("os.link", refuse_links)
    path = tmp_path / "out.txt"
    with replacing(path, overwrite=False) as temporary:
        temporary.write_text("mine")
    assert path.read_text() == "mine"
    claiming = replacing(tmp_path / "late.txt", overwrite=False)
    claiming.__enter__().write_text("mine")
    (tmp_path / "late.txt").write_text("another's, made meanwhile")
    with pytest.raises(FileExistsError, match=r"'.*late\.txt' exists; choose another name"):
        claiming.__exit__(None, None, None)
    assert (tmp_path / "late.txt").read_text() == "another's, made meanwhile"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["late.txt", "out.txt"]


@pytest.mark.parametrize("with_links", [True, False])
def test_of_many_claimants_of_a_name_one_gets_it(tmp_path, monkeypatch, with_links):
    if not with_links:
        monkeypatch.setattr("os.link", refuse_links)
    count, path = 8, tmp_path / "out.txt"
    ready = threading.Barrier(count)

    def claim(number: int) -> bool:
        try:
            with replacing(path, overwrite=False) as temporary:
                temporary.write_text(str(number) * 9)
                ready.wait(timeout=60)  # all have looked, and none has the name yet
        except FileExistsError:
            return False
        return True

    with ThreadPoolExecutor(count) as pool:
        won = [number for number, has in enumerate(pool.map(claim, range(count))) if has]
    assert len(won) == 1
    assert path.read_text() == str(won[0]) * 9
    assert list(tmp_path.iterdir()) == [path]


def refuse_links(*_):
    raise PermissionError(1, "Operation not permitted")


def test_a_misspelt_name_is_answered_with_what_is_there(tmp_path):
    (tmp_path / "photo.jpg").write_text("")
    with pytest.raises(FileNotFoundError, match=r"did you mean '.*/photo\.jpg'\?"):
        open_to_read(tmp_path / "phota.jpg")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_text("")
    for name in ("pictures/a.pgn", "picturez/a.png", "picturez/a.pgn"):
        with pytest.raises(FileNotFoundError, match=r"did you mean '.*/pictures/a\.png'\?"):
            open_to_read(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="check the path"):
        open_to_read(tmp_path / "entirely_else.png")


def test_what_a_killed_process_left_goes_once_nobody_can_be_writing_it(tmp_path):
    old, new = (claim_temporary(tmp_path / name) for name in "ab")
    (tmp_path / f"{old.name}.tmp").mkdir()  # as of a clip that is a folder of pictures
    (tmp_path / f"{old.name}.tmp" / "000001.png").touch()
    for each in (old, tmp_path / f"{old.name}.tmp"):
        os.utime(each, (0, 0))
    (tmp_path / "kept.txt").touch()
    remove_temporaries(tmp_path, idle=3600)
    assert sorted(tmp_path.iterdir()) == sorted([new, tmp_path / "kept.txt"])
    remove_temporaries(tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / "kept.txt"]


def test_an_archive_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "all.zip"
    disk.write_archive(path, {"a.bin": b"\0\1", "b.json": '"é"'}, overwrite=False)
    with zipfile.ZipFile(path) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "a.bin": b"\0\1",
            "b.json": '"é"'.encode(),
        }
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="exists; choose another name"):
        disk.write_archive(path, {"c": b""}, overwrite=False)
    with pytest.raises(FileExistsError, match="exists; choose another name"):
        disk.write_bytes(path, b"c", overwrite=False)
    assert path.read_bytes() == before
    disk.write_bytes(path, b"c")
    assert path.read_bytes() == b"c"
    assert [each.name for each in tmp_path.iterdir()] == ["all.zip"]
