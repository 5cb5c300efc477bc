"""Made pictures, a made VGG and a run's objective, for tests of pictures in parts."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from vgg_oracle import random_arrays

from nst_jax.encoders.preprocessing import TORCHVISION
from nst_jax.encoders.vgg import VGG
from nst_jax.losses import perceptual
from nst_jax.losses.perceptual import Weights

ENCODER = VGG("vgg16", TORCHVISION)
LAYERS = ("relu1_1", "relu2_2")


def weights(tv_loss: str = "mean") -> Weights:
    """Weights under which no term is lost beside the others."""
    return Weights(
        {"relu2_1": np.float32(1.0)},
        {layer: np.float32(5.0) for layer in LAYERS},
        np.float32({"mean": 3.0, "half_sum": 0.002}[tv_loss]),
    )


def params() -> Any:
    """A made VGG as deep as its tests look."""
    return {"params": jax.tree.map(jnp.asarray, random_arrays("vgg16", deepest="conv2_2"))}


def picture(height: int, width: int, *, seed: int = 0) -> Any:
    """Colours from 0.1 to 0.9 that no two positions share."""
    rng = np.random.default_rng(seed)
    return jnp.asarray(0.1 + 0.8 * rng.random((1, height, width, 3), np.float32))


def targets(height: int, width: int) -> Any:
    """Of another photograph, and of a painting of another size."""
    return perceptual.compute_targets(
        *(ENCODER, params(), picture(height, width, seed=1), [picture(21, 30, seed=2)]),
        weights=weights(),
        style_blend=(1.0,),
    )


def whole_gradient(image: Any, wanted: Any, *, tv_loss: str = "mean") -> tuple[Any, Any]:
    """(total, terms) and the gradient by JAX alone, of the whole picture in one program."""
    objective = partial(perceptual.objective, ENCODER, tv_loss=tv_loss)
    return jax.jit(jax.value_and_grad(objective, has_aux=True))(
        image, wanted, params(), weights(tv_loss)
    )
