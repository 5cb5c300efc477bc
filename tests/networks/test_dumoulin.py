"""Oracles: the paper's table, counts by hand, the network in PyTorch; and what tiles must give."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from network_oracle import as_torch, made_arrays, made_pictures, torch_dumoulin
from vgg_oracle import relative_error

from nst_jax.networks.dumoulin import (
    NARROW_TILE_MARGIN,
    TILE_MARGIN,
    DumoulinNetwork,
    NarrowDumoulinNetwork,
    add_style,
    count_styles,
    is_style_table,
    take_styles,
)


def shapes_of(network):
    images = jax.ShapeDtypeStruct((1, 16, 16, 3), jnp.float32)
    style_weights = jax.ShapeDtypeStruct((1, network.num_styles), jnp.float32)
    return jax.eval_shape(network.init, jax.random.key(0), images, style_weights)


def made_variables(network, *, seed=0) -> Any:
    return jax.tree.map(jnp.asarray, made_arrays(shapes_of(network), seed=seed))


def split(params):
    """The leaves of the styles' tables, and all others."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    tables = [leaf for path, leaf in leaves if is_style_table(path)]
    return tables, [leaf for path, leaf in leaves if not is_style_table(path)]


# Architecture ------------------------------------------------------------------------------------


def test_a_style_has_3206_parameters_and_the_rest_is_shared():
    tables, shared = split(shapes_of(DumoulinNetwork(num_styles=7))["params"])
    assert sum(leaf.size for leaf in tables) == 7 * 3206
    assert len(tables) == 2 * 16  # scale and bias after each of the 16 convolutions
    outer = 32 * (81 * 3 + 1) + 3 * (81 * 32 + 1)
    halving = 64 * (9 * 32 + 1) + 128 * (9 * 64 + 1)
    doubling = 64 * (9 * 128 + 1) + 32 * (9 * 64 + 1)
    assert sum(leaf.size for leaf in shared) == outer + halving + doubling + 1280 * (9 * 128 + 1)


def test_layers_have_the_shapes_of_the_papers_table():
    network = DumoulinNetwork(num_styles=2)
    images = jax.ShapeDtypeStruct((3, 256, 192, 3), jnp.float32)
    style_weights = jax.ShapeDtypeStruct((3, 2), jnp.float32)

    def layers(*args):
        return network.apply(*args, capture_intermediates=True, mutable=True)

    image, collections = jax.eval_shape(layers, shapes_of(network), images, style_weights)
    found = {
        name: layer["__call__"][0].shape[1:]
        for name, layer in collections["intermediates"].items()
        if isinstance(layer, dict)
    }
    expected = {
        "contract1": (256, 192, 32),
        "contract2": (128, 96, 64),
        "contract3": (64, 48, 128),
        **{f"residual{i}{half}": (64, 48, 128) for i in range(1, 6) for half in "ab"},
        "expand1": (128, 96, 64),
        "expand2": (256, 192, 32),
        "output": (256, 192, 3),
    }
    assert image.shape == (3, 256, 192, 3)
    assert found == expected | {f"{name}_norm": shape for name, shape in expected.items()}


def test_weights_start_as_the_paper_says():
    network = DumoulinNetwork(num_styles=2, width=8)
    images, style_weights = jnp.zeros((1, 8, 8, 3)), jnp.ones((1, 2))
    params = jax.jit(network.init)(jax.random.key(0, impl="rbg"), images, style_weights)["params"]
    for name in ("contract1", "residual4a", "expand2", "output"):
        np.testing.assert_allclose(np.std(params[name]["kernel"]), 0.01, rtol=0.1)
        assert not np.any(params[name]["bias"])
        np.testing.assert_array_equal(params[f"{name}_norm"]["scale"], 1)
        np.testing.assert_array_equal(params[f"{name}_norm"]["bias"], 0)


# What is computed --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "margin", "felt"),
    [
        (DumoulinNetwork(num_styles=2, width=2), TILE_MARGIN, 54),
        (NarrowDumoulinNetwork(num_styles=2, width=8), NARROW_TILE_MARGIN, 50),
    ],
    ids=["paper", "narrow"],
)
def test_a_tile_is_part_of_the_whole_but_for_its_margin(network, margin, felt):
    variables = made_variables(network)
    images, style_weights = jnp.asarray(made_pictures(1, 168, 20, 3)), jnp.array([[0.3, 0.7]])
    whole, recorded = jax.jit(network.apply, static_argnames="mutable")(
        variables, images, style_weights, mutable=("statistics",)
    )
    given = {**variables, "given_statistics": recorded["statistics"]}
    tile = jax.jit(network.apply)(given, images[:, 8:-8], style_weights)
    differences = np.abs(tile - whole[:, 8:-8]).max((0, 2, 3))
    assert differences[margin:-margin].max() < 2e-6
    # Hardly wider than needed: rounded up by one. Outside a trace of the padding arrives.
    assert differences[felt] > 5e-6


# Regions -----------------------------------------------------------------------------------------


def with_masks(images, *masks):
    channels = [jnp.full((*images.shape[:3], 1), mask, jnp.float32) for mask in masks]
    return jnp.concatenate([images, *channels], -1)


def test_masks_that_are_the_same_everywhere_mix_styles():
    network = DumoulinNetwork(num_styles=3, width=2)
    variables = made_variables(network)
    images = jnp.asarray(made_pictures(1, 16, 12, 3))
    apply = jax.jit(network.apply)
    rows = jnp.array([[[0, 0, 1.0], [0.5, 0.5, 0]]])
    wanted = apply(variables, images, jnp.array([[0.375, 0.375, 0.25]]))
    found = apply(variables, with_masks(images, 0.25, 0.75), rows)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    # What no region covers stays the photograph.
    found = apply(variables, with_masks(images, 0.125, 0.375), rows)
    np.testing.assert_allclose(found, 0.5 * wanted + 0.5 * images, atol=1e-5)


def test_each_region_has_its_own_style_far_from_the_other():
    """Given one set of statistics; the whole picture's are those of both."""
    network = DumoulinNetwork(num_styles=2, width=2)
    variables = made_variables(network)
    images = jnp.asarray(made_pictures(1, 152, 20, 3))
    left = (jnp.arange(152) < 76).reshape(1, -1, 1, 1).astype(jnp.float32)
    masks = jnp.broadcast_to(jnp.concatenate([left, 1 - left], -1), (1, 152, 20, 2))
    both = jnp.concatenate([images, masks], -1)
    rows = jnp.eye(2)[None]
    apply = jax.jit(network.apply, static_argnames="mutable")
    found, recorded = apply(variables, both, rows, mutable=("statistics",))
    given = {**variables, "given_statistics": recorded["statistics"]}
    for style, kept in ((0, slice(76 - TILE_MARGIN)), (1, slice(76 + TILE_MARGIN, None))):
        alone = jax.jit(network.apply)(given, images, rows[:, style])
        np.testing.assert_allclose(found[:, kept], alone[:, kept], atol=2e-6)
        assert np.abs(found - alone).max() > 0.01


# Styles ------------------------------------------------------------------------------------------


def test_styles_can_be_taken_out_and_give_the_same_pictures():
    network, fewer = (DumoulinNetwork(num_styles=n, width=2) for n in (4, 2))
    variables = made_variables(network)
    images = jnp.asarray(made_pictures(2, 16, 12, 3))
    style_weights = jnp.array([[0, 0, 0, 1.0], [0, 0.4, 0, 0.6]])
    taken = take_styles(variables, (3, 1))
    np.testing.assert_allclose(
        jax.jit(fewer.apply)(taken, images, style_weights[:, jnp.array([3, 1])]),
        jax.jit(network.apply)(variables, images, style_weights),
        atol=1e-5,
    )
    assert count_styles(taken) == 2
    assert count_styles(variables["params"]) == 4


def test_a_new_style_is_the_mean_of_the_others_and_leaves_them():
    variables = made_variables(DumoulinNetwork(num_styles=3, width=2))
    more = add_style(variables)
    assert jax.tree.map(jnp.shape, more) == jax.tree.map(
        lambda leaf: leaf.shape, shapes_of(DumoulinNetwork(num_styles=4, width=2))
    )
    (old_tables, old_shared), (tables, shared) = split(variables), split(more)
    jax.tree.map(np.testing.assert_array_equal, shared, old_shared)
    for old, new in zip(old_tables, tables, strict=True):
        np.testing.assert_array_equal(new[:3], old)
        np.testing.assert_allclose(new[3], (old[0] + old[1] + old[2]) / 3, rtol=1e-5)


@pytest.mark.slow
def test_the_tables_alone_can_be_trained_to_learn_one_new_style():
    network = DumoulinNetwork(num_styles=3, width=2)
    params = made_variables(network)["params"]
    images, style_weights = jnp.asarray(made_pictures(1, 16, 12, 3)), jnp.array([[0, 0, 1.0]])
    labels = jax.tree_util.tree_map_with_path(lambda path, _: is_style_table(path), params)
    tx = optax.multi_transform({True: optax.adam(1e-3), False: optax.set_to_zero()}, labels)

    @jax.jit
    def step(params, opt_state):
        grads = jax.grad(
            lambda params: jnp.square(
                network.apply({"params": params}, images, style_weights) - images
            ).sum()
        )(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    with jax.numpy_dtype_promotion("standard"):  # optax mixes integers and floats
        after, opt_state = step(params, tx.init(params))
        after, _ = step(after, opt_state)
    (old_tables, old_shared), (tables, shared) = split(params), split(after)
    jax.tree.map(np.testing.assert_array_equal, shared, old_shared)
    for old, new in zip(old_tables, tables, strict=True):
        np.testing.assert_array_equal(new[:2], old[:2])
        assert np.abs(new[2] - old[2]).max() > 1e-4


# Errors ------------------------------------------------------------------------------------------


def test_style_weights_and_pictures_that_do_not_fit_are_refused():
    network = DumoulinNetwork(num_styles=3, width=2)
    images, variables = jnp.zeros((2, 8, 8, 3)), {"params": {}}
    for shape in ((2, 4), (1, 3)):
        message = f"wanted shape (2, 3), one weight for each picture and style, got {shape}; for"
        with pytest.raises(ValueError, match=re.escape(message)):
            network.apply(variables, images, jnp.ones(shape))
    with pytest.raises(ValueError, match="multiples of 4 and at least 8 pixels, got 4 by 8"):
        network.apply(variables, images[:, :4], jnp.ones((2, 3)))
    with pytest.raises(ValueError, match="num_styles: wanted at least 1, got 0"):
        DumoulinNetwork(num_styles=0).apply(variables, images, jnp.ones((2, 0)))


def test_styles_that_params_lack_are_refused():
    params = made_variables(DumoulinNetwork(num_styles=3, width=2))["params"]
    for indices, got in (((0, 3), "3"), ((-1,), "-1"), ((), "none")):
        with pytest.raises(ValueError, match=f"indices: wanted styles from 0 to 2, got {got}$"):
            take_styles(params, indices)
    for function in (add_style, count_styles):
        with pytest.raises(ValueError, match="params: wanted a DumoulinNetwork's"):
            function({"conv": {"kernel": jnp.ones((3, 3))}})


# PyTorch -----------------------------------------------------------------------------------------


@pytest.mark.oracle
def test_matches_torch():
    torch = pytest.importorskip("torch")
    network = DumoulinNetwork(num_styles=3, width=4)
    params = made_variables(network, seed=1)["params"]
    images = made_pictures(2, 24, 28, 3)
    style_weights = np.array([[0, 1, 0], [0.5, 0.2, 0.3]], np.float32)
    cotangent = np.random.default_rng(2).normal(size=images.shape).astype(np.float32)

    @jax.jit
    def ours(params, images, style_weights):
        def total(params, images):
            stylized = network.apply({"params": params}, images, style_weights)
            return (stylized * cotangent).mean(), stylized

        return jax.value_and_grad(total, (0, 1), has_aux=True)(params, images)

    (_, stylized), (grads, image_grad) = ours(
        params, jnp.asarray(images), jnp.asarray(style_weights)
    )

    torch_params, torch_images = as_torch(params), as_torch(images)
    weights = torch.tensor(style_weights, dtype=torch.float64)
    expected = torch_dumoulin(torch_params, torch_images, weights)
    (expected * torch.tensor(cotangent)).mean().backward()

    np.testing.assert_allclose(stylized, expected.detach(), rtol=1e-4, atol=1e-4)
    assert relative_error(image_grad, torch_images.grad.numpy()) < 1e-3
    for name in ("contract1", "residual2b", "expand1", "output"):
        kernel, table = torch_params[name]["kernel"], torch_params[f"{name}_norm"]["scale"]
        assert relative_error(grads[name]["kernel"], kernel.grad.numpy()) < 1e-3, name
        assert relative_error(grads[f"{name}_norm"]["scale"], table.grad.numpy()) < 1e-3, name
