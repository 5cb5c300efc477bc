import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

from nst_jax.ops.gram import gram_matrix, guided_gram_matrices, guided_sums
from nst_jax.ops.moments import channel_moments, region_moments


def made_features(*shape: int, seed: int = 0) -> np.ndarray:
    """Channels of different means and scales, so that no two statistics agree by chance."""
    rng = np.random.default_rng(seed)
    scale = np.linspace(0.5, 2.0, shape[-1])
    return (rng.normal(size=shape) * scale + scale**2).astype(np.float32)


def gram_by_loop(features: np.ndarray) -> np.ndarray:
    batch, height, width, channels = features.shape
    total = np.zeros((batch, channels, channels))
    for b in range(batch):
        for i in range(height):
            for j in range(width):
                vector = features[b, i, j].astype(np.float64)
                total[b] += np.outer(vector, vector)
    return total / (height * width)


def test_gram_of_ones_is_ones():
    gram = gram_matrix(jnp.ones((2, 3, 5, 4)))
    np.testing.assert_array_equal(gram, np.ones((2, 4, 4)))


@settings(max_examples=15, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(1, 7),
)
def test_gram_matches_a_loop_over_positions(batch, height, width, channels):
    features = made_features(batch, height, width, channels)
    gram = gram_matrix(jnp.asarray(features))
    np.testing.assert_allclose(gram, gram_by_loop(features), rtol=1e-5, atol=1e-6)


def test_gram_keeps_float32_accuracy_over_many_positions():
    # Equal terms all round the same way: one running sum would drift by 1e-4.
    gram = gram_matrix(jnp.full((1, 64, 64, 64), 1 / 3))
    np.testing.assert_allclose(gram, np.full((1, 64, 64), 1 / 9), rtol=1e-5)


def test_gram_does_not_depend_on_where_features_are():
    features = made_features(1, 6, 8, 5)
    shuffled = np.random.default_rng(1).permutation(features.reshape(48, 5)).reshape(1, 8, 6, 5)
    np.testing.assert_allclose(
        gram_matrix(jnp.asarray(shuffled)), gram_matrix(jnp.asarray(features)), rtol=1e-5
    )


def test_gram_does_not_depend_on_how_often_a_picture_is_tiled():
    features = made_features(2, 4, 5, 3)
    tiled = np.tile(features, (1, 3, 2, 1))
    np.testing.assert_allclose(
        gram_matrix(jnp.asarray(tiled)), gram_matrix(jnp.asarray(features)), rtol=1e-5
    )


def test_gram_derivatives_of_both_modes_and_orders():
    features = jnp.asarray(made_features(2, 3, 4, 3))
    check_grads(
        jax.jit(gram_matrix), (features,), order=2, modes=("fwd", "rev"), rtol=1e-2, eps=1e-2
    )


def test_gram_gradient_matches_the_formula():
    features = made_features(1, 3, 4, 5)
    cotangent = np.random.default_rng(2).normal(size=(1, 5, 5)).astype(np.float32)
    _, pull_back = jax.vjp(gram_matrix, jnp.asarray(features))
    (gradient,) = pull_back(jnp.asarray(cotangent))
    rows = features.reshape(12, 5)
    expected = rows @ (cotangent[0] + cotangent[0].T) / 12
    np.testing.assert_allclose(gradient.reshape(12, 5), expected, rtol=1e-5, atol=1e-6)


def test_gram_gradient_costs_one_matrix_product_at_full_precision():
    features = jnp.ones((1, 4, 4, 3))
    program = str(jax.make_jaxpr(jax.grad(lambda x: jnp.square(gram_matrix(x)).sum()))(features))
    assert program.count("dot_general") == 2  # the Gram matrix itself and its gradient
    # GPUs and TPUs round operands unless told not to; a CPU never does, so only the program tells.
    assert program.count("precision=(Precision.HIGHEST, Precision.HIGHEST)") == 2


def test_moments_match_numpy():
    features = made_features(2, 5, 7, 4)
    mean, deviation = channel_moments(jnp.asarray(features), eps=0.0)
    np.testing.assert_allclose(mean, features.astype(np.float64).mean((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(deviation, features.astype(np.float64).std((1, 2)), rtol=1e-5)


def test_moments_survive_a_mean_far_above_the_deviation():
    # E[x²] − E[x]² would lose every digit here.
    offset = np.array([[-1.0, 1.0], [1.0, -1.0]], np.float32)
    features = jnp.asarray(offset[None, :, :, None] / 64 + np.float32(1000))
    mean, deviation = channel_moments(features, eps=0.0)
    np.testing.assert_array_equal(mean, [[1000.0]])
    np.testing.assert_allclose(deviation, [[1 / 64]], rtol=1e-6)


def test_moments_add_eps_to_the_variance():
    mean, deviation = channel_moments(jnp.full((1, 3, 3, 2), 7.0), eps=0.25)
    np.testing.assert_array_equal(mean, [[7.0, 7.0]])
    np.testing.assert_array_equal(deviation, [[0.5, 0.5]])


def test_moments_gradient_is_right_and_finite_where_the_variance_is_zero():
    features = jnp.asarray(made_features(1, 3, 4, 2))
    check_grads(
        jax.jit(channel_moments), (features,), order=1, modes=("fwd", "rev"), rtol=1e-2, eps=1e-2
    )
    flat_gradient = jax.grad(lambda x: channel_moments(x)[1].sum())(jnp.ones((1, 3, 4, 2)))
    np.testing.assert_array_equal(flat_gradient, np.zeros((1, 3, 4, 2)))


@pytest.mark.parametrize("function", [gram_matrix, channel_moments])
def test_jit_changes_nothing(function):
    features = jnp.asarray(made_features(2, 5, 4, 3))
    jax.tree.map(
        lambda compiled, eager: np.testing.assert_allclose(compiled, eager, rtol=1e-6),
        jax.jit(function)(features),
        function(features),
    )


@pytest.mark.oracle
def test_gram_loss_gradient_matches_torch():
    torch = pytest.importorskip("torch")
    features, target = made_features(2, 6, 5, 8), made_features(2, 4, 4, 8, seed=3)
    target_gram = gram_by_loop(target).astype(np.float32)

    ours, gradient = jax.value_and_grad(lambda x: jnp.square(gram_matrix(x) - target_gram).mean())(
        jnp.asarray(features)
    )

    x = torch.tensor(features, requires_grad=True)
    rows = x.permute(0, 3, 1, 2).flatten(2)
    theirs = torch.nn.functional.mse_loss(rows @ rows.mT / 30, torch.tensor(target_gram))
    theirs.backward()
    np.testing.assert_allclose(ours, theirs.item(), rtol=1e-5)
    np.testing.assert_allclose(gradient, x.grad.numpy(), rtol=1e-4, atol=1e-6)


# Regions --------------------------------------------------------------------------------------


def made_guides(*shape, seed=3) -> np.ndarray:
    """Soft ones, each of squares that sum to 1 in each picture."""
    guides = np.random.default_rng(seed).random(shape)
    return (guides / np.sqrt(np.square(guides).sum((1, 2), keepdims=True))).astype(np.float32)


def test_guided_grams_match_sums_over_positions():
    features, guides = made_features(2, 4, 5, 3), made_guides(2, 4, 5, 2)
    found = guided_gram_matrices(jnp.asarray(features), jnp.asarray(guides))
    rows, weights = features.astype(np.float64), guides.astype(np.float64) ** 2
    wanted = np.einsum("bhwr,bhwi,bhwj->brij", weights, rows, rows)
    assert found.shape == (2, 2, 3, 3)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_one_guide_that_is_the_same_everywhere_gives_the_gram_matrix():
    features = jnp.asarray(made_features(2, 4, 5, 3))
    found = guided_gram_matrices(features, jnp.full((1, 4, 5, 1), 20**-0.5))
    np.testing.assert_allclose(found[:, 0], gram_matrix(features), rtol=1e-6)


def test_the_guided_grams_gradient_matches_the_formula():
    features, guides = made_features(1, 3, 4, 5), made_guides(1, 3, 4, 2)
    guides[0, 1, 2] = 0
    cotangent = np.random.default_rng(2).normal(size=(1, 2, 5, 5)).astype(np.float32)
    _, pull_back = jax.vjp(
        lambda x: guided_gram_matrices(x, jnp.asarray(guides)), jnp.asarray(features)
    )
    (found,) = pull_back(jnp.asarray(cotangent))
    both = cotangent.astype(np.float64) + cotangent.swapaxes(2, 3)
    weights = guides.astype(np.float64) ** 2
    wanted = np.einsum("bhwr,brij,bhwj->bhwi", weights, both, features.astype(np.float64))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found[0, 1, 2], 0)


def test_guided_sums_are_a_gram_matrix_and_the_regions_sums():
    features, guides = made_features(2, 4, 5, 3), made_guides(1, 4, 5, 2)
    found = guided_sums(jnp.asarray(features), jnp.asarray(guides))
    whole, channels = features.astype(np.float64), guides.astype(np.float64)[0]
    np.testing.assert_allclose(
        found[:, :3, :3], np.einsum("bhwi,bhwj->bij", whole, whole) / 20, rtol=1e-5
    )
    np.testing.assert_allclose(
        found[:, :3, 3:], np.einsum("bhwi,hwr->bir", whole, channels) / 20**0.5, rtol=1e-5
    )
    np.testing.assert_allclose(
        found[:, 3:, 3:], [np.einsum("hwr,hws->rs", channels, channels)] * 2, rtol=1e-5
    )


def test_a_flat_region_far_from_the_others_keeps_its_digits():
    """About the mean of all, the difference of squares would be rounding of 1e6."""
    rng = np.random.default_rng(5)
    features = np.full((1, 8, 8, 2), 1000.0, np.float32)
    features[:, :, :4] += rng.normal(scale=0.01, size=(1, 8, 4, 2)).astype(np.float32)
    features[:, :, 4:] = rng.normal(size=(1, 8, 4, 2)) - 1000
    regions = np.zeros((1, 8, 8, 2), np.float32)
    regions[:, :, :4, 0] = regions[:, :, 4:, 1] = 1
    mean, variance = region_moments(jnp.asarray(features), jnp.asarray(regions))
    for r, part in enumerate((features[:, :, :4], features[:, :, 4:])):
        exact = part.astype(np.float64)
        np.testing.assert_allclose(mean[:, r], exact.mean((1, 2)), rtol=1e-6)
        np.testing.assert_allclose(variance[:, r], exact.var((1, 2)), rtol=1e-3)


def test_region_moments_match_numpys_of_the_positions_alone():
    features = made_features(2, 4, 5, 3)
    regions = np.zeros((1, 4, 5, 3), np.float32)
    regions[:, :2, :, 0] = 0.5  # evenly soft: the same moments
    regions[:, 1:, 2:, 1] = 1
    mean, variance = region_moments(jnp.asarray(features), jnp.asarray(regions))
    for place, part in enumerate((features[:, :2], features[:, 1:, 2:])):
        rows = part.reshape(2, -1, 3).astype(np.float64)
        np.testing.assert_allclose(mean[:, place], rows.mean(1), rtol=1e-5)
        np.testing.assert_allclose(variance[:, place], rows.var(1), rtol=1e-4)
    np.testing.assert_array_equal(mean[:, 2], 0)
    np.testing.assert_array_equal(variance[:, 2], 0)
