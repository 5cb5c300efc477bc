"""What load_stylizer answers for networks that paint after any painting: AdaIN's, and Ghiasi's.

They differ in what they keep of a painting: channel moments, or an embedding.
"""

import math
import numbers
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nst_jax.array_types import Image, ImageOfAnySize, check_images, check_picture
from nst_jax.regions.masks import complete_mask, complete_masks
from nst_jax.stylizers.architectures import ARCHITECTURES
from nst_jax.stylizers.painting import BUCKET, MAX_PIXELS, Conditions
from nst_jax.stylizers.stylizer import Stylizer
from nst_jax.stylizers.tiling import MaskedPixels, Pixels, add_masks, cut, round_up

# Of one colour: all deviations are √eps, 0.0032. Grain of one level of 255 makes the largest 0.7.
_FLAT = 0.03


class Style(NamedTuple):
    """A painting as the network knows it: the channel moments of its features in relu4_1."""

    mean: Float[Array, "1 512"]
    deviation: Float[Array, "1 512"]


class Mixture(NamedTuple):
    """All that a picture is painted by, made by AnyStyleStylizer.prepare.

    Attributes:
        mean: Of each region's style.
        deviation: Of each region's style.
        alpha: From 0, the photograph, to 1, the style.
        masks: Where the regions are, from 0 to 1, of any size; None for one region everywhere.
    """

    mean: Float[Array, "1 regions 512"] | Float[np.ndarray, "1 regions 512"]
    deviation: Float[Array, "1 regions 512"] | Float[np.ndarray, "1 regions 512"]
    alpha: Float[np.ndarray, "1 1"]
    masks: Float[np.ndarray, "regions _ _"] | None


class AnyStyleStylizer(Stylizer):
    """A network that paints after paintings it is given, as Huang and Belongie 2017 train it.

    `stylizer(content, style)` paints every picture of content after style: a painting as an array
    of shape (1, height, width, 3), what encode_style made of one, or a sequence of those, which are
    blended, or each painted in its own region. Sizes are free and need not agree; the larger a
    painting, the softer the picture.

    Reference: Huang and Belongie 2017, §7.
    """

    STYLE: ClassVar[Any] = Style
    MIXTURE: ClassVar[Any] = Mixture
    METHOD: ClassVar[str] = "style_moments"
    """The network's method that turns paintings into the arrays of a style."""

    @property
    def style_size(self) -> int:
        """Pixels of the longer side that paintings are best given at."""
        return ARCHITECTURES[self.architecture].style_size

    def __call__(
        self,
        content: Image | Float[np.ndarray, "batch height width 3"],
        style: Any = None,
        *,
        alpha: float = 1.0,
        blend: Sequence[float] | None = None,
        masks: Float[Array, "_ _ _"] | Float[np.ndarray, "_ _ _"] | None = None,
        bucket: int = BUCKET,
        max_pixels: int = MAX_PIXELS,
    ) -> Image:
        """Return the pictures painted, of content's size, in [0, 1].

        Args:
            content: Photographs.
            style: A painting; a sequence of several, which are blended or share the picture; or a
                batch of as many paintings as photographs, (batch, height, width, 3), which are
                paired: each photograph is painted after its own.
            alpha: How much of the style: 0 reconstructs the photographs, 1 paints.
            blend: Weights of several styles in one picture, which are divided by their sum; equal
                ones if None.
            masks: Instead, where each of the styles is painted: (styles, height, width), from 0 to
                1, in the pictures' proportions; with one less the last style gets what is left.
                Where they overlap styles are averaged; what is in none takes no style.
            bucket: Pictures are mirrored to sides that are multiples of so many pixels, and cut
                again: few sizes need few programs.
            max_pixels: How many pixels run at once, which bounds the memory: larger pictures run
                in tiles, larger batches in parts.

        Raises:
            ValueError: style is none, or of a single colour; an argument is out of range, or two
                do not fit together.
        """
        check_images("content", content)
        if hasattr(style, "shape"):
            check_images("style", style)
        if hasattr(style, "shape") and len(style) != 1:
            if len(style) != len(content):
                raise ValueError(
                    f"style: wanted one painting, or one for each of {len(content)} photographs, "
                    f"got {len(style)}; paintings to be blended come as a list"
                )
            if blend is not None or masks is not None:
                raise ValueError(
                    "style: paintings paired with photographs have neither blend nor masks; "
                    "give those to be blended as a list"
                )
            pairs = [self.prepare(style[i : i + 1], alpha=alpha) for i in range(len(style))]
            painted = self.paint_each(
                list(np.asarray(content)), pairs, bucket=bucket, max_pixels=max_pixels
            )
            return jnp.asarray(np.stack(painted))
        prepared = self.prepare(style, alpha=alpha, blend=blend, masks=masks)
        return super().__call__(content, prepared, bucket=bucket, max_pixels=max_pixels)

    def encode_style(
        self,
        painting: ImageOfAnySize | Float[np.ndarray, "_ _ _ 3"],
        *,
        mask: Float[Array, "_ _"] | Float[np.ndarray, "_ _"] | None = None,
    ) -> Any:
        """Return what is needed of a painting, a Style or an Embedding, to be used again and again.

        Args:
            painting: One picture, RGB in [0, 1]. It is mirrored to sides that are multiples of 32
                pixels, so that few sizes need few programs.
            mask: Which part of it counts: (height, width), from 0 to 1, in its proportions; None
                for all of it.

        Raises:
            ValueError: painting is not one picture, a side is under 16 pixels, or the mask is
                empty or does not fit.
        """
        pixels = np.asarray(check_picture("style", painting))[0]
        if min(pixels.shape[:2]) < 16:
            raise ValueError(
                "style: wanted one picture of at least 16 pixels along each side, got shape "
                f"{painting.shape}"
            )
        if mask is not None:
            whole = complete_mask(mask, name="style_masks")[None]
            pixels = add_masks(pixels, whole, name="style_masks")
        height, width = (round_up(side, BUCKET) for side in pixels.shape[:2])
        image = cut(pixels, top=0, left=0, size=(height, width))[None]
        found = _encode(self.network, self.variables, image, self.METHOD)
        return self._as_style(found)

    def prepare(
        self,
        style: Any,
        *,
        alpha: float = 1.0,
        blend: Sequence[float] | None = None,
        masks: Float[Array, "_ _ _"] | Float[np.ndarray, "_ _ _"] | None = None,
    ) -> Any:
        """Return what calling with these arguments paints by, for paint.

        Args:
            style: As for a call.
            alpha: As for a call.
            blend: As for a call.
            masks: As for a call.

        Raises:
            ValueError: As for a call.
        """
        is_number = isinstance(alpha, numbers.Real) or getattr(alpha, "shape", None) == ()
        if not (is_number and 0 <= alpha <= 1):
            raise ValueError(f"alpha: wanted a number from 0 to 1, got {alpha!r}")
        styles = self._styles(style)
        if masks is None:
            return self._blended(styles, _checked_blend(blend, len(styles)), alpha)
        if blend is not None:
            raise ValueError("blend: wanted without masks, which share the picture out")
        return self._shared_out(styles, complete_masks(masks, len(styles)), alpha)

    def mix(self, styles: Sequence[Any], weights: Sequence[float]) -> Any:
        """Return the style between styles, for paint.

        Args:
            styles: Paintings, or what prepare made of them.
            weights: Of each, which are divided by their sum.

        Raises:
            ValueError: One has masks, or there are not as many weights.
        """
        mixtures = [self._mixture(style) for style in styles]
        if any(mixture.masks is not None for mixture in mixtures):
            raise ValueError("styles: wanted without masks where they are mixed")
        shares = _checked_blend(weights, len(mixtures))
        arrays = zip(*(mixture[:-1] for mixture in mixtures), strict=True)
        mixed = [
            (shares.reshape(-1, *[1] * found[0].ndim) * np.stack(found)).sum(0) for found in arrays
        ]
        return self.MIXTURE(*mixed, None)

    def conditions(self, style: Any) -> Conditions:
        """Return the moments and alpha of a Mixture, or of what prepare makes one of."""
        return self._mixture(style)[:3]

    def style_for(self, pixels: Pixels, style: Any) -> Any:
        """Return a Mixture: a painting is encoded once."""
        del pixels
        return self._mixture(style)

    def with_regions(self, pixels: Pixels, style: Any) -> MaskedPixels:
        """Return a picture with a channel for each region of a Mixture that has masks."""
        return add_masks(pixels, self._mixture(style).masks)

    def _as_style(self, found: Any) -> Any:
        """What the network answers of a painting, as a style."""
        return self.STYLE(*found if isinstance(found, tuple) else (found,))

    def _blended(
        self, styles: Sequence[Any], shares: Float[np.ndarray, " styles"], alpha: float
    ) -> Any:
        """A mixture of styles that is painted everywhere.

        AdaIN is affine in the moments: blending them is blending what it answers, eq. (15).
        Predicted scales and biases are affine in the embeddings.
        """
        if len(styles) == 1:  # left on the device, where it may still be in the making
            arrays = [array[:, None] for array in styles[0]]
        else:
            arrays = [
                np.sum(shares[None, :, None] * np.stack(found, axis=1), axis=1, keepdims=True)
                for found in zip(*styles, strict=True)
            ]
        if alpha > 0:
            self._refuse_flat(*arrays)
        return self.MIXTURE(*arrays, np.full((1, 1), alpha, np.float32), None)

    def _shared_out(self, styles: Sequence[Any], masks: Any, alpha: float) -> Any:
        """A mixture of styles of which each has its region."""
        arrays = [np.stack(found, axis=1) for found in zip(*styles, strict=True)]
        if alpha > 0:
            self._refuse_flat(*arrays)
        return self.MIXTURE(*arrays, np.full((1, 1), alpha, np.float32), masks)

    def _refuse_flat(self, mean: Any, deviation: Any) -> None:
        """Refuse what would leave nothing of a photograph."""
        del mean
        refuse_flat(deviation)

    def _mixture(self, style: Any) -> Any:
        return style if isinstance(style, self.MIXTURE) else self.prepare(style)

    def _styles(self, style: Any) -> list[Any]:
        if style is None or (isinstance(style, Sequence) and len(style) == 0):
            raise ValueError(f"style: {self.name} wants a painting to paint after, got none")
        if isinstance(style, str | bytes):
            raise ValueError(
                f"style: wanted a picture, got the text {style[:80]!r}; load_image reads a file"
            )
        if isinstance(style, self.STYLE) or not isinstance(style, Sequence):
            style = [style]
        return [each if isinstance(each, self.STYLE) else self.encode_style(each) for each in style]


def refuse_flat(
    deviation: Float[Array, "1 regions channels"] | Float[np.ndarray, "1 regions channels"],
) -> None:
    """Raise a ValueError where no channel of a region's style varies.

    Args:
        deviation: Of each region's style, by channel.

    Raises:
        ValueError: A region's style is of one colour.
    """
    if float(deviation.max(-1).min()) < _FLAT:
        raise ValueError(
            "style: wanted a painting with some texture, got one of a single colour, which "
            "leaves nothing of the photograph; choose another, or blend it with one"
        )


@partial(jax.jit, static_argnums=(0, 3))
def _encode(network, variables, image, method):
    return network.apply(variables, image, method=method)


def _checked_blend(blend: Sequence[float] | None, count: int) -> Float[np.ndarray, " styles"]:
    try:
        weights = np.ones(count) if blend is None else np.asarray(blend, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"blend: wanted a sequence of {count} weights, got {blend!r}") from error
    if weights.shape != (count,):
        raise ValueError(
            f"blend: wanted {count} weights, one for each style, got shape {weights.shape}"
        )
    total = float(weights.sum())
    if not (math.isfinite(total) and weights.min() >= 0 and total > 0):
        raise ValueError(
            f"blend: wanted weights of 0 or more that are not all 0, got {weights.tolist()}"
        )
    return np.asarray(weights / total, np.float32)
