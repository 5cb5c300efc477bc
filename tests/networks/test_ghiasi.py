"""Oracles: the paper's table, counts by formula, the transformer in PyTorch; what tiles give."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ghiasi_oracle import predicted_instance_norm, torch_ghiasi
from network_oracle import as_torch, made_arrays, made_pictures
from vgg_oracle import relative_error

from nst_jax.networks.ghiasi import TILE_MARGIN, GhiasiNetwork, GhiasiTransformer, is_trained
from nst_jax.networks.layers import PredictedInstanceNorm
from nst_jax.networks.style_predictors import (
    STATISTICS_LAYERS,
    StatisticsHead,
    StylePredictor,
    compute_statistics,
)

SIZE = 6  # of embeddings, fewer than the published 100


def shapes_of(module, *inputs):
    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in inputs]
    return jax.eval_shape(module.init, jax.random.key(0), *shapes)


def made_variables(*, size=SIZE, width=2, seed=0) -> Any:
    shapes = shapes_of(GhiasiTransformer(width=width), (1, 16, 16, 3), (1, size))
    return jax.tree.map(jnp.asarray, made_arrays(shapes, seed=seed))


def made_embeddings(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=(*shape, SIZE)).astype(np.float32)


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


# Architecture ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "published"), [(8, 178_177), (32, None)])
def test_the_transformer_has_as_many_parameters_as_the_papers_table(width, published):
    maps = (width, 2 * width, 4 * width)
    contracting = (81 * 3 + 1) * maps[0] + sum(
        (9 * maps[i] + 1) * maps[i + 1] + 2 * maps[i] for i in range(2)
    )
    contracting += 2 * maps[2]  # the third batch normalisation
    residual = 10 * (9 * maps[2] + 1) * maps[2]
    expanding = (9 * maps[2] + 1) * maps[1] + (9 * maps[1] + 1) * maps[0] + (81 * maps[0] + 1) * 3
    predicted = 2 * (100 + 1) * (10 * maps[2] + maps[1] + maps[0] + 3)
    shapes = shapes_of(GhiasiTransformer(width=width), (1, 16, 16, 3), (1, 100))
    assert count(shapes["params"]) == contracting + residual + expanding + predicted
    assert count(shapes["batch_stats"]) == 2 * sum(maps)
    if published:
        # The file of alpha 0.25 has 177 thousand, without the biases that normalisation cancels.
        assert count(shapes["params"]) == published


def test_layers_have_the_shapes_of_the_papers_table():
    network = GhiasiTransformer()
    variables = shapes_of(network, (1, 16, 16, 3), (1, 100))

    def layers(*args):
        return network.apply(*args, capture_intermediates=True, mutable=["intermediates"])

    image, collections = jax.eval_shape(
        layers,
        variables,
        jax.ShapeDtypeStruct((3, 64, 48, 3), jnp.float32),
        jax.ShapeDtypeStruct((3, 100), jnp.float32),
    )
    found = {
        name: layer["__call__"][0].shape[1:]
        for name, layer in collections["intermediates"].items()
        if isinstance(layer, dict)
    }
    expected = {
        "contract1": (64, 48, 32),
        "contract2": (32, 24, 64),
        "contract3": (16, 12, 128),
        **{f"residual{i}{half}": (16, 12, 128) for i in range(1, 6) for half in "ab"},
        "expand1": (32, 24, 64),
        "expand2": (64, 48, 32),
        "output": (64, 48, 3),
    }
    assert image.shape == (3, 64, 48, 3)
    assert found == expected | {f"{name}_norm": shape for name, shape in expected.items()}


def test_the_predictor_is_vgg_up_to_relu3_1_and_a_small_head():
    shapes = shapes_of(GhiasiNetwork(width=2), (1, 16, 16, 3), (1, 100))
    predictor = shapes["params"]["predictor"]
    maps = (3, 64, 64, 128, 128, 256)
    assert sorted(predictor["encoder"]) == ["conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1"]
    assert count(predictor["encoder"]) == sum((9 * maps[i] + 1) * maps[i + 1] for i in range(5))
    assert count(predictor["head"]) == (896 + 1) * 256 + 2 * 256 + 257 * 100 + 2 * 100
    assert count(shapes["batch_stats"]["predictor"]) == 2 * 896
    paths = [
        tuple(entry.key for entry in path)
        for path, _ in jax.tree_util.tree_leaves_with_path(shapes["params"])
    ]
    frozen = {path[:2] for path in paths if not is_trained(path)}
    assert frozen == {("predictor", "encoder")}


# What is computed --------------------------------------------------------------------------------


def test_scales_and_biases_are_linear_in_the_embedding():
    x = np.random.default_rng(1).normal(2, 3, (2, 5, 4, 3)).astype(np.float32)
    embeddings: Any = made_embeddings(2)
    module: Any = PredictedInstanceNorm()
    params = made_arrays(shapes_of(module, x.shape, embeddings.shape)["params"], seed=3)
    found = module.apply(
        {"params": jax.tree.map(jnp.asarray, params)}, jnp.asarray(x), jnp.asarray(embeddings)
    )
    np.testing.assert_allclose(found, predicted_instance_norm(x, params, embeddings), atol=2e-5)


def test_an_embedding_of_zero_starts_as_plain_instance_normalisation():
    x = jnp.asarray(np.random.default_rng(1).normal(2, 3, (1, 5, 4, 3)).astype(np.float32))
    module: Any = PredictedInstanceNorm()
    nothing = jnp.zeros((1, SIZE))
    found = module.apply(module.init(jax.random.key(0), x, nothing), x, nothing)
    np.testing.assert_allclose(found.mean((1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(found.std((1, 2)), 1, atol=1e-4)


@pytest.mark.slow
def test_batch_statistics_move_by_a_hundredth_in_training_and_stay_otherwise():
    network, variables = GhiasiTransformer(width=2), made_variables()
    images, embeddings = jnp.asarray(made_pictures(2, 16, 12, 3)), jnp.asarray(made_embeddings(2))
    _, moved = network.apply(variables, images, embeddings, train=True, mutable=["batch_stats"])
    first = variables["params"]["contract1"]
    padded = np.pad(np.asarray(images, np.float64), ((0, 0), (4, 4), (4, 4), (0, 0)), "reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (9, 9), (1, 2))
    answers = np.einsum("bijcuv,uvco->bijo", windows, first["kernel"]) + np.asarray(first["bias"])
    before, after = (tree["batch_stats"]["contract1_norm"] for tree in (variables, moved))
    for name, of_batch in (("mean", answers.mean((0, 1, 2))), ("var", answers.var((0, 1, 2)))):
        np.testing.assert_allclose(after[name], 0.99 * before[name] + 0.01 * of_batch, rtol=1e-4)
    _, unmoved = network.apply(variables, images, embeddings, mutable=["batch_stats"])
    jax.tree.map(np.testing.assert_array_equal, unmoved["batch_stats"], variables["batch_stats"])


def test_a_tile_is_part_of_the_whole_but_for_its_margin():
    network, variables = GhiasiTransformer(width=2), made_variables()
    images, embeddings = jnp.asarray(made_pictures(1, 152, 20, 3)), jnp.asarray(made_embeddings(1))
    whole, recorded = jax.jit(network.apply, static_argnames="mutable")(
        variables, images, embeddings, mutable=("statistics",)
    )
    given = {**variables, "given_statistics": recorded["statistics"]}
    tile = jax.jit(network.apply)(given, images[:, 8:-8], embeddings)
    differences = np.abs(tile - whole[:, 8:-8]).max((0, 2, 3))
    assert differences[TILE_MARGIN:-TILE_MARGIN].max() < 2e-6
    assert differences[: TILE_MARGIN - 8].max() > 1e-5


# Regions -----------------------------------------------------------------------------------------


def test_masks_that_are_the_same_everywhere_mix_embeddings():
    network, variables = GhiasiTransformer(width=2), made_variables()
    images, embeddings = (
        jnp.asarray(made_pictures(1, 16, 12, 3)),
        jnp.asarray(made_embeddings(1, 2)),
    )
    shares = jnp.full((1, 16, 12, 2), 0.5) * jnp.array([0.5, 1.5]).reshape(1, 1, 1, 2)
    apply = jax.jit(network.apply)
    mixed = apply(variables, images, 0.25 * embeddings[:, 0] + 0.75 * embeddings[:, 1])
    found = apply(variables, jnp.concatenate([images, shares], -1), embeddings)
    np.testing.assert_allclose(found, mixed, atol=2e-5)


def test_what_no_region_covers_stays_as_it_is():
    network, variables = GhiasiTransformer(width=2), made_variables()
    images, embeddings = (
        jnp.asarray(made_pictures(1, 16, 12, 3)),
        jnp.asarray(made_embeddings(1, 1)),
    )
    mask = jnp.zeros((1, 16, 12, 1)).at[:, :8].set(1.0)
    painted = jax.jit(network.apply)(variables, jnp.concatenate([images, mask], -1), embeddings)
    np.testing.assert_array_equal(painted[:, 8:], images[:, 8:])
    assert np.abs(painted[:, :8] - images[:, :8]).max() > 0.05


# The predictor -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def predict():
    """Embeddings of paintings by a predictor of made weights, compiled once a shape."""
    module = StylePredictor()
    shapes = shapes_of(module, (1, 16, 16, 3))
    variables = jax.tree.map(jnp.asarray, made_arrays(shapes))
    return jax.jit(lambda paintings: module.apply(variables, jnp.asarray(paintings)))


def test_a_mask_of_ones_is_no_mask_and_what_is_masked_out_does_not_count(predict):
    paintings = made_pictures(1, 16, 64, 3)
    mask = np.zeros((1, 16, 64, 1), np.float32)
    ones = np.concatenate([paintings, mask + 1], -1)
    np.testing.assert_allclose(predict(ones), predict(paintings), atol=1e-3)
    # relu3_1 sees 12 pixels to each side. Beyond, anything may be painted.
    mask[:, :, 32:] = 1
    other = paintings.copy()
    other[:, :, :16] = 0.9
    found, expected = (predict(np.concatenate([each, mask], -1)) for each in (other, paintings))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.abs(predict(other) - predict(paintings)).max() > 1e-2


def test_statistics_are_means_and_deviations_layer_after_layer():
    rng = np.random.default_rng(0)
    features = {
        layer: rng.normal(1, 2, (2, 6, 4, channels)).astype(np.float32)
        for layer, channels in zip(STATISTICS_LAYERS, (64, 128, 256), strict=True)
    }
    found = compute_statistics({layer: jnp.asarray(x) for layer, x in features.items()})
    expected = [
        moment
        for x in features.values()
        for moment in (x.astype(np.float64).mean((1, 2)), x.astype(np.float64).std((1, 2)))
    ]
    assert found.shape == (2, 896)
    np.testing.assert_allclose(found, np.concatenate(expected, -1), rtol=1e-4, atol=1e-5)


def test_statistics_are_standardised_and_clipped():
    module = StatisticsHead()
    variables = module.init(jax.random.key(0), jnp.zeros((1, 4)))
    standard = {"mean": jnp.array([1.0, 2, 3, 4]), "scale": jnp.array([1.0, 0.5, 2, 1])}
    given = {**variables, "batch_stats": standard}
    x = jnp.array([[1.5, 2.5, -1.0, 40.0]])
    plain = module.apply(variables, jnp.array([[0.5, 1.0, -2.0, 3.0]]))
    np.testing.assert_allclose(module.apply(given, x), plain, atol=1e-6)
    assert np.abs(module.apply(given, x.at[0, 0].add(1)) - plain).max() > 1e-3


# Errors ------------------------------------------------------------------------------------------


def test_embeddings_and_paintings_that_do_not_fit_are_refused():
    network, images = GhiasiTransformer(width=2), jnp.zeros((2, 8, 8, 3))
    message = "embeddings: wanted shape (2, 'size'), one embedding for each picture, got (1, 6)"
    with pytest.raises(ValueError, match=re.escape(message)):
        network.apply({"params": {}}, images, jnp.zeros((1, SIZE)))
    masked = jnp.concatenate([images, images[..., :1]], -1)
    with pytest.raises(ValueError, match=re.escape("wanted shape (2, 1, 'size'), one embedding")):
        network.apply({"params": {}}, masked, jnp.zeros((2, SIZE)))
    with pytest.raises(ValueError, match="paintings: wanted at least 16 pixels along each side"):
        StylePredictor().apply({"params": {}}, jnp.zeros((1, 15, 40, 3)))


# PyTorch -----------------------------------------------------------------------------------------


@pytest.mark.oracle
@pytest.mark.parametrize("train", [False, True])
def test_matches_torch(train):
    torch = pytest.importorskip("torch")
    network, variables = GhiasiTransformer(width=4), made_variables(width=4, seed=1)
    images, embeddings = made_pictures(2, 24, 28, 3), made_embeddings(2, seed=2)
    cotangent = np.random.default_rng(2).normal(size=images.shape).astype(np.float32)

    @jax.jit
    def ours(variables, images, embeddings):
        def total(params, embeddings):
            stylized, moved = network.apply(
                {**variables, "params": params},
                images,
                embeddings,
                train=train,
                mutable=["batch_stats"],
            )
            return (stylized * cotangent).mean(), (stylized, moved["batch_stats"])

        return jax.value_and_grad(total, (0, 1), has_aux=True)(variables["params"], embeddings)

    (_, (stylized, moved)), (grads, embedding_grad) = ours(
        variables, jnp.asarray(images), jnp.asarray(embeddings)
    )
    params, torch_embeddings = as_torch(variables["params"]), as_torch(embeddings)
    running = jax.tree.map(lambda leaf: leaf.detach().clone(), as_torch(variables["batch_stats"]))
    expected = torch_ghiasi(params, running, as_torch(images), torch_embeddings, train=train)
    (expected * torch.tensor(cotangent)).mean().backward()
    np.testing.assert_allclose(stylized, expected.detach().numpy(), atol=2e-5)
    assert relative_error(embedding_grad, torch_embeddings.grad.numpy()) < 1e-3
    # What a normalisation of the batch or the picture cancels has a gradient of rounding alone.
    for name in ("residual3a", "expand1", "output"):
        assert relative_error(grads[name]["kernel"], params[name]["kernel"].grad.numpy()) < 1e-3
    values = images.shape[0] * 12 * 14  # PyTorch's moving variance is the unbiased one
    found, wanted = moved["contract2_norm"], running["contract2_norm"]
    np.testing.assert_allclose(found["mean"], wanted["mean"].numpy(), rtol=1e-4, atol=1e-6)
    before = np.asarray(variables["batch_stats"]["contract2_norm"]["var"])
    biased = (
        before + (wanted["var"].numpy() - 0.99 * before) * (values - 1) / values - 0.01 * before
    )
    np.testing.assert_allclose(found["var"], biased if train else before, rtol=1e-4)
