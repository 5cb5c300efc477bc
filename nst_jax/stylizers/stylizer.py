"""What load_stylizer answers: a trained network that is called with pictures."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import scipy.ndimage
from jaxtyping import Array, Float

from nst_jax.array_types import Image, Params
from nst_jax.masks import complete_masks
from nst_jax.stylizers.model_files import Model
from nst_jax.stylizers.painting import BUCKET, MAX_PIXELS, Conditions, least_pixels, paint
from nst_jax.stylizers.tiling import MaskedPixels, Pixels, add_masks


class Stylizer(ABC):
    """A trained network, ready for pictures of any size.

    `stylizer(content)` or `stylizer(content, style)`, as the subclass says, answers pictures of
    content's size in [0, 1].

    Attributes:
        name: What it was loaded as.
        architecture: "johnson2016", "dumoulin2017" or "huang2017".
        styles: The names of its styles; none where it paints after any painting.
        card: Where the network comes from.
        network: The linen module.
        variables: Its variables.
    """

    def __init__(self, model: Model, *, name: str):
        self._model = model
        self.name = name

    @property
    def architecture(self) -> str:
        """The kind of network, by the paper that it is from."""
        return self._model.architecture

    @property
    def styles(self) -> tuple[str, ...]:
        """The names of the network's styles."""
        return self._model.styles

    @property
    def card(self) -> Mapping[str, Any]:
        """What is known of the network: data, steps, losses, licence."""
        return self._model.card

    @property
    def network(self) -> Any:
        """The linen module."""
        return self._model.network

    @property
    def variables(self) -> Params:
        """The module's variables."""
        return self._model.variables

    def __call__(
        self,
        content: Image | Float[np.ndarray, "batch height width 3"],
        style: Any = None,
        *,
        bucket: int = BUCKET,
        max_pixels: int = MAX_PIXELS,
    ) -> Image:
        """Return the pictures painted.

        Args:
            content: Photographs.
            style: As the subclass says; the same for all of them.
            bucket: Pictures are mirrored to sides that are multiples of so many pixels, and cut
                again: few sizes need few programs.
            max_pixels: How many pixels run at once, which bounds the memory: larger pictures run
                in tiles, larger batches in parts.

        Raises:
            ValueError: There is no such style, or bucket or max_pixels is out of range.
        """
        pictures = list(np.asarray(content))
        painted = self.paint(pictures, style, bucket=bucket, max_pixels=max_pixels)
        return jnp.asarray(np.stack(painted))

    def paint(
        self,
        pictures: Sequence[Pixels],
        style: Any = None,
        *,
        bucket: int = BUCKET,
        max_pixels: int = MAX_PIXELS,
    ) -> list[Pixels]:
        """Return what calling returns, for pictures on the host whose sizes differ a little.

        Args:
            pictures: Of one size, once their sides are enlarged to multiples of bucket.
            style: As the subclass says.
            bucket: As for a call.
            max_pixels: As for a call.

        Raises:
            ValueError: As for a call, or the sizes differ by more.
        """
        return self.paint_each(
            pictures, [style] * len(pictures), bucket=bucket, max_pixels=max_pixels
        )

    def paint_each(
        self,
        pictures: Sequence[Pixels],
        styles: Sequence[Any],
        *,
        bucket: int = BUCKET,
        max_pixels: int = MAX_PIXELS,
    ) -> list[Pixels]:
        """Return what paint returns, with a style for each picture.

        Args:
            pictures: As for paint.
            styles: As many, each as the subclass says.
            bucket: As for a call.
            max_pixels: As for a call.

        Raises:
            ValueError: As for paint.
        """
        masked = [
            self.with_regions(pixels, style) for pixels, style in zip(pictures, styles, strict=True)
        ]
        conditions = [self.conditions(style) for style in styles]
        return paint(self._model, masked, conditions, bucket=bucket, max_pixels=max_pixels)

    @property
    def least_pixels(self) -> int:
        """The least that max_pixels may be."""
        return least_pixels(self._model)

    def with_regions(self, pixels: Pixels, style: Any) -> MaskedPixels:
        """Return what the network is given of a picture: the picture, where it has no regions."""
        del style
        return pixels

    @abstractmethod
    def conditions(self, style: Any) -> Conditions:
        """Return what a style is for the network: its arguments besides a batch of one picture.

        Raises:
            ValueError: There is no such style.
        """


MEDIAN_FILTER = 3
"""Pixels: the side of the median filter of networks of one style, as in the authors' code."""


class OneStyleStylizer(Stylizer):
    """A network of one style, as Johnson et al. 2016 train them: called with pictures only.

    What it paints passes a median filter, channel by channel, as in the authors' code: transposed
    convolutions leave a fine grid on flat ground.

    Attributes:
        median_filter: The side of the filter's square in pixels; 1 is none.
    """

    def __init__(self, model: Model, *, name: str, median_filter: int = MEDIAN_FILTER):
        super().__init__(model, name=name)
        if median_filter not in (1, 3, 5):
            raise ValueError(f"median_filter: wanted 1 (none), 3 or 5 pixels, got {median_filter}")
        self.median_filter = median_filter

    def paint_each(
        self,
        pictures: Sequence[Pixels],
        styles: Sequence[Any],
        *,
        bucket: int = BUCKET,
        max_pixels: int = MAX_PIXELS,
    ) -> list[Pixels]:
        """Return what paint returns, whose style is None for each picture."""
        painted = super().paint_each(pictures, styles, bucket=bucket, max_pixels=max_pixels)
        if self.median_filter == 1:
            return painted
        size = (self.median_filter, self.median_filter, 1)
        return [scipy.ndimage.median_filter(pixels, size, mode="mirror") for pixels in painted]

    def conditions(self, style: Any) -> Conditions:
        """Return nothing, for None."""
        if style is not None:
            raise ValueError(
                f"style: {self.name} has the one style {self.styles[0]!r} and takes none, "
                f"got {style!r}; leave it out"
            )
        return ()


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
                f"style: wanted a sequence of styles, one for each mask, got {styles!r}"
            )
        masks = complete_masks(masks, len(styles))
        return StyleRegions(np.stack([self._shares(style) for style in styles]), masks)

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
        weights = np.asarray(style, np.float64)
        if weights.shape != (count,):
            raise ValueError(
                f"style: wanted {count} weights, one for each of {', '.join(self.styles)}, "
                f"got shape {weights.shape}"
            )
        return weights
