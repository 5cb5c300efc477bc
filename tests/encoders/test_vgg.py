"""Oracles: a loop in numpy, and the paper's parameter counts; PyTorch is in test_pretrained."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from vgg_oracle import random_arrays, relative_error

from nst_jax.encoders.preprocessing import CAFFE, TORCHVISION, Preprocessing
from nst_jax.encoders.vgg import (
    VGG,
    block_of,
    channels_of,
    kernel_shapes,
    layer_names,
    num_blocks,
)

PLAIN = Preprocessing(channel_order="rgb", scale=1.0, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def random_params(architecture, *, deepest="conv5_4"):
    return {"params": jax.tree.map(jnp.asarray, random_arrays(architecture, deepest=deepest))}


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def numpy_convolve(x, kernel, bias, mode):
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)), mode=mode)
    height, width, _ = x.shape
    out = np.zeros((height, width, kernel.shape[-1]))
    for row in range(3):
        for column in range(3):
            window = padded[row : row + height, column : column + width]
            out += np.einsum("hwi,io->hwo", window, kernel[row, column])
    return out + bias


# Names -------------------------------------------------------------------------------------------


def test_layers_are_named_and_ordered_as_in_the_paper():
    assert layer_names("vgg16") == (
        *("conv1_1", "relu1_1", "conv1_2", "relu1_2", "pool1"),
        *("conv2_1", "relu2_1", "conv2_2", "relu2_2", "pool2"),
        *("conv3_1", "relu3_1", "conv3_2", "relu3_2", "conv3_3", "relu3_3", "pool3"),
        *("conv4_1", "relu4_1", "conv4_2", "relu4_2", "conv4_3", "relu4_3", "pool4"),
        *("conv5_1", "relu5_1", "conv5_2", "relu5_2", "conv5_3", "relu5_3", "pool5"),
    )
    extra = set(layer_names("vgg19")) - set(layer_names("vgg16"))
    assert extra == {"conv3_4", "relu3_4", "conv4_4", "relu4_4", "conv5_4", "relu5_4"}


def test_blocks_and_channels_of_layers():
    assert [block_of(name) for name in ("conv1_1", "relu4_2", "pool4", "conv5_1")] == [0, 3, 3, 4]
    assert num_blocks(("relu1_1", "pool3", "conv2_2")) == 3
    named = {"conv1_2": 64, "relu2_1": 128, "pool3": 256, "relu4_4": 512, "pool5": 512}
    assert {name: channels_of(name) for name in named} == named


@pytest.mark.parametrize(
    ("architecture", "deepest", "parameters"),
    [
        ("vgg16", "conv5_3", 14_714_688),  # the 13 convolutions of table 1, column D
        ("vgg19", "conv5_4", 20_024_384),  # the 16 of column E
        ("vgg19", "conv4_1", 3_505_728),  # AdaIN's encoder
    ],
)
def test_parameter_counts(architecture, deepest, parameters):
    encoder = VGG(architecture, TORCHVISION)
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    layer = deepest.replace("conv", "relu")
    made = jax.eval_shape(lambda x: encoder.init(jax.random.key(0), x, layers=(layer,)), images)
    assert count(made) == parameters
    assert {name: arrays["kernel"].shape for name, arrays in made["params"].items()} == {
        name: shape for name, shape in kernel_shapes(architecture).items() if name <= deepest
    }


# What is computed --------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", ["zero", "reflect"])
@pytest.mark.parametrize("pooling", ["max", "average"])
def test_first_blocks_equal_a_numpy_loop(photograph, padding, pooling):
    params = random_params("vgg19", deepest="conv2_1")
    encoder = VGG("vgg19", PLAIN, padding=padding, pooling=pooling)
    layers = ("conv1_1", "relu1_1", "conv1_2", "pool1", "conv2_1")
    ours = encoder.apply(params, photograph[:, :21, :18], layers=layers)

    mode = {"zero": "constant", "reflect": "reflect"}[padding]
    arrays = jax.tree.map(np.asarray, params["params"])
    x = np.asarray(photograph[0, :21, :18], np.float64)
    theirs = {"conv1_1": numpy_convolve(x, **arrays["conv1_1"], mode=mode)}
    theirs["relu1_1"] = np.maximum(theirs["conv1_1"], 0)
    theirs["conv1_2"] = numpy_convolve(theirs["relu1_1"], **arrays["conv1_2"], mode=mode)
    windows = np.maximum(theirs["conv1_2"], 0)[:20].reshape(10, 2, 9, 2, 64)  # the odd row goes
    theirs["pool1"] = {"max": np.max, "average": np.mean}[pooling](windows, axis=(1, 3))
    theirs["conv2_1"] = numpy_convolve(theirs["pool1"], **arrays["conv2_1"], mode=mode)

    assert tuple(ours) == layers
    for layer in layers:
        assert relative_error(ours[layer][0], theirs[layer]) < 1e-5, layer


def test_asking_less_changes_nothing_and_order_does_not_matter(photograph):
    params = random_params("vgg16", deepest="conv3_1")
    encoder = VGG("vgg16", TORCHVISION)
    both = encoder.apply(params, photograph, layers=["relu3_1", "relu1_1"])
    one = encoder.apply(params, photograph, layers=("relu1_1",))
    assert tuple(both) == ("relu1_1", "relu3_1")
    np.testing.assert_allclose(both["relu1_1"], one["relu1_1"], rtol=1e-6)


def test_ceil_mode_keeps_the_odd_row(photograph):
    params = random_params("vgg19", deepest="conv1_2")
    odd = photograph[:, :21, :19]
    asked = {"relu1_2", "pool1"}
    kept = VGG("vgg19", CAFFE, ceil_mode=True).apply(params, odd, layers=tuple(asked))
    dropped = VGG("vgg19", CAFFE).apply(params, odd, layers=tuple(asked))
    assert kept["pool1"].shape == (1, 11, 10, 64)
    assert dropped["pool1"].shape == (1, 10, 9, 64)
    # Alone in its window, the corner is its own maximum.
    np.testing.assert_array_equal(kept["pool1"][:, -1, -1], kept["relu1_2"][:, -1, -1])


def test_computes_no_deeper_than_the_deepest_layer(photograph, monkeypatch):
    # The CPU may do a layer without XLA's convolution: counted is what others do.
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    encoder = VGG("vgg19", TORCHVISION)
    params = random_params("vgg19", deepest="conv3_2")
    layers = ("relu1_2", "conv3_2")
    program = str(
        jax.make_jaxpr(lambda p, x: encoder.apply(p, x, layers=layers))(params, photograph)
    )
    assert program.count("conv_general_dilated[") == 6  # 2 + 2 + 2
    features = encoder.apply(params, photograph, layers=layers)
    assert features["conv3_2"].shape == (1, 12, 16, 256)
    deeper = VGG("vgg19", TORCHVISION)
    with pytest.raises(Exception, match="conv3_3"):
        deeper.apply(params, photograph, layers=("relu3_3",))


@pytest.mark.parametrize(
    "layers", [("relu1_1", "conv2_2", "pool2", "relu3_1"), ("pool3",), ("relu1_2",)]
)
def test_blocks_in_turn_are_the_whole(photograph, layers):
    encoder = VGG("vgg16", TORCHVISION, pooling="average")
    params = random_params("vgg16", deepest="conv3_3")
    x, pieces = photograph, {}
    for block in range(num_blocks(layers)):
        x, features = encoder.apply(params, x, block=block, layers=layers, method="encoder_block")
        assert all(block_of(name) == block for name in features)
        pieces.update(features)
    whole = encoder.apply(params, photograph, layers=layers)
    assert list(pieces) == list(whole)
    for name in layers:
        np.testing.assert_array_equal(pieces[name], whole[name])
    # Nothing is computed beyond the deepest layer: the last output is that layer.
    np.testing.assert_array_equal(x, whole[max(layers, key=layer_names("vgg16").index)])


def test_bfloat16_is_close_and_float32_out(photograph):
    params = random_params("vgg16", deepest="conv4_1")
    layers = ("relu1_1", "relu4_1")
    exact = VGG("vgg16", TORCHVISION).apply(params, photograph, layers=layers)
    rough = VGG("vgg16", TORCHVISION, precision="bfloat16").apply(params, photograph, layers=layers)
    assert rough["relu4_1"].dtype == jnp.float32
    assert 1e-6 < relative_error(rough["relu4_1"], np.asarray(exact["relu4_1"])) < 3e-2


def test_jit_equals_eager_and_compiles_once(photograph):
    params = random_params("vgg16", deepest="conv2_1")
    encoder = VGG("vgg16", TORCHVISION)
    traces = 0

    def features(params, images, layers):
        nonlocal traces
        traces += 1
        return encoder.apply(params, images, layers=layers)

    fast = jax.jit(features, static_argnames="layers")
    first = fast(params, photograph, layers=("relu2_1",))["relu2_1"]
    fast(params, 1 - photograph, layers=("relu2_1",))
    assert traces == 1
    eager = encoder.apply(params, photograph, layers=("relu2_1",))["relu2_1"]
    assert relative_error(first, np.asarray(eager)) < 1e-5


def test_pixel_gradient_agrees_with_a_finite_difference(photograph):
    # Biases that keep most filters active: at a ReLU's kink there is no derivative to agree on.
    params = random_params("vgg16", deepest="conv2_1")
    params = jax.tree.map(lambda leaf: leaf + float(leaf.ndim == 1), params)
    encoder = VGG("vgg16", TORCHVISION, pooling="average")
    images = photograph[:, 20:36, 24:40]
    direction = jax.random.normal(jax.random.key(1), images.shape)

    @jax.jit
    def energy(images):
        return jnp.mean(encoder.apply(params, images, layers=("relu2_1",))["relu2_1"] ** 2)

    slope = jnp.vdot(jax.jit(jax.grad(energy))(images), direction)
    step = 1e-3
    difference = energy(images + step * direction) - energy(images - step * direction)
    np.testing.assert_allclose(slope, difference / (2 * step), rtol=1e-2)


# Errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((), r"layers: none given in vgg16; choose from conv1_1, relu1_1, .*, pool5"),
        (("relu1_1", "relu3_4"), r"layers: no layer called 'relu3_4' in vgg16; choose from conv1"),
        ("relu1_1", r"wanted a tuple of names, got 'relu1_1'; write \('relu1_1',\)"),
    ],
)
def test_wrong_layers_are_named_with_the_choice(photograph, layers, message):
    with pytest.raises(ValueError, match=message) as caught:
        VGG("vgg16", TORCHVISION).apply({"params": {}}, photograph, layers=layers)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("padding", "ceil_mode", "layer", "least"),
    [
        ("zero", False, "relu1_1", 1),
        ("zero", False, "pool1", 2),
        ("zero", False, "relu5_1", 16),
        ("zero", False, "pool5", 32),
        ("zero", True, "relu5_1", 1),
        ("reflect", False, "relu3_1", 8),  # 8, 4, 2: one position could not be reflected
        ("reflect", True, "relu3_1", 5),  # 5, 3, 2
        ("reflect", True, "pool3", 5),
        ("reflect", False, "pool3", 8),
    ],
)
def test_too_small_pictures_are_refused_and_the_smallest_work(padding, ceil_mode, layer, least):
    encoder = VGG("vgg16", TORCHVISION, padding=padding, ceil_mode=ceil_mode)

    def run(height, width):
        images = jax.ShapeDtypeStruct((1, height, width, 3), jnp.float32)
        return jax.eval_shape(
            lambda x: encoder.init_with_output(jax.random.key(0), x, layers=(layer,))[0], images
        )

    assert min(run(least, least + 3)[layer].shape) >= 1
    if least > 1:
        message = f"images: {least + 3} by {least - 1} pixels .* {layer}, which needs {least} along"
        with pytest.raises(ValueError, match=message):
            run(least + 3, least - 1)


def test_a_block_beyond_the_layers_is_refused(photograph):
    with pytest.raises(ValueError, match="block: wanted 0 to 1 for layers, got 2"):
        VGG("vgg16", TORCHVISION).apply(
            {"params": {}}, photograph, block=2, layers=("relu2_1",), method="encoder_block"
        )
