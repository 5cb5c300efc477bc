"""Oracles: NumPy on the encoder's features, and the whole program for the one in blocks.

The gradient is compared with PyTorch's in test_gatys_2016.
"""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import encode
from vgg_oracle import random_arrays

from nst_jax.encoders.preprocessing import TORCHVISION
from nst_jax.encoders.vgg import VGG
from nst_jax.losses import perceptual
from nst_jax.losses.perceptual import Weights
from nst_jax.losses.styles import StyleLossName
from nst_jax.pixels import blockwise
from nst_jax.regions import guidance
from nst_jax.runs.compile_time import compile_seconds

ENCODER = VGG("vgg16", TORCHVISION)
WEIGHTS = Weights(
    content={"relu2_2": 3.0, "conv3_1": 0.5},
    style={"relu1_1": 2.0, "relu2_2": 0.25, "relu3_1": 1.5},
    tv=0.5,
)
SHALLOW = Weights(content={"relu2_2": 1.0}, style={"relu1_1": 1.0, "relu2_2": 0.5})


@pytest.fixture(scope="module")
def params():
    return {"params": jax.tree.map(jnp.asarray, random_arrays("vgg16", deepest="conv3_3"))}


def features_of(image, params, layers, encoder=ENCODER):
    found = encode(encoder, params, image, layers=layers)
    return {layer: np.asarray(array, np.float64) for layer, array in found.items()}


def gram(features):
    rows = features.reshape(-1, features.shape[-1])
    return rows.T @ rows / len(rows)


def targets_of(
    params,
    content,
    styles,
    *,
    weights=WEIGHTS,
    blend=None,
    encoder=ENCODER,
    style_loss: StyleLossName = "gram",
):
    return perceptual.compute_targets(
        encoder,
        params,
        content,
        styles,
        weights=weights,
        style_blend=blend or (1.0,) * len(styles),
        style_loss=style_loss,
    )


def halfway(photograph):
    """A picture that is neither target."""
    return 0.5 * photograph + 0.25 * photograph[:, ::-1] + 0.1


# Targets --------------------------------------------------------------------------------------


def test_targets_are_content_features_and_blended_grams(photograph, painting, params):
    styles = [painting, painting[:, 8:, :40].transpose(0, 2, 1, 3)]  # of two sizes
    targets = targets_of(params, photograph, styles, blend=(3.0, 1.0))
    wanted = features_of(photograph, params, ("relu2_2", "conv3_1"))
    assert set(targets.content) == set(wanted)
    for layer, features in wanted.items():
        np.testing.assert_allclose(targets.content[layer], features, rtol=1e-4, atol=1e-4)
    first, second = (features_of(s, params, ("relu1_1", "relu2_2", "relu3_1")) for s in styles)
    assert set(targets.style) == set(first)
    for layer in first:
        blended = 0.75 * gram(first[layer]) + 0.25 * gram(second[layer])
        np.testing.assert_allclose(targets.style[layer][0], blended, rtol=1e-4, atol=1e-4)


def test_a_style_without_weight_leaves_no_trace(photograph, painting, params):
    alone = targets_of(params, photograph, [painting])
    both = targets_of(params, photograph, [painting, photograph], blend=(7.0, 0.0))
    for layer, wanted in alone.style.items():
        np.testing.assert_array_equal(both.style[layer], wanted)


@pytest.mark.parametrize("blend", [(1.0,), (1.0, 1.0, 1.0), (0.0, 0.0), (2.0, -1.0)])
def test_blends_that_cannot_be(photograph, painting, params, blend):
    with pytest.raises(ValueError, match="style_blend: wanted 2 non-negative weights, one a style"):
        targets_of(params, photograph, [painting, painting], blend=blend)


def test_every_layer_is_asked_for_once():
    assert WEIGHTS.layers == ("relu2_2", "conv3_1", "relu1_1", "relu3_1")


# The objective --------------------------------------------------------------------------------


def test_the_objective_is_the_sum_written_out(photograph, painting, params):
    image = halfway(photograph)
    targets = targets_of(params, photograph, [painting])
    objective = partial(perceptual.objective, ENCODER, weights=WEIGHTS)
    total, terms = jax.jit(objective)(image, targets, params)

    mine = features_of(image, params, WEIGHTS.layers)
    theirs = features_of(photograph, params, WEIGHTS.layers)
    styles = features_of(painting, params, WEIGHTS.layers)
    pixels = np.asarray(image, np.float64)
    wanted = {
        "content": sum(w * np.mean((mine[n] - theirs[n]) ** 2) for n, w in WEIGHTS.content.items()),
        "style": sum(
            w * np.mean((gram(mine[n]) - gram(styles[n])) ** 2) for n, w in WEIGHTS.style.items()
        ),
        "tv": 0.5 * sum(np.mean(np.diff(pixels, axis=axis) ** 2) for axis in (1, 2)),
    }
    assert {name: float(term) for name, term in terms.items()} == pytest.approx(wanted, rel=1e-4)
    assert float(total) == pytest.approx(sum(wanted.values()), rel=1e-4)


def test_a_missing_term_counts_nothing(photograph, painting, params):
    image = halfway(photograph)
    for weights, absent in (
        (Weights(WEIGHTS.content, {}), {"style", "tv"}),
        (Weights({}, WEIGHTS.style), {"content", "tv"}),
    ):
        targets = targets_of(params, photograph, [painting], weights=weights)
        _, terms = perceptual.objective(ENCODER, image, targets, params, weights)
        assert {name for name, term in terms.items() if float(term) == 0.0} == absent


# Regions --------------------------------------------------------------------------------------


def guided_gram(features, guide):
    """G = Σ_k T_k² F_k F_kᵀ, for a guide of any scale."""
    squares = np.square(guide, dtype=np.float64).reshape(-1, 1)
    rows = features.reshape(-1, features.shape[-1])
    return (squares * rows).T @ rows / squares.sum()


def made_guidance(photograph, painting):
    """Two regions that overlap, a style taken in part and one whole; one region lost in a layer."""
    layers = tuple(WEIGHTS.style)
    masks = np.zeros((2, *photograph.shape[1:3]), np.float32)
    masks[0, :20], masks[1, 17:] = 0.5, 1
    part = np.zeros((1, *painting.shape[1:3]), np.float32)
    part[:, :, :30] = 1
    on_picture, on_style = (
        guidance.propagate_masks(each, ENCODER, layers, mode="simple") for each in (masks, part)
    )
    on_picture["relu2_2"][0] = 0
    return on_picture, on_style, guidance.make_guides(on_picture, [on_style, None], layers)


@pytest.mark.slow
def test_each_region_has_its_styles_gram_matrix(photograph, painting, params):
    image, styles = halfway(photograph), [painting, painting[:, ::-1, ::2]]
    on_picture, on_style, guides = made_guidance(photograph, painting)
    targets = perceptual.compute_guided_targets(
        ENCODER, params, photograph, styles, weights=WEIGHTS, guides=guides
    )
    objective = partial(perceptual.objective, ENCODER, weights=WEIGHTS)
    (_, terms), gradient = jax.jit(jax.value_and_grad(objective, has_aux=True))(
        image, targets, params
    )

    mine, *theirs = (features_of(x, params, WEIGHTS.layers) for x in (image, *styles))
    wanted = 0.0
    for layer, weight in WEIGHTS.style.items():
        size = mine[layer].shape[1:3]
        for region, style in enumerate(theirs):
            if (layer, region) == ("relu2_2", 0):
                continue
            on = on_style[layer][0] if region == 0 else np.ones(style[layer].shape[1:3])
            found = guided_gram(mine[layer], on_picture[layer][region].reshape(size))
            difference = found - guided_gram(style[layer], on)
            wanted += weight * np.mean(difference**2) / 2  # λ = 1/R
    assert float(terms["style"]) == pytest.approx(wanted, rel=1e-4)

    in_turn = blockwise.make_value_and_gradient(ENCODER)
    (_, in_blocks), gradient_in_blocks = in_turn(image, targets, params, WEIGHTS)
    assert float(in_blocks["style"]) == pytest.approx(wanted, rel=1e-4)
    np.testing.assert_allclose(gradient_in_blocks, gradient, rtol=1e-3, atol=1e-6)


def test_a_blended_style_may_count_in_part(photograph, painting, params):
    _, on_style, guides = made_guidance(photograph, painting)
    targets = perceptual.compute_targets(
        ENCODER,
        params,
        photograph,
        [painting, painting],
        weights=WEIGHTS,
        style_blend=(3.0, 1.0),
        style_guides=guides.styles,
    )
    features = features_of(painting, params, ("relu1_1", "relu3_1"))
    assert targets.guides is None
    for layer, found in features.items():
        wanted = 0.75 * guided_gram(found, on_style[layer]) + 0.25 * gram(found)
        np.testing.assert_allclose(targets.style[layer][0], wanted, rtol=1e-4, atol=1e-4)


# Block by block -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "settings"),
    [
        (WEIGHTS, {}),
        (WEIGHTS, {"pooling": "average"}),
        (SHALLOW, {"padding": "reflect", "ceil_mode": True}),
        (Weights({"relu2_1": 1.0}, {}), {}),  # the deepest block ends early
        (Weights({}, {"relu1_1": 1.0, "conv3_2": 0.1}), {"pooling": "average"}),
        (Weights({"relu3_1": 1.0}, {"pool1": 1.0}, 0.5), {}),  # nothing in a whole block
        (Weights({"conv1_1": 1.0}, {"conv1_2": 1.0}, 0.5), {}),  # one block alone
    ],
    ids=["max", "average", "as AdaIN", "content", "style", "a gap", "one block"],
)
def test_blocks_give_the_whole_programs_numbers(photograph, painting, params, weights, settings):
    encoder = dataclasses.replace(ENCODER, **settings)
    content = photograph[:, :35, :45]  # odd at every pooling
    image = halfway(content)
    targets = targets_of(params, content, [painting], weights=weights, encoder=encoder)
    objective = partial(perceptual.objective, encoder, weights=weights)
    whole = jax.jit(jax.value_and_grad(objective, has_aux=True))
    in_blocks = blockwise.make_value_and_gradient(encoder)
    (total, terms), gradient = in_blocks(image, targets, params, weights)
    (wanted_total, wanted_terms), wanted_gradient = whole(image, targets, params)
    assert float(total) == pytest.approx(float(wanted_total), rel=1e-5)
    assert {name: float(term) for name, term in terms.items()} == pytest.approx(
        {name: float(term) for name, term in wanted_terms.items()}, rel=1e-5
    )
    assert gradient.shape == image.shape
    error = np.linalg.norm(gradient - wanted_gradient)
    assert error < 1e-5 * np.linalg.norm(wanted_gradient)
    with compile_seconds() as compiling:
        in_blocks(image, targets, params, weights)
    assert compiling() == 0


class Watched:
    """jax.jit that also notes how much memory XLA plans for each program."""

    def __init__(self):
        self.jit, self.plans = jax.jit, []

    def __call__(self, function, **settings):
        jitted = self.jit(function, **settings)

        def call(*args, **kwargs):
            self.plans.append(jitted.lower(*args, **kwargs).compile().memory_analysis())
            return jitted(*args, **kwargs)

        return call


@pytest.mark.slow
def test_blocks_need_less_memory(photograph, painting, params, monkeypatch):
    """Counted as XLA plans it, with every block's input alive all the time."""
    weights = Weights({"relu3_1": 1.0}, {"relu1_1": 1.0, "relu2_1": 1.0, "relu3_1": 1.0})
    image = jnp.tile(halfway(photograph), (1, 2, 2, 1))
    targets = targets_of(params, image, [painting], weights=weights)
    watched = Watched()
    with monkeypatch.context() as patched:
        patched.setattr(jax, "jit", watched)
        in_blocks = blockwise.make_value_and_gradient(ENCODER)
    in_blocks(image, targets, params, weights)
    objective = partial(perceptual.objective, ENCODER, weights=weights)
    whole = jax.jit(jax.value_and_grad(objective, has_aux=True))
    plan = whole.lower(image, targets, params).compile().memory_analysis()
    assert plan is not None
    # The picture, and what the pools of blocks 1 and 2 answer.
    height, width = image.shape[1:3]
    kept = 4 * height * width * (3 + 64 / 4 + 128 / 16)
    of_blocks = max(p.temp_size_in_bytes + p.output_size_in_bytes for p in watched.plans) + kept
    of_whole = plan.temp_size_in_bytes + plan.output_size_in_bytes
    assert of_blocks < 0.8 * of_whole


# Other style losses ---------------------------------------------------------------------------


def test_another_style_loss_is_that_of_its_own_features(photograph, painting, params):
    image = halfway(photograph)
    targets = targets_of(params, photograph, [painting], style_loss="moments")
    objective = partial(perceptual.objective, ENCODER, weights=WEIGHTS, style_loss="moments")
    whole = jax.jit(jax.value_and_grad(objective, has_aux=True))
    (_, terms), gradient = whole(image, targets, params)

    layers = tuple(WEIGHTS.style)
    found, wanted = (features_of(x, params, layers) for x in (image, painting))
    literal = 0.0
    for layer, weight in WEIGHTS.style.items():
        a, b = (x[layer].reshape(-1, x[layer].shape[-1]) for x in (found, wanted))
        deviations = [np.sqrt(x.var(0) + 1e-5) for x in (a, b)]
        literal += weight * np.mean((a.mean(0) - b.mean(0)) ** 2)
        literal += weight * np.mean((deviations[0] - deviations[1]) ** 2)
    np.testing.assert_allclose(terms["style"], literal, rtol=1e-3)

    in_turn = blockwise.make_value_and_gradient(ENCODER, style_loss="moments")
    (_, in_blocks), gradient_in_blocks = in_turn(image, targets, params, WEIGHTS)
    np.testing.assert_allclose(in_blocks["style"], terms["style"], rtol=1e-5)
    scale = float(jnp.abs(gradient).max())
    np.testing.assert_allclose(gradient_in_blocks, gradient, rtol=1e-3, atol=1e-4 * scale)
