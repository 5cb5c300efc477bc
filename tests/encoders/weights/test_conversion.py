"""Oracles: the arrays that were written, and PyTorch's own forward pass (marked oracle)."""

import os
import pickle
import sys

import h5py
import numpy as np
import pytest
from vgg_oracle import (
    STYLE_LAYERS,
    convolutions,
    random_arrays,
    relative_error,
    torch_features,
    torch_state,
    write_keras,
)

from nst_jax.encoders.weights.conversion import (
    ConverterMissingError,
    check_arrays,
    read_array_pickle,
    read_foreign,
)
from nst_jax.encoders.weights.fetching import convert
from nst_jax.encoders.weights.pretrained import describe_weights, load_encoder


def empty_arrays(architecture):
    """Right names, and shapes that cost nothing to write and are all wrong."""
    return {
        name: {"kernel": np.zeros((1, 1, 1, 1), np.float32), "bias": np.zeros(1, np.float32)}
        for name in convolutions(architecture)
    }


def one_line(caught):
    return "\n" not in str(caught.value)


# Keras -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("later", [False, True], ids=["first naming", "later naming"])
def test_keras_file_gives_back_the_arrays(tmp_path, later):
    arrays = random_arrays("vgg16")
    path = tmp_path / "vgg16_notop.h5"
    write_keras(path, arrays, later=later)
    layout, architecture, found = read_foreign(path)
    path.unlink()
    assert (layout, architecture) == ("keras", "vgg16")
    assert set(found) == set(arrays)
    for name, kinds in arrays.items():
        np.testing.assert_array_equal(found[name]["kernel"], kinds["kernel"])
        np.testing.assert_array_equal(found[name]["bias"], kinds["bias"])


def test_keras_file_with_wrong_shapes_names_the_layer(tmp_path):
    path = tmp_path / "w.h5"
    write_keras(path, empty_arrays("vgg19"))
    message = r"w\.h5: conv1_1's kernel has shape \(1, 1, 1, 1\), vgg19 wants \(3, 3, 3, 64\)"
    with pytest.raises(ValueError, match=message) as caught:
        read_foreign(path)
    assert one_line(caught)


def test_keras_file_with_a_layer_missing_is_refused(tmp_path):
    path = tmp_path / "w.h5"
    arrays = empty_arrays("vgg19")
    del arrays["conv4_2"]
    write_keras(path, arrays)
    with pytest.raises(ValueError, match=r"has 15 layers .* wanted Keras' VGG-16 \(13\) or VGG-19"):
        read_foreign(path)


def test_a_keras_array_is_read_only_after_its_shape_is_right(tmp_path):
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:  # 4 TB by its own word, and no byte of it on the disk
        file.create_dataset(
            "block1_conv1/kernel:0", shape=(1 << 20, 1 << 20), dtype="f4", chunks=(64, 64)
        )
    with pytest.raises(
        ValueError, match=r"conv1_1's array has shape \(1048576, 1048576\)"
    ) as caught:
        read_foreign(path)
    assert one_line(caught)
    with h5py.File(path, "w") as file:
        source = tmp_path / "secret.bin"
        source.write_bytes(bytes(256))
        file.create_dataset(
            "block1_conv1/bias:0", shape=(64,), dtype="f4", external=[(str(source), 0, 256)]
        )
    with pytest.raises(ValueError, match="array lies in other files"):
        read_foreign(path)


def test_truncated_keras_file_is_refused(tmp_path):
    path = tmp_path / "w.h5"
    write_keras(path, empty_arrays("vgg19"))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"w\.h5: a broken HDF5 file \(") as caught:
        read_foreign(path)
    assert one_line(caught)


def test_missing_h5py_is_named(tmp_path, monkeypatch):
    path = tmp_path / "w.h5"
    write_keras(path, empty_arrays("vgg19"))
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ConverterMissingError, match=r"h5py: .* pip install h5py"):
        read_foreign(path)


def test_missing_torch_is_named(tmp_path, monkeypatch):
    path = tmp_path / "w.pth"
    path.write_bytes(b"PK and so on")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ConverterMissingError, match=r"torch: .* pip install torch"):
        read_foreign(path)


# Shapes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "kind", "array", "message"),
    [
        ("conv3_2", "kernel", np.zeros((3, 3, 256, 255)), r"conv3_2's kernel has shape \(3, 3, 2"),
        ("conv2_1", "bias", np.zeros(64), r"conv2_1's bias has shape \(64,\), vgg16 wants \(128,"),
        ("conv1_2", "bias", np.full(64, np.nan), "conv1_2's bias holds NaN or infinity"),
        ("conv5_3", "bias", None, "conv5_3 has no bias"),
    ],
)
def test_misfits_are_named(layer, kind, array, message):
    shapes = random_arrays("vgg16")
    shapes[layer] = {**shapes[layer], kind: array}
    if array is None:
        del shapes[layer][kind]
    with pytest.raises(ValueError, match=rf"^file: {message}") as caught:
        check_arrays(shapes, "vgg16", where="file")
    assert one_line(caught)


# Pickles -----------------------------------------------------------------------------------------


class Hostile:
    """Makes a folder when unpickled, if anybody lets it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", [3, 4])
def test_arrays_pass_the_unpickler(protocol):
    kernel, bias = np.arange(6, dtype=np.float32).reshape(2, 3), np.array([1.5, 2], np.float32)
    data = pickle.dumps({"a": {"kernel": kernel}, "b": bias}, protocol)
    found = read_array_pickle(data, where="f")
    np.testing.assert_array_equal(found["a"]["kernel"], kernel)
    np.testing.assert_array_equal(found["b"], bias)


@pytest.mark.parametrize("nested", [False, True], ids=["alone", "beside arrays"])
def test_hostile_pickle_is_refused_and_does_nothing(tmp_path, nested):
    target = tmp_path / "made"
    payload = {"VGG16_0": np.zeros(3), "x": Hostile(target)} if nested else Hostile(target)
    data = pickle.dumps(payload, protocol=4)
    pickle.loads(data)
    target.rmdir()  # it does work where it is let in
    with pytest.raises(ValueError, match=r"^w\.ckpt: not a pickle of plain arrays") as caught:
        read_array_pickle(data, where="w.ckpt")
    assert not target.exists()
    assert one_line(caught)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a pickle",
        pickle.dumps([1, 2]),
        pickle.dumps({"a": np.zeros(9)})[:-9],
        b"\x80\x04cbuiltins\neval\n.",
    ],
    ids=["empty", "text", "a list", "truncated", "a builtin"],
)
def test_other_bytes_are_refused_in_one_line(data):
    with pytest.raises(ValueError, match=r"^w\.ckpt: ") as caught:
        read_array_pickle(data, where="w.ckpt")
    assert one_line(caught)


# PyTorch -----------------------------------------------------------------------------------------


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("layout", "weights", "caffe", "reflect", "zipped"),
    [
        ("torchvision", "vgg19-torchvision", False, False, False),  # the published file is as old
        ("gatys", "vgg19-gatys", True, False, True),
        ("adain", "vgg19-adain", True, True, True),
        ("adain", "vgg19-normalized", True, False, True),
        ("keras", "vgg19-keras", True, False, True),
    ],
)
def test_vgg19_through_each_format_equals_pytorch(
    tmp_path, photograph, layout, weights, caffe, reflect, zipped
):
    torch = pytest.importorskip("torch")
    arrays = random_arrays("vgg19", scale=1 / 128 if caffe else 1)
    source, target = tmp_path / "source", tmp_path / "w.safetensors"
    if layout == "keras":
        write_keras(source, arrays)
    else:
        state = torch_state(arrays, layout)
        torch.save(state, source, _use_new_zipfile_serialization=zipped)
    convert(source, to=target, weights=weights)
    source.unlink()
    images = photograph[:, :45, :39]  # odd at every pooling: rounding shows
    for pooling in ("max", "average"):
        encoder, params = load_encoder("vgg19", weights=target, pooling=pooling)
        ours = encoder.apply(params, images, layers=STYLE_LAYERS)
        ceil = weights == "vgg19-adain"
        theirs = torch_features(
            arrays, images, STYLE_LAYERS, caffe=caffe, pooling=pooling, reflect=reflect, ceil=ceil
        )
        for layer in STYLE_LAYERS:
            assert relative_error(ours[layer], theirs[layer]) < 1e-4, (pooling, layer)
    target.unlink()


@pytest.mark.oracle
def test_torch_layouts_are_recognised_by_their_keys(tmp_path):
    torch = pytest.importorskip("torch")
    arrays = random_arrays("vgg19")
    source, target = tmp_path / "source.pth", tmp_path / "w.safetensors"
    for layout, name in (("gatys", "vgg19-gatys"), ("adain", "vgg19-adain")):
        torch.save(torch_state(arrays, layout), source)
        convert(source, to=target, overwrite=True)
        assert describe_weights("vgg19", weights=target)["weights"] == name
    torch.save(torch_state(arrays, "torchvision"), source)
    with pytest.raises(ValueError, match=r"say which set it is \(--as vgg19-torchvision"):
        convert(source, to=target, overwrite=True)
    with pytest.raises(ValueError, match="holds vgg19 in torchvision's layout; vgg19-adain is"):
        convert(source, to=target, overwrite=True, weights="vgg19-adain")
    source.unlink()
    target.unlink()


def test_what_is_no_file_of_weights_needs_no_converter_to_be_told(tmp_path, monkeypatch):
    monkeypatch.setattr("nst_jax.encoders.weights.conversion.require_converter", None)
    (tmp_path / "w.pth").write_bytes(b"\x89PNG\r\n\x1a\n and so on")
    with pytest.raises(ValueError, match="neither PyTorch weights nor Keras HDF5"):
        convert(tmp_path / "w.pth", to=tmp_path / "w.safetensors")


@pytest.mark.oracle
def test_wrong_torch_files_are_refused_in_one_line(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "w.pth"
    small = {
        name: {"kernel": np.zeros((3, 3, 3, 4), np.float32), "bias": np.zeros(4, np.float32)}
        for name in convolutions("vgg19")
    }
    adain = torch_state(small, "adain")
    batch_norm = {f"features.{i}.weight": torch.zeros(4) for i in (0, 1, 3, 4, 7, 8)}
    no_bias = torch_state(small, "gatys")
    del no_bias["conv3_4.bias"]
    for content, message in (
        (Hostile(tmp_path / "made"), "neither PyTorch weights nor Keras HDF5"),
        ([1, 2], "neither PyTorch weights nor Keras HDF5"),
        (batch_norm, r"holds features.0.weight, .*; wanted the keys of torchvision"),
        ({**adain, "0.bias": torch.zeros(3)}, "first layer .* is not AdaIN's preprocessing"),
        ({**adain, "0.weight": 255 * torch.eye(3)[:, :, None, None]}, "is not AdaIN's preproc"),
        (no_bias, "conv3_4.bias is missing"),
        (torch_state(small, "gatys"), r"conv1_1's kernel has shape \(3, 3, 3, 4\), vgg19 wants"),
    ):
        torch.save(content, path)
        with pytest.raises(ValueError, match=rf"w\.pth: .*{message}") as caught:
            read_foreign(path)
        assert one_line(caught)
    assert not (tmp_path / "made").exists()
