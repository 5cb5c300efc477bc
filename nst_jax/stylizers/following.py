"""Networks of one style that are given their last picture, for clips."""

import copy
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nst_jax.array_types import Image
from nst_jax.networks.ruder import LAST_CHANNELS
from nst_jax.ops.occlusion import visibility
from nst_jax.ops.warp import warp
from nst_jax.stylizers.one_style import OneStyleStylizer
from nst_jax.stylizers.tiling import MaskedPixels, Pixels


class FollowingStylizer(OneStyleStylizer):
    """A network of one style that sees its last picture, as Ruder et al. 2018 train them.

    Called with pictures alone, it paints each as the first frame of a clip.
    """

    _last: Pixels | None = None  # the last picture, moved, and its mask

    def following(
        self,
        picture: Image,
        flow: Float[Array, "batch height width 2"],
        opposite: Float[Array, "batch height width 2"],
    ) -> "FollowingStylizer":
        """Return a stylizer that paints the next frame of a clip.

        Args:
            picture: What was painted of the last frame.
            flow: From the next frame to the last one, in pixels.
            opposite: From the last one to the next.

        Reference: The mask is that of the authors' code: see ops.occlusion.visibility.
        """
        mask = visibility(flow, opposite, convention="ruder2018")[..., None]
        other = copy.copy(self)
        other._last = np.asarray(jnp.concatenate([warp(picture, flow), mask], -1)[0])
        return other

    def with_regions(self, pixels: Pixels, style: Any) -> MaskedPixels:
        """Return a frame with the last picture and the mask."""
        del style
        last = self._last
        if last is None:
            last = np.zeros((*pixels.shape[:2], LAST_CHANNELS), np.float32)
        return np.concatenate([pixels, last], -1)
