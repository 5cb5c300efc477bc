"""Weight files of other frameworks, read safely into plain arrays by our layer names.

Reading executes nothing: PyTorch files go through weights_only, pickles through an unpickler that
admits arrays alone. Where the files come from and where arrays go is pretrained's business.
"""

import importlib
import io
import math
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import numpy as np
from jaxtyping import Float

from nst_jax.encoders.preprocessing import CAFFE
from nst_jax.encoders.vgg import Architecture, kernel_shapes, layer_names
from nst_jax.encoders.weights.weight_sets import Format

LayerArrays = dict[str, dict[str, Float[np.ndarray, "..."]]]
"""{"conv1_1": {"kernel": (height, width, in, out), "bias": (out,)}, ...}, on the host."""


class ConverterMissingError(RuntimeError):
    """The library that reads a file's format is not installed."""


def require_converter(layout: Format) -> ModuleType:
    """Return the library that reads a layout, h5py for Keras and torch for the rest.

    Raises:
        ConverterMissingError: it is not installed.
    """
    name = "h5py" if layout == "keras" else "torch"
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConverterMissingError(
            f"{name}: needed to read weights in {layout}'s format and not installed; "
            f"run pip install {name}"
        ) from error


_TORCH = (b"PK", b"\x80")  # an archive; before version 1.6 a pickle


def read_foreign(path: Path) -> tuple[Format, Architecture, LayerArrays]:
    """Return a foreign file's layout, architecture and float32 arrays, told by its content.

    Args:
        path: a PyTorch state dictionary in torchvision's, Gatys' or AdaIN's layout, or a Keras
            HDF5 file.

    Raises:
        ValueError: the file is none of these, or a shape is wrong.
        ConverterMissingError: torch or h5py is needed and not installed.
    """
    with path.open("rb") as file:
        begin = file.read(8)
    if begin == b"\x89HDF\r\n\x1a\n":
        layout, architecture, arrays = _read_keras(path)
    elif begin.startswith(_TORCH):
        layout, architecture, arrays = _read_torch(path)
    else:
        raise ValueError(
            f"{path}: neither PyTorch weights nor Keras HDF5; see nst-jax weights list"
        )
    check_arrays(arrays, architecture, where=str(path))
    return layout, architecture, arrays


def check_arrays(arrays: Mapping[str, Any], architecture: Architecture, *, where: str) -> None:
    """Check that every convolution is there with its kernel and bias, of the right shape, finite.

    Args:
        arrays: {layer: {"kernel", "bias"}}.
        architecture: what they should fit.
        where: the file, for the message.

    Raises:
        ValueError: something does not fit; the message names the layer.
    """
    for layer, shape in kernel_shapes(architecture).items():
        for kind, wanted in (("kernel", shape), ("bias", shape[-1:])):
            array = arrays.get(layer, {}).get(kind)
            if array is None:
                raise ValueError(f"{where}: {layer} has no {kind}; wanted {architecture} whole")
            if array.shape != wanted:
                raise ValueError(
                    f"{where}: {layer}'s {kind} has shape {array.shape}, {architecture} wants "
                    f"{wanted}; convert the file again or give the architecture it was made for"
                )
            if not np.isfinite(array).all():
                raise ValueError(f"{where}: {layer}'s {kind} holds NaN or infinity; fetch it again")


def read_array_pickle(data: bytes, *, where: str) -> dict[str, Any]:
    """Return the nested dictionary of numpy arrays in a pickle, refusing whatever else is in it.

    Args:
        data: the pickle.
        where: the file, for the message.

    Raises:
        ValueError: it is no pickle, or asks for anything but arrays.
    """
    try:
        tree = _ArrayUnpickler(io.BytesIO(data)).load()
    except Exception as error:  # a hostile or broken pickle can raise anything at all
        raise ValueError(f"{where}: not a pickle of plain arrays ({error})") from error
    if not isinstance(tree, dict):
        raise ValueError(f"{where}: holds a {type(tree).__name__}, wanted a dictionary of arrays")
    return tree


# The three names that an array's own pickle uses, the first in numpy 1's place and in numpy 2's.
# They are looked up in this table and nowhere else: no module that a file names is ever imported.
_REBUILD = np.empty(0).__reduce__()[0]
_ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"): _REBUILD,
    ("numpy._core.multiarray", "_reconstruct"): _REBUILD,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        try:
            return _ADMITTED[module_name, global_name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}") from None


def _read_torch(path: Path) -> tuple[Format, Architecture, LayerArrays]:
    torch = require_converter("torchvision")
    try:
        state = torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
        tensors = {str(key): tensor.detach() for key, tensor in state.items()}
    except Exception as error:  # torch raises whatever its several readers happen to raise
        # Its own words would go on to advise weights_only=False, which runs what the file says.
        reason = type(error).__name__
        raise ValueError(f"{path}: neither PyTorch weights nor Keras HDF5 ({reason})") from error
    for architecture in reversed(
        get_args(Architecture)
    ):  # Gatys' names of 16 are among those of 19
        for layout, prefixes in _torch_prefixes(architecture).items():
            if all(f"{prefix}.weight" in tensors for prefix in prefixes.values()):
                if layout == "adain":
                    _check_adain_preprocessing(tensors, path)
                return layout, architecture, _torch_arrays(tensors, prefixes, path)
    raise ValueError(
        f"{path}: holds {', '.join(list(tensors)[:3])} ...; wanted the keys of torchvision "
        "(features.0.weight), Gatys (conv1_1.weight) or AdaIN (0.weight, 2.weight)"
    )


def _torch_prefixes(architecture: Architecture) -> dict[Format, dict[str, str]]:
    """Return, for each PyTorch layout, the key prefix of each convolution."""
    names = layer_names(architecture)
    layouts: dict[Format, dict[str, str]] = {"torchvision": {}, "adain": {}, "gatys": {}}
    index = 1  # in AdaIN's list: the preprocessing first, then padding, convolution, ReLU, ...
    for position, name in enumerate(names):
        if name.startswith("conv"):
            layouts["torchvision"][name] = f"features.{position}"
            layouts["adain"][name] = str(index + 1)
            layouts["gatys"][name] = name
        index += {"conv": 2, "relu": 1, "pool": 1}[name[:4]]
    return layouts


def _torch_arrays(tensors: dict[str, Any], prefixes: dict[str, str], path: Path) -> LayerArrays:
    def host(key: str) -> Float[np.ndarray, "..."]:
        if key not in tensors:
            raise ValueError(f"{path}: {key} is missing; the file is not whole")
        return np.array(tensors[key].float().numpy())  # a copy: the file's mapping can go

    arrays = {}
    for layer, prefix in prefixes.items():
        kernel = host(f"{prefix}.weight")
        if kernel.ndim != 4:
            raise ValueError(f"{path}: {layer}'s kernel has shape {kernel.shape}, wanted four axes")
        # PyTorch's (out, in, height, width) to (height, width, in, out).
        kernel = np.ascontiguousarray(kernel.transpose(2, 3, 1, 0))
        arrays[layer] = {"kernel": kernel, "bias": host(f"{prefix}.bias")}
    return arrays


def _check_adain_preprocessing(tensors: dict[str, Any], path: Path) -> None:
    """Check that AdaIN's first layer does what CAFFE says: RGB to BGR, times 255, minus mean."""
    kernel, bias = tensors.get("0.weight"), tensors.get("0.bias")
    wanted = CAFFE.scale * np.eye(3)[::-1]
    if (
        kernel is None
        or bias is None
        or tuple(kernel.shape) != (3, 3, 1, 1)
        or not np.allclose(kernel.numpy()[:, :, 0, 0], wanted, atol=1e-3)
        or not np.allclose(bias.numpy(), -np.asarray(CAFFE.mean), atol=1e-3)
    ):
        raise ValueError(
            f"{path}: its first layer (0.weight, 0.bias) is not AdaIN's preprocessing, RGB in "
            "[0, 1] to BGR in [0, 255] minus the mean; this is not vgg_normalised.pth"
        )


def _check_dataset(dataset: Any, layer: str, path: Path) -> None:
    """Check an HDF5 array before it is read: its size is the file's word, and it may name others.

    Raises:
        ValueError: it is larger than VGG's, holds no floats, or lies outside the file.
    """
    kernel = kernel_shapes("vgg19").get(layer, ())  # VGG-16's layers are among them
    if dataset.size is None or dataset.size > math.prod(kernel) or dataset.dtype.kind != "f":
        raise ValueError(
            f"{path}: {layer}'s array has shape {dataset.shape} of {dataset.dtype}, VGG wants "
            f"{kernel or 'no such layer'} of floats; give Keras' vgg..._tf_kernels_notop.h5"
        )
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{path}: {layer}'s array lies in other files; give one whole file")


def _read_keras(path: Path) -> tuple[Format, Architecture, LayerArrays]:
    h5py = require_converter("keras")
    found: dict[str, dict[int, np.ndarray]] = {}

    def collect(name: str, item: object) -> None:
        match = re.search(r"block(\d)_conv(\d)", name)
        if match and isinstance(item, h5py.Dataset):
            layer = f"conv{match[1]}_{match[2]}"
            _check_dataset(item, layer, path)
            array = np.asarray(item)
            # Names inside a layer's group changed between versions of Keras; ranks did not.
            found.setdefault(layer, {})[array.ndim] = array

    try:
        with h5py.File(path, "r") as file:
            file.visititems(collect)
    except OSError as error:
        raise ValueError(f"{path}: a broken HDF5 file ({error})") from error
    for architecture in reversed(get_args(Architecture)):
        if set(kernel_shapes(architecture)) == set(found):
            arrays = {
                layer: {
                    kind: by_rank[rank].astype(np.float32)
                    for kind, rank in (("kernel", 4), ("bias", 1))
                    if rank in by_rank
                }
                for layer, by_rank in found.items()
            }
            return "keras", architecture, arrays
    raise ValueError(
        f"{path}: has {len(found)} layers named as block1_conv1; wanted Keras' VGG-16 (13) or "
        "VGG-19 (16), a file called vgg..._tf_kernels_notop.h5"
    )
