"""Networks of several styles, mixed or each in its own region."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nst_jax.array_types import Image
from nst_jax.regions.masks import complete_masks
from nst_jax.stylizers.painting import BUCKET, MAX_PIXELS, Conditions
from nst_jax.stylizers.stylizer import Stylizer
from nst_jax.stylizers.tiling import MaskedPixels, Pixels, add_masks


class StyleRegions(NamedTuple):
    """What a picture with regions is painted by, made by ManyStylesStylizer.prepare.

    Attributes:
        weights: Each region's, over the styles, which sum to 1.
        masks: Where the regions are, from 0 to 1, of any size.
    """

    weights: Float[np.ndarray, "regions styles"]
    masks: Float[np.ndarray, "regions _ _"]


class ManyStylesStylizer(Stylizer):
    """A network of several styles, as Dumoulin et al. 2017 train them.

    A style is a name among styles, its number counted from 0, or a mixture: a mapping from names to
    weights, or one weight for each of styles. Weights are divided by their sum. With masks there is
    a sequence of those, each painted in its own region.
    """

    def __call__(
        self,
        content: Image | Float[np.ndarray, "batch height width 3"],
        style: Any = None,
        *,
        masks: Float[Array, "_ _ _"] | Float[np.ndarray, "_ _ _"] | None = None,
        bucket: int = BUCKET,
        max_pixels: int = MAX_PIXELS,
    ) -> Image:
        """Return the pictures painted, of content's size, in [0, 1].

        Args:
            content: Photographs.
            style: A style; or with masks a sequence of them, one for each region.
            masks: Where each of the styles is painted: (styles, height, width), from 0 to 1, in the
                pictures' proportions; with one less the last style gets what is left. Where they
                overlap styles are mixed; what is in none stays as it is.
            bucket: Pictures are mirrored to sides that are multiples of so many pixels, and cut
                again: few sizes need few programs.
            max_pixels: How many pixels run at once, which bounds the memory: larger pictures run
                in tiles, larger batches in parts.

        Raises:
            ValueError: There is no such style, the masks do not fit, or bucket or max_pixels is out
                of range.
        """
        prepared = style if masks is None else self.prepare(style, masks=masks)
        return super().__call__(content, prepared, bucket=bucket, max_pixels=max_pixels)

    def prepare(
        self,
        styles: Sequence[Any],
        *,
        masks: Float[Array, "_ _ _"] | Float[np.ndarray, "_ _ _"],
    ) -> StyleRegions:
        """Return what calling with masks paints by, for paint.

        Args:
            styles: As for a call with masks.
            masks: As for a call.

        Raises:
            ValueError: As for a call.
        """
        if isinstance(styles, str) or not isinstance(styles, Sequence):
            raise ValueError(
                "style: wanted a sequence of styles, one for each mask, got "
                f"{type(styles).__name__}"
            )
        masks = complete_masks(masks, len(styles))
        return StyleRegions(np.stack([self._shares(style) for style in styles]), masks)

    def mix(self, styles: Sequence[Any], weights: Sequence[float]) -> Float[np.ndarray, " styles"]:
        """Return the style between styles: one weight for each of the network's.

        Args:
            styles: As for a call.
            weights: Of each, which are divided by their sum.

        Raises:
            ValueError: There is no such style, or there are not as many weights.
        """
        if len(styles) != len(weights):
            raise ValueError(f"weights: wanted {len(styles)}, one a style, got {len(weights)}")
        return np.average([self._shares(style) for style in styles], axis=0, weights=weights)

    def conditions(self, style: Any) -> Conditions:
        """Return the styles' weights, which sum to 1: a row, or of StyleRegions one for each."""
        shares = style.weights if isinstance(style, StyleRegions) else self._shares(style)
        return (jnp.asarray(shares[None], jnp.float32),)

    def with_regions(self, pixels: Pixels, style: Any) -> MaskedPixels:
        """Return a picture with a channel for each region of StyleRegions."""
        return add_masks(pixels, style.masks if isinstance(style, StyleRegions) else None)

    def _shares(self, style: Any) -> Float[np.ndarray, " styles"]:
        weights = self._weights(style)
        total = float(weights.sum())
        if not (np.isfinite(weights).all() and weights.min() >= 0 and total > 0):
            raise ValueError(
                f"style: wanted weights of 0 or more that are not all 0, got {weights.tolist()}"
            )
        return weights / total

    def _weights(self, style: Any) -> Float[np.ndarray, " styles"]:
        count = len(self.styles)
        if style is None:
            raise ValueError(f"style: wanted one of {', '.join(self.styles)}, got none")
        if isinstance(style, str):
            style = {style: 1.0}
        if isinstance(style, int | np.integer):
            if not 0 <= style < count:
                raise ValueError(f"style: wanted a number from 0 to {count - 1}, got {style}")
            return np.eye(count)[style]
        if isinstance(style, Mapping):
            unknown = [name for name in style if name not in self.styles]
            if unknown:
                raise ValueError(
                    f"style: wanted one of {', '.join(self.styles)}, got {unknown[0]!r}"
                )
            return np.array([float(style.get(name, 0)) for name in self.styles])
        try:
            weights = np.asarray(style, np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"style: wanted a name, a number or weights of {', '.join(self.styles)}, got "
                f"{type(style).__name__}"
            ) from error
        if weights.shape != (count,):
            raise ValueError(
                f"style: wanted {count} weights, one for each of {', '.join(self.styles)}, "
                f"got shape {weights.shape}"
            )
        return weights
