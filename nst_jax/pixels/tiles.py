"""The objective and its gradient tile by tile, exact, in memory that depends on the tile alone.

Gram matrices, content losses and total variations are sums over positions, so a first pass over
tiles adds them up. Their derivatives are small, and make the objective a sum over tiles: a second
pass takes the gradient of each tile. A tile is computed with a margin as wide as the network's
reach, so that what counts of it is what the whole picture has there (encoders/windows.py).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nst_jax.array_types import ImageOfAnySize, Params, Scalar
from nst_jax.encoders.vgg import VGG, channels_of
from nst_jax.encoders.windows import encode_part, reach_of, stride_of
from nst_jax.losses import sums
from nst_jax.losses.perceptual import Targets, Terms, Weights
from nst_jax.losses.styles import StyleLoss
from nst_jax.losses.sums import Size, Sums, positions

NewArray = Callable[[tuple[int, ...]], Float[np.ndarray, "..."]]
"""Returns an array of float32 zeros on the host, in memory or on a disk."""

Pixels = Float[np.ndarray, "1 _ _ 3"]
"""A picture on the host."""

HostFeatures = Mapping[str, Any]
"""Layer name to feature map, (1, height, width, channels), on the host."""


def zeros_in_memory(shape: tuple[int, ...]) -> Float[np.ndarray, "..."]:
    """Return float32 zeros in memory: the NewArray that is used without another one."""
    return np.zeros(shape, np.float32)


class Grid(NamedTuple):
    """Equal tiles that cover a picture.

    Attributes:
        size: The picture's height and width, in pixels.
        counts: How many tiles lie along each axis.
        sides: The sides of what counts of each.
        margins: Pixels around that, along each axis; 0 along an axis that one tile covers.
    """

    size: Size
    counts: tuple[int, int]
    sides: tuple[int, int]
    margins: tuple[int, int]

    @property
    def own(self) -> tuple[slice, slice]:
        """What counts of a tile with its margins."""
        rows, columns = (
            slice(margin, margin + side)
            for margin, side in zip(self.margins, self.sides, strict=True)
        )
        return rows, columns

    def corners(self) -> Iterator[tuple[int, int]]:
        """Yield where what counts of each tile begins."""
        for row in range(self.counts[0]):
            for column in range(self.counts[1]):
                yield row * self.sides[0], column * self.sides[1]


def plan_grid(size: Size, *, tile: int, stride: int, reach: int) -> Grid:
    """Return tiles of at most so many pixels a side, all of one size.

    Args:
        size: The picture's height and width.
        tile: The longest side of what counts of a tile; rounded down to a multiple of stride, but
            to one at least.
        stride: What sides and margins are multiples of.
        reach: How far what counts of a tile depends on pixels around it.
    """
    most = max(tile // stride, 1) * stride
    margin = -(-max(reach, 1) // stride) * stride
    counts = -(-size[0] // most), -(-size[1] // most)
    sides = tuple(
        -(-side // (count * stride)) * stride for side, count in zip(size, counts, strict=True)
    )
    margins = tuple(0 if count == 1 else margin for count in counts)
    return Grid(size, counts, (sides[0], sides[1]), (margins[0], margins[1]))


class TiledObjective:
    """The perceptual objective of one VGG and a style loss of Gram matrices, tile by tile."""

    def __init__(self, encoder: VGG, *, loss: StyleLoss, tv_loss: str, tile: int) -> None:
        """Prepare what is compiled.

        Args:
            encoder: From windows.require_vgg.
            loss: From sums.require_sums.
            tv_loss: A name in losses.TOTAL_VARIATION_LOSSES.
            tile: The longest side of what counts of a tile, in pixels.
        """
        self._encoder, self._loss, self._tv_loss, self._tile = encoder, loss, tv_loss, tile
        static = ("layers", "grid")
        self._sums = jax.jit(self._sums_of, static_argnames=static)
        self._gradient = jax.jit(self._gradient_of, static_argnames=static)
        self._features = jax.jit(self._own_features, static_argnames=static)
        # Gram matrices and scalars alone: the derivative of the total with respect to each.
        self._total = jax.jit(
            jax.value_and_grad(partial(sums.objective_of_sums, loss=loss), argnums=0, has_aux=True),
            static_argnames=("size",),
        )

    def value_and_gradient(
        self, image: Pixels, targets: Targets, encoder_params: Params, weights: Weights, out: Pixels
    ) -> tuple[Scalar, Terms]:
        """Return the total and its terms, and put the gradient into out.

        Args:
            image: The picture.
            targets: From compute_targets.
            encoder_params: The encoder's parameters.
            weights: Of the layers and of the total variation.
            out: Of the picture's shape; what it held is lost.
        """
        grid = self._grid(image, weights.layers)
        named = tuple(weights.style), tuple(weights.content)
        found = self._add_up(image, targets.content, encoder_params, named, grid)
        (total, terms), slopes = self._total(found, targets.style, weights, size=grid.size)
        out[...] = 0
        for corner in grid.corners():
            part = _cut(image[0], corner, grid)
            content = _content_at(targets.content, corner, grid)
            gradient = self._gradient(
                part, content, encoder_params, corner, slopes, layers=named, grid=grid
            )
            _add_part(out[0], np.asarray(gradient)[0], corner, grid)
        return total, terms

    def compute_targets(
        self,
        encoder_params: Params,
        content_image: ImageOfAnySize | Pixels,
        style_images: Sequence[ImageOfAnySize | Pixels],
        *,
        weights: Weights,
        style_blend: Sequence[float],
        new_array: NewArray = zeros_in_memory,
    ) -> Targets:
        """Return what perceptual.compute_targets returns; features are on the host.

        Args:
            encoder_params: The encoder's parameters.
            content_image: Of the size of the picture to come.
            style_images: One or more.
            weights: Which layers are wanted.
            style_blend: One non-negative weight for each style.
            new_array: Makes the arrays of the content image's features.
        """
        layers = tuple(weights.style)
        grams = [
            self._style_grams(image, encoder_params, layers) for image in style_images if layers
        ]
        shares = [share / sum(style_blend) for share in style_blend]
        styles = {
            layer: self._loss.blend([found[layer] for found in grams], shares) for layer in layers
        }
        content = self._content_features(content_image, encoder_params, weights, new_array)
        return Targets(content, styles)

    def _style_grams(self, image: Any, params: Params, layers: tuple[str, ...]) -> dict[str, Any]:
        grid = self._grid(image, layers)
        found = self._add_up(np.asarray(image), {}, params, (layers, ()), grid)
        return {layer: gram / positions(layer, grid.size) for layer, gram in found.grams.items()}

    def _content_features(
        self, image: Any, params: Params, weights: Weights, new_array: NewArray
    ) -> HostFeatures:
        if not weights.content:
            return {}
        # The grid of all layers, so that tiles of the picture find theirs.
        layers, grid = tuple(weights.content), self._grid(image, weights.layers)
        pixels, kept = np.asarray(image), {}
        for layer in layers:
            stride = stride_of((layer,))
            shape = (1, grid.size[0] // stride, grid.size[1] // stride, channels_of(layer))
            kept[layer] = new_array(shape)
        for corner in grid.corners():
            part = _cut(pixels[0], corner, grid)
            found = self._features(part, params, corner, layers=layers, grid=grid)
            for layer in layers:
                stride = stride_of((layer,))
                top, left = corner[0] // stride, corner[1] // stride
                there = kept[layer][0, top:, left:]
                own = np.asarray(found[layer])[0, : there.shape[0], : there.shape[1]]
                there[: own.shape[0], : own.shape[1]] = own
        return kept

    def _grid(self, image: Any, layers: tuple[str, ...]) -> Grid:
        reach = reach_of(self._encoder.architecture, layers)
        size = image.shape[1], image.shape[2]
        return plan_grid(size, tile=self._tile, stride=stride_of(layers), reach=reach)

    def _add_up(
        self,
        image: Pixels,
        content: HostFeatures,
        params: Params,
        layers: tuple[tuple[str, ...], tuple[str, ...]],
        grid: Grid,
    ) -> Sums:
        """The sums over all tiles; in float64, since there may be thousands."""
        total: Any = None
        for corner in grid.corners():
            part, wanted = _cut(image[0], corner, grid), _content_at(content, corner, grid)
            found = self._sums(part, wanted, params, corner, layers=layers, grid=grid)
            found = jax.tree.map(lambda each: np.asarray(each, np.float64), found)
            total = found if total is None else jax.tree.map(np.add, total, found)
        return jax.tree.map(lambda each: jnp.asarray(each, jnp.float32), total)

    def _own_features(self, part, params, corner, *, layers: tuple[str, ...], grid: Grid):
        """What counts of a tile, by layer."""
        begins = [at - margin for at, margin in zip(corner, grid.margins, strict=True)]
        places = [
            None if count == 1 and side == length else (begin, length)
            for begin, count, side, length in zip(
                begins, grid.counts, grid.sides, grid.size, strict=True
            )
        ]
        found = encode_part(
            self._encoder, params, part, layers=layers, rows=places[0], columns=places[1]
        )
        own = {}
        for layer, features in found.items():
            stride = stride_of((layer,))
            rows, columns = (slice(span.start // stride, span.stop // stride) for span in grid.own)
            own[layer] = features[:, rows, columns]
        return own

    def _sums_of(
        self, part, content, params, corner, *, layers: tuple[tuple[str, ...], ...], grid: Grid
    ) -> Sums:
        style_layers, content_layers = layers
        wanted = tuple(dict.fromkeys((*content_layers, *style_layers)))
        features = self._own_features(part, params, corner, layers=wanted, grid=grid)
        rows, columns = (
            (at - margin, length)
            for at, margin, length in zip(corner, grid.margins, grid.size, strict=True)
        )
        tv = sums.sum_variation(
            part, tv_loss=self._tv_loss, rows=rows, columns=columns, own=grid.own, size=grid.size
        )
        return Sums(sums.sum_grams(features, style_layers), sums.sum_content(features, content), tv)

    def _gradient_of(self, part, content, params, corner, slopes: Sums, *, layers, grid: Grid):
        def of(part):
            return self._sums_of(part, content, params, corner, layers=layers, grid=grid)

        _, pullback = jax.vjp(of, part)
        return pullback(slopes)[0]


def _cut(pixels: np.ndarray, corner: tuple[int, int], grid: Grid) -> np.ndarray:
    """A tile with its margins, zeros outside the picture, as a batch of one."""
    shape = [side + 2 * margin for side, margin in zip(grid.sides, grid.margins, strict=True)]
    part = np.zeros((1, *shape, pixels.shape[2]), np.float32)
    there, here = _overlap(corner, grid)
    part[0][here] = pixels[there]
    return part


def _add_part(out: np.ndarray, part: np.ndarray, corner: tuple[int, int], grid: Grid) -> None:
    there, here = _overlap(corner, grid)
    out[there] += part[here]


def _overlap(corner: tuple[int, int], grid: Grid) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """What a tile with its margins has in common with the picture, in both."""
    there, here = [], []
    for at, side, margin, length in zip(corner, grid.sides, grid.margins, grid.size, strict=True):
        begin, end = max(at - margin, 0), min(at + side + margin, length)
        there.append(slice(begin, end))
        here.append(slice(begin - at + margin, end - at + margin))
    return tuple(there), tuple(here)


def _content_at(
    content: HostFeatures, corner: tuple[int, int], grid: Grid
) -> dict[str, np.ndarray]:
    """The content image's features of what counts of a tile, zeros outside the picture."""
    found = {}
    for layer, features in content.items():
        stride = stride_of((layer,))
        rows, columns = (side // stride for side in grid.sides)
        top, left = (at // stride for at in corner)
        own = np.asarray(features[0, top : top + rows, left : left + columns])
        part = np.zeros((1, rows, columns, own.shape[2]), np.float32)
        part[0, : own.shape[0], : own.shape[1]] = own
        found[layer] = part
    return found
