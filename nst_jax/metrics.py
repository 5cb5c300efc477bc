"""How far pictures are from one another, as figures and tables tell it: one number an image.

Nothing here is minimised by a training. Networks and weights are arguments: encoders come from
load_encoder, LPIPS' weights from nst_jax.encoders.weights.pretrained.load_lpips_weights.

Of ArtFID (Wright and Ommer 2022), (1 + LPIPS) · (1 + FID), the first term can be had with what is
here. The second is left out: it wants an Inception network trained on paintings, whose weights are
published as a pickle alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax import losses
from nst_jax.array_types import Image, ImageOfAnySize, Params, check_picture
from nst_jax.encoders.vgg import FIRST_LAYERS, VGG
from nst_jax.ops.gaussian import gaussian_mean_inside
from nst_jax.ops.gram import gram_matrix
from nst_jax.ops.occlusion import visibility
from nst_jax.ops.warp import warp

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
    total = jnp.zeros(first.shape[0], jnp.float32)
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
    return gaussian_mean_inside(x, sigma=_SIGMA, reach=_WINDOW // 2)


def style_distance(
    first: Image,
    second: Float[Array, "#batch _ _ 3"],
    encoder: VGG,
    encoder_params: Params,
    *,
    layers: Sequence[str] = FIRST_LAYERS,
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
    total = jnp.zeros(batch, jnp.float32)
    for layer, x in found.items():
        total += each(x, jnp.broadcast_to(wanted[layer], (batch, *wanted[layer].shape[1:])))
    return total


WarpingErrorForm = Literal["code", "paper"]
"""Which mean a warping error is: over values, as in Lai's code, or over pixels: 3 times as much."""


class FramePair(NamedTuple):
    """Two frames of a clip and what was painted of them.

    Attributes:
        pictures: What was painted of the earlier and of the later frame.
        frames: The frames themselves.
        flow: From the earlier to the later frame, in pixels.
        opposite: From the later to the earlier one.
    """

    pictures: tuple[Image, Image]
    frames: tuple[Image, Image]
    flow: Float[Array, "batch height width 2"]
    opposite: Float[Array, "batch height width 2"]


class Consistency(NamedTuple):
    """How consistent a painted clip is, beside the clip itself.

    Attributes:
        error: The mean warping error of the pictures.
        input_error: The same of the frames: what flow, light and noise alone give.
        stability: e_stab of the pictures, the root of the mean squared error of values.
        input_stability: The same of the frames.
    """

    error: float
    input_error: float
    stability: float
    input_stability: float

    @property
    def excess(self) -> float:
        """How much more the pictures change along the flow than the frames do."""
        return self.error - self.input_error


def warping_error(
    first: Image,
    second: Image,
    flow: Float[Array, "batch height width 2"],
    visible: Float[Array, "batch height width"],
    *,
    form: WarpingErrorForm = "code",
) -> PerImage:
    """Return how much pictures change along the flow between them.

    E = Σ_k m_k |W(V₂)_k − V₁_k|² / (c Σ_k m_k), with the bilinear W(V₂)(x) = V₂(x + f(x)), over
    pixels k. "paper" has c = 1. "code" has c = 3, since the authors' evaluation counts channels. A
    pair of which nothing is visible has the error 0.

    Args:
        first: The earlier frames, RGB in [0, 1].
        second: The later frames.
        flow: From the earlier to the later ones, in pixels.
        visible: m, from 0 to 1, of the earlier frames: visibility(..., convention="lai2018").
        form: Which mean.

    Reference: Lai et al. 2018, section 5.1, and its evaluate_WarpError.py.
    """
    squares = jnp.square(warp(second, flow) - first).sum(-1)
    divisor = visible.sum((1, 2)) * (3 if form == "code" else 1)
    return (visible * squares).sum((1, 2)) / jnp.where(divisor == 0, 1, divisor)


def measure_consistency(
    pairs: Iterable[FramePair], *, form: WarpingErrorForm = "code"
) -> Consistency:
    """Return the mean warping error over pairs of frames, and that of the clip itself.

    Pairs of neighbours give the short-term error, those of frames 10 apart the long-term one. The
    flow is the clip's, and so are the masks, Lai's.

    Args:
        pairs: Of one clip, one at least.
        form: Which mean; e_stab is of values in any case.

    Raises:
        ValueError: There is no pair.

    Reference: Lai et al. 2018, section 5.1; e_stab as in Chen et al. 2017 and Gao et al. 2018.
    """
    found = [_errors(*pair[0], *pair[1], *pair[2:]) for pair in pairs]
    if not found:
        raise ValueError("pairs: wanted at least one pair of frames, got none")
    error, input_error = (float(each) for each in jnp.stack(found).mean(0))
    factor = 1 if form == "code" else 3
    return Consistency(factor * error, factor * input_error, error**0.5, input_error**0.5)


@jax.jit
def _errors(picture, later_picture, frame, later_frame, flow, opposite):
    visible = visibility(flow, opposite, convention="lai2018")
    errors = (
        warping_error(picture, later_picture, flow, visible),
        warping_error(frame, later_frame, flow, visible),
    )
    return jnp.stack([error.mean() for error in errors])


def sharpness(images: Image) -> PerImage:
    """Return the mean absolute Laplacian, which blur lowers: 0 for a flat picture.

    mean |V(x + 1, y) + V(x − 1, y) + V(x, y + 1) + V(x, y − 1) − 4 V(x, y)| over the inner pixels
    and colours.

    Args:
        images: RGB in [0, 1], at least 3 pixels a side.
    """
    inner = images[:, 1:-1, 1:-1]
    across = images[:, 1:-1, 2:] + images[:, 1:-1, :-2]
    down = images[:, 2:, 1:-1] + images[:, :-2, 1:-1]
    return jnp.abs(across + down - 4 * inner).mean((1, 2, 3))
