"""Oracle: the definition in NumPy and SciPy's matrix square root."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg

from nst_jax.color import match_covariance_by_pca


def made_picture(seed, *, height=40, width=30):
    """Correlated colours well within [0, 1], so that nothing is clipped."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(3, 3)) * 0.03
    colors = rng.normal(size=(height, width, 3)) @ mixing + rng.uniform(0.4, 0.6, 3)
    return colors.clip(0.02, 0.98).astype(np.float32)[None]


def moments(picture):
    colors = np.asarray(picture, np.float64).reshape(-1, 3)
    return colors.mean(0), np.cov(colors.T, bias=True)


def test_mean_and_covariance_become_the_targets():
    image, target = made_picture(1), made_picture(2, height=21)
    found = match_covariance_by_pca(jnp.asarray(image), jnp.asarray(target), regularization=1e-9)
    for one, other in zip(moments(found), moments(target), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4 * np.abs(other).max())


def test_it_is_the_map_of_symmetric_square_roots():
    """Of the many maps with these moments."""
    image, target = made_picture(3), made_picture(4)
    (mean, covariance), (wanted_mean, wanted) = moments(image), moments(target)
    eye = 1e-5 * np.eye(3)
    matrix = scipy.linalg.sqrtm(wanted + eye) @ np.linalg.inv(scipy.linalg.sqrtm(covariance + eye))
    literal = (image - mean) @ matrix.T + wanted_mean
    found = match_covariance_by_pca(jnp.asarray(image), jnp.asarray(target))
    np.testing.assert_allclose(found, literal.clip(0, 1), atol=1e-4)


def test_a_picture_matched_to_itself_stays():
    image = jnp.asarray(made_picture(5))
    np.testing.assert_allclose(match_covariance_by_pca(image, image), image, atol=1e-4)


def test_a_batch_is_matched_to_one_target_or_to_each():
    images = jnp.concatenate([jnp.asarray(made_picture(seed)) for seed in (6, 7)])
    targets = jnp.concatenate([jnp.asarray(made_picture(seed)) for seed in (8, 9)])
    each = match_covariance_by_pca(images, targets)
    for place in range(2):
        alone = match_covariance_by_pca(images[place : place + 1], targets[place : place + 1])
        np.testing.assert_allclose(each[place], alone[0], atol=1e-5)
    one = match_covariance_by_pca(images, targets[:1])
    np.testing.assert_allclose(one[0], each[0], atol=1e-5)


def test_flat_and_grey_pictures_have_finite_results():
    target = jnp.asarray(made_picture(10))
    for image in (jnp.full((1, 16, 16, 3), 0.3), jnp.repeat(target[..., :1], 3, axis=-1)):
        found = match_covariance_by_pca(image, target)
        assert bool(jnp.isfinite(found).all())
        assert float(found.min()) >= 0
        assert float(found.max()) <= 1
    flat = match_covariance_by_pca(jnp.full((1, 16, 16, 3), 0.3), target)
    np.testing.assert_allclose(flat[0, 0, 0], target.mean((0, 1, 2)), atol=1e-3)


def test_jit_agrees():
    image, target = jnp.asarray(made_picture(11)), jnp.asarray(made_picture(12))
    jitted = jax.jit(match_covariance_by_pca)(image, target)
    np.testing.assert_allclose(jitted, match_covariance_by_pca(image, target), atol=1e-5)
