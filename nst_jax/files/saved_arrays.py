"""Named arrays in safetensors files: weights, and the states that broken runs go on from."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped
from safetensors import SafetensorError, safe_open

from nst_jax.files.disk import (
    FilePath,
    open_to_read,
    quoted,
    reason,
    remove_temporaries,
    replacing,
    reworded,
    unwritable,
)
from nst_jax.files.records import to_json

Arrays = Mapping[str, Shaped[np.ndarray, "..."]]
LoadedArrays = dict[str, Shaped[np.ndarray, "..."]]

STATE_FILE = "state.safetensors"
_STATE_KEY = "nst_jax_state"

# NumPy's name of a type to safetensors' name: float32 is F32.
_TYPES = {"bool": "BOOL"}
_TYPES |= {f"float{bits}": f"F{bits}" for bits in (16, 32, 64)}
_TYPES |= {f"int{bits}": f"I{bits}" for bits in (8, 16, 32, 64)}
_TYPES |= {f"uint{bits}": f"U{bits}" for bits in (8, 16, 32, 64)}


def save_arrays(path: FilePath, arrays: Arrays, metadata: Mapping[str, str]) -> None:
    """Write arrays and a few strings as one safetensors file; equal content gives equal bytes.

    The format (an 8-byte length, a JSON header, the arrays' bytes) is written here and read by the
    library: its own writer orders the strings at random, leaves strays when killed, takes an array
    that is not contiguous for one that is, and hides the file from other users.

    Raises:
        ValueError: An array is of a type other than bool, integer, float16, 32 or 64, or the
            metadata is not text.
        OSError: The file cannot be written.
    """
    if not all(isinstance(text, str) for text in metadata.values()):
        raise ValueError(f"metadata must map text to text, got {dict(metadata)}; use json.dumps")
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    # Widest first, so that every array is aligned to its own width.
    ordered = sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    end = 0
    for key, array in ordered:
        if array.dtype.name not in _TYPES or key in header:
            raise ValueError(
                f"cannot write array {key!r} of type {array.dtype} to {quoted(path)}; "
                "use float32 and a name other than __metadata__"
            )
        start, end = end, end + array.nbytes
        header[key] = {
            "dtype": _TYPES[array.dtype.name],
            "shape": array.shape,
            "data_offsets": (start, end),
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with replacing(path) as temporary, temporary.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for _, array in ordered:
            row = array.astype(array.dtype.newbyteorder("<"), copy=False).reshape(-1)
            stream.write(row.view(np.uint8).data)


def load_arrays(path: FilePath, *, max_bytes: int = 2 << 30) -> tuple[LoadedArrays, dict[str, str]]:
    """Return the arrays and the strings of a safetensors file.

    Raises:
        ValueError: The file is larger than max_bytes, or not a whole safetensors file.
        OSError: The file cannot be read.
    """
    with open_to_read(path) as stream:
        length = os.fstat(stream.fileno()).st_size
    if length > max_bytes:
        raise ValueError(
            f"cannot read {quoted(path)}: it has {length} bytes, more than max_bytes={max_bytes}; "
            "check that it is the right file, or raise max_bytes"
        )
    return _read(path, "delete it and make or fetch it again")


def load_strings(path: FilePath) -> dict[str, str]:
    """Return the strings of a safetensors file, without reading its arrays.

    Raises:
        ValueError: It is not a whole safetensors file.
        OSError: The file cannot be read.
    """
    return _read(path, "delete it and make or fetch it again", with_arrays=False)[1]


def save_state(folder: FilePath, arrays: Arrays, metadata: Mapping[str, Any]) -> None:
    """Write what a run needs to go on, in one file in the folder, in place of the state before.

    A process killed at any time leaves the old state or the new. Only one process may write to a
    folder.

    Args:
        folder: Made if missing.
        arrays: bool, integers, float16, float32 or float64.
        metadata: Anything that JSON can hold, NaN and infinities included; tuples return as lists.

    Raises:
        ValueError: The arrays or the metadata hold something else.
        OSError: The folder cannot be made or written to.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        remove_temporaries(folder)  # else a run killed often would fill the disk
    except OSError as error:
        raise unwritable(error, folder) from error
    save_arrays(Path(folder) / STATE_FILE, arrays, {_STATE_KEY: to_json(metadata)})


def load_state(folder: FilePath) -> tuple[LoadedArrays, dict[str, Any]] | None:
    """Return the arrays and the metadata that save_state put there last, or None without any.

    Raises:
        ValueError: The file is damaged.
        OSError: The file cannot be read.
    """
    path = Path(folder) / STATE_FILE
    if not os.path.lexists(path):
        return None
    way_out = f"delete the folder {quoted(folder)} and start afresh"
    arrays, strings = _read(path, way_out)
    try:
        return arrays, json.loads(strings[_STATE_KEY])
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"cannot read {quoted(path)}: not a state that nst_jax wrote; {way_out}"
        ) from error


def remove_state(folder: FilePath) -> None:
    """Remove the state in a folder, and the folder too if nothing else lies in it.

    Raises:
        OSError: A file cannot be removed.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return
    try:
        (folder / STATE_FILE).unlink(missing_ok=True)
        remove_temporaries(folder)
        if not any(folder.iterdir()):
            folder.rmdir()
    except OSError as error:
        raise reworded(
            error, f"cannot remove the state in {quoted(folder)}", "delete the folder yourself"
        ) from error


def _read(
    path: FilePath, way_out: str, *, with_arrays: bool = True
) -> tuple[LoadedArrays, dict[str, str]]:
    open_to_read(path).close()  # for its errors; the library's do not name the file
    try:
        with safe_open(path, framework="numpy") as stored:
            keys = stored.keys() if with_arrays else ()
            return {key: stored.get_tensor(key) for key in keys}, stored.metadata() or {}
    except (SafetensorError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"cannot read {quoted(path)}: damaged, or not safetensors ({reason(error)}); {way_out}"
        ) from error
