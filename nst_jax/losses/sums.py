"""The perceptual objective of Gram matrices as a function of sums over the parts of a picture.

A Gram matrix, a content loss and a total variation are sums over positions. So they need not see
the whole picture at once: parts of it are summed apart, in turn or on devices of their own. The
objective of the sums is that of perceptual.py but for rounding, and so is its gradient.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array

from nst_jax.array_types import Features, Gram, Image, Scalar
from nst_jax.encoders.vgg import channels_of
from nst_jax.encoders.windows import Place, stride_of
from nst_jax.losses.basic import sum_over_layers
from nst_jax.losses.perceptual import Terms, Weights, add_terms
from nst_jax.losses.styles import StyleLoss
from nst_jax.ops.gram import gram_matrix

Size = tuple[int, int]
"""The height and width of a picture, in pixels."""


class Sums(NamedTuple):
    """What parts of a picture add up to.

    Attributes:
        grams: FᵀF over positions, by style layer.
        content: Σ (F − P)² over positions and channels, by content layer.
        tv: The total variation, not weighted.
    """

    grams: Mapping[str, Gram]
    content: Mapping[str, Scalar]
    tv: Scalar


def require_sums(loss: StyleLoss, *, name: str) -> StyleLoss:
    """Return a style loss that needs nothing of a picture but Gram matrices.

    Args:
        loss: Of a run.
        name: What an error calls the option that wants it.

    Raises:
        ValueError: It needs more.
    """
    if loss.of_gram is None:
        raise ValueError(
            f"{name}: wanted a style loss of Gram matrices, which add up over parts of a picture, "
            f"got {loss}; take style_loss gram or leave {name} out"
        )
    return loss


def sum_grams(features: Features, layers: tuple[str, ...]) -> dict[str, Gram]:
    """Return FᵀF over all positions, by layer.

    Args:
        features: Of a part of a picture, 0 outside of it.
        layers: Which of them.
    """
    return {
        layer: gram_matrix(features[layer])
        * float(features[layer].shape[1] * features[layer].shape[2])
        for layer in layers
    }


def sum_content(features: Features, wanted: Features) -> dict[str, Scalar]:
    """Return Σ (F − P)² over positions and channels, by layer.

    Args:
        features: Of a part of a picture, F, 0 outside of it.
        wanted: The content image's, P, of the layers that count; 0 where features are.
    """
    return {layer: jnp.square(features[layer] - wanted[layer]).sum() for layer in wanted}


def sum_variation(
    part: Image, *, tv_loss: str, rows: Place, columns: Place, own: tuple[slice, slice], size: Size
) -> Scalar:
    """Return what the pixels of a part add to the picture's total variation.

    Each pixel is paired with its lower and its right neighbour, which the part holds as well.

    Args:
        part: RGB; what lies outside the picture does not matter.
        tv_loss: A name in losses.TOTAL_VARIATION_LOSSES: 'mean' or 'half_sum'.
        rows: Where the part begins, and the picture's height; None where it is the whole.
        columns: The same along the width.
        own: The rows and columns of the part that count.
        size: The picture's.
    """
    height, width = size

    def counted(axis: int, place: Place, less: int) -> Array:
        """Which rows or columns count, but for the picture's last ones."""
        index = jnp.arange(part.shape[axis])
        begin = 0 if place is None else place[0]
        span = own[axis - 1]
        keep = (index >= (span.start or 0)) & (index + begin < size[axis - 1] - less)
        return keep if span.stop is None else keep & (index < span.stop)

    # half_sum takes only the pixels that have both neighbours.
    both = int(tv_loss == "half_sum")
    down = counted(1, rows, 1)[:-1, None] & counted(2, columns, both)[None, :]
    right = counted(1, rows, both)[:, None] & counted(2, columns, 1)[None, :-1]
    vertical = jnp.where(down[None, :, :, None], jnp.square(jnp.diff(part, axis=1)), 0.0).sum()
    horizontal = jnp.where(right[None, :, :, None], jnp.square(jnp.diff(part, axis=2)), 0.0).sum()
    if tv_loss == "half_sum":
        return (vertical + horizontal) / 2
    pairs = 3.0 * (height - 1) * width, 3.0 * height * (width - 1)
    return vertical / pairs[0] + horizontal / pairs[1]


def objective_of_sums(
    sums: Sums, styles: Mapping[str, Any], weights: Weights, *, loss: StyleLoss, size: Size
) -> tuple[Scalar, Terms]:
    """Return the weighted total and its terms, as perceptual.objective has them.

    Args:
        sums: Over the whole picture.
        styles: What is kept of the styles, by layer.
        weights: Of the layers and of the total variation.
        loss: From require_sums.
        size: The picture's.
    """
    distance = require_sums(loss, name="style_loss").of_gram
    assert distance is not None
    means = {layer: found / positions(layer, size) for layer, found in sums.grams.items()}
    style = sum_over_layers(distance, means, styles, tuple(weights.style.items()))
    content = jnp.zeros((), jnp.float32)
    for layer, weight in weights.content.items():
        number = positions(layer, size) * channels_of(layer)
        content = content + jnp.asarray(weight, jnp.float32) * sums.content[layer] / number
    tv = jnp.zeros((), jnp.float32) if weights.tv is None else weights.tv * sums.tv
    return add_terms([{"content": content, "style": style}], tv)


def positions(layer: str, size: Size) -> float:
    """Return how many positions a layer of a picture has."""
    stride = stride_of((layer,))
    return float((size[0] // stride) * (size[1] // stride))
