"""Oracles: the paper's table, counts by hand, the network in PyTorch; and what tiles must give."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_oracle import MEAN, as_torch, made_arrays, made_pictures, torch_johnson
from vgg_oracle import relative_error

from nst_jax.networks.johnson import PADDING, TILE_MARGIN, JohnsonNetwork


def shapes_of(network, height=48, width=44):
    images = jax.ShapeDtypeStruct((1, height, width, 3), jnp.float32)
    return jax.eval_shape(network.init, jax.random.key(0), images)


def made_variables(network, *, seed=0) -> Any:
    variables = made_arrays(shapes_of(network), seed=seed)
    variables["params"]["contract1"]["kernel"] /= 100  # of numbers up to 255
    variables["params"]["output"]["kernel"] *= 0.3  # lest the tanh saturates and hides all
    return jax.tree.map(jnp.asarray, variables)


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


# Architecture ------------------------------------------------------------------------------------


@pytest.mark.parametrize("normalization", ["batch", "instance"])
def test_parameters_are_as_many_as_the_papers(normalization):
    full = shapes_of(JohnsonNetwork(normalization=normalization))
    assert count(full["params"]) == 1_679_235
    outer = 16 * (81 * 3 + 1) + 3 * (81 * 16 + 1)  # the two 9x9 convolutions, with their biases
    halving = 32 * (9 * 16 + 1) + 64 * (9 * 32 + 1)
    residual = 10 * 64 * (9 * 64 + 1)
    doubling = 32 * (9 * 64 + 1) + 16 * (9 * 32 + 1)
    norms = 2 * (16 + 32 + 64 + 10 * 64 + 32 + 16)
    half = shapes_of(JohnsonNetwork(width=16, normalization=normalization))
    assert count(half["params"]) == outer + halving + residual + doubling + norms
    assert ("batch_stats" in half) == (normalization == "batch")


def test_layers_have_the_shapes_of_the_papers_table():
    network = JohnsonNetwork()
    images = jax.ShapeDtypeStruct((1, 256, 256, 3), jnp.float32)

    def layers(variables, images):
        return network.apply(variables, images, capture_intermediates=True, mutable=True)

    image, collections = jax.eval_shape(layers, shapes_of(network), images)
    found = {
        name: layer["__call__"][0].shape[1:]
        for name, layer in collections["intermediates"].items()
        if isinstance(layer, dict) and not name.endswith("_norm")
    }
    assert image.shape == (1, 256, 256, 3)
    assert found == {
        "contract1": (336, 336, 32),
        "contract2": (168, 168, 64),
        "contract3": (84, 84, 128),
        **{f"residual{i}a": (86 - 4 * i, 86 - 4 * i, 128) for i in range(1, 6)},
        **{f"residual{i}b": (84 - 4 * i, 84 - 4 * i, 128) for i in range(1, 6)},
        "expand1": (128, 128, 64),
        "expand2": (256, 256, 32),
        "output": (256, 256, 3),
    }


@pytest.mark.slow
def test_weights_start_as_torchs_do():
    network = JohnsonNetwork(width=8)
    variables = jax.jit(network.init)(jax.random.key(0, impl="rbg"), jnp.zeros((1, 44, 44, 3)))
    fan_in = {"contract1": 81 * 3, "residual3b": 9 * 32, "expand2": 9 * 16, "output": 81 * 8}
    for name, inputs in fan_in.items():
        for values in variables["params"][name].values():
            assert 0.4 * inputs**-0.5 < np.abs(values).max() <= inputs**-0.5, name
        kernel = variables["params"][name]["kernel"]
        # A uniform distribution within ±b has the deviation b/√3.
        np.testing.assert_allclose(np.std(kernel), (3 * inputs) ** -0.5, rtol=0.05)
        assert np.abs(kernel.mean()) < 0.05 * inputs**-0.5
    scales = np.concatenate(
        [v["scale"] for k, v in variables["params"].items() if k.endswith("_norm")]
    )
    assert scales.min() >= 0
    assert scales.max() <= 1
    np.testing.assert_allclose([scales.mean(), scales.std()], [0.5, 12**-0.5], rtol=0.1)
    assert not np.any(variables["params"]["residual1a_norm"]["bias"])


# What is computed --------------------------------------------------------------------------------


def test_outputs_are_the_same_tanh_on_two_scales():
    images = jnp.asarray(made_pictures(1, 44, 48, 3))
    unit, vgg = (
        JohnsonNetwork(width=2, normalization="instance", output=output)
        for output in ("unit", "vgg")
    )
    variables = made_variables(unit)
    variables["params"]["output"]["kernel"] *= 30
    as_unit, as_vgg = (jax.jit(network.apply)(variables, images) for network in (unit, vgg))
    as_unit, as_vgg = np.asarray(as_unit), np.asarray(as_vgg)
    np.testing.assert_allclose(as_vgg, MEAN + 150 / 255 * (2 * as_unit - 1), atol=1e-5)
    assert 0 <= as_unit.min() < 0.1 < 0.9 < as_unit.max() <= 1
    assert as_vgg.min() < 0
    assert as_vgg.max() > 1


def test_training_normalizes_by_the_batch_and_remembers_a_tenth_of_it():
    network = JohnsonNetwork(width=2)
    images = jnp.asarray(made_pictures(2, 44, 48, 3))
    variables = made_variables(network)

    @jax.jit
    def train(variables, images):
        return network.apply(variables, images, train=True, mutable=["batch_stats"])

    apply = jax.jit(network.apply)
    trained, after = train(variables, images)
    assert np.abs(trained - apply(variables, images)).max() > 0.1
    batch = jax.tree.map(
        lambda new, old: (new - 0.9 * old) / 0.1, after["batch_stats"], variables["batch_stats"]
    )
    again = apply({"params": variables["params"], "batch_stats": batch}, images)
    np.testing.assert_allclose(again, trained, atol=1e-4)


@pytest.fixture
def tiles():
    """A padded picture's variables and output, and the output of a tile that lies inside it."""
    network = JohnsonNetwork(width=2, normalization="instance", output="vgg")
    images = jnp.asarray(made_pictures(1, 64, 60, 3))
    variables = made_variables(network)
    whole, recorded = jax.jit(network.apply, static_argnames="mutable")(
        variables, images, mutable=("statistics",)
    )
    given = {**variables, "given_statistics": recorded["statistics"]}
    border = (PADDING, PADDING)
    padded = jnp.pad(images, ((0, 0), border, border, (0, 0)), mode="reflect")

    @jax.jit
    def apply_padded(variables, images):
        return network.apply(variables, images, method="apply_padded")

    tile = apply_padded(given, padded[:, 4:-4, 8:-4])
    return whole, apply_padded(variables, padded), tile


def test_a_picture_padded_by_the_caller_gives_the_same(tiles):
    whole, by_caller, _ = tiles
    np.testing.assert_allclose(by_caller, whole, atol=1e-5)


def test_a_tile_is_part_of_the_whole_but_for_its_margin(tiles):
    whole, _, tile = tiles
    assert tile.shape == (1, 56, 48, 3)
    differences = np.abs(tile - whole[:, 4:-4, 8:-4]).max((0, 3))
    inner = slice(TILE_MARGIN, -TILE_MARGIN)
    assert differences[inner, inner].max() < 2e-6
    # No wider than needed: one pixel further out, a trace of the zero padding arrives.
    assert differences[TILE_MARGIN - 1, inner].max() > 5e-6
    assert differences[inner, TILE_MARGIN - 1].max() > 5e-6


# Errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(40, 64), (64, 50)])
def test_pictures_that_do_not_fit_are_refused(height, width):
    network = JohnsonNetwork(width=2, normalization="instance")
    variables = {"params": {}}
    message = f"images: wanted sides that are multiples of 4 and at least 44 pixels, got {height}"
    with pytest.raises(ValueError, match=re.escape(message)):
        network.apply(variables, jnp.zeros((1, height, width, 3)))
    with pytest.raises(ValueError, match="at least 84 pixels, got 80 by 120"):
        network.apply(variables, jnp.zeros((1, 80, 120, 3)), method="apply_padded")


def test_fields_that_are_no_choice_are_refused():
    wrong: Any = "layer"
    with pytest.raises(Exception, match="normalization"):
        JohnsonNetwork(normalization=wrong).init(jax.random.key(0), jnp.zeros((1, 44, 44, 3)))


# PyTorch -----------------------------------------------------------------------------------------


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("normalization", "output", "train"),
    [("instance", "vgg", False), ("batch", "unit", False), ("batch", "unit", True)],
)
def test_matches_torch(normalization, output, train):
    torch = pytest.importorskip("torch")
    network = JohnsonNetwork(width=4, normalization=normalization, output=output)
    variables = made_variables(network, seed=1)
    images = made_pictures(2, 44, 48, 3)
    cotangent = np.random.default_rng(2).normal(size=images.shape).astype(np.float32)

    @jax.jit
    def value_and_gradients(params, images):
        def total(params, images):
            stylized, after = network.apply(
                {**variables, "params": params}, images, train=train, mutable=["batch_stats"]
            )
            return (stylized * cotangent).mean(), (stylized, after)

        return jax.value_and_grad(total, (0, 1), has_aux=True)(params, images)

    (_, (stylized, after)), (grads, image_grad) = value_and_gradients(
        variables["params"], jnp.asarray(images)
    )

    params, torch_images = as_torch(variables["params"]), as_torch(images)
    running = None
    if normalization == "batch":
        running = jax.tree.map(lambda leaf: leaf.detach(), as_torch(variables["batch_stats"]))
    expected = torch_johnson(params, torch_images, output=output, batch_stats=running, train=train)
    (expected * torch.tensor(cotangent)).mean().backward()

    np.testing.assert_allclose(stylized, expected.detach(), rtol=1e-4, atol=1e-4)
    assert relative_error(image_grad, torch_images.grad.numpy()) < 1e-3
    for name in ("contract1", "residual2b", "expand1", "output"):
        assert relative_error(grads[name]["kernel"], params[name]["kernel"].grad.numpy()) < 1e-3, (
            name
        )
    if train and running:
        assert after["batch_stats"].keys() == running.keys()
        for name, numbers in running.items():
            before, ours_after = variables["batch_stats"][name], after["batch_stats"][name]
            # PyTorch remembers the variance over n − 1, linen the one over n.
            batch_var = (numbers["var"].numpy() - 0.9 * before["var"]) * (1 - 1 / numbers["count"])
            np.testing.assert_allclose(ours_after["mean"], numbers["mean"], rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(
                ours_after["var"], 0.9 * before["var"] + batch_var, rtol=1e-4
            )
