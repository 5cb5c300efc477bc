"""A second frame made of a photograph, with known motion: what a network learns consistency from.

No clips are needed. Motions are smooth warps, shifts, zooms and rotations; some noise and a change
of light are added, which a network that paints frames one by one would amplify.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax.array_types import Image, PRNGKey, Scalar
from nst_jax.losses.temporal import absolute_temporal_loss
from nst_jax.ops.warp import Flow, lands_inside, warp

_WARP = 4.0 / 256  # σ of a smooth warp's grid, in parts of the picture's shorter side
_GRID = 3  # points along each side of that grid
_SHIFT = 10  # pixels along each axis that a smooth warp is shifted by at most
_FAR_SHIFT = 16  # pixels along each axis of a shift alone
_ZOOM, _TURN = 0.1, 5.0  # of 1 either way, and degrees
_NOISE, _LIGHT = 0.02, 0.1  # the largest deviation, and the largest change of brightness
_LUMA = (0.2126, 0.7152, 0.0722)


class SecondFrames(NamedTuple):
    """A frame after each of some photographs.

    Attributes:
        images: The frames, RGB in [0, 1].
        flow: From them to the photographs, in pixels.
        visible: 1 where the flow leads into the photograph, 0 elsewhere.
        brightening: By how much light has changed there, without the noise.
    """

    images: Image
    flow: Float[Array, "batch height width 2"]
    visible: Float[Array, "batch height width"]
    brightening: Float[Array, "batch height width 1"]


def draw_flows(key: PRNGKey, count: int, *, height: int, width: int) -> Flow:
    """Return random motions: half are smooth warps, a quarter shifts, a quarter zooms and turns.

    A smooth warp is a grid of 3 × 3 normal numbers, σ 4 pixels of 256, interpolated by cubics, and
    a shift by whole pixels from −10 to 10 along each axis. A shift alone is by −16 to 16. A zoom is
    by 0.9 to 1.1 about the middle, with a turn by −5 to 5 degrees.

    Args:
        key: Another one gives other motions.
        count: How many.
        height: In pixels.
        width: In pixels.

    Reference: smooth warps and their shifts are after the code of ReReVST (Wang et al. 2020), which
        blurs an interpolated grid; shifts and zooms after that of Ruder et al. 2018. Differs: every
        picture has its own motion; the grid's size and spread, and turns, are ours.
    """
    kinds, warps, shifts, zooms = jax.random.split(key, 4)
    grid_key, shift_key = jax.random.split(warps)
    grid = jax.random.normal(grid_key, (count, _GRID, _GRID, 2), jnp.float32)
    smooth = jax.image.resize(grid, (count, height, width, 2), "cubic") * _WARP * min(height, width)
    smooth += _whole(shift_key, count, _SHIFT)
    far = jnp.broadcast_to(_whole(shifts, count, _FAR_SHIFT), smooth.shape)
    affine = _zoom_and_turn(zooms, count, height, width)
    drawn = jax.random.uniform(kinds, (count, 1, 1, 1), jnp.float32)
    return jnp.where(drawn < 0.5, smooth, jnp.where(drawn < 0.75, far, affine))


def make_second_frames(key: PRNGKey, images: Image) -> SecondFrames:
    """Return a frame after each photograph: moved, lit otherwise, and with noise.

    x₂ = clip(g · x(p + f(p)) + n), with g from 0.9 to 1.1 and noise n of a deviation from 0 to
    0.02, both drawn for every picture. Photographs are read at the nearest pixel.

    Args:
        key: Another one gives other frames.
        images: Photographs, RGB in [0, 1].

    Reference: the noise's range is that of the code of MCCNet (Deng et al. 2021).
    """
    motion, light, strength, noise = jax.random.split(key, 4)
    count, height, width, _ = images.shape
    flow = draw_flows(motion, count, height=height, width=width)
    moved = warp(images, flow, sampling="nearest")
    each = (count, 1, 1, 1)
    gain = jax.random.uniform(light, each, jnp.float32, 1 - _LIGHT, 1 + _LIGHT)
    lit = (gain * moved).clip(0, 1)
    deviation = jax.random.uniform(strength, each, jnp.float32, 0, _NOISE)
    frames = lit + deviation * jax.random.normal(noise, images.shape, jnp.float32)
    luma = jnp.asarray(_LUMA, jnp.float32).reshape(1, 1, 1, 3)
    brightening = ((lit - moved) * luma).sum(-1, keepdims=True)
    visible = lands_inside(flow).astype(jnp.float32)
    return SecondFrames(frames.clip(0, 1), flow, visible, brightening)


def consistency_loss(
    key: PRNGKey, images: Image, stylized: Image, paint: Callable[[Image], Image]
) -> Scalar:
    """Return how far what is painted of a second frame is from what is painted of the first, moved.

    L = (1 / D) Σ_k m_k |g(x₂)_k − (W(g(x))_k + y_k)|, with the mask m of what lies in the picture,
    and the change of luminance y, which a painted frame is to follow. W reads the nearest pixel: a
    bilinear one would blur, and the loss would then favour blur.

    Args:
        key: Decides the motion, the light and the noise.
        images: x, photographs.
        stylized: g(x), what is painted of them.
        paint: g.

    Reference: Wang et al. 2020 (ReReVST); the luminance term is that of Gao et al. 2018 (ReCoNet).
    """
    second = make_second_frames(key, images)
    wanted = warp(stylized, second.flow, sampling="nearest") + second.brightening
    return absolute_temporal_loss(paint(second.images), wanted, second.visible)


def _whole(key: PRNGKey, count: int, most: int) -> Float[Array, "count 1 1 2"]:
    """Whole numbers of pixels along each axis."""
    return jax.random.randint(key, (count, 1, 1, 2), -most, most + 1).astype(jnp.float32)


def _zoom_and_turn(key: PRNGKey, count: int, height: int, width: int) -> Flow:
    zoom, turn = jax.random.split(key)
    factor = jax.random.uniform(zoom, (count, 1, 1), jnp.float32, 1 - _ZOOM, 1 + _ZOOM)
    degrees = jax.random.uniform(turn, (count, 1, 1), jnp.float32, -_TURN, _TURN)
    cos, sin = (factor * wave(jnp.deg2rad(degrees)) for wave in (jnp.cos, jnp.sin))
    x = (jnp.arange(width, dtype=jnp.float32) - (width - 1) / 2).reshape(1, 1, -1)
    y = (jnp.arange(height, dtype=jnp.float32) - (height - 1) / 2).reshape(1, -1, 1)
    return jnp.stack([cos * x - sin * y - x, sin * x + cos * y - y], -1)
