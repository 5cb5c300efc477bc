"""Where a clip goes from one scene to another."""

import numpy as np
from jaxtyping import Float

_LEAST_CHANGE, _LEAST_SPREAD = 0.12, 0.3
_SIDE = 64  # positions along the longer side that are compared
_LEVELS = 8  # of each colour, in histograms


def is_cut(
    frame: Float[np.ndarray, "height width 3"], following: Float[np.ndarray, "height width 3"]
) -> bool:
    """Return whether two neighbouring frames are of different scenes.

    They are if two measures agree: the mean |V₂ − V₁| over positions is above 0.12, and half the
    sum of |h₂ − h₁| over histograms of 8 × 8 × 8 colours is above 0.3. Fast motion has the first
    alone, and light that changes hardly has both. Slow fades are no cuts.

    Args:
        frame: RGB in [0, 1].
        following: The next frame, of the same size.
    """
    step = max(1, max(frame.shape[:2]) // _SIDE)
    first, second = frame[::step, ::step], following[::step, ::step]
    if np.abs(second - first).mean() <= _LEAST_CHANGE:
        return False
    return bool(np.abs(_histogram(second) - _histogram(first)).sum() / 2 > _LEAST_SPREAD)


def _histogram(pixels: Float[np.ndarray, "_ _ 3"]) -> Float[np.ndarray, " colours"]:
    levels = np.clip(pixels * _LEVELS, 0, _LEVELS - 1).astype(np.int64)
    places = (levels[..., 0] * _LEVELS + levels[..., 1]) * _LEVELS + levels[..., 2]
    return np.bincount(places.ravel(), minlength=_LEVELS**3) / places.size
