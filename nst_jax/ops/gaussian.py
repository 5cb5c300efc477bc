"""Gaussian means around pixels. They differ in what counts where a window leaves the picture."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


def gaussian_mean(
    images: Float[Array, "batch height width channels"], *, sigma: float
) -> Float[Array, "batch height width channels"]:
    """Return Gaussian means around every pixel, over what of it lies in the picture.

    Args:
        images: Of any number of channels.
        sigma: The deviation in pixels; the window ends at 3 of it.
    """
    down, across = (
        _windows(side, first=0, count=side, sigma=sigma, reach=3 * sigma)
        for side in images.shape[1:3]
    )
    return _mean(images, down, across)


def gaussian_mean_inside(
    images: Float[Array, "batch _ _ channels"], *, sigma: float, reach: int
) -> Float[Array, "batch _ _ channels"]:
    """Return Gaussian means around the pixels whose whole window lies in the picture.

    Args:
        images: Of any number of channels, at least 2 · reach + 1 pixels a side.
        sigma: The deviation in pixels.
        reach: How many pixels the window has to each side of its middle; the means are fewer by so
            many at every edge.
    """
    down, across = (
        _windows(side, first=reach, count=side - 2 * reach, sigma=sigma, reach=reach)
        for side in images.shape[1:3]
    )
    return _mean(images, down, across)


def gaussian_mean_extended(
    images: Float[Array, "batch height width channels"], *, sigma: float, reach: int
) -> Float[Array, "batch height width channels"]:
    """Return Gaussian means around every pixel of a picture whose edges go on without end.

    Args:
        images: Of any number of channels.
        sigma: The deviation in pixels.
        reach: How many pixels the window has to each side of its middle.
    """
    around = ((0, 0), (reach, reach), (reach, reach), (0, 0))
    return gaussian_mean_inside(jnp.pad(images, around, mode="edge"), sigma=sigma, reach=reach)


def _windows(
    side: int, *, first: int, count: int, sigma: float, reach: int | float
) -> Float[Array, "count side"]:
    """A row for each middle from first on, with the window's weights at the pixels it covers."""
    places = jnp.arange(side, dtype=jnp.float32)
    middles = first + jnp.arange(count, dtype=jnp.float32)
    distance = jnp.abs(middles[:, None] - places[None, :])
    weights = jnp.where(distance <= reach, jnp.exp(-0.5 * jnp.square(distance / sigma)), 0)
    return weights / weights.sum(1, keepdims=True)


def _mean(
    images: Float[Array, "batch height width channels"],
    down: Float[Array, "rows height"],
    across: Float[Array, "columns width"],
) -> Float[Array, "batch rows columns channels"]:
    highest = lax.Precision.HIGHEST
    rows = jnp.einsum("ih,bhwc->biwc", down, images, precision=highest)
    return jnp.einsum("jw,bhwc->bhjc", across, rows, precision=highest)
