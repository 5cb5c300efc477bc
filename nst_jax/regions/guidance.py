"""Guidance: how masks of a picture reach the layers of an encoder (Gatys et al. 2017).

A layer's unit sees a square of the picture, its receptive field, of 132 pixels in VGG-16's relu5_1
and 156 in VGG-19's. A style's guidance channel says which units it is to change:

| mode | a unit belongs to a region by | so that |
|---|---|---|
| simple | the mask, resampled to the layer | the whole picture is painted; styles mix at edges |
| all | the largest value of the mask that it sees | every unit at an edge is painted by both |
| inside | the smallest value of the mask that it sees | nothing of a region leaks out of it |

Differs: the authors find what a unit sees by probing the network with noise inside and outside the
region, and threshold at 0.5. Here it follows from the network's geometry, by letting the mask grow
as the receptive fields do through each convolution and pooling. For masks of 0 and 1 that is the
same, and exact; soft edges stay soft. Padding is no part of the picture and counts for neither.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from nst_jax.encoders import vgg
from nst_jax.encoders.vgg import VGG
from nst_jax.regions.masks import Masks, resize_masks

MaskMode = Literal["simple", "all", "inside"]

LayerMasks = dict[str, Float[np.ndarray, "_ _ _"]]
"""Layer name to each region's mask there."""

_EMPTY = 1e-3  # of one unit


class Guides(NamedTuple):
    """The guidance channels of a picture and of its styles, by layer; each has Σ T² = 1, or is 0.

    Attributes:
        content: One channel for each region, (1, height, width, regions).
        styles: Of each style its own region's, (1, height, width, 1); None for one taken whole.
        skipped: Pairs of a layer and of a region, counted from 0, that has no unit there, in the
            picture or in its style. These channels are 0 on both sides and count nothing.
    """

    content: Mapping[str, Float[np.ndarray, "1 _ _ _"]]
    styles: tuple[Mapping[str, Float[np.ndarray, "1 _ _ 1"]] | None, ...]
    skipped: tuple[tuple[str, int], ...]


def propagate_masks(
    masks: Masks, encoder: VGG, layers: Sequence[str], *, mode: MaskMode, growth: int = 0
) -> LayerMasks:
    """Return the masks as the layers of an encoder have them.

    Args:
        masks: Of the size of the picture that the encoder sees.
        encoder: Its layers and the rounding of its pooling count.
        layers: Names of layers.
        mode: See the module.
        growth: k, by how many of a layer's units masks are dilated there, or eroded if negative:
            to the largest, or smallest, value in a box of (2 |k| + 1)².

    Raises:
        ValueError: There is no such layer.

    Reference: Gatys et al. 2017, §4; the authors' SpatialControl.ipynb.
    """
    vgg.check_layers(layers, encoder.architecture)
    if mode == "all":
        found = _seen(masks, encoder, layers)
    elif mode == "inside":
        found = {layer: 1 - seen for layer, seen in _seen(1 - masks, encoder, layers).items()}
    else:
        # Of no masks, since their sizes alone are wanted.
        seen = _seen(masks[:0], encoder, layers)
        sizes = {layer: of_none.shape[1:] for layer, of_none in seen.items()}
        found = {
            layer: resize_masks(masks, height=height, width=width)
            for layer, (height, width) in sizes.items()
        }
    return {layer: _grown(mask, growth) for layer, mask in found.items()}


def make_guides(
    content: LayerMasks, styles: Sequence[LayerMasks | None], layers: Sequence[str]
) -> Guides:
    """Return the guidance channels that masks, as layers have them, come to.

    T = m / √(Σ m²), over a layer's positions.

    Args:
        content: Of the picture's regions, from propagate_masks.
        styles: Of each region's style, with one mask; None for one taken whole.
        layers: Names of layers that all of these have.

    Reference: Gatys et al. 2017, §4. That regions without a unit are left out is the authors' code.
    """
    skipped = []
    for layer in layers:
        for region, mask in enumerate(content[layer]):
            of_style = styles[region]
            if mask.sum() < _EMPTY or (of_style is not None and of_style[layer].sum() < _EMPTY):
                skipped.append((layer, region))
    return Guides(
        {layer: _channels(content[layer], layer, skipped, range(len(styles))) for layer in layers},
        tuple(
            None
            if masks is None
            else {layer: _channels(masks[layer], layer, skipped, [region]) for layer in layers}
            for region, masks in enumerate(styles)
        ),
        tuple(skipped),
    )


def _channels(
    masks: Masks, layer: str, skipped: Sequence[tuple[str, int]], regions: Sequence[int]
) -> Float[np.ndarray, "1 height width regions"]:
    lengths = np.sqrt(np.square(masks, dtype=np.float64).sum((1, 2)))
    kept = np.array([(layer, region) not in skipped for region in regions])
    scale = np.where(kept, 1 / np.maximum(lengths, _EMPTY), 0)
    return np.moveaxis(masks * scale[:, None, None], 0, -1)[None].astype(np.float32)


def _seen(masks: Masks, encoder: VGG, layers: Sequence[str]) -> LayerMasks:
    """The largest value that each unit sees of masks from 0 to 1; beyond the picture it is 0."""
    found = {}
    for name in vgg.layer_names(encoder.architecture):
        if name.startswith("conv"):
            masks = _largest_in_box(masks, 1)
        elif name.startswith("pool"):
            masks = _largest_of_four(masks, ceil_mode=encoder.ceil_mode)
        if name in layers:
            found[name] = masks
        if len(found) == len(set(layers)):
            break
    return found


def _grown(masks: Masks, growth: int) -> Masks:
    if growth >= 0:
        return _largest_in_box(masks, growth)
    return 1 - _largest_in_box(1 - masks, -growth)


def _largest_in_box(masks: Masks, radius: int) -> Masks:
    padded = np.pad(masks, ((0, 0), (radius, radius), (radius, radius)))
    for axis in (1, 2):
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * radius + 1, axis)
        padded = windows.max(-1)
    return padded


def _largest_of_four(masks: Masks, *, ceil_mode: bool) -> Float[np.ndarray, "regions _ _"]:
    _, height, width = masks.shape
    if ceil_mode:
        masks = np.pad(masks, ((0, 0), (0, height % 2), (0, width % 2)))
    regions, height, width = masks.shape
    even = masks[:, : height // 2 * 2, : width // 2 * 2]
    return even.reshape(regions, height // 2, 2, width // 2, 2).max((2, 4))
