"""The state of an unfinished run as named arrays, to be saved and restored."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.pixels.step import State

Save = Callable[[Mapping[str, np.ndarray], Mapping[str, Any]], None]
"""Takes the arrays and the JSON metadata of an unfinished run, in order to keep them."""

SavedRun = tuple[Mapping[str, np.ndarray], Mapping[str, Any]]
"""What a Save was given."""


def state_to_arrays(state: State) -> dict[str, np.ndarray]:
    """Return the state as named host arrays, to be saved and given to state_from_arrays."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def state_from_arrays(state: State, arrays: Mapping[str, np.ndarray]) -> State:
    """Return a state like the given one whose arrays are those that state_to_arrays made.

    Args:
        state: A freshly initialised state for the same picture size and optimiser.
        arrays: The saved arrays.

    Raises:
        ValueError: A name or a shape differs: the arrays belong to another run.
    """
    leaves, treedef = jax.tree_util.tree_flatten_with_path(state)
    names = [jax.tree_util.keystr(path) for path, _ in leaves]
    if set(names) != set(arrays):
        raise ValueError("arrays: saved by another optimiser; give the same one or start afresh")
    for name, (_, leaf) in zip(names, leaves, strict=True):
        if arrays[name].shape != leaf.shape:
            raise ValueError(
                f"arrays: {name} has shape {arrays[name].shape}, the run wants {leaf.shape}; "
                "give the same sizes and history or start afresh"
            )
    restored = [
        jnp.asarray(arrays[name], leaf.dtype) for name, (_, leaf) in zip(names, leaves, strict=True)
    ]
    return jax.tree_util.tree_unflatten(treedef, restored)
