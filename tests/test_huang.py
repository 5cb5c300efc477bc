"""Oracles: counts of the decoder's parameters by hand, and the decoder in plain NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.networks.huang import Decoder, decoder_channels

# The encoder up to relu4_1 read backwards: channels in, channels out, and whether the map is
# doubled first.
VGG16 = [
    ("conv4_1", 512, 256, False),
    ("conv3_3", 256, 256, True),
    ("conv3_2", 256, 256, False),
    ("conv3_1", 256, 128, False),
    ("conv2_2", 128, 128, True),
    ("conv2_1", 128, 64, False),
    ("conv1_2", 64, 64, True),
    ("conv1_1", 64, 3, False),
]
VGG19 = [
    VGG16[0],
    ("conv3_4", 256, 256, True),
    ("conv3_3", 256, 256, False),
    *VGG16[2:],
]
TABLES = {"vgg16": VGG16, "vgg19": VGG19}
each_architecture = pytest.mark.parametrize("architecture", ["vgg16", "vgg19"])


def shapes_of(decoder):
    features = jax.ShapeDtypeStruct((1, 4, 4, 512), jnp.float32)
    return jax.eval_shape(decoder.init, jax.random.key(0), features)["params"]


def made_params(architecture, *, seed=0):
    """Parameters that keep the size of what goes through, with biases that matter."""
    rng = np.random.default_rng(seed)
    return {
        name: {
            "kernel": jnp.float32(rng.normal(0, (2 / (9 * before)) ** 0.5, (3, 3, before, after))),
            "bias": jnp.float32(rng.normal(0, 0.1, after)),
        }
        for name, before, after, _ in TABLES[architecture]
    }


def in_numpy(params, architecture, features, *, first="conv4_1", last="conv1_1"):
    """The layers one after another, in float64, as sums of nine shifted products."""
    x = np.asarray(features, np.float64)
    names = [name for name, *_ in TABLES[architecture]]
    for name, _, _, doubled in TABLES[architecture][names.index(first) : names.index(last) + 1]:
        if doubled:
            x = x.repeat(2, axis=1).repeat(2, axis=2)
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
        height, width = x.shape[1:3]
        kernel, bias = (np.asarray(params[name][key], np.float64) for key in ("kernel", "bias"))
        x = bias + sum(
            padded[:, i : i + height, j : j + width] @ kernel[i, j]
            for i in range(3)
            for j in range(3)
        )
        if name != "conv1_1":
            x = np.maximum(x, 0)
    return x


@each_architecture
def test_the_parameters_are_as_many_as_published(architecture):
    leaves = jax.tree.leaves(shapes_of(Decoder(architecture=architecture)))
    published = {"vgg16": 2_915_139, "vgg19": 3_505_219}
    assert sum(leaf.size for leaf in leaves) == published[architecture]


@each_architecture
def test_the_layers_are_the_encoders_backwards(architecture):
    shapes = shapes_of(Decoder(architecture=architecture))
    table = TABLES[architecture]
    assert list(decoder_channels(architecture)) == [name for name, *_ in table]
    for name, before, after, _ in table:
        assert shapes[name]["kernel"].shape == (3, 3, before, after)
        assert shapes[name]["bias"].shape == (after,)


@each_architecture
def test_the_decoder_is_that_of_plain_numpy(architecture):
    params = made_params(architecture)
    features = np.random.default_rng(1).random((2, 3, 2, 512), np.float32)
    found = Decoder(architecture=architecture).apply({"params": params}, jnp.asarray(features))
    wanted = in_numpy(params, architecture, features)
    assert found.shape == (2, 24, 16, 3)
    assert wanted.min() < 0 < 1 < wanted.max() - wanted.min()  # nothing is clipped
    np.testing.assert_allclose(found, wanted, atol=2e-5 * np.abs(wanted).max())


def test_a_part_of_the_decoder_runs_alone():
    params = made_params("vgg16")
    x = np.random.default_rng(2).random((1, 4, 4, 256), np.float32)
    part = {"first": "conv3_1", "last": "conv2_2"}
    decoder = Decoder(architecture="vgg16")
    found = decoder.apply({"params": params}, jnp.asarray(x), **part, method="run_layers")
    wanted = in_numpy(params, "vgg16", x, **part)
    assert found.shape == (1, 8, 8, 128)
    np.testing.assert_allclose(found, wanted, atol=2e-5 * wanted.max())


def test_first_pictures_are_near_grey_and_gradients_reach_every_layer():
    decoder = Decoder(architecture="vgg16")
    features = jnp.abs(jax.random.normal(jax.random.key(1), (1, 4, 4, 512)))
    params = jax.jit(decoder.init)(jax.random.key(0), features)["params"]

    def spread(params):
        return jnp.square(decoder.apply({"params": params}, features)).mean()

    value, gradients = jax.jit(jax.value_and_grad(spread))(params)
    assert 0 < float(value) < 0.1
    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
        assert float(jnp.abs(gradient).max()) > 0, path


@pytest.mark.parametrize("shape", [(1, 1, 4, 512), (1, 4, 1, 512)])
def test_too_small_features_are_refused(shape):
    decoder = Decoder(architecture="vgg16")
    with pytest.raises(ValueError, match=r"features: wanted at least 2 by 2 positions, got"):
        decoder.init(jax.random.key(0), jnp.zeros(shape))


@pytest.mark.parametrize(
    ("first", "last"), [("conv1_1", "conv4_1"), ("conv5_1", "conv1_1"), ("conv4_1", "relu1_1")]
)
def test_parts_that_are_none_are_refused(first, last):
    decoder = Decoder(architecture="vgg16")
    with pytest.raises(ValueError, match=r"layers: wanted two of conv4_1, conv3_3, .*, got conv"):
        decoder.init(
            jax.random.key(0),
            jnp.zeros((1, 4, 4, 512)),
            first=first,
            last=last,
            method="run_layers",
        )
