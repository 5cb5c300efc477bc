"""The record of a finished run."""

import dataclasses
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import jax

Record = dict[str, Any]
"""What a finished run tells of itself, in types that JSON has."""

_VERSIONS = ("nst_jax", "jax", "jaxlib", "flax", "optax", "numpy")


def versions() -> dict[str, str]:
    """Return the versions of the packages that decide what a run computes."""
    return {name: version(name) for name in _VERSIONS}


def make_record(
    config: Any,
    *,
    seconds: Mapping[str, float],
    steps: Sequence[Mapping[str, int | float]],
    info: Mapping[str, Any],
) -> Record:
    """Return the record of a run.

    Args:
        config: The dataclass that a paper's run is made from.
        seconds: Those of "compile" and of "run".
        steps: One entry a step.
        info: Anything else that the run reports.
    """
    return {
        "config": dataclasses.asdict(config),
        "versions": versions(),
        "device": jax.devices()[0].device_kind,
        "seconds": dict(seconds),
        "steps": list(steps),
        "info": dict(info),
    }
