"""Oracle: rank by rank in NumPy, after both are repeated to as many values."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.ops.feature_transforms import match_distributions
from nst_jax.ops.quantiles import quantile_levels, set_quantiles


def made(*shape, seed):
    rng = np.random.default_rng(seed)
    return (rng.gamma(0.7, size=shape) * np.linspace(0.5, 20, shape[-1]) - seed).astype(np.float32)


def by_repeating(values, wanted):
    """One channel: each value by the mean of the wanted ones at its ranks, and at its equals'."""
    values, wanted = np.asarray(values, np.float64), np.sort(np.asarray(wanted, np.float64))
    number = math.lcm(len(values), len(wanted))
    ranked = wanted.repeat(number // len(wanted)).reshape(len(values), -1).mean(1)
    found = np.empty_like(values)
    found[np.argsort(values, kind="stable")] = ranked
    for value in np.unique(values):
        found[values == value] = found[values == value].mean()
    return found


def by_repeating_channels(content, style):
    rows = style.reshape(len(style), -1, style.shape[-1])
    found = np.empty(content.shape)
    for b, c in np.ndindex(len(content), content.shape[-1]):
        picture = content[b, ..., c]
        wanted = rows[b % len(style), :, c]
        found[b, ..., c] = by_repeating(picture.ravel(), wanted).reshape(picture.shape)
    return found


@pytest.mark.parametrize(("size", "batch"), [((5, 6), 2), ((3, 4), 1), ((9, 7), 1)])
def test_each_value_becomes_the_styles_of_its_rank(size, batch):
    content, style = made(2, 5, 6, 3, seed=1), made(batch, *size, 3, seed=2)
    found = match_distributions(jnp.asarray(content), jnp.asarray(style))
    np.testing.assert_allclose(found, by_repeating_channels(content, style), rtol=1e-5, atol=1e-4)


def test_as_many_positions_get_exactly_the_styles_values():
    content, style = made(1, 8, 9, 4, seed=3), made(1, 6, 12, 4, seed=4)
    found = np.asarray(match_distributions(jnp.asarray(content), jnp.asarray(style)))
    wanted = np.sort(style.reshape(-1, 4), axis=0)
    np.testing.assert_allclose(np.sort(found.reshape(-1, 4), axis=0), wanted, rtol=1e-5, atol=1e-5)
    order = np.argsort(content.reshape(-1, 4), axis=0)
    np.testing.assert_array_equal(np.argsort(found.reshape(-1, 4), axis=0), order)


def test_what_is_equal_stays_equal_and_flat_channels_get_the_styles_mean():
    content, style = made(1, 5, 6, 3, seed=5), made(1, 4, 7, 3, seed=6)
    content[..., 0] = np.maximum(content[..., 0], np.median(content[..., 0]))  # as a ReLU leaves it
    content[..., 1] = 7
    found = np.asarray(match_distributions(jnp.asarray(content), jnp.asarray(style)))
    np.testing.assert_allclose(found, by_repeating_channels(content, style), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found[..., 1], style[..., 1].mean(), rtol=1e-5)
    np.testing.assert_allclose(found.mean((1, 2)), style.mean((1, 2)), rtol=1e-4)


def test_weights_count_positions_as_often():
    """Whole numbers for weights: the same as so many positions, and none for 0."""
    content, style = made(1, 4, 5, 2, seed=7), made(1, 3, 6, 2, seed=8)
    rng = np.random.default_rng(9)
    counts, style_counts = rng.integers(0, 4, (1, 4, 5)), rng.integers(0, 4, (1, 3, 6))

    levels = quantile_levels(
        jnp.asarray(style), count=12, weights=jnp.asarray(style_counts / 4, jnp.float32)
    )
    found = set_quantiles(
        jnp.asarray(content), levels, weights=jnp.asarray(counts / 4, jnp.float32)
    )

    for c in range(2):
        often = np.sort(style[..., c].ravel().repeat(style_counts.ravel()).astype(np.float64))
        number = math.lcm(len(often), 12)
        wanted = often.repeat(number // len(often)).reshape(12, -1).mean(1)
        np.testing.assert_allclose(levels[0, :, c], wanted, rtol=1e-4, atol=1e-4)
        given = content[..., c].ravel().repeat(counts.ravel())
        mine = np.asarray(found[..., c]).ravel().repeat(counts.ravel())
        np.testing.assert_allclose(mine, by_repeating(given, wanted), rtol=1e-4, atol=1e-4)


def test_an_empty_region_gives_finite_values():
    content, nothing = jnp.asarray(made(1, 4, 5, 2, seed=10)), jnp.zeros((1, 4, 5))
    levels = quantile_levels(content, count=8, weights=nothing)
    assert np.isfinite(levels).all()
    assert np.isfinite(set_quantiles(content, levels, weights=nothing)).all()


def test_mixed_levels_give_mixed_features():
    content = jnp.asarray(made(1, 6, 5, 3, seed=11))
    first, second = (
        quantile_levels(jnp.asarray(made(1, 7, 4, 3, seed=seed)), count=16) for seed in (12, 13)
    )
    mixed = set_quantiles(content, 0.3 * first + 0.7 * second)
    apart = 0.3 * set_quantiles(content, first) + 0.7 * set_quantiles(content, second)
    np.testing.assert_allclose(mixed, apart, rtol=1e-4, atol=1e-4)


def test_many_positions_keep_their_digits():
    """As many as a layer of a very large picture has."""
    content = np.arange(2**18, dtype=np.float32)[::-1].reshape(1, 512, 512, 1)
    style = jnp.asarray(100 + np.linspace(0, 1, 1024, dtype=np.float32).reshape(1, 32, 32, 1))
    found = jax.jit(match_distributions)(jnp.asarray(content), style)
    wanted = np.asarray(style, np.float64).ravel().repeat(256)[::-1]
    np.testing.assert_allclose(np.asarray(found).ravel(), wanted, atol=3e-5)
