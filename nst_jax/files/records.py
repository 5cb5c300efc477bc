"""Records of runs: JSON that any tool reads."""

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from nst_jax.files.disk import FilePath, open_to_read, quoted, reason, replacing


def write_record(path: FilePath, record: Any, *, overwrite: bool = True) -> None:
    """Write a record as indented, strict JSON; see strict_json.

    Args:
        path: Where to, any extension.
        record: A mapping or a dataclass.
        overwrite: Whether a file that is there by the end may be replaced.

    Raises:
        ValueError: The record holds something else.
        FileExistsError: There is a file, and overwrite is false.
        OSError: The file cannot be written.
    """
    text = strict_json(record) + "\n"
    with replacing(path, overwrite=overwrite) as temporary:
        # A file name that is not Unicode holds lone surrogates; so escaped, they are JSON's own.
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def strict_json(record: Any) -> str:
    """Return a record as indented JSON that any tool reads.

    Dataclasses become objects, tuples and arrays lists, NumPy and JAX scalars numbers, paths
    strings. NaN and the infinities, which JSON lacks, become null: raising would lose the record
    of a long run for one bad number.

    Args:
        record: A mapping or a dataclass.

    Raises:
        ValueError: The record holds something else.
    """
    finite = json.loads(to_json(record), parse_constant=lambda _: None)
    return json.dumps(finite, indent=2, allow_nan=False, ensure_ascii=False)


def read_record(path: FilePath) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        ValueError: The file is not strict JSON, or not an object.
        OSError: The file cannot be read.
    """
    with open_to_read(path) as stream:
        content = stream.read()
    try:
        record = json.loads(content, parse_constant=_refuse_constant)
        if not isinstance(record, dict):
            raise ValueError(f"an object was expected, got {type(record).__name__}")
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"cannot read {quoted(path)}: not a JSON record ({reason(error)}); repair or delete it"
        ) from error
    return record


def to_json(value: Any) -> str:
    """Return value as JSON on one line, with Python's NaN and Infinity where they occur."""
    try:
        return json.dumps(value, default=_plain)
    except TypeError as error:  # a key that is neither text nor number
        raise ValueError(f"cannot write as JSON: {reason(error)}; use text for keys") from error


def _plain(value: Any) -> Any:
    """Return value in types that json knows, one level deep; json asks again for what is inside."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return np.asarray(value).tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise ValueError(
        f"cannot write {value!r} as JSON: its type is {type(value).__name__}; "
        "use numbers, text, lists, mappings or dataclasses"
    )


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not allowed")
