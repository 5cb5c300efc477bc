import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from nst_jax import losses

CHANNELS, HEIGHT, WIDTH = 5, 4, 6
POSITIONS = HEIGHT * WIDTH


def made(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.5, 1.0, shape).astype(np.float32)


def checkerboard(height: int, width: int, *, batch: int = 1) -> jax.Array:
    board = (np.indices((height, width)).sum(0) % 2).astype(np.float32)
    return jnp.asarray(np.broadcast_to(board[None, :, :, None], (batch, height, width, 3)))


def gram(features: np.ndarray) -> np.ndarray:
    """FᵀF undivided, in float64."""
    rows = features.reshape(-1, features.shape[-1]).astype(np.float64)
    return rows.T @ rows


# The formulas of the papers and codebases, for one image; a and b are FᵀF undivided.
M, N = POSITIONS, CHANNELS
GRAM_FORMULAS = {
    "nst_jax": lambda a, b: np.mean((a / M - b / M) ** 2),
    "gatys_2016": lambda a, b: np.sum((a - b) ** 2) / (4 * N**2 * M**2),
    "gatys_2017": lambda a, b: np.sum((a / M - b / M) ** 2) / (4 * N**2),
    "deep_textures": lambda a, b: np.mean((a / M - b / M) ** 2) / 4,
    "neural_image_synthesis": lambda a, b: np.mean((a / M - b / M) ** 2),
    "neural_style": lambda a, b: np.mean((a / (N * M) - b / (N * M)) ** 2),
    "anishathalye": lambda a, b: 2 * (np.sum((a / (N * M) - b / (N * M)) ** 2) / 2) / N**2,
    "lengstrom": lambda a, b: 2 * (np.sum((a / (N * M) - b / (N * M)) ** 2) / 2) / N**2 / 1,
    "johnson_2016": lambda a, b: np.linalg.norm((a - b) / (N * M), "fro") ** 2,
    "fast_neural_style": lambda a, b: np.mean((a / (N * M) - b / (N * M)) ** 2),
    "magenta": lambda a, b: np.mean((a / M - b / M) ** 2),
}
CONTENT_FORMULAS = {
    "gatys_2016": lambda f, p: 0.5 * np.sum((f - p) ** 2),
    "johnson_2016": lambda f, p: np.sum((f - p) ** 2) / (N * HEIGHT * WIDTH),
} | {
    name: lambda f, p: np.mean((f - p) ** 2)
    for name in (
        "nst_jax",
        "neural_image_synthesis",
        "neural_style",
        "anishathalye",
        "lengstrom",
        "fast_neural_style",
        "magenta",
    )
}


def test_content_loss_is_the_mean_square():
    features, target = made(2, 3, 4, 5, seed=0), made(2, 3, 4, 5, seed=1)
    difference = features.astype(np.float64) - target
    expected = sum(d**2 for d in difference.flat) / (2 * 3 * 4 * 5)
    result = losses.content_loss(jnp.asarray(features), jnp.asarray(target))
    np.testing.assert_allclose(result, expected, rtol=1e-5)


def test_gram_loss_is_the_mean_square_over_entries_and_batch():
    grams, targets = made(3, 4, 4, seed=2), made(3, 4, 4, seed=3)
    one_by_one = [
        sum((g - a) ** 2 for g, a in zip(gram.flat, target.flat, strict=True)) / 16
        for gram, target in zip(grams.astype(np.float64), targets, strict=True)
    ]
    result = losses.gram_loss(jnp.asarray(grams), jnp.asarray(targets))
    np.testing.assert_allclose(result, sum(one_by_one) / 3, rtol=1e-5)


def test_gram_loss_compares_a_batch_with_one_style():
    grams, target = jnp.asarray(made(3, 4, 4, seed=4)), jnp.asarray(made(1, 4, 4, seed=5))
    repeated = jnp.tile(target, (3, 1, 1))
    np.testing.assert_allclose(
        losses.gram_loss(grams, target), losses.gram_loss(grams, repeated), rtol=1e-6
    )


def test_moment_loss_adds_both_means():
    mean, deviation = jnp.asarray([[1.0, 2.0]]), jnp.asarray([[3.0, 4.0]])
    target = jnp.asarray([[1.0, 4.0]]), jnp.asarray([[0.0, 4.0]])
    # Means differ by (0, 2), deviations by (3, 0): 4/2 + 9/2.
    np.testing.assert_allclose(losses.moment_loss((mean, deviation), target), 6.5, rtol=1e-6)


def test_total_variation_of_a_checkerboard_is_two_at_any_size():
    for shape in [(2, 2), (5, 8), (16, 3)]:
        loss = losses.total_variation_loss(checkerboard(*shape, batch=2))
        np.testing.assert_allclose(loss, 2.0, rtol=1e-6)


def test_total_variation_of_a_ramp_is_its_squared_slopes():
    y, x = np.mgrid[0:6, 0:9].astype(np.float32)
    ramp = jnp.asarray(np.repeat((0.1 * y + 0.03 * x)[None, :, :, None], 3, -1))
    np.testing.assert_allclose(losses.total_variation_loss(ramp), 0.1**2 + 0.03**2, rtol=1e-4)


def test_total_variation_counts_every_pair_of_neighbours():
    # A step in the last row alone: 4 of the 4 · 2 vertical pairs, no horizontal one.
    image = np.zeros((1, 3, 4, 3), np.float32)
    image[:, -1] = 1
    np.testing.assert_allclose(losses.total_variation_loss(jnp.asarray(image)), 0.5, rtol=1e-6)


def test_half_sum_total_variation_matches_a_loop():
    image = made(2, 5, 6, 3, seed=6)
    total = 0.0
    for picture in image.astype(np.float64):
        for i in range(4):
            for j in range(5):
                down, right = picture[i + 1, j] - picture[i, j], picture[i, j + 1] - picture[i, j]
                total += 0.5 * np.sum(down**2 + right**2)
    result = losses.half_sum_total_variation_loss(jnp.asarray(image))
    np.testing.assert_allclose(result, total / 2, rtol=1e-5)


def test_half_sum_total_variation_has_the_gradient_that_neural_style_adds():
    image = made(1, 5, 7, 3, seed=7)
    # Torch7's module differentiates by hand, on pixels that have both neighbours.
    right = image[:, :-1, :-1] - image[:, :-1, 1:]
    down = image[:, :-1, :-1] - image[:, 1:, :-1]
    expected = np.zeros_like(image)
    expected[:, :-1, :-1] += right + down
    expected[:, :-1, 1:] -= right
    expected[:, 1:, :-1] -= down
    gradient = jax.grad(losses.half_sum_total_variation_loss)(jnp.asarray(image))
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "loss", [losses.total_variation_loss, losses.half_sum_total_variation_loss]
)
@pytest.mark.parametrize("shape", [(1, 1, 5, 3), (1, 5, 1, 3)])
def test_total_variation_refuses_pictures_without_neighbours(loss, shape):
    with pytest.raises(ValueError, match=f"got height {shape[1]} and width {shape[2]}"):
        loss(jnp.zeros(shape))


def test_style_and_feature_losses_weigh_their_layers():
    grams = {"relu1_1": jnp.zeros((1, 2, 2)), "relu2_1": jnp.zeros((1, 3, 3))}
    targets = {"relu2_1": jnp.full((1, 3, 3), 2.0), "relu1_1": jnp.full((1, 2, 2), 3.0)}
    weights = (("relu1_1", 0.5), ("relu2_1", 10.0))
    style = losses.sum_over_layers(losses.gram_loss, grams, targets, weights)
    np.testing.assert_allclose(style, 0.5 * 9 + 10 * 4, rtol=1e-6)
    features = {name: gram[:, :, None] for name, gram in grams.items()}
    target_features = {name: gram[:, :, None] for name, gram in targets.items()}
    content = losses.feature_loss(features, target_features, layer_weights=weights[1:])
    np.testing.assert_allclose(content, 40.0, rtol=1e-6)


@pytest.mark.parametrize("missing_from", ["values", "targets"])
def test_a_layer_that_is_missing_is_named(missing_from):
    both = {"relu1_1": jnp.zeros((1, 2, 2)), "relu2_1": jnp.zeros((1, 2, 2))}
    one = {"relu2_1": jnp.zeros((1, 2, 2))}
    arguments = (one, both) if missing_from == "values" else (both, one)
    with pytest.raises(ValueError, match="no layer 'relu1_1' among relu2_1"):
        losses.sum_over_layers(losses.gram_loss, *arguments, (("relu1_1", 1.0),))


def pairs_at_equality():
    image = jnp.asarray(made(1, 4, 5, 3, seed=8))
    square = jnp.asarray(made(1, 4, 4, seed=9))
    vector = jnp.asarray(made(1, 4, seed=10))
    return [
        (losses.content_loss, image),
        (losses.gram_loss, square),
        (losses.moment_loss, (vector, vector)),
    ]


@pytest.mark.parametrize(("loss", "value"), pairs_at_equality())
def test_zero_with_zero_gradient_at_equality_and_positive_off_it(loss, value):
    zero, gradient = jax.value_and_grad(loss)(value, value)
    assert zero == 0
    jax.tree.map(lambda leaf: np.testing.assert_array_equal(leaf, np.zeros_like(leaf)), gradient)
    assert loss(jax.tree.map(lambda leaf: leaf + 0.1, value), value) > 0


@pytest.mark.parametrize(("loss", "value"), pairs_at_equality())
def test_gradients_and_jit_of_losses_on_pairs(loss, value):
    other = jax.tree.map(lambda leaf: 0.5 * leaf + 0.2, value)
    check_grads(jax.jit(loss), (value, other), order=1, modes=("fwd", "rev"), rtol=1e-2, eps=1e-2)
    np.testing.assert_allclose(jax.jit(loss)(value, other), loss(value, other), rtol=1e-6)


@pytest.mark.parametrize(
    "loss", [losses.total_variation_loss, losses.half_sum_total_variation_loss]
)
def test_gradients_and_jit_of_total_variation(loss):
    image = jnp.asarray(made(2, 4, 5, 3, seed=11))
    check_grads(jax.jit(loss), (image,), order=1, modes=("fwd", "rev"), rtol=1e-2, eps=1e-2)
    np.testing.assert_allclose(jax.jit(loss)(image), loss(image), rtol=1e-6)
    flat_gradient = jax.grad(loss)(jnp.full((1, 4, 5, 3), 0.5))
    np.testing.assert_array_equal(flat_gradient, np.zeros((1, 4, 5, 3)))


def test_tables_and_formulas_cover_the_same_conventions():
    assert set(losses.GRAM_NORMALIZATIONS) == set(GRAM_FORMULAS)
    assert set(losses.CONTENT_NORMALIZATIONS) == set(CONTENT_FORMULAS)


def gram_example() -> tuple[np.ndarray, np.ndarray]:
    a = gram(made(1, HEIGHT, WIDTH, CHANNELS, seed=12))
    return a, gram(made(1, HEIGHT, WIDTH, CHANNELS, seed=13))


@pytest.mark.parametrize("source", GRAM_FORMULAS)
def test_published_gram_weights_have_the_same_strength_here(source):
    a, b = gram_example()
    weight = losses.convert_gram_weight(3.0, source=source, channels=CHANNELS)
    ours = losses.gram_loss(
        jnp.asarray(a / POSITIONS, jnp.float32)[None], jnp.asarray(b / POSITIONS, jnp.float32)[None]
    )
    np.testing.assert_allclose(weight * ours, 3.0 * GRAM_FORMULAS[source](a, b), rtol=1e-5)


@pytest.mark.parametrize("target", GRAM_FORMULAS)
def test_gram_weights_convert_between_any_two(target):
    a, b = gram_example()
    weight = losses.convert_gram_weight(
        100.0, source="neural_style", target=target, channels=CHANNELS
    )
    np.testing.assert_allclose(
        weight * GRAM_FORMULAS[target](a, b),
        100.0 * GRAM_FORMULAS["neural_style"](a, b),
        rtol=1e-12,
    )


def test_gram_conventions_stand_in_the_ratios_one_to_four_to_four_over_channels_squared():
    def in_papers_units(source: str, channels: int) -> float:
        return losses.convert_gram_weight(
            1.0, source=source, target="gatys_2016", channels=channels
        )

    for channels in (64, 512):
        assert in_papers_units("deep_textures", channels) == 1.0
        assert in_papers_units("neural_image_synthesis", channels) == 4.0
        assert in_papers_units("johnson_2016", channels) == 4.0
        assert in_papers_units("magenta", channels) == 4.0
        assert in_papers_units("neural_style", channels) == 4.0 / channels**2
        assert in_papers_units("fast_neural_style", channels) == 4.0 / channels**2


@pytest.mark.parametrize("source", CONTENT_FORMULAS)
def test_published_content_weights_have_the_same_strength_here(source):
    features = made(1, HEIGHT, WIDTH, CHANNELS, seed=14)
    target = made(1, HEIGHT, WIDTH, CHANNELS, seed=15)
    weight = losses.convert_content_weight(
        5.0, source=source, channels=CHANNELS, positions=POSITIONS
    )
    ours = losses.content_loss(jnp.asarray(features), jnp.asarray(target))
    theirs = CONTENT_FORMULAS[source](features.astype(np.float64), target.astype(np.float64))
    np.testing.assert_allclose(weight * ours, 5.0 * theirs, rtol=1e-5)


def test_the_papers_content_term_at_512_pixels_outweighs_the_mean_a_million_times():
    # relu4_2 there has 512 channels and 64 × 64 positions.
    weight = losses.convert_content_weight(
        1.0, source="gatys_2016", channels=512, positions=64 * 64
    )
    assert weight == 1_048_576.0


def test_huangs_style_weight_in_terms_of_the_mean():
    # The weight 0.1 on a sum over channels, as weights on means over 64 to 512 channels.
    weights = [
        losses.convert_moment_weight(
            0.1, source="huang_2017", target="pytorch_adain", channels=channels
        )
        for channels in (64, 128, 256, 512)
    ]
    np.testing.assert_allclose(weights, [6.4, 12.8, 25.6, 51.2], rtol=1e-12)


def test_published_moment_weight_has_the_same_strength_here():
    mean, deviation, target_mean, target_deviation = (made(2, 6, seed=s) for s in range(16, 20))
    # The Torch code: squared differences summed over channels, divided by the batch.
    theirs = (np.sum((mean - target_mean) ** 2) + np.sum((deviation - target_deviation) ** 2)) / 2
    ours = losses.moment_loss(
        (jnp.asarray(mean), jnp.asarray(deviation)),
        (jnp.asarray(target_mean), jnp.asarray(target_deviation)),
    )
    weight = losses.convert_moment_weight(1.0, source="huang_2017", channels=6)
    np.testing.assert_allclose(weight * ours, theirs, rtol=1e-5)


def test_unknown_conventions_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"source: 'gatys' is not one of nst_jax, gatys_2016"):
        losses.convert_gram_weight(1.0, source="gatys", channels=64)
    with pytest.raises(ValueError, match=r"target: 'gatys' is not one of"):
        losses.convert_content_weight(
            1.0, source="nst_jax", target="gatys", channels=64, positions=4
        )
