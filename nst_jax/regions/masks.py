"""Masks, which say where in a picture each style goes, and what holds for them everywhere.

A mask is 1 where its style goes, 0 where it does not, and between the two at a soft edge.

- There is one for each style, or one less: the last style then gets what the others leave.
- All have one size, in the picture's proportions; they are scaled to the picture.
- A style without place is an error.
- Where masks overlap, styles share the place. What is in no mask takes no style.

They are small, and of many sizes, so all this is on the host, in NumPy. How they reach the layers
of an encoder is in guidance.py.
"""

import math
from typing import Any

import numpy as np
from jaxtyping import Float

Mask = Float[np.ndarray, "height width"]
"""Where one style goes, from 0 to 1."""

Masks = Float[np.ndarray, "regions height width"]
"""One for each style."""

_SAME_PROPORTIONS = 0.02  # how far apart those of a mask and a picture may be
_EMPTY = 1e-3  # the sum of a mask, in pixels, below which it is nowhere


def complete_masks(masks: Any, count: int, *, name: str = "masks") -> Masks:
    """Return the masks of so many styles, the last one being what the others leave if it is absent.

    m_last = max(1 − Σ_r m_r, 0).

    Args:
        masks: An array of shape (count or count − 1, height, width), from 0 to 1.
        count: How many styles there are.
        name: What errors call the masks.

    Raises:
        ValueError: They are not such masks, or one is empty.
    """
    masks = _as_array(masks, name)
    if masks.ndim != 3 or len(masks) not in {count, count - 1} or 0 in masks.shape:
        fewer = f", or {count - 1}, when the last style gets what is left" if count > 1 else ""
        raise ValueError(
            f"{name}: wanted {count}, one for each style{fewer}; got an array of shape "
            f"{masks.shape}"
        )
    if not (masks.min() >= 0 and masks.max() <= 1):  # said so that NaN fails as well
        raise ValueError(
            f"{name}: wanted values from 0 to 1, got {masks.min():g} to {masks.max():g}"
        )
    for number, mask in enumerate(masks, start=1):
        if mask.sum() < _EMPTY:
            raise ValueError(f"{name}: number {number} is empty, so that its style has no place")
    if len(masks) == count:
        return masks
    rest = (1 - masks.sum(0, keepdims=True)).clip(0, 1)
    if rest.sum() < _EMPTY:
        raise ValueError(f"{name}: those given leave no place for the last style")
    return np.concatenate([masks, rest])


def complete_mask(mask: Any, *, name: str = "mask") -> Mask:
    """Return the mask of one picture alone, checked.

    Args:
        mask: An array of shape (height, width), from 0 to 1.
        name: What errors call the mask.

    Raises:
        ValueError: It is no such mask, or it is empty.
    """
    mask = _as_array(mask, name)
    if mask.ndim != 2:
        raise ValueError(f"{name}: wanted a shape of (height, width), got {mask.shape}")
    return complete_masks(mask[None], 1, name=name)[0]


def _as_array(masks: Any, name: str) -> Float[np.ndarray, "..."]:
    try:
        return np.asarray(masks, np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name}: wanted an array of numbers from 0 to 1, got {type(masks).__name__}; "
            "nst_jax.stylize and nst_jax.optimize take files and Pillow's pictures"
        ) from error


def check_proportions(masks: Masks, *, height: int, width: int, name: str = "masks") -> None:
    """Raise a ValueError unless masks have a picture's proportions, to 2 %.

    Args:
        masks: Of any size.
        height: The picture's.
        width: The picture's.
        name: What the error calls the masks, and where they are from.
    """
    rows, columns = masks.shape[1:]
    if abs(rows * width / (columns * height) - 1) > _SAME_PROPORTIONS:
        raise ValueError(
            f"{name}: wanted the picture's proportions, {width} to {height}, got {columns} by "
            f"{rows} pixels; make the mask of that picture, uncropped"
        )


def share_out(masks: Masks) -> Masks:
    """Return masks that never sum to more than 1: where they overlap, each gets its share.

    s_r = m_r / max(Σ_q m_q, 1).
    """
    return masks / np.maximum(masks.sum(0), 1)


def resize_masks(masks: Masks, *, height: int, width: int) -> Float[np.ndarray, "regions _ _"]:
    """Return masks resampled to height × width under a triangle, as resizing.resize does pictures.

    Args:
        masks: Of any size.
        height: New height in pixels.
        width: New width in pixels.
    """
    for axis, size in ((1, height), (2, width)):
        masks = _resample(masks, size, axis)
    return masks


def _resample(masks: Masks, size: int, axis: int) -> Float[np.ndarray, "regions _ _"]:
    old = masks.shape[axis]
    if old == size:
        return masks
    reach = max(old / size, 1)  # of the triangle: as wide as the coarser of the two grids
    centres = (np.arange(size) + 0.5) * old / size - 0.5
    first = np.floor(centres - reach).astype(int) + 1
    taps = first[:, None] + np.arange(math.ceil(2 * reach))
    weights = np.maximum(1 - np.abs(taps - centres[:, None]) / reach, 0)
    weights[(taps < 0) | (taps >= old)] = 0
    weights = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    shape = [1, 1, 1]
    shape[axis] = size
    resampled = sum(
        weights[:, tap].reshape(shape) * masks.take(taps[:, tap].clip(0, old - 1), axis)
        for tap in range(taps.shape[1])
    )
    return np.asarray(resampled)
