"""Files of networks too small to be of use, with made weights."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
from network_oracle import made_arrays, made_pictures

from nst_jax.networks.dumoulin import DumoulinNetwork
from nst_jax.networks.johnson import JohnsonNetwork
from nst_jax.stylizers import save_model

STYLES = ("waves", "la muse", "dots")


def save_small(path, network, styles, *conditions, card=None):
    images = jax.ShapeDtypeStruct((1, 48, 48, 3), jnp.float32)
    shapes = jax.eval_shape(network.init, jax.random.key(0), images, *conditions)
    variables = made_arrays(shapes)
    if not conditions:
        variables["params"]["contract1"]["kernel"] /= 100  # of numbers up to 255
        variables["params"]["output"]["kernel"] *= 0.3
    save_model(path, network, variables, styles=styles, card=card or {})


def save_models(place: Path) -> None:
    """Write one.safetensors, of one style, and many.safetensors, of three."""
    one = JohnsonNetwork(width=4, normalization="instance")
    save_small(place / "one.safetensors", one, ["waves"])
    weights = jax.ShapeDtypeStruct((1, 3), jnp.float32)
    save_small(place / "many.safetensors", DumoulinNetwork(num_styles=3, width=4), STYLES, weights)


def save_picture(path: Path, *, seed: int = 0, height: int = 48, width: int = 48) -> None:
    """Write a made picture."""
    pixels = made_pictures(1, height, width, 3, seed=seed)[0]
    PIL.Image.fromarray(np.uint8(255 * pixels)).save(path)
