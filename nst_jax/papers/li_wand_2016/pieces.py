"""What is shown of the painting, and how the picture is shown in the end."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax.array_types import Image, ImageOfAnySize, PRNGKey
from nst_jax.ops.warp import warp
from nst_jax.papers.li_wand_2016.config import Config


def random_piece(
    key: PRNGKey, style: ImageOfAnySize, *, rotation: float, scaling: float, flip: bool
) -> Float[Array, "1 side side 3"]:
    """Return a square piece of a painting, turned, scaled and mirrored at random.

    y(q) = x(c + s R(θ) q), with θ uniform in ±rotation, s log-uniform from 1 / scaling to scaling,
    and c uniform where all of the piece lies within the painting, which is read bilinearly. The
    side is that of the largest square that does so at every θ and s.

    Args:
        key: Decides all of it.
        style: One painting.
        rotation: In degrees.
        scaling: At least 1.
        flip: Whether half of the pieces are mirrored left to right.
    """
    height, width = style.shape[1:3]
    side = piece_side(height, width, rotation=rotation, scaling=scaling)
    turn_key, scale_key, flip_key, down_key, right_key = jax.random.split(key, 5)
    angle = math.radians(rotation) * jax.random.uniform(turn_key, (), minval=-1.0)
    scale = jnp.exp(math.log(scaling) * jax.random.uniform(scale_key, (), minval=-1.0))
    sign = jnp.where(jax.random.bernoulli(flip_key, 0.5 if flip else 0.0), -1.0, 1.0)
    down, right = scale * jnp.cos(angle), scale * jnp.sin(angle)
    reach = 0.5 * (side - 1) * (down + jnp.abs(right))
    middle_y = reach + (height - 1 - 2 * reach) * jax.random.uniform(down_key, ())
    middle_x = reach + (width - 1 - 2 * reach) * jax.random.uniform(right_key, ())
    # warp answers pictures of the painting's size, of which the piece is the upper left.
    y = jnp.arange(height, dtype=jnp.float32).reshape(1, -1, 1)
    x = jnp.arange(width, dtype=jnp.float32).reshape(1, 1, -1)
    at_y, at_x = y - 0.5 * (side - 1), sign * (x - 0.5 * (side - 1))
    read_y = middle_y + down * at_y + right * at_x
    read_x = middle_x + down * at_x - right * at_y
    flow = jnp.stack([read_x - x, read_y - y], -1)
    return warp(style, flow)[:, :side, :side]


def piece_side(height: int, width: int, *, rotation: float, scaling: float) -> int:
    """Return the side of random_piece's squares in pixels.

    Args:
        height: Of the painting.
        width: Of the painting.
        rotation: In degrees.
        scaling: At least 1.
    """
    angle = math.radians(rotation)
    widest = scaling * (math.cos(angle) + math.sin(angle))
    return max(1, math.floor((min(height, width) - 1) / widest) + 1)


def finish(image: Image, config: Config) -> Image:
    """Return a picture as it is shown: its contrast stretched, or clipped to [0, 1].

    With contrast k, values are cut at k standard deviations around the mean of all, and what is
    left is stretched so that the least is 0 and the most 1.

    Args:
        image: The pixels that are optimised, which may leave [0, 1].
        config: Its contrast counts.

    Reference: MDAN_wrapper.lua, contrast_std.
    """
    if config.contrast is None:
        return image.clip(0, 1)
    bound = config.contrast * image.std()
    cut = (image - image.mean()).clip(-bound, bound)
    low, high = cut.min(), cut.max()
    return (cut - low) / jnp.maximum(high - low, 1e-6)
