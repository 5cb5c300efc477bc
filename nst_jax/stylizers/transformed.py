"""What load_stylizer answers where features are transformed in another way than AdaIN's."""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nst_jax.networks.feature_styles import STYLES, FeatureStyle
from nst_jax.networks.feature_styles import Transform as Transform
from nst_jax.regions.masks import Masks
from nst_jax.stylizers.any_style import AnyStyleStylizer, refuse_flat
from nst_jax.stylizers.painting import BUCKET, MAX_PIXELS, Conditions
from nst_jax.stylizers.tiling import Pixels


class FeatureMixture(NamedTuple):
    """All that a picture is painted by, made by FeatureTransformStylizer.prepare.

    Attributes:
        styles: One, or several that are blended or have a region each.
        amounts: How much of each: alpha, or of a blend its shares of alpha.
        masks: Where the regions are, from 0 to 1, of any size; None where styles are everywhere.
    """

    styles: tuple[FeatureStyle, ...]
    amounts: Float[Array, "1 regions"]
    masks: Float[np.ndarray, "regions _ _"] | None


class FeatureTransformStylizer(AnyStyleStylizer):
    """AdaIN's network with another transform of features, for which it was not trained.

    `load_stylizer("huang2017", transform=...)`; it is called as AnyStyleStylizer is.

    - "efdm" gives each channel the painting's whole distribution, not its mean and deviation alone.
      Pictures are much like AdaIN's.
    - "wct" gives the channels the painting's covariance too. Colours are the painting's throughout.
    - "decorator" puts the picture together from the painting's patches of 5 × 5 positions, which
      are 40 pixels wide: the boldest, with the painting's own strokes, and the photograph's small
      things are lost. Alpha 0.6 to 0.8 brings them back.

    Pictures run in one piece: with more pixels than max_pixels they are refused. A blend is the
    mean of what its styles make of the features.

    Reference: Zhang et al. 2022 (EFDM), Li et al. 2017 (WCT), Sheng et al. 2018 (Avatar-Net).
    """

    STYLE: ClassVar[Any] = tuple(STYLES.values())
    MIXTURE: ClassVar[Any] = FeatureMixture
    METHOD: ClassVar[str] = "encode_style"

    @property
    def transform(self) -> Transform:
        """Which it is."""
        return self.network.transform

    def paint_each(
        self,
        pictures: Sequence[Pixels],
        styles: Sequence[Any],
        *,
        bucket: int = BUCKET,
        max_pixels: int = MAX_PIXELS,
    ) -> list[Pixels]:
        """Return what paint returns, with a style for each picture; see Stylizer.

        Those whose mixtures have different shapes, such as patches of paintings of different sizes,
        do not run in one batch.

        Args:
            pictures: As for paint.
            styles: As many, each as for a call.
            bucket: As for a call.
            max_pixels: As for a call.

        Raises:
            ValueError: As for paint.
        """
        mixtures = [self._mixture(style) for style in styles]
        shapes = {str(jax.tree.map(jnp.shape, self.conditions(mixture))) for mixture in mixtures}
        pairs = list(zip(pictures, mixtures, strict=True))
        batches = [pairs] if len(shapes) == 1 else [[pair] for pair in pairs]
        paint_batch = super().paint_each
        return [
            painted
            for batch in batches
            for painted in paint_batch(
                *map(list, zip(*batch, strict=True)), bucket=bucket, max_pixels=max_pixels
            )
        ]

    def conditions(self, style: Any) -> Conditions:
        """Return the styles and amounts of a FeatureMixture, or of what prepare makes one of."""
        return self._mixture(style)[:2]

    def _as_style(self, found: FeatureStyle) -> FeatureStyle:
        return found

    def _styles(self, style: Any) -> list[FeatureStyle]:
        styles, wanted = super()._styles(style), STYLES[self.transform]
        for each in styles:
            if not isinstance(each, wanted):
                raise ValueError(
                    f"style: wanted what encode_style of transform {self.transform!r} returns, got "
                    f"a {type(each).__name__}"
                )
        return styles

    def _blended(
        self, styles: Sequence[FeatureStyle], shares: Float[np.ndarray, " styles"], alpha: float
    ) -> FeatureMixture:
        if alpha > 0:
            refuse_flat(jnp.sum(shares[None, :, None] * _deviations(styles), 1, keepdims=True))
        return FeatureMixture(tuple(styles), jnp.asarray(np.float32(alpha) * shares[None]), None)

    def _shared_out(
        self, styles: Sequence[FeatureStyle], masks: Masks, alpha: float
    ) -> FeatureMixture:
        if alpha > 0:
            refuse_flat(_deviations(styles))
        amounts = jnp.full((1, len(styles)), alpha, jnp.float32)
        return FeatureMixture(tuple(styles), amounts, masks)


def _deviations(styles: Sequence[FeatureStyle]) -> Float[Array, "1 styles channels"]:
    return jnp.stack([style.deviation for style in styles], axis=1)
