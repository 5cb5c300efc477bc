"""The record of a finished run."""

import dataclasses
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import jax
import numpy as np

Record = dict[str, Any]
"""What a finished run tells of itself, in types that JSON has."""

_VERSIONS = ("nst_jax", "jax", "jaxlib", "flax", "optax", "numpy")


def versions() -> dict[str, str]:
    """Return the versions of the packages that decide what a run computes."""
    return {name: version(name) for name in _VERSIONS}


def describe_config(config: Any) -> dict[str, Any]:
    """Return a configuration's fields by name, in types that JSON has.

    What has none, such as a style loss of one's own, is what str makes of it: its name.

    Args:
        config: A dataclass.
    """
    fields = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return {name: _plain(value) for name, value in fields.items()}


def make_record(
    config: Any,
    *,
    made: Any,
    seconds: Mapping[str, float],
    steps: Sequence[Mapping[str, int | float]],
    info: Mapping[str, Any],
) -> Record:
    """Return the record of a run.

    Args:
        config: The dataclass that a paper's run is made from.
        made: Arrays that the run made; the record names their devices.
        seconds: Those of "compile" and of "run".
        steps: One entry a step.
        info: Anything else that the run reports.
    """
    return {
        "config": describe_config(config),
        "versions": versions(),
        "device": name_devices(made),
        "seconds": dict(seconds),
        "steps": list(steps),
        "info": dict(info),
    }


def name_devices(arrays: Any) -> str:
    """Return the kinds of the devices that hold some arrays, each once.

    Args:
        arrays: A pytree with at least one array of JAX's.
    """
    found = [array for array in jax.tree.leaves(arrays) if isinstance(array, jax.Array)]
    return ", ".join(sorted({device.device_kind for one in found for device in one.devices()}))


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple):
        return tuple(_plain(part) for part in value)
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)
