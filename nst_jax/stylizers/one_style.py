"""Networks of one style."""

from collections.abc import Sequence
from typing import Any

from nst_jax.stylizers.architectures import ARCHITECTURES
from nst_jax.stylizers.model_files import Model
from nst_jax.stylizers.painting import BUCKET, MAX_PIXELS, Conditions
from nst_jax.stylizers.stylizer import Stylizer
from nst_jax.stylizers.tiling import Pixels


class OneStyleStylizer(Stylizer):
    """A network of one style, as Johnson et al. 2016 train them: called with pictures only.

    What Johnson's networks paint passes a median filter, channel by channel, as in the authors'
    code: transposed convolutions leave a fine grid on flat ground.

    Attributes:
        median_filter: The side of the filter's square in pixels; 1 is none.
    """

    def __init__(self, model: Model, *, name: str, median_filter: int | None = None):
        super().__init__(model, name=name)
        if median_filter is None:
            median_filter = ARCHITECTURES[model.architecture].median_filter
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
        import scipy.ndimage  # here: it takes long to load and only this filter needs it

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
