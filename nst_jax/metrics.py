"""How far pictures are from one another, as figures and tables tell it: one number an image.

Nothing here is minimised by a training. Networks and weights are arguments: encoders come from
load_encoder, LPIPS' weights from nst_jax.encoders.weights.pretrained.load_lpips_weights.

Of ArtFID (Wright and Ommer 2022), (1 + LPIPS) · (1 + FID), the first term can be had with what is
here. The second is left out: it wants an Inception network trained on paintings, whose weights are
published as a pickle alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from nst_jax import losses
from nst_jax.array_types import Image, ImageOfAnySize, Params, check_picture
from nst_jax.encoders.vgg import VGG
from nst_jax.ops.gram import gram_matrix

PerImage = Float[Array, " batch"]
"""One number for each image of a batch."""

_WINDOW, _SIGMA = 11, 1.5  # Wang et al. 2004, §III.B
_C1, _C2 = 0.01**2, 0.03**2  # K₁ and K₂ there, for pixels from 0 to 1


def lpips(
    first: Image,
    second: Image,
    encoder: VGG,
    encoder_params: Params,
    channel_weights: Mapping[str, Float[Array, " _"]],
) -> PerImage:
    """Return the learned perceptual distance (LPIPS) of pictures, 0 for equal ones.

    d = Σ_l mean_{h,w} Σ_c w_lc (F̂_lhwc − P̂_lhwc)², where F̂ = F / (‖F‖₂ + 1e-10) has channels of
    unit length at each position. Photographs that have little in common are at about 0.7.

    Args:
        first: RGB in [0, 1].
        second: Of the same sizes.
        encoder: VGG-16 from load_encoder("vgg16"), whose mean and deviation are LPIPS' own: those
            that it states, for pixels in [−1, 1], are the same (x − mean) / deviation.
        encoder_params: Its parameters.
        channel_weights: By layer, not negative; from load_lpips_weights: version 0.1's.

    Reference: Zhang et al. 2018, eq. (1). Differs: as its code, whose weights multiply squares.
    """
    layers, (first, second) = tuple(channel_weights), _of_one_size(first, second)
    features, targets = (encoder.apply(encoder_params, x, layers=layers) for x in (first, second))
    total = jnp.zeros(first.shape[0])
    for layer, weights in channel_weights.items():
        squares = jnp.square(_unit_length(features[layer]) - _unit_length(targets[layer]))
        total += (squares * weights.reshape(1, 1, 1, -1)).sum(-1).mean((1, 2))
    return total


def _unit_length(features: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    length = jnp.sqrt(jnp.square(features).sum(-1, keepdims=True))
    return features / (length + 1e-10)


def ssim(first: Image, second: Image) -> PerImage:
    """Return the mean structural similarity of pictures, at most 1, which equal ones have.

    SSIM = (2 μ₁μ₂ + C₁)(2 σ₁₂ + C₂) / ((μ₁² + μ₂² + C₁)(σ₁² + σ₂² + C₂)) with C₁ = 0.01² and
    C₂ = 0.03², in Gaussian windows of 11 × 11 pixels and deviation 1.5 that lie within the picture;
    its mean over windows and over the three colours. Moments are the windows' weighted ones
    (biased). It is scikit-image's structural_similarity with gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False, data_range=1 and channel_axis=-1.

    Args:
        first: RGB in [0, 1], at least 11 pixels a side.
        second: Of the same sizes.

    Raises:
        ValueError: A side is shorter.

    Reference: Wang et al. 2004, eq. (13). Differs: the paper's pictures have one colour.
    """
    first, second = _of_one_size(first, second)
    _, height, width, _ = first.shape
    if min(height, width) < _WINDOW:
        raise ValueError(
            f"first: wanted at least {_WINDOW} pixels a side for SSIM, got height {height} and "
            f"width {width}; enlarge both pictures"
        )
    # Centred on a colour of the picture's own, where squares lose fewer digits in float32.
    offset = first.mean((1, 2), keepdims=True)
    x, y = first - offset, second - offset
    mean_x, mean_y = _windows(x), _windows(y)
    variance_x = _windows(x * x) - mean_x**2
    variance_y = _windows(y * y) - mean_y**2
    covariance = _windows(x * y) - mean_x * mean_y
    mean_x, mean_y = mean_x + offset, mean_y + offset
    similarity = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    similarity /= (mean_x**2 + mean_y**2 + _C1) * (variance_x + variance_y + _C2)
    return similarity.mean((1, 2, 3))


def _windows(x: Float[Array, "batch height width 3"]) -> Float[Array, "batch _ _ 3"]:
    """Gaussian means around every pixel that has a whole window."""
    down, across = (_window_matrix(side) for side in x.shape[1:3])
    return jnp.einsum("ih,jw,bhwc->bijc", down, across, x, precision=lax.Precision.HIGHEST)


def _window_matrix(side: int) -> Float[Array, "windows side"]:
    """A row for each window, with the window's weights at the pixels that it covers."""
    places = jnp.arange(float(side)).reshape(1, -1)
    middles = jnp.arange(float(side - _WINDOW + 1)).reshape(-1, 1) + _WINDOW // 2
    distance = jnp.abs(places - middles)
    weights = jnp.exp(-0.5 * jnp.square(distance / _SIGMA))
    weights = jnp.where(distance <= _WINDOW // 2, weights, 0)
    return weights / weights.sum(1, keepdims=True)


def style_distance(
    first: Image,
    second: Float[Array, "#batch _ _ 3"],
    encoder: VGG,
    encoder_params: Params,
    *,
    layers: Sequence[str] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
) -> PerImage:
    """Return the distance of pictures' Gram matrices, 0 for pictures of the same textures.

    D = Σ_l Σ_ij (G_l − A_l)²_ij / N_l², with G = FᵀF / M as gram_matrix has it: Σ_l gram_loss.
    It does not grow with the pictures, but depends on the scale of the encoder's weights.

    Args:
        first: RGB in [0, 1].
        second: Of any size; one picture for each of first or one for all.
        encoder: From load_encoder.
        encoder_params: Its parameters.
        layers: Weighted equally; by default those of Gatys et al. 2016.

    Reference: Gatys et al. 2016, eqs. (4) and (5). Differs: no factor ¼, no weights 1/5.
    """
    first, second = _checked(first, second)
    found, wanted = (
        {layer: gram_matrix(f) for layer, f in features.items()}
        for features in (encoder.apply(encoder_params, x, layers=layers) for x in (first, second))
    )
    return _sum_of_layers(losses.gram_loss, found, wanted, first.shape[0])


def content_distance(
    first: Image,
    second: Image,
    encoder: VGG,
    encoder_params: Params,
    *,
    layers: Sequence[str] = ("relu4_2",),
) -> PerImage:
    """Return the distance of pictures' features, 0 for equal pictures.

    D = Σ_l Σ (F_l − P_l)² / (M_l N_l), over M_l positions and N_l channels: Σ_l content_loss.
    It depends on the scale of the encoder's weights.

    Args:
        first: RGB in [0, 1].
        second: Of the same sizes.
        encoder: From load_encoder.
        encoder_params: Its parameters.
        layers: Weighted equally; by default that of Gatys et al. 2016.

    Reference: Gatys et al. 2016, eq. (1). Differs: a mean in place of ½ Σ.
    """
    first, second = _of_one_size(first, second)
    found, wanted = (encoder.apply(encoder_params, x, layers=layers) for x in (first, second))
    return _sum_of_layers(losses.content_loss, found, wanted, first.shape[0])


def _checked(first: Any, second: Any) -> tuple[ImageOfAnySize, ImageOfAnySize]:
    """Both as float32, refused in one line where they are no pictures or not as many."""
    first = check_picture("first", first, several=True)
    second = check_picture("second", second, several=True)
    if len(second) not in (1, len(first)):
        raise ValueError(
            f"second: wanted {len(first)} pictures, as many as first, or one, got {len(second)}"
        )
    return first, second


def _of_one_size(first: Any, second: Any) -> tuple[Image, Image]:
    first, second = _checked(first, second)
    if first.shape != second.shape:
        raise ValueError(f"second: wanted the shape of first, {first.shape}, got {second.shape}")
    return first, second


def _sum_of_layers(loss, found, wanted, batch: int) -> PerImage:
    """A loss, which is a mean over its batch, of every image alone."""
    each = jax.vmap(lambda x, y: loss(x[None], y[None]))
    total = jnp.zeros(batch)
    for layer, x in found.items():
        total += each(x, jnp.broadcast_to(wanted[layer], (batch, *wanted[layer].shape[1:])))
    return total
