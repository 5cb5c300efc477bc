"""Checkpoints: folders step_000500, each whole or not there, from which a run goes on.

Orbax writes the arrays; run.json beside them holds the rest, and the hash of every file of
Orbax's, because a flipped bit would otherwise pass into the parameters. Nothing is unpickled.
Only one process may use a folder of checkpoints at a time.
"""

import errno
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from nst_jax.files import read_record, sha256_of, write_record
from nst_jax.files.disk import FilePath, quoted, reason, unwritable
from nst_jax.files.records import to_json
from nst_jax.train.sharding import replicate
from nst_jax.train.trainer import State

_RECORD = "run.json"
_TEMPORARY = ".nst_jax-{}.tmp"


class Saved(NamedTuple):
    """What a checkpoint held."""

    state: State
    extra: dict[str, Any]


def checkpoint_path(folder: FilePath, step: int) -> Path:
    """Return where the checkpoint of that step lies."""
    return Path(folder) / f"step_{step:06d}"


def saved_steps(folder: FilePath) -> list[int]:
    """Return the steps of which there are checkpoints, the newest last."""
    names = (path.name.removeprefix("step_") for path in Path(folder).glob("step_*"))
    return sorted(int(name) for name in names if name.isdecimal())


def saved_description(folder: FilePath) -> dict[str, Any] | None:
    """Return what the newest checkpoint says its run is, or None where there is none to be read."""
    steps = saved_steps(folder)
    try:
        found = read_record(checkpoint_path(folder, steps[-1]) / _RECORD)["description"]
    except (IndexError, KeyError, OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def save_checkpoint(
    folder: FilePath,
    state: State,
    *,
    description: Mapping[str, Any],
    extra: Mapping[str, Any],
    keep: int,
) -> None:
    """Write a checkpoint and remove those before the newest `keep`.

    A process killed at any time leaves the checkpoint whole or not at all.

    Args:
        folder: Holds a run's checkpoints; made if missing.
        state: Where the run is.
        description: What the run is, in terms that JSON can hold.
        extra: What else the run needs to go on, likewise.
        keep: How many to keep.

    Raises:
        ValueError: description or extra holds what JSON cannot.
        FloatingPointError: The state is not finite.
        OSError: The folder cannot be written to.
    """
    arrays = _to_arrays(state)
    for name, array in arrays.items():
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            raise FloatingPointError(f"{name} became NaN or infinite")
    final = checkpoint_path(folder, int(state.step))
    temporary = final.with_name(_TEMPORARY.format(secrets.token_hex(8)))
    try:
        temporary.mkdir(parents=True)
        _check_room(temporary, arrays)
        _write_arrays(temporary / "arrays", arrays)
        record = {
            "description": description,
            "extra": extra,
            "arrays": {name: [str(array.dtype), array.shape] for name, array in arrays.items()},
            "sha256": _hashes(temporary),
        }
        write_record(temporary / _RECORD, record)
        temporary.rename(final)
    except OSError as error:
        raise unwritable(error, final) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    for step in saved_steps(folder)[:-keep]:
        _remove(checkpoint_path(folder, step))


def drop_checkpoints(folder: FilePath, *, after: int) -> None:
    """Remove the checkpoints of later steps than that one."""
    for step in saved_steps(folder):
        if step > after:
            _remove(checkpoint_path(folder, step))


def load_checkpoint(
    folder: FilePath, *, like: State, description: Mapping[str, Any]
) -> Saved | None:
    """Return what the newest checkpoint holds, or None where there is none.

    Args:
        folder: Holds a run's checkpoints.
        like: A state of the same structure.
        description: What the run is; the checkpoint's must be the same.

    Raises:
        ValueError: The checkpoint is damaged or another run's.
        OSError: It cannot be read.
    """
    for leftover in Path(folder).glob(_TEMPORARY.format("*")):
        shutil.rmtree(leftover, ignore_errors=True)
    steps = saved_steps(folder)
    if not steps:
        return None
    path = checkpoint_path(folder, steps[-1])
    record = _checked_record(path, steps)
    _check_same(folder, record["description"], description)
    expected = {
        name: [str(array.dtype), list(array.shape)] for name, array in _to_arrays(like).items()
    }
    _check_same(folder, record["arrays"], expected)
    return Saved(_from_arrays(_read_arrays(path / "arrays", expected), like), record["extra"])


def best_folder(workdir: FilePath) -> Path:
    """Return where a run keeps the checkpoint with the least held-out loss."""
    return Path(workdir) / "best"


def load_best(workdir: FilePath, *, like: State, description: Mapping[str, Any]) -> State | None:
    """Return the state with the least held-out loss of a run, or None where none was kept.

    Args:
        workdir: The run's folder.
        like: A state of the same structure.
        description: What the run is, as given to fit.

    Raises:
        ValueError: The checkpoint is damaged or another run's.
        OSError: It cannot be read.
    """
    saved = load_checkpoint(best_folder(workdir), like=like, description=description)
    return None if saved is None else saved.state


def _checked_record(path: Path, steps: list[int]) -> dict[str, Any]:
    """Return run.json, having found every file as it was written."""
    try:
        record = read_record(path / _RECORD)
        if not {"description", "extra", "arrays", "sha256"} <= record.keys():
            raise ValueError(f"{_RECORD} lacks entries")
        for name, wanted in record["sha256"].items():
            if sha256_of(path / name) != wanted:
                raise ValueError(f"{name} is not as it was written")
    except (OSError, ValueError) as error:
        way_out = f"go on from step {steps[-2]}" if len(steps) > 1 else "start afresh"
        raise ValueError(
            f"checkpoint {quoted(path)} is damaged ({reason(error)}); delete it to {way_out}"
        ) from error
    return record


def _check_same(folder: FilePath, before: Any, now: Any) -> None:
    """Refuse a run that is not the one whose checkpoint it is, with the first difference."""
    # As JSON, since that is how the saved one has travelled.
    found = _difference(before, json.loads(to_json(now), parse_constant=lambda _: None))
    if found is None:
        return
    field, there, here = found
    raise ValueError(
        f"workdir: {quoted(Path(folder).parent)} holds a run with {field} {there}, this one has "
        f"{here}; give the same settings or another workdir"
    )


def _difference(before: Any, now: Any) -> tuple[str, str, str] | None:
    """The first field that differs, with both values as JSON, or None."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return None if before == now else ("", to_json(before), to_json(now))
    for name in {**now, **before}:
        if name not in before and isinstance(now[name], float) and now[name] == 0:
            continue  # a weight that an older version did not have
        if name not in before or name not in now:
            there, here = (to_json(run[name]) if name in run else "unset" for run in (before, now))
            return name, there, here
        found = _difference(before[name], now[name])
        if found is not None:
            return f"{name}.{found[0]}".rstrip("."), found[1], found[2]
    return None


def _to_arrays(state: State) -> dict[str, np.ndarray]:
    """The leaves by their paths, params.Conv_0.kernel, on the host; random keys as their data."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(
            jax.random.key_data(leaf) if _is_key(leaf) else leaf
        )
        for path, leaf in leaves
    }


def _from_arrays(arrays: Mapping[str, np.ndarray], like: State) -> State:
    def restore(path, leaf):
        # A copy, because a step takes the buffer and NumPy may have lent JAX its own.
        value = jax.numpy.array(
            arrays[jax.tree_util.keystr(path, simple=True, separator=".")], copy=True
        )
        if _is_key(leaf):
            return jax.random.wrap_key_data(value, impl=jax.random.key_impl(leaf))
        return value

    return replicate(jax.tree_util.tree_map_with_path(restore, like))


def _is_key(leaf) -> bool:
    return jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _check_room(folder: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Raise OSError if the disk is too full; when it fills up amid writing, Orbax prints pages."""
    if shutil.disk_usage(folder).free < 1.1 * sum(array.nbytes for array in arrays.values()):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    import orbax.checkpoint  # here: it takes long to load and only training needs it

    with orbax.checkpoint.PyTreeCheckpointer() as checkpointer:
        try:
            checkpointer.save(os.path.abspath(path), dict(arrays))
        except ValueError as error:  # its name for what the disk refuses
            raise OSError(reason(error)) from error


def _read_arrays(path: Path, names: Mapping[str, Any]) -> dict[str, np.ndarray]:
    import orbax.checkpoint

    as_numpy = {name: orbax.checkpoint.RestoreArgs(restore_type=np.ndarray) for name in names}
    with orbax.checkpoint.PyTreeCheckpointer() as checkpointer:
        return checkpointer.restore(os.path.abspath(path), restore_args=as_numpy)


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}


def _remove(path: Path) -> None:
    """Remove a checkpoint; killed amid it, leave nothing that looks like one."""
    temporary = path.with_name(_TEMPORARY.format(secrets.token_hex(8)))
    path.rename(temporary)
    shutil.rmtree(temporary, ignore_errors=True)
