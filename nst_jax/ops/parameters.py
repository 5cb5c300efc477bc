"""How a linen layer gets its parameters."""

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

Initializer = Callable[..., Array]
"""What makes an array's first values: init(key, shape, dtype), as in linen."""


def parameter(
    module: nn.Module, name: str, init: Initializer, shape: tuple[int, ...]
) -> Float[Array, "..."]:
    """Return a layer's float32 parameter of that name: as linen's own `param`, but sooner.

    Linen traces the first values of a parameter that exists, to learn their shape: 1 ms each, and
    half a second for a network. Here the shape is known.

    Args:
        module: The layer, within its own method.
        name: The parameter's.
        init: What makes its first values, where the layer is initialised.
        shape: The parameter's.

    Raises:
        ValueError: The variables hold one of another shape.
    """
    if not module.has_variable("params", name):
        return module.param(name, init, shape, jnp.float32)
    found = module.get_variable("params", name)
    if found.shape != shape:
        path = "/".join((*module.path, name))
        raise ValueError(f"params: wanted {path} of shape {shape}, got {found.shape}")
    return found
