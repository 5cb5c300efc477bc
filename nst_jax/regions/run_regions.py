"""Regions of a picture and of its styles, as a run has them at each of its sizes.

What masks must be is in masks.py, how they reach an encoder's layers in guidance.py; here the two
meet, once for all that optimise pixels.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from nst_jax.encoders.vgg import VGG
from nst_jax.regions import guidance
from nst_jax.regions.guidance import Guides, LayerMasks, MaskMode
from nst_jax.regions.masks import (
    Mask,
    Masks,
    check_proportions,
    complete_mask,
    complete_masks,
    resize_masks,
    share_out,
)

Size = tuple[int, int]
"""Height and width in pixels."""


class Regions(NamedTuple):
    """Where each style goes in a picture, and from where in each style it is taken.

    Attributes:
        content: One mask for each style; None where all styles are blended everywhere.
        styles: Each style's mask, in the style; None where all of it counts.
        mode: How masks reach the layers.
        growth: By how many units they grow there.
    """

    content: Float[np.ndarray, "_ _ _"] | None
    styles: tuple[Float[np.ndarray, "_ _"] | None, ...]
    mode: MaskMode
    growth: int

    def digest(self) -> bytes:
        """Return what tells these masks from others; nothing where there are none."""
        found = hashlib.sha256()
        given = [(i, m) for i, m in enumerate((self.content, *self.styles)) if m is not None]
        for place, mask in given:
            found.update(f"{place} {mask.shape}".encode())
            found.update(np.ascontiguousarray(mask).tobytes())
        return found.digest() if given else b""

    def guides_at(
        self, size: Size, style_sizes: Sequence[Size], encoder: VGG, layers: Sequence[str]
    ) -> Guides:
        """Return the guidance channels for a picture and styles of these sizes.

        Args:
            size: The picture's.
            style_sizes: The styles'.
            encoder: What sees them.
            layers: The layers to be guided.

        Raises:
            ValueError: A style that is blended with others has no unit in a layer.
        """

        def propagate(masks: Masks, size: Size) -> LayerMasks:
            height, width = size
            scaled = resize_masks(share_out(masks), height=height, width=width)
            return guidance.propagate_masks(
                scaled, encoder, layers, mode=self.mode, growth=self.growth
            )

        of_styles = [
            None if mask is None else propagate(mask[None], style_size)
            for mask, style_size in zip(self.styles, style_sizes, strict=True)
        ]
        if self.content is not None:
            content = propagate(self.content, size)
        else:  # the styles are blended, each of them everywhere
            content = {layer: np.ones((len(of_styles), 1, 1), np.float32) for layer in layers}
        guides = guidance.make_guides(content, of_styles, layers)
        if self.content is None and guides.skipped:
            layer, number = guides.skipped[0]
            raise ValueError(
                f"style_masks: number {number + 1} holds no whole unit of {layer}; take the "
                "mask_mode simple or all, or a larger region"
            )
        return guides

    def describe(self, guides: Mapping[Size, Guides]) -> dict[str, Any]:
        """Return what a record says of masks, numbered from 1, and of the guides made of them."""
        return {
            "mode": self.mode,
            "growth": self.growth,
            "regions": None if self.content is None else _shares(self.content),
            "style_regions": [None if mask is None else _shares(mask)[0] for mask in self.styles],
            "skipped": [
                {"size": list(size), "layer": layer, "region": region + 1}
                for size, made in guides.items()
                for layer, region in made.skipped
            ],
        }


def check_regions(
    masks: Any,
    style_masks: Sequence[Any] | None,
    *,
    size: Size,
    style_sizes: Sequence[Size],
    mode: MaskMode,
    growth: int,
) -> Regions | None:
    """Return the regions that masks make of pictures of these sizes, or None without any mask.

    Args:
        masks: One for each style, or one less, or None; see masks.complete_masks.
        style_masks: One for each style, or None in its place; or None for none at all.
        size: The content image's.
        style_sizes: The styles'.
        mode: As for Regions.
        growth: As for Regions.

    Raises:
        ValueError: They are no such masks, or of other proportions.
    """
    count = len(style_sizes)
    if masks is not None:
        masks = complete_masks(masks, count)
        check_proportions(masks, height=size[0], width=size[1])
    style_masks = (None,) * count if style_masks is None else tuple(style_masks)
    if len(style_masks) != count:
        raise ValueError(
            f"style_masks: wanted {count}, one for each style (None for all of it), "
            f"got {len(style_masks)}"
        )
    checked = []
    for mask, (height, width) in zip(style_masks, style_sizes, strict=True):
        if mask is not None:
            mask = complete_mask(mask, name="style_masks")
            check_proportions(mask[None], height=height, width=width, name="style_masks")
        checked.append(mask)
    if masks is None and all(mask is None for mask in checked):
        return None
    return Regions(masks, tuple(checked), mode, growth)


def check_presence(guides: Guides, layers: Sequence[str]) -> None:
    """Raise a ValueError where a region has no unit in any of the layers.

    Args:
        guides: Of the final size.
        layers: The guided layers.
    """
    for region in {region for _, region in guides.skipped}:
        if {layer for layer, at in guides.skipped if at == region} >= set(layers):
            raise ValueError(
                f"masks: number {region + 1}, or its style's, holds no whole unit of any style "
                "layer; take the mask_mode simple or all, or a larger region"
            )


def _shares(masks: Masks | Mask) -> list[float]:
    """How much of a picture each mask covers."""
    masks = masks.reshape(-1, *masks.shape[-2:])
    return [round(float(share), 4) for share in masks.mean((1, 2), dtype=np.float64)]
