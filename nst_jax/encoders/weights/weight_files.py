"""Our own weight files: safetensors whose header says all that must be known to use the arrays.

A file names its architecture, preprocessing, padding, rounding of pooled sizes, its source and the
source's hash, so that it can be moved, renamed and loaded without a table.
"""

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from jaxtyping import Float

from nst_jax import files
from nst_jax.encoders.preprocessing import Preprocessing
from nst_jax.encoders.vgg import Architecture, Padding
from nst_jax.encoders.weights.conversion import LayerArrays, check_arrays
from nst_jax.encoders.weights.weight_sets import WeightSet

_KIND = "nst_jax encoder weights 1"


@dataclasses.dataclass(frozen=True)
class StoredWeights:
    """The arrays of one encoder, with what a VGG must be told to use them rightly."""

    architecture: Architecture
    preprocessing: Preprocessing
    padding: Padding
    ceil_mode: bool
    arrays: LayerArrays
    header: dict[str, str]  # everything as text, origin and licence included: what a record keeps


def cached_path(name: str) -> Path:
    """Return where the converted weights of a set lie once they were fetched."""
    return files.cache_dir() / "weights" / f"{name}.safetensors"


def store(
    weight_set: WeightSet,
    arrays: LayerArrays,
    *,
    source_file: str,
    source_sha256: str,
    source_check: str,
    origin: dict[str, str] | None = None,
) -> StoredWeights:
    """Return arrays with the header that a set and its source give them.

    Args:
        weight_set: what the arrays are.
        arrays: {layer: {"kernel", "bias"}}.
        source_file: name of the file they were read from.
        source_sha256: its hash.
        source_check: what that hash was compared with, in words.
        origin: further lines for the header.
    """
    header = {
        "kind": _KIND,
        "weights": weight_set.name,
        "architecture": weight_set.architecture,
        "preprocessing": json.dumps(dataclasses.asdict(weight_set.preprocessing)),
        "padding": weight_set.padding,
        "ceil_mode": json.dumps(weight_set.ceil_mode),
        "source": weight_set.source,
        "source_file": source_file,
        "source_sha256": source_sha256,
        "source_check": source_check,
        "licence": weight_set.licence,
        "arrays_sha256": arrays_sha256(arrays),
        **(origin or {}),
    }
    return _from_header(header, arrays, where=source_file)


def write(path: Path, weights: StoredWeights) -> None:
    """Write weights as one file, whole or not at all; the folder is made if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    flat = {
        f"{layer}/{kind}": array
        for layer, kinds in weights.arrays.items()
        for kind, array in kinds.items()
    }
    files.save_arrays(path, flat, weights.header)


def read(path: str | os.PathLike[str]) -> StoredWeights:
    """Return the weights in a file that write made.

    Raises:
        ValueError: it is no such file, is damaged, or a shape does not fit its architecture.
        OSError: it cannot be read.
    """
    if Path(path).suffix.lower() in (".pth", ".pt", ".h5", ".hdf5"):
        raise ValueError(
            f"{path}: weights of another framework; make them ours by "
            f"nst-jax weights convert {path}"
        )
    flat, header = files.load_arrays(path)
    if header.get("kind") != _KIND:
        raise ValueError(
            f"{path}: its header does not say {_KIND!r}; convert the original file by "
            "nst-jax weights convert"
        )
    arrays: LayerArrays = {}
    for key, array in flat.items():
        layer, _, kind = key.partition("/")
        arrays.setdefault(layer, {})[kind] = array
    weights = _from_header(header, arrays, where=str(path))
    check_arrays(arrays, weights.architecture, where=str(path))
    return weights


def arrays_sha256(arrays: LayerArrays) -> str:
    """Return a hash of all arrays' names and bytes, in the order of the names."""
    digest = hashlib.sha256()
    for layer in sorted(arrays):
        for kind in sorted(arrays[layer]):
            array: Float[np.ndarray, ...] = arrays[layer][kind]
            digest.update(f"{layer}/{kind} {array.dtype.str} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _from_header(header: dict[str, str], arrays: LayerArrays, *, where: str) -> StoredWeights:
    try:
        missing = {"weights", "source_sha256", "arrays_sha256", "licence"} - header.keys()
        if missing:
            raise KeyError(*sorted(missing))
        architecture, padding = header["architecture"], header["padding"]
        if architecture not in get_args(Architecture) or padding not in get_args(Padding):
            raise ValueError(f"architecture {architecture!r}, padding {padding!r}")
        return StoredWeights(
            architecture=cast(Architecture, architecture),
            preprocessing=_preprocessing(json.loads(header["preprocessing"])),
            padding=cast(Padding, padding),
            ceil_mode=bool(json.loads(header["ceil_mode"])),
            arrays=arrays,
            header=header,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{where}: its header is damaged ({type(error).__name__}: {error}); make or fetch it "
            "again"
        ) from error


def _preprocessing(entries: dict[str, Any]) -> Preprocessing:
    red, green, blue = (float(value) for value in entries["mean"])
    first, second, third = (float(value) for value in entries["std"])
    if entries["channel_order"] not in ("rgb", "bgr"):
        raise ValueError(f"channel order {entries['channel_order']!r}")
    return Preprocessing(
        channel_order=entries["channel_order"],
        scale=float(entries["scale"]),
        mean=(red, green, blue),
        std=(first, second, third),
    )
