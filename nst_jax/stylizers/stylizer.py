"""What load_stylizer answers: a trained network that is called with pictures."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nst_jax.array_types import Image, Params, check_images, check_pixels
from nst_jax.stylizers.clip_statistics import pool_over_frames
from nst_jax.stylizers.exact_statistics import can_measure, exact_statistics
from nst_jax.stylizers.model_files import Model
from nst_jax.stylizers.painting import (
    BUCKET,
    MAX_PIXELS,
    Conditions,
    FindStatistics,
    Statistics,
    check_max_pixels,
    fit_size,
    least_pixels,
    paint,
    require_room,
)
from nst_jax.stylizers.tiling import MaskedPixels, Pixels


class Stylizer(ABC):
    """A trained network, ready for pictures of any size.

    `stylizer(content)` or `stylizer(content, style)`, as the subclass says, answers pictures of
    content's size in [0, 1].

    Attributes:
        name: What it was loaded as.
        architecture: A name in stylizers.architectures.ARCHITECTURES, such as "huang2017".
        styles: The names of its styles; none where it paints after any painting.
        card: Where the network comes from.
        network: The linen module.
        variables: Its variables.
    """

    def __init__(self, model: Model, *, name: str):
        self._model = model
        self.name = name
        self._measure: FindStatistics | None = None

    @property
    def architecture(self) -> str:
        """The kind of network, by the paper that it is from."""
        return self._model.architecture

    @property
    def model(self) -> Model:
        """The network with all that its file tells."""
        return self._model

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
            ValueError: content is no batch of pictures, there is no such style, or bucket or
                max_pixels is out of range.
        """
        check_images("content", content)
        pictures = list(np.asarray(content))
        painted = self.paint(pictures, style, bucket=bucket, max_pixels=max_pixels)
        return jnp.asarray(np.stack(painted))

    def apply(self, variables: Params, images: Image, *style: Any) -> Image:
        """Return the pictures painted, as a pure function of arrays: for jit, grad and vmap.

        `jax.jit(stylizer.apply)(stylizer.variables, images, *stylizer.conditions(style))` answers
        what `stylizer(images, style)` does, without what that does on the host: pictures are not
        mirrored to fit, cut into tiles or filtered afterwards.

        Args:
            variables: The network's, such as stylizer.variables.
            images: RGB in [0, 1]; sides are multiples of 4, of 8 for a decoder of VGG features.
            *style: What conditions returns of a style: for one picture, which then serves the
                whole batch, or for each of them.

        Raises:
            ValueError: The network cannot take images of this size, or such a style.

        Returns:
            Pictures in [0, 1]. stylizer.network.apply leaves out the clipping.
        """
        check_images("images", images)
        batch = images.shape[0]
        each = jax.tree.map(lambda array: jnp.broadcast_to(array, (batch, *array.shape[1:])), style)
        return self.network.apply(variables, images, *each).clip(0, 1)

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
            ValueError: As for a call, there is no picture, or the sizes differ by more.
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
        if len(pictures) == 0 or len(pictures) != len(styles):
            raise ValueError(
                f"pictures: wanted at least one, and a style for each, got {len(pictures)} "
                f"with {len(styles)} styles"
            )
        pictures = [check_pixels("pictures", pixels) for pixels in pictures]
        own = [self.style_for(*pair) for pair in zip(pictures, styles, strict=True)]
        masked = [self.with_regions(*pair) for pair in zip(pictures, own, strict=True)]
        conditions = [self.conditions(style) for style in own]
        return paint(
            self._model,
            masked,
            conditions,
            bucket=bucket,
            max_pixels=max_pixels,
            measure=self._measure,
        )

    def pool_statistics(
        self, frames: Sequence[Pixels], style: Any, *, max_pixels: int = MAX_PIXELS
    ) -> Statistics | None:
        """Return the statistics of frames of a clip together, for with_statistics.

        None where the network normalises by no statistics of pictures. See
        clip_statistics.pool_over_frames.

        Args:
            frames: Of one size, one at least.
            style: As the subclass says.
            max_pixels: As for a call.

        Raises:
            ValueError: There is no such style.
        """
        own = [self.style_for(frame, style) for frame in frames]
        masked = [self.with_regions(*pair) for pair in zip(frames, own, strict=True)]
        conditions = self.conditions(own[0])
        return pool_over_frames(self._model, masked, conditions, max_pixels=max_pixels)

    def with_statistics(self, statistics: Statistics) -> "Stylizer":
        """Return a stylizer whose instance normalisations use these in place of each picture's own.

        Args:
            statistics: From pool_statistics.
        """
        other = copy.copy(self)
        variables = {**self.variables, "given_statistics": statistics}
        other._model = self._model._replace(variables=variables)
        return other

    def with_exact_statistics(self) -> "Stylizer":
        """Return a stylizer whose tiles of a large picture are normalised by exact statistics.

        Otherwise networks with several instance normalisations estimate them from reduced copies.
        Painting then takes about half as many times longer as there are normalisations. A network
        whose tiles agree in any case is returned as it is.

        Raises:
            ValueError: The network's statistics cannot be measured tile by tile.
        """
        if not can_measure(self._model):
            return self
        other = copy.copy(self)
        other._measure = exact_statistics
        return other

    @property
    def least_pixels(self) -> int:
        """The least that max_pixels may be."""
        return least_pixels(self._model)

    def check_max_pixels(self, max_pixels: int) -> None:
        """Raise a ValueError for a number of pixels that run at once of which no tile can be made.

        Args:
            max_pixels: The number.

        Raises:
            ValueError: It is less than least_pixels.
        """
        check_max_pixels(self._model, max_pixels)

    def check_size(self, pixels: Pixels, *, max_pixels: int) -> None:
        """Raise a ValueError for a picture that is too large for the network.

        Args:
            pixels: The picture.
            max_pixels: How many pixels run at once.

        Raises:
            ValueError: It runs in one piece only, and has more.
        """
        require_room(self._model, *fit_size(*pixels.shape[:2]), max_pixels=max_pixels)

    def style_for(self, pixels: Pixels, style: Any) -> Any:
        """Return a style as it is for one picture: what with_regions and conditions are given."""
        del pixels
        return style

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
