"""Oracles: counts of parameters by hand, the decoder in NumPy, the network from its parts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_oracle import torch_huang
from vgg_oracle import random_arrays

from nst_jax.encoders.preprocessing import TORCHVISION
from nst_jax.encoders.vgg import VGG
from nst_jax.networks.huang import Decoder, HuangNetwork, decoder_channels
from nst_jax.ops.feature_transforms import adain

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
    apply_decoder = jax.jit(Decoder(architecture=architecture).apply)
    found = apply_decoder({"params": params}, jnp.asarray(features))
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


@pytest.mark.slow
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


# The whole network ---------------------------------------------------------------------------


ENCODER = VGG(architecture="vgg16", preprocessing=TORCHVISION, padding="reflect")


NETWORK, DECODER = HuangNetwork(encoder=ENCODER), Decoder(architecture="vgg16")
apply = jax.jit(NETWORK.apply, static_argnames=("method", "mutable"))


@pytest.fixture(scope="module")
def variables():
    shapes = jax.eval_shape(
        NETWORK.init,
        jax.random.key(0),
        jnp.zeros((1, 16, 16, 3)),
        *[jnp.ones((1, 1, 512))] * 2,
        jnp.ones((1, 1)),
    )
    made = {
        "encoder": random_arrays("vgg16", deepest="conv4_1"),
        "decoder": made_params("vgg16"),
    }
    params = jax.tree.map(jnp.asarray, made)
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, shapes["params"])
    return {"params": params}


@jax.jit
def encode(variables, images):
    params = {"params": variables["params"]["encoder"]}
    return ENCODER.apply(params, images, layers=("relu4_1",))["relu4_1"]


@jax.jit
def decode(variables, features):
    return DECODER.apply({"params": variables["params"]["decoder"]}, features)


def pictures(*shape, seed):
    return jnp.asarray(np.random.default_rng(seed).random((*shape, 3), np.float32))


def moments_of(variables, paintings):
    """Those of each painting, as a region's."""
    moments = apply(variables, paintings, method="style_moments")
    return tuple(values[:, None] for values in moments)


def assert_close(found, wanted, *, tolerance=1e-4):
    assert float(jnp.abs(wanted).max()) > 0
    np.testing.assert_allclose(found, wanted, atol=tolerance * float(jnp.abs(wanted).max()))


def test_the_network_decodes_what_adain_makes(variables):
    images, paintings = pictures(2, 24, 32, seed=1), pictures(2, 30, 17, seed=2)
    moments = moments_of(variables, paintings)
    alpha = jnp.asarray([[1.0], [0.3]])

    found = apply(variables, images, *moments, alpha)

    content = encode(variables, images)
    target = adain(content, encode(variables, paintings))
    mixed = jnp.stack([target[0], 0.7 * content[1] + 0.3 * target[1]])
    assert found.shape == (2, 24, 32, 3)
    assert_close(found, decode(variables, mixed))


@pytest.mark.oracle
def test_the_network_is_pytorchs(variables):
    pytest.importorskip("torch")
    images, paintings = pictures(2, 24, 32, seed=11), pictures(2, 16, 40, seed=12)
    moments = moments_of(variables, paintings)
    found = apply(variables, images, *moments, jnp.ones((2, 1)))
    wanted = torch_huang(variables["params"], images, paintings).detach().numpy()
    assert_close(found, wanted)


def test_alpha_of_0_reconstructs_whatever_the_style(variables):
    images = pictures(1, 24, 32, seed=3)
    far = jnp.full((1, 1, 512), 9.0)
    found = apply(variables, images, far, far, jnp.zeros((1, 1)))
    assert_close(found, decode(variables, encode(variables, images)), tolerance=1e-5)


def test_regions_take_their_own_styles_by_their_own_moments(variables):
    """Two that leave a part to the photograph, and overlap half and half in another."""
    image, paintings = pictures(1, 32, 48, seed=6), pictures(2, 24, 32, seed=7)
    left, right = np.zeros((2, 4, 6), np.float32)
    left[:3, :4], right[:3, 3:] = 1, 1
    masks = np.stack([left, right], -1).repeat(8, 0).repeat(8, 1)[None]
    means, deviations = (
        values.reshape(1, 2, 512) for values in apply(variables, paintings, method="style_moments")
    )

    found = apply(
        variables, jnp.concatenate([image, masks], -1), means, deviations, jnp.ones((1, 1))
    )

    x = np.asarray(encode(variables, image), np.float64)[0]
    painted = []
    for region, mean, deviation in zip((left, right), means[0], deviations[0], strict=True):
        inside = x[region > 0]
        normal = (x - inside.mean(0)) / np.sqrt(inside.var(0) + 1e-5)
        painted.append(normal * np.asarray(deviation) + np.asarray(mean))
    wanted = x.copy()
    wanted[:3, :3], wanted[:3, 4:] = painted[0][:3, :3], painted[1][:3, 4:]
    wanted[:3, 3] = (painted[0][:3, 3] + painted[1][:3, 3]) / 2
    assert_close(found, decode(variables, jnp.asarray(wanted[None], jnp.float32)))


def test_an_empty_region_changes_nothing(variables):
    image = pictures(1, 24, 32, seed=8)
    moments = moments_of(variables, pictures(2, 24, 32, seed=9))
    pair = tuple(values.reshape(1, 2, 512) for values in moments)
    masks = jnp.stack([jnp.ones((1, 24, 32)), jnp.zeros((1, 24, 32))], -1)

    found = apply(variables, jnp.concatenate([image, masks], -1), *pair, jnp.ones((1, 1)))

    first = tuple(values[:1] for values in moments)
    assert_close(found, apply(variables, image, *first, jnp.ones((1, 1))))


def test_given_moments_of_the_content_take_the_place_of_its_own(variables):
    """What tiles need: those of the whole picture."""
    images, style = pictures(1, 24, 32, seed=4), (jnp.zeros((1, 1, 512)), jnp.ones((1, 1, 512)))
    one = jnp.ones((1, 1))
    whole, recorded = apply(variables, images, *style, one, mutable="statistics")
    found = apply(
        {**variables, "given_statistics": recorded["statistics"]}, images[:, :, :16], *style, one
    )
    x = np.asarray(encode(variables, images[:, :, :16]), np.float64)
    all_of_it = np.asarray(encode(variables, images), np.float64)
    mean, var = all_of_it.mean((1, 2), keepdims=True), all_of_it.var((1, 2), keepdims=True)
    assert whole.shape == images.shape
    assert_close(
        found, decode(variables, jnp.asarray((x - mean) / np.sqrt(var + 1e-5), jnp.float32))
    )


@pytest.mark.parametrize(("height", "width"), [(20, 16), (16, 12), (8, 16)])
def test_other_sides_than_multiples_of_8_are_refused(variables, height, width):
    moments = jnp.ones((1, 1, 512))
    images = pictures(1, height, width, seed=5)
    with pytest.raises(ValueError, match="images: wanted sides that are multiples of 8"):
        apply(variables, images, moments, moments, jnp.ones((1, 1)))


def test_regions_without_a_channel_are_refused(variables):
    moments = jnp.ones((1, 2, 512))
    with pytest.raises(ValueError, match="3 channels and one for each of 2 regions, got 3"):
        apply(variables, pictures(1, 16, 16, seed=5), moments, moments, jnp.ones((1, 1)))
