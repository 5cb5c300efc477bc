"""Style losses against NumPy and SciPy, and what each of them can tell apart."""

import dataclasses
import functools
import typing

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from jax.test_util import check_grads
from scipy.spatial.distance import cdist

from nst_jax.losses import styles
from nst_jax.losses.nearest import patches, thinned_vectors
from nst_jax.losses.styles import STYLE_LOSSES, StyleLoss, StyleLossName
from nst_jax.losses.transport import orthogonal_directions

CHANNELS = 4
NAMES = tuple(STYLE_LOSSES)


def features_of(height: int, width: int, *, seed: int, batch: int = 1) -> jax.Array:
    """Correlated channels of different means, positive as those of a ReLU are."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(CHANNELS, CHANNELS))
    values = rng.normal(size=(batch, height, width, CHANNELS)) @ mixing + rng.normal(size=CHANNELS)
    return jnp.asarray(np.maximum(values, 0.05 * values), jnp.float32)


def rows_of(features: jax.Array) -> np.ndarray:
    return np.asarray(features, np.float64).reshape(-1, features.shape[-1])


@functools.partial(jax.jit, static_argnames="name")
def distance(name: StyleLossName, picture: jax.Array, painting: jax.Array) -> jax.Array:
    loss = STYLE_LOSSES[name]
    return loss.distance(picture, loss.measure(painting))


# Oracles: of one picture and one painting, in float64.


def gram_oracle(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.mean((a.T @ a / len(a) - b.T @ b / len(b)) ** 2))


def moments_oracle(a: np.ndarray, b: np.ndarray) -> float:
    deviations = [np.sqrt(x.var(0) + 1e-5) for x in (a, b)]
    squares = (a.mean(0) - b.mean(0)) ** 2 + (deviations[0] - deviations[1]) ** 2
    return float(squares.mean())


def wasserstein_oracle(a: np.ndarray, b: np.ndarray) -> float:
    first, second = (
        c + (1e-4 + 1e-6 * np.trace(c)) * np.eye(len(c))
        for c in (np.cov(x.T, bias=True) for x in (a, b))
    )
    root = scipy.linalg.sqrtm(second)
    shared = scipy.linalg.sqrtm(root @ first @ root)
    squared = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(first + second - 2 * shared)
    return float(np.real(squared)) / a.shape[1]


def histogram_oracle(a: np.ndarray, b: np.ndarray) -> float:
    ranks = (np.arange(len(a)) + 0.5) / len(a)
    known = (np.arange(len(b)) + 0.5) / len(b)
    squares = [
        np.mean((np.sort(x) - np.interp(ranks, known, np.sort(y))) ** 2)
        for x, y in zip(a.T, b.T, strict=True)
    ]
    return float(np.mean(squares))


def sliced_oracle(a: np.ndarray, b: np.ndarray) -> float:
    directions = orthogonal_directions(a.shape[1]).astype(np.float64)
    return histogram_oracle(a @ directions, b @ directions)


def transport_oracle(a: np.ndarray, b: np.ndarray) -> float:
    cost = cdist(a, b, "cosine")
    return max(cost.min(1).mean(), cost.min(0).mean())


ORACLES = {
    "gram": gram_oracle,
    "moments": moments_oracle,
    "wasserstein": wasserstein_oracle,
    "histogram": histogram_oracle,
    "sliced_wasserstein": sliced_oracle,
    "relaxed_transport": transport_oracle,
}


@pytest.mark.parametrize("name", ORACLES)
def test_against_numpy_and_scipy(name):
    picture, painting = features_of(6, 7, seed=1), features_of(5, 9, seed=2)
    wanted = ORACLES[name](rows_of(picture), rows_of(painting))
    assert wanted > 0.01
    np.testing.assert_allclose(distance(name, picture, painting), wanted, rtol=1e-4)


def test_patches_are_matched_by_their_angle():
    picture, painting = features_of(5, 6, seed=3), features_of(6, 5, seed=4)

    def windows(features):
        view = np.lib.stride_tricks.sliding_window_view(
            np.asarray(features[0], float), (3, 3), (0, 1)
        )
        return view.transpose(0, 1, 3, 4, 2).reshape(-1, 9 * CHANNELS)

    own, others = windows(picture), windows(painting)
    nearest = others[cdist(own, others, "cosine").argmin(1)]
    wanted = np.mean((own - nearest) ** 2)
    np.testing.assert_allclose(distance("mrf", picture, painting), wanted, rtol=1e-4)


def test_the_names_are_those_of_the_table():
    assert typing.get_args(styles.StyleLossName) == NAMES
    for name in NAMES:
        assert f"| {name} |" in str(styles.__doc__)


@pytest.mark.parametrize("name", NAMES)
def test_a_painting_has_its_own_style(name):
    painting = features_of(6, 8, seed=5)
    assert abs(float(distance(name, painting, painting))) < 1e-5


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_finite_differences(name):
    # In float64: a nearest neighbour or a rank must not change within a difference's reach.
    with jax.enable_x64(True):
        picture = jnp.asarray(features_of(5, 5, seed=6), jnp.float64)
        target = STYLE_LOSSES[name].measure(jnp.asarray(features_of(5, 6, seed=7), jnp.float64))
        check_grads(
            jax.jit(lambda x: STYLE_LOSSES[name].distance(jnp.asarray(x), target)),
            (picture,),
            order=1,
            modes=("rev",),
            eps=1e-6,
            rtol=1e-4,
        )


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_compared_picture_by_picture_with_one_painting(name):
    pictures, painting = features_of(5, 6, seed=8, batch=2), features_of(6, 6, seed=9)
    alone = [float(distance(name, pictures[i : i + 1], painting)) for i in range(2)]
    np.testing.assert_allclose(distance(name, pictures, painting), np.mean(alone), rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_runs_of_a_batch_each_have_their_target(name):
    pictures = jnp.stack([features_of(5, 5, seed=seed) for seed in (10, 11)])
    paintings = jnp.stack([features_of(5, 5, seed=seed) for seed in (12, 13)])
    together = jax.vmap(lambda picture, painting: distance(name, picture, painting))(
        pictures, paintings
    )
    alone = [distance(name, *pair) for pair in zip(pictures, paintings, strict=True)]
    np.testing.assert_allclose(together, alone, rtol=1e-4)


# Which differences each one sees: all positions moved elsewhere; the same moments otherwise shaped.
BLIND_TO_SHAPE = {"gram", "moments", "wasserstein"}


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"mrf"}))
def test_where_things_are_does_not_count(name):
    painting = features_of(6, 6, seed=14)
    moved = jax.random.permutation(jax.random.key(0), painting.reshape(1, 36, 1, CHANNELS), axis=1)
    assert abs(float(distance(name, moved.reshape(painting.shape), painting))) < 1e-5


@pytest.mark.parametrize(
    "name", ["gram", "moments", "wasserstein", "histogram", "sliced_wasserstein"]
)
def test_the_shape_of_a_histogram_counts_where_it_is_said_to(name):
    def standard(values):
        return (values - values.mean()) / values.std()

    # All pairs of the values: two uncorrelated channels, so that second moments agree.
    first, second = (
        jnp.asarray(2 + np.stack(np.meshgrid(values, values), -1)[None], jnp.float32)
        for values in (standard(np.arange(6.0)), standard(np.sign(np.arange(6.0) - 2.5)))
    )
    found = float(distance(name, first, second))
    if name in BLIND_TO_SHAPE:
        assert abs(found) < 1e-3
    else:
        assert found > 0.05


# Several paintings ----------------------------------------------------------------------------


def test_means_of_moments_and_quantiles():
    paintings = [features_of(4, 4, seed=15), features_of(5, 5, seed=16)]
    shares = (0.25, 0.75)
    for name in ("gram", "moments", "wasserstein"):
        loss = STYLE_LOSSES[name]
        measured = [loss.measure(painting) for painting in paintings]
        blended = loss.blend(measured, shares)
        for got, first, second in zip(*map(jax.tree.leaves, (blended, *measured)), strict=True):
            np.testing.assert_allclose(got, 0.25 * first + 0.75 * second, rtol=1e-5, atol=1e-6)
    loss = STYLE_LOSSES["histogram"]
    blended = loss.blend([loss.measure(painting) for painting in paintings], shares)
    known, ranks = ((np.arange(n) + 0.5) / n for n in (16, 25))
    small, large = (np.sort(rows_of(painting), 0) for painting in paintings)
    for channel in range(CHANNELS):
        wanted = 0.25 * np.interp(ranks, known, small[:, channel]) + 0.75 * large[:, channel]
        np.testing.assert_allclose(blended[0, :, channel], wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["mrf", "relaxed_transport"])
def test_the_nearest_of_any_painting(name):
    paintings = [features_of(5, 5, seed=17), features_of(4, 6, seed=18)]
    loss = STYLE_LOSSES[name]
    together = loss.blend([loss.measure(painting) for painting in paintings], (0.5, 0.5))
    assert together.shape[1] == sum(loss.measure(painting).shape[1] for painting in paintings)
    if name == "mrf":  # each painting's patches are there as they were
        for painting in paintings:
            assert abs(float(loss.distance(painting, together))) < 1e-6
    with pytest.raises(ValueError, match=r"style_blend: wanted none .* got shares 0.3, 0.7"):
        loss.blend([loss.measure(painting) for painting in paintings], (0.3, 0.7))


# Limits ---------------------------------------------------------------------------------------


def test_large_maps_are_thinned():
    large = features_of(130, 70, seed=19)  # 9,100 positions
    assert thinned_vectors(large).shape == (1, 65 * 35, CHANNELS)
    assert STYLE_LOSSES["mrf"].measure(large).shape == (1, 64 * 34, 9 * CHANNELS)
    assert thinned_vectors(features_of(64, 64, seed=20)).shape[1] == 64 * 64


def test_a_map_smaller_than_a_patch_is_an_error():
    with pytest.raises(ValueError, match=r"style_loss: mrf compares .* only 2 x 9 of"):
        patches(features_of(2, 9, seed=21))


def test_directions_are_at_right_angles_and_always_the_same():
    directions = orthogonal_directions(6)
    np.testing.assert_allclose(directions.T @ directions, np.eye(6), atol=1e-6)
    np.testing.assert_array_equal(directions, orthogonal_directions(6))


def test_singular_covariances_have_a_distance_and_a_gradient():
    """Fewer positions than channels, and channels that never fire, as deep layers have them."""
    rng = np.random.default_rng(22)
    picture, painting = (np.maximum(rng.normal(size=(1, 8, 8, 256)), 0) for _ in range(2))
    picture[..., :3] = painting[..., :2] = 0
    picture, painting = (jnp.asarray(x, jnp.float32) for x in (picture, painting))
    value, gradient = jax.value_and_grad(lambda x: distance("wasserstein", x, painting))(picture)
    wanted = wasserstein_oracle(rows_of(picture), rows_of(painting))
    np.testing.assert_allclose(value, wanted, rtol=1e-4)
    assert np.isfinite(gradient).all()
    assert abs(float(distance("wasserstein", picture, picture))) < 1e-5


def test_what_is_said_of_several_style_losses_is_what_they_do():
    small, large = features_of(4, 4, seed=23), features_of(6, 6, seed=23)
    for loss in STYLE_LOSSES.values():
        shapes = [[x.shape for x in jax.tree.leaves(loss.measure(f))] for f in (small, large)]
        assert (shapes[0] != shapes[1]) == loss.keeps_positions
        measured = [loss.measure(small), loss.measure(large)]
        if not loss.takes_shares:
            with pytest.raises(ValueError, match="style_blend"):
                loss.blend(measured, (0.3, 0.7))
        else:
            loss.blend(measured, (0.3, 0.7))


def test_a_distance_is_never_negative_and_keeps_its_gradient():
    """Of equal flat features the traces cancel, and rounding may leave less than nothing."""
    flat = jnp.full((1, 6, 6, 64), 700.0)
    assert float(distance("wasserstein", flat, flat)) >= 0
    # A shift of all features alone: ‖μ − μ'‖² / N, whose gradient is 2 (μ − μ') / (N M).
    shifted = flat + 0.5
    gradient = jax.grad(lambda x: distance("wasserstein", x, flat))(shifted)
    np.testing.assert_allclose(gradient.sum((1, 2)), 2 * 0.5 / 64, rtol=1e-3)


def test_moments_are_compared_region_by_region():
    picture, painting = features_of(6, 8, seed=31), features_of(4, 6, seed=32)
    masks = np.zeros((2, 6, 8), np.float32)
    masks[0, :2], masks[1, 2:] = 1, 1
    guides = jnp.asarray(np.moveaxis(masks / np.sqrt(masks.sum((1, 2), keepdims=True)), 0, -1))[
        None
    ]
    guided = STYLE_LOSSES["moments"].guided
    assert guided is not None
    target = jax.tree.map(
        lambda kept: jnp.stack([kept] * 2, axis=1), STYLE_LOSSES["moments"].measure(painting)
    )
    parts = (rows_of(picture[:, :2]), rows_of(picture[:, 2:]))
    wanted = np.mean([moments_oracle(part, rows_of(painting)) for part in parts])
    np.testing.assert_allclose(guided.distance(picture, target, guides), wanted, rtol=1e-4)


def test_the_table_of_losses_is_closed_and_records_of_ones_own_are_not():
    gram = STYLE_LOSSES["gram"]
    own = StyleLoss("own", gram.measure, gram.distance)
    with pytest.raises(TypeError):
        typing.cast(dict, STYLE_LOSSES)["own"] = own
    assert styles.find_style_loss(own) is own
    features, targets = (
        {"a": features_of(4, 4, seed=1)},
        {"a": gram.measure(features_of(4, 4, seed=2))},
    )
    pairs = (("a", 2.0),)
    assert styles.style_loss(own, features, targets, layer_weights=pairs) == styles.style_loss(
        "gram", features, targets, layer_weights=pairs
    )
    impostor = StyleLoss("gram", gram.measure, lambda features, target: jnp.zeros(()))
    unknown: typing.Any = "gramm"
    for loss, told in (
        (impostor, "style_loss: gram is the name of another loss; give yours a name of its own"),
        (unknown, "style_loss: wanted gram, moments, .*, got gramm; or a StyleLoss of your own"),
    ):
        with pytest.raises(ValueError, match=told):
            styles.find_style_loss(loss)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": ""}, "name: wanted some text, got ''"),
        ({"weight": -1.0}, "weight: wanted a finite number, 0 or more, got -1.0"),
        ({"longest_step": 0.0}, "longest_step: wanted a number above 0, got 0.0"),
    ],
)
def test_records_that_no_run_can_use_are_refused(change, told):
    with pytest.raises(ValueError, match=told):
        dataclasses.replace(STYLE_LOSSES["gram"], **change)
