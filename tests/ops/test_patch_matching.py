"""Oracle: patch after patch in NumPy loops."""

import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.ops.feature_transforms import decorate
from nst_jax.ops.patch_matching import assemble_patches, nearest_patches
from nst_jax.ops.whitening import color, covariance_power, mean_and_covariance, whiten


def made(*shape, seed):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def patches_of(picture, size):
    rows, columns = (side - size + 1 for side in picture.shape[:2])
    return [
        picture[i : i + size, j : j + size].ravel().astype(np.float64)
        for i in range(rows)
        for j in range(columns)
    ]


def nearest_by_loop(features, source, size, allowed=None):
    mine, theirs = patches_of(features, size), patches_of(source, size)
    allowed = range(len(theirs)) if allowed is None else allowed
    return [
        max(allowed, key=lambda j, patch=patch: patch @ theirs[j] / np.linalg.norm(theirs[j]))
        for patch in mine
    ]


def assembled_by_loop(source, nearest, size, shape):
    total, cover = np.zeros((*shape, source.shape[-1])), np.zeros((*shape, 1))
    theirs = patches_of(source, size)
    places = np.ndindex(shape[0] - size + 1, shape[1] - size + 1)
    for (i, j), number in zip(places, nearest, strict=True):
        total[i : i + size, j : j + size] += theirs[number].reshape(size, size, -1)
        cover[i : i + size, j : j + size] += 1
    return total / cover


@pytest.mark.parametrize("size", [1, 3, 4])
def test_the_nearest_are_those_of_a_loop(size):
    features, source = made(2, 5, 7, 3, seed=1), made(2, 6, 5, 3, seed=2)
    source *= np.linspace(0.2, 3, 5, dtype=np.float32)[:, None]  # loud ones are not nearer
    found = np.asarray(nearest_patches(jnp.asarray(features), jnp.asarray(source), size=size))
    for picture, own, theirs in zip(found, features, source, strict=True):
        assert picture.shape == (6 - size, 8 - size)
        assert picture.ravel().tolist() == nearest_by_loop(own, theirs, size)


@pytest.mark.parametrize("size", [1, 3])
def test_overlapping_patches_are_averaged(size):
    source = made(1, 4, 6, 2, seed=3)
    nearest = np.random.default_rng(4).integers(0, (5 - size) * (7 - size), (2, 4, 3), np.int32)
    found = assemble_patches(jnp.asarray(source), jnp.asarray(nearest), size=size)
    for picture, numbers in zip(np.asarray(found), nearest, strict=True):
        wanted = assembled_by_loop(source[0], numbers.ravel(), size, (3 + size, 2 + size))
        np.testing.assert_allclose(picture, wanted, rtol=1e-4, atol=1e-5)


def test_only_patches_of_weight_are_taken():
    features, source = made(1, 5, 5, 3, seed=5), made(1, 6, 6, 3, seed=6)
    weights = np.zeros((1, 6, 6), np.float32)
    weights[0, 2:, :4] = 1
    allowed = [n for n in range(16) if weights[0, n // 4 :, n % 4 :][:3, :3].sum() >= 4.5]
    found = nearest_patches(
        jnp.asarray(features), jnp.asarray(source), size=3, weights=jnp.asarray(weights)
    )
    assert 0 < len(allowed) < 16
    wanted = nearest_by_loop(features[0], source[0], 3, allowed)
    assert np.asarray(found).ravel().tolist() == wanted


def test_a_picture_is_put_together_from_its_own_patches():
    features = jnp.asarray(made(1, 6, 7, 4, seed=7))
    nearest = nearest_patches(features, features, size=3)
    np.testing.assert_array_equal(nearest[0], np.arange(20).reshape(4, 5))
    np.testing.assert_allclose(decorate(features, features, patch_size=3), features, atol=1e-4)


@pytest.mark.slow
def test_decorating_takes_patches_of_the_whitened_style():
    """With patches of one position each: every position is one of the style's own."""
    content, style = made(2, 4, 5, 3, seed=8) * 5 + 2, made(1, 6, 3, 3, seed=9) + 1
    found = np.asarray(decorate(jnp.asarray(content), jnp.asarray(style), patch_size=1))
    # Raised eigenvalues cancel between whitening and colouring: the style's own vectors.
    distances = np.linalg.norm(found[:, :, :, None] - style.reshape(-1, 3), axis=-1)
    assert distances.min(-1).max() < 1e-4
    assert len(np.unique(distances.argmin(-1))) > 5


def test_decorating_is_matching_assembling_and_colouring():
    content, style = made(1, 6, 5, 3, seed=10) * 4, made(1, 5, 7, 3, seed=11) + 3
    own, theirs = (np.asarray(whiten(jnp.asarray(x)))[0] for x in (content, style))
    together = assembled_by_loop(theirs, nearest_by_loop(own, theirs, 3), 3, (6, 5))
    mean, covariance = mean_and_covariance(jnp.asarray(style))
    wanted = color(jnp.float32(together)[None], mean, covariance_power(covariance, 0.5))
    found = decorate(jnp.asarray(content), jnp.asarray(style), patch_size=3)
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.slow
def test_flat_pictures_give_finite_features():
    flat, style = jnp.full((1, 5, 5, 2), 3.0), jnp.asarray(made(1, 5, 6, 2, seed=12))
    assert np.isfinite(decorate(flat, style)).all()
    np.testing.assert_allclose(decorate(style, flat), np.full((1, 5, 6, 2), 3.0), atol=1e-2)


def test_maps_smaller_than_a_patch_are_refused():
    with pytest.raises(ValueError, match="patches: wanted maps of at least 5 by 5 positions, got"):
        decorate(jnp.ones((1, 4, 9, 2)), jnp.ones((1, 9, 9, 2)))
