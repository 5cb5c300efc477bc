"""Oracles: what was written, and a hash computed here."""

import hashlib
import json

import numpy as np
import pytest
from vgg_oracle import random_arrays

from nst_jax import files
from nst_jax.encoders.preprocessing import CAFFE
from nst_jax.encoders.weights import weight_files
from nst_jax.encoders.weights.weight_sets import WEIGHT_SETS


@pytest.fixture(scope="module")
def arrays():
    return random_arrays("vgg16")


def stored(arrays, name="vgg16-keras", **origin):
    return weight_files.store(
        WEIGHT_SETS[name],
        arrays,
        source_file="notop.h5",
        source_sha256="ab" * 32,
        source_check="not checked",
        origin=origin,
    )


def test_a_file_says_all_that_is_needed_to_use_it(tmp_path, arrays):
    path = tmp_path / "folder" / "renamed.safetensors"
    weight_files.write(path, stored(arrays, pictures="3"))
    found = weight_files.read(path)
    path.unlink()
    assert (found.architecture, found.padding, found.ceil_mode) == ("vgg16", "zero", False)
    assert found.preprocessing == CAFFE
    assert found.header["weights"] == "vgg16-keras"
    assert found.header["source_sha256"] == "ab" * 32
    assert found.header["pictures"] == "3"
    assert "CC BY 4.0" in found.header["licence"]
    for layer, kinds in arrays.items():
        np.testing.assert_array_equal(found.arrays[layer]["kernel"], kinds["kernel"])
        np.testing.assert_array_equal(found.arrays[layer]["bias"], kinds["bias"])


def test_reflection_and_ceiling_travel_with_the_weights():
    arrays = {"conv1_1": {"bias": np.zeros(64, np.float32)}}
    found = stored(arrays, name="vgg19-adain")
    assert (found.padding, found.ceil_mode) == ("reflect", True)
    assert json.loads(found.header["ceil_mode"]) is True


def test_the_hash_covers_names_and_numbers():
    one = {"conv1_1": {"kernel": np.ones((1, 2), np.float32), "bias": np.zeros(2, np.float32)}}
    expected = hashlib.sha256(
        b"conv1_1/bias <f4 (2,)\n" + bytes(8) + b"conv1_1/kernel <f4 (1, 2)\n" + b"\0\0\x80?" * 2
    )
    assert weight_files.arrays_sha256(one) == expected.hexdigest()
    moved = {"conv1_2": one["conv1_1"]}
    assert weight_files.arrays_sha256(moved) != expected.hexdigest()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"kind": "other"},
            "header does not say 'nst_jax encoder weights 1'; convert the original",
        ),
        ({"architecture": "vgg13"}, "header is damaged .*architecture 'vgg13'"),
        ({"preprocessing": "{"}, "header is damaged .*JSONDecodeError"),
        ({"preprocessing": '{"mean": [1, 2]}'}, "header is damaged"),
        ({"licence": None}, "header is damaged .*licence"),
        ({"architecture": "vgg19"}, "conv1_2 has no kernel"),
    ],
)
def test_damaged_headers_are_named_in_one_line(tmp_path, change, message):
    first = {"conv1_1": random_arrays("vgg16", deepest="conv1_1")["conv1_1"]}
    header = {**stored(first).header, **change}
    path = tmp_path / "w.safetensors"
    files.save_arrays(
        path,
        {f"conv1_1/{kind}": array for kind, array in first["conv1_1"].items()},
        {key: text for key, text in header.items() if text is not None},
    )
    with pytest.raises(ValueError, match=rf"w\.safetensors: .*{message}") as caught:
        weight_files.read(path)
    assert "\n" not in str(caught.value)


def test_another_frameworks_file_is_sent_to_convert(tmp_path):
    with pytest.raises(ValueError, match=r"make them ours by nst-jax weights convert .*vgg\.pth"):
        weight_files.read(tmp_path / "vgg.pth")
