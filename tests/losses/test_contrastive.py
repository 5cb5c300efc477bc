"""Oracles: the loss in NumPy, its value where all is alike, and whom gradients reach."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.encoders.vgg import channels_of
from nst_jax.losses import contrastive_loss, init_projections
from nst_jax.losses.contrastive import draw_anchors, neighbour_differences

KEY = jax.random.key(3)
LAYERS = ("relu1_1", "relu2_1")
PROJECTIONS = init_projections(jax.random.key(0), layers=LAYERS)


def made_features(seed):
    rng = np.random.default_rng(seed)
    return {
        layer: jnp.asarray(rng.normal(size=(2, 7, 6, channels_of(layer))), jnp.float32)
        for layer in LAYERS
    }


def in_numpy(key, features, wanted, projections):
    total = 0.0
    for own, layer in zip(jax.random.split(key, len(LAYERS)), LAYERS, strict=True):
        anchors = np.asarray(draw_anchors(own, 7, 6))
        for image, target in zip(features[layer], wanted[layer], strict=True):
            units = []
            for picture in (image, target):
                picture = np.asarray(picture, np.float64)
                rows = [
                    picture[y, x] - picture[y + dy, x + dx]
                    for y, x in anchors
                    for dy in (-1, 0, 1)
                    for dx in (-1, 0, 1)
                    if (dy, dx) != (0, 0)
                ]
                mlp = {
                    name: (np.asarray(part["kernel"], np.float64), np.asarray(part["bias"]))
                    for name, part in projections[layer].items()
                }
                hidden = np.maximum(np.array(rows) @ mlp["hidden"][0] + mlp["hidden"][1], 0)
                out = hidden @ mlp["out"][0] + mlp["out"][1]
                units.append(out / np.linalg.norm(out, axis=1, keepdims=True))
            scores = np.exp(units[0] @ units[1].T / 0.07)
            total -= np.mean(np.log(np.diag(scores) / scores.sum(1))) / len(features[layer])
    return total


def test_the_loss_is_that_of_numpy():
    features, wanted = made_features(0), made_features(1)
    found = jax.jit(contrastive_loss)(KEY, features, wanted, PROJECTIONS)
    assert float(found) == pytest.approx(in_numpy(KEY, features, wanted, PROJECTIONS), rel=1e-4)
    close = {name: x + 0.01 * features[name] for name, x in wanted.items()}
    assert float(contrastive_loss(KEY, close, wanted, PROJECTIONS)) < 0.5 * float(found)


@pytest.mark.slow
def test_where_nothing_can_be_told_apart_it_is_the_logarithm_of_how_many():
    """Eight anchors with eight neighbours each; the gradient there is finite."""
    flat = {layer: jnp.ones((1, 8, 8, channels_of(layer))) for layer in LAYERS}
    value, slopes = jax.value_and_grad(contrastive_loss, argnums=1)(KEY, flat, flat, PROJECTIONS)
    assert float(value) == pytest.approx(2 * np.log(64), rel=1e-5)
    assert all(np.isfinite(slope).all() for slope in slopes.values())
    nothing = jax.tree.map(jnp.zeros_like, PROJECTIONS)
    slopes = jax.grad(contrastive_loss, argnums=(1, 3))(KEY, flat, flat, nothing)
    assert all(np.isfinite(slope).all() for slope in jax.tree.leaves(slopes))


def test_gradients_reach_the_painted_picture_and_the_mlps_alone():
    features, wanted = made_features(0), made_features(1)
    slopes = jax.jit(jax.grad(contrastive_loss, argnums=(1, 2, 3)))(
        KEY, features, wanted, PROJECTIONS
    )
    assert all(np.abs(slope).max() > 0 for slope in jax.tree.leaves((slopes[0], slopes[2])))
    assert all(not np.any(slope) for slope in slopes[1].values())


def test_anchors_are_different_and_not_at_the_edge():
    for seed in range(5):
        anchors = np.asarray(draw_anchors(jax.random.key(seed), 7, 6))
        assert anchors.shape == (8, 2)
        assert len({tuple(each) for each in anchors}) == 8
        assert anchors.min() == 1
        assert anchors[:, 0].max() <= 5
        assert anchors[:, 1].max() <= 4
    assert draw_anchors(KEY, 3, 4).shape == (2, 2)
    with pytest.raises(ValueError, match="features: wanted sides of 3 positions at least"):
        draw_anchors(KEY, 2, 9)


def test_a_slope_differs_by_its_steps():
    y, x = np.mgrid[0:5, 0:5].astype(np.float32)
    ramp = jnp.asarray(np.stack([10 * y, x], -1)[None])
    found = np.asarray(neighbour_differences(ramp, jnp.array([[2, 3]])))[0]
    steps = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]
    np.testing.assert_array_equal(found, [(-10 * dy, -dx) for dy, dx in steps])
