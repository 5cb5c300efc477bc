"""Oracles: parameters counted by hand, NumPy's singular values, patches found by derivatives."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.networks.discriminators import (
    DeepMarkovianDiscriminator,
    MarkovianDiscriminator,
    MultiscaleDiscriminator,
    PatchDiscriminator,
)


def shapes_of(network, *shape):
    pictures = jax.ShapeDtypeStruct(shape, jnp.float32)
    return jax.eval_shape(network.init, jax.random.key(0), pictures)


def count(tree):
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


def init(network, pictures):
    return jax.jit(network.init)(jax.random.key(3), pictures)


@pytest.mark.parametrize(
    ("network", "shape", "parameters"),
    [
        # CycleGAN's: 16·3·64 + 64, and so on to 16·512·1 + 1.
        (PatchDiscriminator(), (1, 256, 256, 3), 2_764_737),
        (
            PatchDiscriminator(width=5, num_halvings=2),
            (1, 64, 64, 3),
            (16 * 3 * 5 + 5) + (16 * 5 * 10 + 10) + (16 * 10 * 20 + 20) + (16 * 20 + 1),
        ),
        # A scale and a shift for each of 128, 256 and 512 maps more.
        (PatchDiscriminator(normalization="batch"), (1, 256, 256, 3), 2_764_737 + 2 * 896),
        # IEContraAST's three, each 3136 + 131,200 + 524,544 + 2,097,664 + 4609.
        (MultiscaleDiscriminator(), (1, 256, 256, 3), 3 * 2_761_153),
        # MDAN's: 9·256² + 2·256 + 64·256, none of them a bias.
        (MarkovianDiscriminator(), (1, 96, 96, 256), 606_720),
        # MGAN's: 16·256² + 2·256 + 16·256·512 + 2·512 + 512, none of them a bias.
        (DeepMarkovianDiscriminator(), (1, 32, 32, 256), 3_147_776),
    ],
)
def test_parameters_are_as_many_as_published(network, shape, parameters):
    assert count(shapes_of(network, *shape)["params"]) == parameters


def test_each_scale_has_a_map_of_its_own():
    pictures = jax.ShapeDtypeStruct((2, 128, 192, 3), jnp.float32)
    network = MultiscaleDiscriminator(width=2)
    maps = jax.eval_shape(network.init_with_output, jax.random.key(0), pictures)[0]
    assert [logits.shape for logits in maps] == [(2, 8, 12, 1), (2, 4, 6, 1), (2, 2, 3, 1)]


@pytest.mark.parametrize(("num_halvings", "side"), [(1, 16), (2, 34), (3, 70)])
def test_a_patch_has_as_many_pixels_as_it_is_called_by(num_halvings, side):
    """Where one logit has a derivative; the other logits' patches are elsewhere."""
    network = PatchDiscriminator(width=2, num_halvings=num_halvings, normalization="none")
    images = jnp.asarray(np.random.default_rng(0).random((1, 112, 112, 3), np.float32))
    variables = init(network, images)

    def middle(images):
        (logits,) = network.apply(variables, images)
        return logits[0, logits.shape[1] // 2, logits.shape[2] // 2, 0]

    seen = np.abs(np.asarray(jax.jit(jax.grad(middle))(images))).sum((0, 3)) > 0
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    assert rows[-1] - rows[0] + 1 == columns[-1] - columns[0] + 1 == side
    assert rows[0] > 0
    assert rows[-1] < 111


def test_a_markovian_logit_sees_its_patch_and_one_position_around():
    network = MarkovianDiscriminator(normalization="none")
    features = jnp.asarray(np.random.default_rng(0).random((1, 24, 24, 4), np.float32))
    variables = init(network, features)
    (logits,) = jax.jit(network.apply)(variables, features)
    assert logits.shape == (1, 5, 5, 1)
    slope = jax.jit(jax.grad(lambda x: network.apply(variables, x)[0][0, 2, 1, 0]))(features)
    seen = np.abs(np.asarray(slope)).sum((0, 3)) > 0
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    assert (rows[0], rows[-1]) == (7, 16)  # 2 · 4 to 2 · 4 + 7, and one more on each side
    assert (columns[0], columns[-1]) == (3, 12)


def test_a_deep_markovian_logit_sees_ten_positions_and_none_beyond_the_maps():
    network = DeepMarkovianDiscriminator(width=2, normalization="none")
    features = jnp.asarray(np.random.default_rng(0).random((1, 32, 24, 4), np.float32))
    variables = init(network, features)
    (logits,) = jax.jit(network.apply)(variables, features)
    assert logits.shape == (1, 6, 4, 1)  # of 8 by 6
    slope = jax.jit(jax.grad(lambda x: network.apply(variables, x)[0][0, 0, 3, 0]))(features)
    seen = np.abs(np.asarray(slope)).sum((0, 3)) > 0
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    assert (rows[0], rows[-1]) == (1, 10)
    assert (columns[0], columns[-1]) == (13, 22)


@pytest.mark.parametrize(("normalization", "axes"), [("instance", (1, 2)), ("batch", (0, 1, 2))])
def test_logits_forget_what_is_normalised_away(normalization, axes):
    """Brightness and contrast of the layer before, of each picture or of the whole batch."""
    network = MarkovianDiscriminator(patch=4, stride=2, normalization=normalization)
    # Far from 0, where the variance is not small against what is added to it.
    features = 50 * np.random.default_rng(0).random((2, 12, 12, 3), np.float32)
    variables = init(network, jnp.asarray(features))
    apply = jax.jit(network.apply)
    before = np.asarray(apply(variables, jnp.asarray(features))[0])
    louder = np.asarray([5.0, 5.0 if axes[0] == 0 else 0.5], np.float32).reshape(2, 1, 1, 1)
    after = np.asarray(apply(variables, jnp.asarray(features * louder))[0])
    np.testing.assert_allclose(after, before, rtol=1e-2, atol=1e-3)
    one_louder = features * np.asarray([5.0, 0.5], np.float32).reshape(2, 1, 1, 1)
    moved = np.asarray(apply(variables, jnp.asarray(one_louder))[0]) - before
    assert (np.abs(moved).max() > 0.02) == (normalization == "batch")


def test_spectral_kernels_come_to_have_the_norm_1():
    network = PatchDiscriminator(width=4, num_halvings=1, normalization="spectral")
    images = jnp.asarray(np.random.default_rng(0).random((1, 16, 16, 3), np.float32))
    variables = init(network, images)
    apply = jax.jit(lambda variables: network.apply(variables, images, mutable=["spectral"]))
    for _ in range(60):
        logits, moved = apply(variables)
        variables = {**variables, **moved}
    for name, layer in variables["params"].items():
        matrix = np.asarray(layer["kernel"], np.float64)
        matrix = matrix.reshape(-1, matrix.shape[-1])
        _, _, right = np.linalg.svd(matrix)
        u = np.asarray(variables["spectral"][name]["u"])
        np.testing.assert_allclose(np.abs(u @ right[0]), 1, rtol=1e-3)
    doubled = jax.tree.map(lambda leaf: 2 * leaf if leaf.ndim == 4 else leaf, variables["params"])
    again, _ = apply({**variables, "params": doubled})
    np.testing.assert_allclose(again[0], logits[0], rtol=1e-4, atol=1e-6)
    divided = {
        name: {
            "kernel": layer["kernel"]
            / np.linalg.norm(layer["kernel"].reshape(-1, layer["kernel"].shape[-1]), 2),
            "bias": layer["bias"],
        }
        for name, layer in variables["params"].items()
    }
    plain = PatchDiscriminator(width=4, num_halvings=1, normalization="none")
    wanted = jax.jit(plain.apply)({"params": divided}, images)
    np.testing.assert_allclose(logits[0], wanted[0], rtol=1e-3, atol=1e-5)


def test_vectors_stay_where_they_may_not_move():
    network = MarkovianDiscriminator(patch=4, normalization="spectral")
    features = jnp.asarray(np.random.default_rng(0).random((1, 8, 8, 3), np.float32))
    variables = init(network, features)
    assert isinstance(jax.jit(network.apply)(variables, features), tuple)
    assert count(variables["spectral"]) == 3 + 1


@pytest.mark.parametrize(
    ("network", "shape", "complaint"),
    [
        (PatchDiscriminator(), (1, 20, 64, 3), "images: wanted sides of at least 24 pixels"),
        (MultiscaleDiscriminator(), (1, 128, 64, 3), "images: wanted sides of at least 128 pixels"),
        (MarkovianDiscriminator(), (1, 7, 9, 3), "features: wanted sides of at least 8 positions"),
        (DeepMarkovianDiscriminator(), (1, 11, 12, 3), "features: wanted sides of at least 12 pos"),
    ],
)
def test_what_cannot_be_judged_is_refused(network: Any, shape, complaint):
    with pytest.raises(ValueError, match=complaint):
        shapes_of(network, *shape)


@pytest.mark.usefixtures("unchecked")
def test_other_normalisations_are_refused():
    normalization: Any = "layer"
    with pytest.raises(ValueError, match=r"normalization: wanted instance or batch or .* 'layer'"):
        shapes_of(PatchDiscriminator(normalization=normalization), 1, 64, 64, 3)
