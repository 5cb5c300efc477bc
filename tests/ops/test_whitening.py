"""Oracles: NumPy's covariance, SciPy's roots of matrices, and the moments of what comes out."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from nst_jax.ops.feature_transforms import whiten_and_color
from nst_jax.ops.whitening import color, covariance_power, mean_and_covariance, whiten


def made(*shape, seed):
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(shape[-1], shape[-1])) / 2 + np.eye(shape[-1])
    return (rng.gamma(1, size=shape) @ mixing + seed).astype(np.float32)


def moments(features):
    rows = np.asarray(features, np.float64).reshape(-1, features.shape[-1])
    return rows.mean(0), np.cov(rows.T, bias=True)


def test_the_result_has_the_styles_mean_and_covariance():
    content, style = made(2, 7, 9, 5, seed=1), made(1, 6, 8, 5, seed=2)
    found = whiten_and_color(jnp.asarray(content), jnp.asarray(style), eps=0)
    for picture in np.asarray(found):
        for mine, wanted in zip(moments(picture), moments(style), strict=True):
            np.testing.assert_allclose(mine, wanted, atol=2e-3 * np.abs(wanted).max())


@pytest.mark.parametrize("eps", [0.0, 0.1])
def test_it_is_scipys_roots(eps):
    content, style = made(1, 7, 9, 4, seed=3), made(1, 5, 6, 4, seed=4)
    (mean, covariance), (style_mean, style_covariance) = moments(content), moments(style)

    def raised(matrix):
        return matrix + (eps * np.trace(matrix) / 4 + 1e-5) * np.eye(4)

    roots = [np.real(scipy.linalg.sqrtm(raised(m))) for m in (covariance, style_covariance)]
    wanted = (content.astype(np.float64) - mean) @ np.linalg.inv(roots[0]) @ roots[1] + style_mean
    found = whiten_and_color(jnp.asarray(content), jnp.asarray(style), eps=eps)
    np.testing.assert_allclose(found, wanted, atol=1e-3)


def test_of_a_picture_with_itself_is_the_picture_also_where_positions_are_few():
    features = made(1, 3, 2, 12, seed=5)
    features[..., 3] = 4  # and a channel is flat
    found = whiten_and_color(jnp.asarray(features), jnp.asarray(features))
    np.testing.assert_allclose(found, features, atol=2e-3)


def test_whitened_features_have_unit_covariance():
    found = whiten(jnp.asarray(made(1, 9, 8, 4, seed=6)), eps=0)
    mean, covariance = moments(found)
    np.testing.assert_allclose(mean, 0, atol=1e-4)
    np.testing.assert_allclose(covariance, np.eye(4), atol=2e-3)


def test_a_flat_picture_becomes_the_styles_mean():
    style = made(1, 5, 6, 3, seed=7)
    found = whiten_and_color(jnp.full((1, 4, 4, 3), 9.0), jnp.asarray(style))
    wanted = np.broadcast_to(style.mean((1, 2)), (1, 4, 4, 3))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert np.isfinite(whiten_and_color(jnp.asarray(style), jnp.full((1, 4, 4, 3), 9.0))).all()


def test_weights_count_positions_as_often():
    features = made(1, 4, 5, 3, seed=8)
    counts = np.random.default_rng(9).integers(0, 4, (1, 4, 5))
    weights = jnp.asarray(counts / 4, jnp.float32)
    mean, covariance = mean_and_covariance(jnp.asarray(features), weights=weights)
    wanted = moments(features.reshape(-1, 3).repeat(counts.ravel(), axis=0))
    np.testing.assert_allclose(mean[0], wanted[0], rtol=1e-5)
    np.testing.assert_allclose(covariance[0], wanted[1], atol=1e-4)
    nothing = mean_and_covariance(jnp.asarray(features), weights=jnp.zeros((1, 4, 5)))
    for moment in nothing:
        np.testing.assert_array_equal(moment, 0)


def test_mixed_roots_give_mixed_features():
    content = whiten(jnp.asarray(made(1, 6, 5, 3, seed=10)))
    given = [moments(made(1, 7, 4, 3, seed=seed)) for seed in (11, 12)]
    first, second = (
        (jnp.float32(mean)[None], covariance_power(jnp.float32(covariance)[None], 0.5))
        for mean, covariance in given
    )
    mixed = color(content, *(0.3 * a + 0.7 * b for a, b in zip(first, second, strict=True)))
    np.testing.assert_allclose(
        mixed, 0.3 * color(content, *first) + 0.7 * color(content, *second), rtol=1e-4, atol=1e-4
    )
