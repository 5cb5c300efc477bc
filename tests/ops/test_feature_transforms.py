import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

from nst_jax.ops.feature_transforms import adain, set_moments
from nst_jax.ops.moments import channel_moments


def made_features(*shape: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    scale = np.linspace(0.3, 3.0, shape[-1])
    return (rng.normal(size=shape) * scale + seed * scale).astype(np.float32)


def adain_by_loop(content: np.ndarray, style: np.ndarray, eps: float) -> np.ndarray:
    result = np.empty(content.shape)
    for b in range(len(content)):
        for c in range(content.shape[-1]):
            x = content[b, :, :, c].astype(np.float64)
            y = style[b, :, :, c].astype(np.float64)
            x_deviation, y_deviation = np.sqrt(x.var() + eps), np.sqrt(y.var() + eps)
            result[b, :, :, c] = y_deviation * (x - x.mean()) / x_deviation + y.mean()
    return result


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(st.integers(1, 3), st.integers(2, 6), st.integers(2, 6), st.integers(1, 5))
def test_matches_a_loop_over_channels(batch, height, width, channels):
    content = made_features(batch, height, 4, channels, seed=1)
    style = made_features(batch, 3, width, channels, seed=2)
    result = adain(jnp.asarray(content), jnp.asarray(style))
    np.testing.assert_allclose(result, adain_by_loop(content, style, 1e-5), rtol=1e-4, atol=1e-5)


def test_of_a_picture_with_itself_is_the_picture_even_where_channels_are_faint():
    features = made_features(2, 7, 6, 5, seed=3) * np.array([1, 1e-1, 1e-2, 1e-3, 0], np.float32)
    np.testing.assert_allclose(
        adain(jnp.asarray(features), jnp.asarray(features)), features, atol=1e-5
    )


def test_result_has_the_moments_of_the_style():
    style = made_features(1, 9, 5, 4, seed=5)
    result = np.asarray(adain(jnp.asarray(made_features(1, 6, 8, 4, seed=4)), jnp.asarray(style)))
    np.testing.assert_allclose(result.mean((1, 2)), style.mean((1, 2)), rtol=1e-4)
    np.testing.assert_allclose(result.std((1, 2)), style.std((1, 2)), rtol=1e-3)


def test_one_style_serves_a_whole_batch():
    content = jnp.asarray(made_features(3, 5, 4, 2, seed=6))
    style = jnp.asarray(made_features(1, 4, 4, 2, seed=7))
    np.testing.assert_allclose(
        adain(content, style), adain(content, jnp.tile(style, (3, 1, 1, 1))), rtol=1e-6
    )


def test_eps_bounds_what_a_flat_channel_is_divided_by():
    # A flat content keeps nothing of its own: what remains is the style's mean.
    style = jnp.asarray(made_features(1, 4, 4, 2, seed=8))
    result = adain(jnp.full((1, 3, 3, 2), 5.0), style, eps=1e-3)
    np.testing.assert_allclose(
        result, jnp.broadcast_to(style.mean((1, 2)), (1, 3, 3, 2)), rtol=1e-6
    )


def test_gradients_are_right_and_finite_at_flat_features():
    content = jnp.asarray(made_features(1, 3, 4, 2, seed=9))
    style = jnp.asarray(made_features(1, 4, 3, 2, seed=10))
    check_grads(
        jax.jit(adain), (content, style), order=1, modes=("fwd", "rev"), rtol=1e-2, eps=1e-2
    )
    flat = jnp.ones((1, 3, 4, 2))
    for gradient in jax.grad(lambda x, y: adain(x, y).sum(), argnums=(0, 1))(flat, flat):
        assert np.isfinite(gradient).all()


def test_jit_changes_nothing():
    content = jnp.asarray(made_features(1, 5, 4, 3, seed=11))
    style = jnp.asarray(made_features(1, 4, 6, 3, seed=12))
    np.testing.assert_allclose(
        jax.jit(adain)(content, style), adain(content, style), rtol=1e-5, atol=1e-6
    )


@pytest.mark.oracle
def test_matches_torch_instance_norm():
    torch = pytest.importorskip("torch")
    content = made_features(2, 6, 5, 4, seed=13)
    style = made_features(2, 7, 3, 4, seed=14)
    normal = torch.nn.functional.instance_norm(torch.tensor(content).permute(0, 3, 1, 2), eps=1e-5)
    variance, mean = torch.var_mean(torch.tensor(style), dim=(1, 2), keepdim=True, correction=0)
    expected = normal.permute(0, 2, 3, 1) * torch.sqrt(variance + 1e-5) + mean
    np.testing.assert_allclose(
        adain(jnp.asarray(content), jnp.asarray(style)), expected.numpy(), rtol=1e-4, atol=1e-5
    )


def test_moments_of_several_styles_average_as_their_pictures_do():
    rng = np.random.default_rng(5)
    content = jnp.asarray(rng.random((2, 4, 5, 3), np.float32))
    styles = [jnp.asarray(rng.random((1, 3, 6, 3), np.float32) * k) for k in (1, 4)]
    moments = [channel_moments(style) for style in styles]
    mean, deviation = (0.3 * a + 0.7 * b for a, b in zip(*moments, strict=True))

    blended = set_moments(content, mean, deviation)

    alone = [np.asarray(adain(content, style), np.float64) for style in styles]
    np.testing.assert_allclose(blended, 0.3 * alone[0] + 0.7 * alone[1], atol=1e-5)
    # What comes out has the moments asked for.
    np.testing.assert_allclose(np.asarray(blended).mean((1, 2)), np.repeat(mean, 2, 0), atol=1e-5)
