"""Where one frame can be had from another: masks by the flows between them, as published.

A mask is for frame A, which is to be had from frame B by warping. `flow` leads from A to B and is
given at A's pixels; `opposite` leads from B to A and is given at B's.
"""

from typing import Literal

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from nst_jax.ops.gaussian import gaussian_mean_extended
from nst_jax.ops.warp import lands_inside, warp

MaskConvention = Literal["ruder2016", "ruder2018", "lai2018"]
"""Whose mask: see visibility."""

Mask = Float[Array, "batch height width"]
"""From 0, not to be had, to 1."""

_RELATIVE, _ABSOLUTE = 0.01, 0.5  # Ruder et al. 2016, eq. (5); square pixels
_BOUNDARY_RELATIVE, _BOUNDARY_ABSOLUTE = 0.01, 0.002  # eq. (6)
_SIGMA, _REACH = 0.8, 2  # pixels, of the 2016 code's smoothing
_OCCLUDED = -1.0  # before smoothing, so that occlusions grow: −255 of 255 in the code
_EROSION = 7  # pixels, the side of the 2018 code's minimum filter


def visibility(
    flow: Float[Array, "batch height width 2"],
    opposite: Float[Array, "batch height width 2"],
    *,
    convention: MaskConvention,
) -> Mask:
    """Return how far each pixel of a frame is to be had from another frame, from 0 to 1.

    | convention | out of the frame | inconsistent | motion boundary | then |
    |---|---|---|---|---|
    | "ruder2016" | 0 | −1 | 0, by central differences | smoothed (σ 0.8), clipped |
    | "ruder2018" | 0 | 0 | kept | the minimum over 7 × 7 pixels |
    | "lai2018" | kept | 0 | 0, by differences forward | |

    Args:
        flow: From this frame to the other.
        opposite: From the other to this one.
        convention: Whose mask.

    Reference: Ruder et al. 2016, eqs. (5) and (6), and its consistencyChecker.cpp; Ruder et al.
        2018's code; Lai et al. 2018's utils.py, whose Resample2d repeats the picture's edge.
    """
    consistent = is_consistent(flow, opposite)
    if convention == "lai2018":
        return (consistent & ~has_forward_boundary(flow)).astype(flow.dtype)
    inside = lands_inside(flow)
    if convention == "ruder2018":
        return _minimum((inside & consistent).astype(flow.dtype))
    mask = jnp.where(has_central_boundary(flow), 0.0, 1.0)
    mask = jnp.where(consistent, mask, _OCCLUDED)
    mask = jnp.where(inside, mask, 0.0)
    smooth = gaussian_mean_extended(mask[..., None], sigma=_SIGMA, reach=_REACH)[..., 0]
    return jnp.clip(smooth, 0, 1).astype(flow.dtype)


def is_consistent(
    flow: Float[Array, "batch height width 2"], opposite: Float[Array, "batch height width 2"]
) -> Bool[Array, "batch height width"]:
    """Return where going along the flow and back again leads to where one began.

    |f + ĝ|² < 0.01 (|f|² + |ĝ|²) + 0.5 with ĝ(x) = g(x + f(x)), g the opposite flow.

    Args:
        flow: From this frame to the other.
        opposite: From the other to this one.

    Reference: Ruder et al. 2016, eq. (5). Lai's code counts equality as consistent.
    """
    back = warp(opposite, flow)
    gap = _square(flow + back)
    allowed = _RELATIVE * (_square(flow) + _square(back)) + _ABSOLUTE
    return gap < allowed


def has_central_boundary(
    flow: Float[Array, "batch height width 2"],
) -> Bool[Array, "batch height width"]:
    """Return where the flow changes abruptly: |∇u|² + |∇v|² > 0.01 |f|² + 0.002.

    The derivatives are central differences, (f(x + 1) − f(x − 1)) / 2; the picture's edge goes on.

    Args:
        flow: In pixels.

    Reference: Ruder et al. 2016, eq. (6).
    """
    edged = jnp.pad(flow, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    across = (edged[:, 1:-1, 2:] - edged[:, 1:-1, :-2]) / 2
    down = (edged[:, 2:, 1:-1] - edged[:, :-2, 1:-1]) / 2
    return _is_abrupt(flow, across, down)


def has_forward_boundary(
    flow: Float[Array, "batch height width 2"],
) -> Bool[Array, "batch height width"]:
    """Return what has_central_boundary does, by differences f(x + 1) − f(x), 0 at the last pixel.

    Args:
        flow: In pixels.

    Reference: Lai et al. 2018's code.
    """
    edged = jnp.pad(flow, ((0, 0), (0, 1), (0, 1), (0, 0)), mode="edge")
    return _is_abrupt(flow, edged[:, :-1, 1:] - flow, edged[:, 1:, :-1] - flow)


def _is_abrupt(flow: Array, across: Array, down: Array) -> Array:
    threshold = _BOUNDARY_RELATIVE * _square(flow) + _BOUNDARY_ABSOLUTE
    return _square(across) + _square(down) > threshold


def _square(flow: Array) -> Array:
    return jnp.square(flow).sum(-1)


def _minimum(mask: Array) -> Array:
    """The least value within a square around each pixel, of those that are in the picture."""
    half = _EROSION // 2
    for axis in (1, 2):
        around = [(half, half) if each == axis else (0, 0) for each in range(3)]
        padded = jnp.pad(mask, around, constant_values=1)
        length = mask.shape[axis]
        slices = [lax.slice_in_dim(padded, i, i + length, axis=axis) for i in range(_EROSION)]
        mask = jnp.stack(slices).min(0)
    return mask
