"""A painted frame blended with the one before it, along the motion of the clip."""

from dataclasses import dataclass
from functools import partial
from typing import get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax.array_types import Image
from nst_jax.ops.gaussian import gaussian_mean
from nst_jax.ops.occlusion import is_consistent
from nst_jax.ops.warp import Sampling, lands_inside, warp

_DETAIL, _AROUND = 1.0, 8.0  # pixels: σ of what is no detail, and of where its strength is compared
_FAINT = 1e-4  # of 1: details weaker than this are not raised


@dataclass(frozen=True)
class Blend:
    """How much of the last picture a frame takes, and how.

    Attributes:
        strength: How much, from 0 to less than 1, where motion is certain. A picture is then a
            running mean over about 1 / (1 − strength) frames.
        sampling: How the last picture is read between its pixels.
        feather: Pixels over which the mask rises from where the last picture is not to be had; else
            the edges of frames and of what moves would leave lines.
        doubt: The mask is multiplied by exp(−doubt Σ_c d²), where d is by how much the frame itself
            differs from the last one along the flow: light that changes is not held back.
        most_gain: How many times details may be raised to be as strong as in the painted frame
            alone, since means blur; 1 leaves them.
    """

    strength: float = 0.85
    sampling: Sampling = "lanczos"
    feather: float = 3.0
    doubt: float = 20.0
    most_gain: float = 1.5

    def __post_init__(self) -> None:
        """Check the fields."""
        if not 0 <= self.strength < 1:
            raise ValueError(f"strength: wanted 0 to less than 1, got {self.strength}")
        if self.sampling not in get_args(Sampling):
            raise ValueError(
                f"sampling: wanted one of {', '.join(get_args(Sampling))}, got {self.sampling!r}"
            )
        if self.feather <= 0 or self.doubt < 0 or self.most_gain < 1:
            raise ValueError(
                "feather, doubt, most_gain: wanted more than 0, at least 0 and at least 1, got "
                f"{self.feather}, {self.doubt} and {self.most_gain}"
            )


@partial(jax.jit, static_argnames="blend")
def blend_along_flow(
    painted: Image,
    last_picture: Image,
    frame: Image,
    last_frame: Image,
    flow: Float[Array, "batch height width 2"],
    opposite: Float[Array, "batch height width 2"],
    *,
    blend: Blend,
) -> Image:
    """Return a painted frame, closer to the last picture where that can be had from it.

    O = P + b m (W(O′) − P), with the warped last picture W(O′), the mask m and b the strength.
    Where nothing moves, a difference between O and P shrinks by b with every frame, so that
    brightness follows that of the painted frames: the blend does not drift. Then details O − G₁(O)
    are multiplied by √(G₈((P − G₁(P))²) / G₈((O − G₁(O))²)), between 1 and most_gain, where G_σ is
    a Gaussian mean; which leaves G₁(O) almost as it is.

    Args:
        painted: P, the frame as the network paints it, RGB in [0, 1].
        last_picture: O′, what this function answered last.
        frame: The frame.
        last_frame: The frame before it.
        flow: From frame to last_frame, in pixels.
        opposite: From last_frame to frame.
        blend: The settings.

    Reference: The warped blend is that of Ruder et al. 2016's multi-pass code, with
        b = blendWeight / (1 + blendWeight). exp(−50 Σ d²) is Lai et al. 2018's visibility. The
        smaller doubt and the gain are ours.
    """
    moved = warp(last_picture, flow, sampling=blend.sampling)
    changed = jnp.square(warp(last_frame, flow) - frame).sum(-1)
    mask = feathered_mask(flow, opposite, feather=blend.feather)
    weight = blend.strength * (mask * jnp.exp(-blend.doubt * changed))[..., None]
    mixed = (painted + weight * (moved - painted)).clip(0, 1)
    if blend.most_gain == 1:
        return mixed
    smooth = gaussian_mean(mixed, sigma=_DETAIL)
    detail, own = mixed - smooth, painted - gaussian_mean(painted, sigma=_DETAIL)
    have, want = (
        jnp.sqrt(gaussian_mean(jnp.square(each).mean(-1, keepdims=True), sigma=_AROUND))
        for each in (detail, own)
    )
    gain = jnp.clip(want / (have + _FAINT), 1, blend.most_gain)
    return (smooth + gain * detail).clip(0, 1)


def feathered_mask(
    flow: Float[Array, "batch height width 2"],
    opposite: Float[Array, "batch height width 2"],
    *,
    feather: float,
) -> Float[Array, "batch height width"]:
    """Return where a frame is to be had from another one, rising from 0 over a few pixels.

    m · max(0, 2 G_σ(m) − 1), where m is 1 where the flow is consistent and leads into the picture.
    At a straight edge of m this is 0, and 1 from about 2 σ on.

    Args:
        flow: From this frame to the other.
        opposite: From the other to this one.
        feather: σ in pixels.
    """
    certain = (is_consistent(flow, opposite) & lands_inside(flow)).astype(flow.dtype)
    inner = gaussian_mean(certain[..., None], sigma=feather)[..., 0]
    return certain * jnp.clip(2 * inner - 1, 0, 1)
