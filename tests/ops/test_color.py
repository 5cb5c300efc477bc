"""Oracles: the definitions in NumPy, SciPy's matrix square root, scikit-image's histograms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import skimage.exposure

from nst_jax.ops import color
from nst_jax.ops.color import COLOR_MAPS, match_covariance_by_pca, match_histograms

LINEAR = ("cholesky", "pca", "symmetric")
# The authors' notebook has it the other way about, rounded.
RGB_TO_YUV = np.array([[0.299, 0.587, 0.114], [-0.147, -0.288, 0.436], [0.615, -0.515, -0.1]])
PUBLISHED_YUV_TO_RGB = np.array([[1, 0, 1.139], [1, -0.395, -0.58], [1, 2.03, 0]])


def made_picture(seed, *, height=24, width=18, contrast=0.06):
    """Correlated colours; with little contrast well within [0, 1], so that nothing is clipped."""
    rng = np.random.default_rng(seed)
    mixing = (np.eye(3) + 0.4 * rng.normal(size=(3, 3))) * contrast
    colors = rng.normal(size=(height, width, 3)) @ mixing + rng.uniform(0.4, 0.6, 3)
    return jnp.asarray(colors.clip(0.02, 0.98).astype(np.float32)[None])


def moments(picture):
    colors = np.asarray(picture, np.float64).reshape(-1, 3)
    return colors.mean(0), np.cov(colors.T, bias=True)


def chroma(picture):
    return np.asarray(picture, np.float64) @ RGB_TO_YUV[1:].T


def brightness(picture):
    return np.asarray(picture, np.float64) @ RGB_TO_YUV[0]


# Maps of colours ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LINEAR)
def test_mean_and_covariance_become_the_targets(name):
    image, target = made_picture(1, contrast=0.2), made_picture(2, contrast=0.25)
    found = COLOR_MAPS[name](image, target)
    assert float(found.min()) < 0
    assert float(found.max()) > 1, "the case wants values that clipping would change"
    for one, other in zip(moments(found), moments(target), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3 * np.abs(other).max())


def matrix_of(name, covariance, wanted):
    """The published formulas."""
    root = scipy.linalg.sqrtm
    if name == "cholesky":
        return np.linalg.cholesky(wanted) @ np.linalg.inv(np.linalg.cholesky(covariance))
    if name == "pca":
        return root(wanted) @ np.linalg.inv(root(covariance))
    inverse = np.linalg.inv(root(covariance))
    return inverse @ root(root(covariance) @ wanted @ root(covariance)) @ inverse


@pytest.mark.parametrize("name", LINEAR)
def test_it_is_the_map_that_it_is_called(name):
    """Of the many maps with these moments."""
    image, target = made_picture(3), made_picture(4)
    (mean, covariance), (wanted_mean, wanted) = moments(image), moments(target)
    eye = 1e-5 * np.eye(3)
    matrix = matrix_of(name, covariance + eye, wanted + eye)
    literal = (np.asarray(image) - mean) @ matrix.T + wanted_mean
    np.testing.assert_allclose(COLOR_MAPS[name](image, target), literal, atol=1e-4)


def test_the_symmetric_map_moves_colours_least():
    image, target = made_picture(3), made_picture(4)
    moved = {
        name: float(jnp.square(COLOR_MAPS[name](image, target) - image).sum()) for name in LINEAR
    }
    assert moved["symmetric"] < 0.99 * min(moved["pca"], moved["cholesky"])


def test_histograms_become_the_targets():
    rng = np.random.default_rng(5)
    # Few values, so that many pixels share one, and many values.
    image, target = rng.integers(0, 20, (1, 24, 18, 3)) / 19, rng.beta(2, 5, (1, 11, 31, 3))
    for one, other in ((image, target), (target, image), (image, image)):
        wanted = skimage.exposure.match_histograms(one[0], other[0], channel_axis=-1)
        found = match_histograms(*(jnp.asarray(picture, jnp.float32) for picture in (one, other)))
        np.testing.assert_allclose(found[0], wanted, atol=1e-5)


@pytest.mark.parametrize("name", COLOR_MAPS)
def test_a_picture_matched_to_itself_stays(name):
    image = made_picture(5)
    np.testing.assert_allclose(COLOR_MAPS[name](image, image), image, atol=2e-4)


@pytest.mark.parametrize("name", ["pca", "histogram"])
def test_a_batch_is_matched_to_one_target_or_to_each(name):
    match = COLOR_MAPS[name]
    images = jnp.concatenate([made_picture(seed) for seed in (6, 7)])
    targets = jnp.concatenate([made_picture(seed) for seed in (8, 9)])
    each = match(images, targets)
    for place in range(2):
        alone = match(images[place : place + 1], targets[place : place + 1])
        np.testing.assert_allclose(each[place], alone[0], atol=1e-5)
    one = match(images, targets[:1])
    np.testing.assert_allclose(one[0], each[0], atol=1e-5)


@pytest.mark.parametrize("name", COLOR_MAPS)
def test_flat_and_grey_pictures_have_finite_results(name):
    target = made_picture(10)
    flat, grey = jnp.full((1, 24, 18, 3), 0.3), jnp.repeat(target[..., :1], 3, axis=-1)
    for image, wanted in ((flat, target), (grey, target), (target, grey), (target, flat)):
        found = COLOR_MAPS[name](image, wanted)
        assert bool(jnp.isfinite(found).all())
        assert float(jnp.abs(found - 0.5).max()) < 1
    if name in LINEAR:
        of_grey = np.asarray(COLOR_MAPS[name](target, grey))
        np.testing.assert_allclose(of_grey[..., 0], of_grey[..., 2], atol=0.02)
        mean = COLOR_MAPS[name](flat, target)[0, 0, 0]
        np.testing.assert_allclose(mean, target.mean((0, 1, 2)), atol=1e-3)


def test_jit_agrees():
    image, target = made_picture(11), made_picture(12)
    jitted = jax.jit(match_covariance_by_pca)(image, target)
    np.testing.assert_allclose(jitted, match_covariance_by_pca(image, target), atol=1e-5)


# Luminance ------------------------------------------------------------------------------------


def test_the_matrix_is_the_authors_and_its_inverse_theirs_before_rounding():
    axes = jnp.eye(3)[None, None]
    np.testing.assert_allclose(color.to_yuv(axes)[0, 0], RGB_TO_YUV.T, atol=1e-6)
    np.testing.assert_allclose(color.from_yuv(axes)[0, 0], PUBLISHED_YUV_TO_RGB.T, atol=3e-3)
    image = made_picture(13)
    np.testing.assert_allclose(color.from_yuv(color.to_yuv(image)), image, atol=1e-6)
    np.testing.assert_allclose(color.luminance(image)[..., 0], brightness(image), atol=1e-6)


def test_another_luminance_leaves_the_chroma():
    image, other = made_picture(14), made_picture(15)
    found = color.replace_luminance(image, color.luminance(other))
    np.testing.assert_allclose(chroma(found), chroma(image), atol=1e-5)
    np.testing.assert_allclose(brightness(found), brightness(other), atol=1e-5)


def test_luminance_gets_the_targets_mean_and_deviation():
    image, target = made_picture(16), made_picture(17, height=20, width=18)
    found = color.match_luminance(color.luminance(image), color.luminance(target))
    assert float(found.mean()) == pytest.approx(brightness(target).mean(), abs=1e-5)
    assert float(found.std()) == pytest.approx(brightness(target).std(), rel=2e-3)
    order = brightness(image).ravel().argsort()
    assert np.all(np.diff(np.asarray(found).ravel()[order]) > -1e-5), "what was brighter stays so"
    flat = color.match_luminance(jnp.full((1, 24, 18, 1), 0.3), color.luminance(target))
    np.testing.assert_allclose(flat, brightness(target).mean(), atol=1e-3)


# Before and after a transfer ------------------------------------------------------------------


def prepared(name, when, *, content, style):
    chosen = {"color": name, "when": when}
    return color.prepare_content(content, **chosen), color.prepare_style(style, content, **chosen)


@pytest.mark.parametrize("when", ["before", "after"])
def test_nothing_is_done_for_the_styles_colours(when):
    content, style = made_picture(18), made_picture(19)
    found = (
        *prepared("style", when, content=content, style=style),
        color.finish(style, content, color="style", when=when),
    )
    for one, other in zip(found, (content, style, style), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["symmetric", "histogram"])
def test_a_map_recolours_what_goes_in_or_what_comes_out(name):
    content, style = made_picture(20, contrast=0.2), made_picture(21)
    mapped = np.asarray(COLOR_MAPS[name](style, content)).clip(0, 1)

    unchanged, recolored = prepared(name, "before", content=content, style=style)
    np.testing.assert_array_equal(unchanged, content)
    np.testing.assert_allclose(recolored, mapped, atol=1e-6)
    untouched = color.finish(style, content, color=name, when="before")
    np.testing.assert_array_equal(untouched, style)

    for one, other in zip(
        prepared(name, "after", content=content, style=style), (content, style), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    result = color.finish(style, content, color=name, when="after")
    np.testing.assert_allclose(result, mapped, atol=1e-6)


def test_of_luminance_alone_grey_pictures_go_in_and_the_contents_chroma_comes_back():
    content, style, result = made_picture(22), made_picture(23), made_picture(24)
    grey, matched = prepared("luminance", "before", content=content, style=style)
    for picture in (grey, matched):
        np.testing.assert_array_equal(picture[..., 0], picture[..., 1])
        np.testing.assert_array_equal(picture[..., 0], picture[..., 2])
        np.testing.assert_allclose(
            brightness(picture).mean(), brightness(content).mean(), atol=1e-5
        )
    np.testing.assert_allclose(brightness(grey), brightness(content), atol=1e-6)
    assert np.corrcoef(brightness(matched).ravel(), brightness(style).ravel())[0, 1] > 0.999

    for when in ("before", "after"):
        found = color.finish(result, content, color="luminance", when=when)
        np.testing.assert_allclose(chroma(found), chroma(content), atol=1e-5)
        np.testing.assert_allclose(brightness(found), brightness(result), atol=1e-5)
    for one, other in zip(
        prepared("luminance", "after", content=content, style=style), (content, style), strict=True
    ):
        np.testing.assert_array_equal(one, other)
