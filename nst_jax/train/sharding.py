"""Data parallelism: batches are split over all local devices, everything else is on each of them.

XLA inserts the sums over devices where a program needs them, so losses, gradients and batch
statistics are those of the whole batch, whatever the number of devices.
"""

from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec


class Placement(NamedTuple):
    """Where arrays go: whole to every device, or split along axis 0."""

    replicated: NamedSharding
    split: NamedSharding


def local_placement() -> Placement:
    """Return the placement over all devices of this process."""
    mesh = Mesh(np.asarray(jax.local_devices()), ("batch",))
    return Placement(
        NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec("batch"))
    )


def shard(batch: Any) -> Any:
    """Return the batch split along axis 0 over all local devices.

    Args:
        batch: A pytree of arrays with the batch along axis 0.

    Raises:
        ValueError: Its size is not a multiple of the number of devices.
    """
    check_batch(batch)
    return jax.device_put(batch, local_placement().split)


def replicate(tree: Any) -> Any:
    """Return the pytree of arrays with a whole copy on every local device."""
    return jax.device_put(tree, local_placement().replicated)


def check_batch(batch: Any) -> None:
    """Raise ValueError unless every array of the batch can be split over the local devices."""
    count = jax.local_device_count()
    for array in jax.tree.leaves(batch):
        if array.ndim == 0 or array.shape[0] % count:
            got = array.shape[0] if array.ndim else "a scalar"
            raise ValueError(
                f"batch_size: wanted a multiple of the {count} local devices, got {got}; "
                f"use {count} or a multiple, or show JAX fewer devices"
            )
