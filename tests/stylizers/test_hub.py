"""Networks from a hub: which file is fetched, how much of it, and what is told of it."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from network_oracle import made_pictures
from small_models import save_models, save_picture

import nst_jax
from nst_jax import files
from nst_jax.cli import main
from nst_jax.stylizers import hub

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FakeHub:
    """What of huggingface_hub is used, with one repository in a folder."""

    def __init__(self, folder):
        self.folder, self.downloads, self.sizes, self.hashes = folder, [], {}, {}

    def HfApi(self):  # noqa: N802, the library's own name
        return SimpleNamespace(model_info=self.model_info)

    def model_info(self, repository, *, revision=None, files_metadata):
        assert files_metadata
        if repository != "owner/name" or revision not in (None, "main", COMMIT):
            raise RuntimeError(f"404: no {repository}\n\na page of explanation")
        siblings = [
            SimpleNamespace(
                rfilename=path.relative_to(self.folder).as_posix(),
                size=self.sizes.get(path.name, path.stat().st_size),
                lfs=SimpleNamespace(
                    sha256=self.hashes.get(path.name, files.sha256_of(path)), size=0
                ),
            )
            for path in sorted(self.folder.rglob("*.*"))
        ]
        return SimpleNamespace(sha=COMMIT, siblings=siblings)

    def hf_hub_download(self, repository, file, *, revision):
        assert (repository, revision) == ("owner/name", COMMIT)
        self.downloads.append(file)
        return str(self.folder / file)


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A hub whose repository holds one network, and files of other kinds."""
    folder = tmp_path / "repository"
    (folder / "other").mkdir(parents=True)
    save_models(folder)
    (folder / "many.safetensors").rename(folder / "other" / "many.safetensors")
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    made = FakeHub(folder)
    monkeypatch.setitem(sys.modules, "huggingface_hub", made)
    return made


def test_a_repository_is_painted_with_and_its_hash_told(fake, tmp_path, monkeypatch, capsys):
    path = fake.folder / "one.safetensors"
    stylizer = nst_jax.load_stylizer("owner/name@main")
    content = made_pictures(1, 48, 48, 3)
    np.testing.assert_array_equal(stylizer(content), nst_jax.load_stylizer(path)(content))
    sha256 = files.sha256_of(path)
    assert stylizer.card["hub"] == {
        "repository": "owner/name",
        "revision": COMMIT,
        "file": "one.safetensors",
        "sha256": sha256,
    }
    monkeypatch.chdir(tmp_path)
    save_picture(tmp_path / "photo.png")
    assert main(["stylize", "photo.png", "--model", "owner/name", "-o", "out.png"]) == 0
    assert f"owner/name@{COMMIT}, one.safetensors: SHA-256 {sha256}" in capsys.readouterr().out
    assert main(["stylize", "photo.png", "--model", "owner/name", "-o", "out2.png", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hub"]["sha256"] == sha256
    assert set(fake.downloads) == {"one.safetensors"}, "and never a file of another kind"


def test_of_several_files_the_usual_name_counts(fake):
    save_models(fake.folder)
    with pytest.raises(ValueError, match=r"got owner/name with many\.safetensors, one\.safete"):
        nst_jax.load_stylizer("owner/name")
    (fake.folder / "many.safetensors").rename(fake.folder / "model.safetensors")
    assert nst_jax.load_stylizer("owner/name").styles == ("waves", "la muse", "dots")


def test_too_large_another_or_none_at_all_is_refused(fake):
    fake.sizes["one.safetensors"] = (1 << 30) + 1
    with pytest.raises(ValueError, match="wanted a file of at most 1073741824 bytes"):
        nst_jax.load_stylizer("owner/name")
    assert not fake.downloads
    fake.sizes.clear()
    fake.hashes["one.safetensors"] = "0" * 64
    with pytest.raises(files.HashMismatchError, match="the hub names 0000"):
        nst_jax.load_stylizer("owner/name")
    with pytest.raises(OSError, match=r"cannot fetch owner/other .*: 404: no owner/other \(Run"):
        nst_jax.load_stylizer("owner/other")
    (fake.folder / "one.safetensors").unlink()
    with pytest.raises(ValueError, match="got owner/name with none"):
        nst_jax.load_stylizer("owner/name")


def test_without_the_library_the_way_to_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(OSError, match="pip install huggingface_hub"):
        nst_jax.load_stylizer("owner/name")


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("owner/name", True),
        ("owner/name@v1.0", True),
        ("owner/na.me-2_x@refs/pr/1", True),
        ("owner/model.safetensors", False),
        ("huang2017", False),
        ("../name", False),
        ("/owner/name", False),
        ("owner/name/more", False),
        ("owner/name@../x", False),
        ("owner/na me", False),
    ],
)
def test_which_names_are_repositories(name, is_one):
    assert hub.is_hub_name(name) is is_one
