"""Our networks as StableHLO, by jax.export: for what reads it, and for JAX without nst_jax."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import export

from nst_jax.ops.convolution import portable_operations
from nst_jax.stylizers import Stylizer
from nst_jax.stylizers.architectures import ARCHITECTURES

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")

_STEP = 32
_STYLE_METHODS = {"huang2017": "style_moments", "ghiasi2017": "embed", "ghiasi2017-mobile": "embed"}


def export_stablehlo(stylizer: Stylizer) -> dict[str, bytes]:
    """Return what jax.export.deserialize reads: "transformer", and "style" for any painting.

    The transformer is called with pictures, (1, height, width, 3) of RGB in [0, 1], whose sides are
    multiples of 32 and at least 64, and with what stylizer.conditions has. It answers pictures in
    [0, 1], without the median filter of a network of one style. "style" is called with a painting
    of such sides and answers what conditions are made of. Parameters are inside.

    Args:
        stylizer: The network.
    """
    architecture = ARCHITECTURES[stylizer.architecture]
    shapes = architecture.conditions(stylizer.network)
    parts = {"transformer": _export(stylizer, "__call__", shapes)}
    if stylizer.architecture in _STYLE_METHODS:
        parts["style"] = _export(stylizer, _STYLE_METHODS[stylizer.architecture], ())
    return parts


def _export(stylizer: Stylizer, method: str, conditions: tuple[Any, ...]) -> bytes:
    network, variables, clips = stylizer.network, stylizer.variables, method == "__call__"

    def run(images, *conditions):
        answer = network.apply(variables, images, *conditions, method=method)
        return answer.clip(0, 1) if clips else answer

    height, width = export.symbolic_shape("h, w", constraints=["h >= 2", "w >= 2"])
    images = jax.ShapeDtypeStruct((1, _STEP * height, _STEP * width, 3), jnp.float32)
    with portable_operations():
        exported = export.export(jax.jit(run), platforms=PLATFORMS)(images, *conditions)
    return bytes(exported.serialize())
