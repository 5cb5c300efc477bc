"""Colours of one picture on another, and luminance apart from colour.

Maps of RGB values give a picture wanted statistics. What they answer may leave [0, 1], where it has
exactly these statistics; prepare_content, prepare_style and finish put them to use in a style
transfer, and clip.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from nst_jax.array_types import Image, ImageOfAnySize, check_images

Luminance = Float[Array, "batch height width 1"]
LuminanceOfAnySize = Float[Array, "_ _ _ 1"]
Matrices = Float[Array, "_ 3 3"]

Color = Literal["style", "luminance", "cholesky", "pca", "symmetric", "histogram"]
"""Whose colours a result gets: the style's, or the content's by one of these means."""

When = Literal["before", "after"]
"""Whether colours are changed before a transfer, in what goes in, or after, in what comes out."""

_EXACT = lax.Precision.HIGHEST
# Rows for Y, U and V: ColourControl.ipynb. Differs: there the way back is rounded to 3 digits.
_YUV = np.array([[0.299, 0.587, 0.114], [-0.147, -0.288, 0.436], [0.615, -0.515, -0.1]])


def to_yuv(image: Image) -> Float[Array, "batch height width 3"]:
    """Return luminance Y, which lies in [0, 1], and chroma U and V, which are 0 for grey.

    Args:
        image: RGB.

    Reference: Gatys et al. 2017, §5.1, with the matrix of the authors' code.
    """
    return _transform(image, jnp.asarray(_YUV, jnp.float32)[None])


def from_yuv(yuv: Float[Array, "batch height width 3"]) -> Image:
    """Return the RGB that to_yuv makes these numbers of; it may leave [0, 1].

    Args:
        yuv: Y, U and V.
    """
    return _transform(yuv, jnp.asarray(np.linalg.inv(_YUV), jnp.float32)[None])


def luminance(image: Image) -> Luminance:
    """Return Y = 0.299 R + 0.587 G + 0.114 B.

    Args:
        image: RGB.
    """
    return to_yuv(image)[..., :1]


def match_luminance(
    luminance: Luminance, target: LuminanceOfAnySize, *, eps: float = 1e-7
) -> Luminance:
    """Return the luminance with the target's mean and standard deviation.

    L' = σ_t / σ (L − μ) + μ_t.

    Args:
        luminance: Of pictures, L.
        target: Of one picture for all, or one for each.
        eps: Added to both variances, so that a flat picture stays flat.

    Reference: Gatys et al. 2017, §5.1.
    """
    mean, deviation = _mean_and_deviation(luminance, eps)
    wanted_mean, wanted_deviation = _mean_and_deviation(target, eps)
    return wanted_deviation / deviation * (luminance - mean) + wanted_mean


def replace_luminance(image: Image, luminance: Luminance) -> Image:
    """Return the picture with its chroma as it is and another luminance; it may leave [0, 1].

    Args:
        image: Whose U and V are kept.
        luminance: The Y to give it.

    Reference: Gatys et al. 2017, §5.1.
    """
    return from_yuv(jnp.concatenate([luminance, to_yuv(image)[..., 1:]], axis=-1))


def match_covariance_by_pca(
    image: Image, target: ImageOfAnySize, *, regularization: float = 1e-5
) -> Image:
    """Return a picture recoloured so that its colours' mean and covariance are the target's.

    x' = A (x − μ) + μ_t with A = Σ_t^½ Σ^−½, the symmetric square roots, so that A Σ Aᵀ = Σ_t. Of a
    painting before it is transferred, with a photograph as the target, it keeps the photograph's
    colours.

    Args:
        image: Pictures to recolour.
        target: Whose colours they get: one picture for all, or one for each.
        regularization: Added to the diagonals of both covariances, so that a picture of one hue
            has an inverse.

    Returns:
        Pictures that may leave [0, 1].

    Reference: Gatys et al. 2017, §5.2, the variant of Image Analogies. Differs: for the same end
    Huang and Belongie's code standardises the channels and adds 1 to the diagonals.
    """
    _check_images(image=image, target=target)
    return _match_covariance(_pca_map, image, target, regularization)


def match_covariance_by_cholesky(
    image: Image, target: ImageOfAnySize, *, regularization: float = 1e-5
) -> Image:
    """Return what match_covariance_by_pca does, with A = L_t L⁻¹, the Cholesky factors.

    L Lᵀ = Σ is lower triangular: red depends on red alone, blue on all three.

    Args:
        image: Pictures to recolour.
        target: Whose colours they get: one picture for all, or one for each.
        regularization: Added to the diagonals of both covariances.

    Reference: Gatys et al. 2017, §5.2.
    """
    _check_images(image=image, target=target)
    return _match_covariance(_cholesky_map, image, target, regularization)


def match_covariance_by_symmetric_map(
    image: Image, target: ImageOfAnySize, *, regularization: float = 1e-5
) -> Image:
    """Return what match_covariance_by_pca does, with the symmetric A, which moves colours least.

    A = Σ^−½ (Σ^½ Σ_t Σ^½)^½ Σ^−½: of all maps between Gaussians with these moments it has the least
    mean of ‖x' − x‖², that of optimal transport.

    Args:
        image: Pictures to recolour.
        target: Whose colours they get: one picture for all, or one for each.
        regularization: Added to the diagonals of both covariances.

    Reference: the authors' code of Gatys et al. 2017, ColourControl.ipynb.
    """
    _check_images(image=image, target=target)
    return _match_covariance(_symmetric_map, image, target, regularization)


def match_histograms(image: Image, target: ImageOfAnySize) -> Image:
    """Return a picture recoloured so that each channel's values are distributed as the target's.

    x' = F_t⁻¹(F(x)) for each channel by itself, with F(x) the share of pixels up to x, and F_t⁻¹
    linear between the target's values.

    Args:
        image: Pictures to recolour.
        target: Whose histograms they get: one picture for all, or one for each.

    Returns:
        Pictures within the target's range.
    """
    _check_images(image=image, target=target)
    batch = image.shape[0]
    targets = jnp.broadcast_to(target, (batch, *target.shape[1:])).reshape(batch, -1, 3)
    return _match_channels(image.reshape(batch, -1, 3), targets).reshape(image.shape)


COLOR_MAPS: Mapping[str, Callable[[Image, ImageOfAnySize], Image]] = {
    "cholesky": match_covariance_by_cholesky,
    "pca": match_covariance_by_pca,
    "symmetric": match_covariance_by_symmetric_map,
    "histogram": match_histograms,
}
"""The maps by name; each is called with the picture to recolour and the one to take from."""


def prepare_content(content: ImageOfAnySize, *, color: Color, when: When) -> ImageOfAnySize:
    """Return the content image that is to be transferred: grey for the luminance alone.

    Args:
        content: The content image.
        color: Whose colours the result gets.
        when: When they are changed.
    """
    _check_images(content=content)
    if color == "luminance" and when == "before":
        return _grey(luminance(content))
    return content


def prepare_style(style: Image, content: ImageOfAnySize, *, color: Color, when: When) -> Image:
    """Return the style image that is to be transferred, clipped to [0, 1].

    Before a transfer it gets the content image's colours by a map; or, for the luminance alone, it
    becomes grey, with the mean and deviation of the content image's luminance.

    Args:
        style: The style image.
        content: The content image as it was, not prepared.
        color: Whose colours the result gets.
        when: When they are changed.
    """
    _check_images(style=style, content=content)
    if color == "style" or when == "after":
        return style
    if color == "luminance":
        return _grey(match_luminance(luminance(style), luminance(content))).clip(0, 1)
    return COLOR_MAPS[color](style, content).clip(0, 1)


def finish(stylized: Image, content: Image, *, color: Color, when: When) -> Image:
    """Return the result of a transfer with the colours it is to have, clipped to [0, 1].

    For the luminance alone it gets the content image's chroma, whenever that was chosen; after a
    transfer maps give it the content image's colours.

    Args:
        stylized: What came of the prepared pictures.
        content: The content image as it was, of the same size.
        color: Whose colours the result gets.
        when: When they are changed.
    """
    _check_images(stylized=stylized, content=content)
    if color == "luminance":
        return replace_luminance(content, luminance(stylized)).clip(0, 1)
    if color == "style" or when == "before":
        return stylized
    return COLOR_MAPS[color](stylized, content).clip(0, 1)


def _check_images(**images: ImageOfAnySize) -> None:
    for name, each in images.items():
        check_images(name, each)


def _grey(luminance: Luminance) -> Image:
    return jnp.repeat(luminance, 3, axis=-1)


def _mean_and_deviation(
    luminance: LuminanceOfAnySize, eps: float
) -> tuple[Float[Array, "_ 1 1 1"], Float[Array, "_ 1 1 1"]]:
    mean = luminance.mean((1, 2), keepdims=True)
    return mean, jnp.sqrt(jnp.square(luminance - mean).mean((1, 2), keepdims=True) + eps)


@jax.jit(static_argnums=(0, 3))
def _match_covariance(
    color_map: Callable[[Matrices, Matrices], Matrices],
    image: Image,
    target: ImageOfAnySize,
    regularization: float,
) -> Image:
    mean, covariance = _color_moments(image, regularization)
    wanted_mean, wanted_covariance = _color_moments(target, regularization)
    matrices = color_map(covariance, wanted_covariance)
    return _transform(image - _everywhere(mean), matrices) + _everywhere(wanted_mean)


def _color_moments(image: ImageOfAnySize, regularization: float) -> tuple[Array, Array]:
    mean = image.mean((1, 2))
    centred = image - _everywhere(mean)
    count = image.shape[1] * image.shape[2]
    covariance = jnp.einsum("bhwi,bhwj->bij", centred, centred, precision=_EXACT) / count
    return mean, covariance + regularization * jnp.eye(3, dtype=covariance.dtype)[None]


def _everywhere(colors: Float[Array, "_ 3"]) -> Float[Array, "_ 1 1 3"]:
    return colors[:, None, None, :]


def _transform(image: Image, matrices: Matrices) -> Image:
    """A x for every pixel, with one matrix for all pictures or one for each."""
    matrices = jnp.broadcast_to(matrices, (image.shape[0], 3, 3))
    return jnp.einsum("bij,bhwj->bhwi", matrices, image, precision=_EXACT)


def _pca_map(covariance: Matrices, wanted: Matrices) -> Matrices:
    return _product(_power(wanted, 0.5), _power(covariance, -0.5))


def _cholesky_map(covariance: Matrices, wanted: Matrices) -> Matrices:
    return _product(jnp.linalg.cholesky(wanted), jnp.linalg.inv(jnp.linalg.cholesky(covariance)))


def _symmetric_map(covariance: Matrices, wanted: Matrices) -> Matrices:
    # Σ_t^½ Q Σ^−½ with Q the orthogonal factor of Σ_t^½ Σ^½. The formula's own root of a product of
    # covariances would square their range of magnitudes, for which float32 has too few digits.
    root, wanted_root = _power(covariance, 0.5), _power(wanted, 0.5)
    left, _, right = jnp.linalg.svd(_product(wanted_root, root))
    return _product(wanted_root, _product(_product(left, right), _power(covariance, -0.5)))


def _product(first: Matrices, second: Matrices) -> Matrices:
    return jnp.matmul(first, second, precision=_EXACT)


def _power(matrices: Matrices, exponent: float) -> Matrices:
    values, vectors = jnp.linalg.eigh(matrices)
    # Rounding may make the smallest of a nearly singular matrix negative.
    powers = jnp.maximum(values, 1e-10) ** exponent
    return jnp.einsum("bij,bj,bkj->bik", vectors, powers, vectors, precision=_EXACT)


@jax.jit
@jax.vmap
@partial(jax.vmap, in_axes=-1, out_axes=-1)
def _match_channels(
    values: Float[Array, " pixels"], wanted: Float[Array, " target_pixels"]
) -> Float[Array, " pixels"]:
    shares = _shares_up_to(values, jnp.sort(values))
    ordered = jnp.sort(wanted)
    return jnp.interp(shares, _shares_up_to(ordered, ordered), ordered)


def _shares_up_to(
    values: Float[Array, " values"], ordered: Float[Array, " pixels"]
) -> Float[Array, " values"]:
    """For each value the share of the ordered ones that do not exceed it."""
    counts = jnp.searchsorted(ordered, values, side="right")
    return counts.astype(jnp.float32) / len(ordered)
