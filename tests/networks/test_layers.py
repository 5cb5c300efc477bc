"""Oracles: loops in numpy over positions, pictures and channels."""

import re
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from network_oracle import made_arrays

from nst_jax.networks.layers import (
    ConditionalInstanceNorm,
    Convolution,
    InstanceNorm,
    TransposedConvolution,
    UpsampledConvolution,
    require_pictures,
)


def made_features(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) * np.linspace(0.5, 3, shape[-1]) + 2).astype(np.float32)


def made_variables(module, *inputs, seed=0):
    shapes = jax.eval_shape(module.init, jax.random.key(0), *map(jnp.asarray, inputs))
    return {"params": made_arrays(shapes["params"], seed=seed)}


def answer(module, variables, *inputs, mutable: Any = False) -> Any:
    return module.apply(
        jax.tree.map(jnp.asarray, variables), *map(jnp.asarray, inputs), mutable=mutable
    )


def normalized(x, *, eps=1e-5):
    """Each picture's channels, one after another, with mean 0 and the variance 1 of all of them."""
    result = np.empty(x.shape)
    for picture in range(x.shape[0]):
        for channel in range(x.shape[-1]):
            values = x[picture, :, :, channel].astype(np.float64)
            result[picture, :, :, channel] = (values - values.mean()) / np.sqrt(values.var() + eps)
    return result


# Convolutions ------------------------------------------------------------------------------------


def convolved(x, kernel, bias, *, stride):
    """The convolution of what is padded already, one position at a time."""
    side = kernel.shape[0]
    rows, columns = ((length - side) // stride + 1 for length in x.shape[1:3])
    result = np.empty((len(x), rows, columns, kernel.shape[-1]))
    for i in range(rows):
        for j in range(columns):
            window = x[:, i * stride : i * stride + side, j * stride : j * stride + side]
            result[:, i, j] = np.einsum("buvc,uvco->bo", window, kernel) + bias
    return result


@pytest.mark.parametrize(
    ("padding", "mode", "side", "stride"),
    [("zero", "constant", 5, 1), ("reflect", "reflect", 3, 2), ("valid", None, 3, 1)],
)
def test_convolution_pads_and_strides_as_told(padding, mode, side, stride):
    x = made_features(2, 6, 8, 3)
    layer = Convolution(4, kernel_size=side, stride=stride, padding=padding)
    variables = made_variables(layer, x)
    if mode:
        border = (side // 2, side // 2)
        x_padded = np.pad(x, ((0, 0), border, border, (0, 0)), mode=mode)
    else:
        x_padded = x
    expected = convolved(x_padded, **variables["params"], stride=stride)
    np.testing.assert_allclose(answer(layer, variables, x), expected, rtol=1e-4, atol=1e-4)


def test_transposed_convolution_spreads_each_position_over_nine():
    x = made_features(2, 3, 4, 3)
    layer = TransposedConvolution(5)
    variables = made_variables(layer, x)
    kernel, bias = variables["params"]["kernel"], variables["params"]["bias"]
    spread = np.zeros((2, 8, 10, 5))  # one position more above, below, left and right
    for i in range(3):
        for j in range(4):
            spread[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += np.einsum(
                "bc,uvco->buvo", x[:, i, j], kernel
            )
    expected = spread[:, 1:7, 1:9] + bias
    np.testing.assert_allclose(answer(layer, variables, x), expected, rtol=1e-4, atol=1e-4)


def test_upsampled_convolution_repeats_then_reflects():
    x = made_features(2, 3, 4, 3)
    layer = UpsampledConvolution(5)
    variables = made_variables(layer, x)
    border = (1, 1)
    large = np.pad(x.repeat(2, 1).repeat(2, 2), ((0, 0), border, border, (0, 0)), mode="reflect")
    expected = convolved(large, **variables["params"], stride=1)
    np.testing.assert_allclose(answer(layer, variables, x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", [Convolution, TransposedConvolution, UpsampledConvolution])
def test_weights_are_named_as_linen_does_and_start_as_told(kind):
    layer = kind(
        7, kernel_init=nn.initializers.constant(0.25), bias_init=nn.initializers.constant(-1.5)
    )
    params = layer.init(jax.random.key(0), jnp.ones((1, 4, 4, 2)))["params"]
    np.testing.assert_array_equal(params["kernel"], np.full((3, 3, 2, 7), 0.25))
    np.testing.assert_array_equal(params["bias"], np.full(7, -1.5))
    assert set(params) == {"kernel", "bias"}


# Normalisation -----------------------------------------------------------------------------------


def test_instance_norm_equals_a_loop_over_pictures_and_channels():
    x = made_features(3, 5, 4, 6)
    variables = made_variables(InstanceNorm(), x)
    expected = normalized(x) * variables["params"]["scale"] + variables["params"]["bias"]
    np.testing.assert_allclose(answer(InstanceNorm(), variables, x), expected, rtol=1e-4, atol=1e-5)


def test_eps_bounds_what_a_faint_channel_is_divided_by():
    x = 1e-2 * made_features(1, 5, 4, 2)
    variables = made_variables(InstanceNorm(), x)
    scale, bias = variables["params"]["scale"], variables["params"]["bias"]
    for eps in (1e-5, 1e-2):
        np.testing.assert_allclose(
            answer(InstanceNorm(eps=eps), variables, x),
            normalized(x, eps=eps) * scale + bias,
            rtol=1e-3,
            atol=1e-4,
        )


def test_norms_start_as_told():
    x = jnp.ones((1, 4, 4, 500))
    plain = InstanceNorm().init(jax.random.key(0), x)
    assert set(plain) == {"params"}  # statistics are not for keeping
    np.testing.assert_array_equal(plain["params"]["scale"], np.ones(500))
    np.testing.assert_array_equal(plain["params"]["bias"], np.zeros(500))
    drawn: Any = InstanceNorm(scale_init=nn.initializers.uniform(1.0)).init(jax.random.key(0), x)
    assert 0.4 < drawn["params"]["scale"].mean() < 0.6
    conditional = ConditionalInstanceNorm(num_styles=3).init(jax.random.key(0), x, jnp.ones((1, 3)))
    np.testing.assert_array_equal(conditional["params"]["scale"], np.ones((3, 500)))
    np.testing.assert_array_equal(conditional["params"]["bias"], np.zeros((3, 500)))


def test_each_picture_gets_the_row_or_the_mixture_it_asks_for():
    x = made_features(3, 5, 4, 6)
    style_weights = np.array([[0, 1, 0], [0, 0, 1], [0.2, 0.5, 0.3]], np.float32)
    layer = ConditionalInstanceNorm(num_styles=3)
    variables = made_variables(layer, x, style_weights)
    tables = variables["params"]
    result = answer(layer, variables, x, style_weights)
    mixed = {name: 0.2 * t[0] + 0.5 * t[1] + 0.3 * t[2] for name, t in tables.items()}
    rows = [{name: table[k] for name, table in tables.items()} for k in (1, 2)] + [mixed]
    for picture, row in enumerate(rows):
        alone = answer(InstanceNorm(), {"params": row}, x[picture : picture + 1])
        np.testing.assert_allclose(result[picture], alone[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("conditional", [False, True])
def test_statistics_are_recorded_and_replace_the_pictures_own(conditional):
    x, other = made_features(2, 5, 4, 3), made_features(2, 4, 6, 3, seed=1) - 1
    layer = ConditionalInstanceNorm(num_styles=2) if conditional else InstanceNorm()
    more = (np.array([[1, 0], [0.5, 0.5]], np.float32),) if conditional else ()
    variables = made_variables(layer, x, *more)
    plain = answer(layer, variables, x, *more)
    again, recorded = answer(layer, variables, x, *more, mutable=["statistics"])
    np.testing.assert_array_equal(again, plain)
    np.testing.assert_allclose(recorded["statistics"]["mean"], x.mean((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(recorded["statistics"]["var"], x.var((1, 2)), rtol=1e-5)

    given = {**variables, "given_statistics": recorded["statistics"]}
    np.testing.assert_array_equal(answer(layer, given, x, *more), plain)
    # Half a picture, normalised as the whole; and what is recorded then is still the half's own.
    half, own = answer(layer, given, x[:, :2], *more, mutable=["statistics"])
    np.testing.assert_allclose(half, plain[:, :2], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(own["statistics"]["mean"], x[:, :2].mean((1, 2)), rtol=1e-5)
    assert (
        np.abs(answer(layer, given, other, *more) - answer(layer, variables, other, *more)).max()
        > 1
    )


def test_gradients_are_right_and_finite_where_nothing_varies():
    layer = ConditionalInstanceNorm(num_styles=2)
    x = made_features(1, 3, 4, 2)
    style_weights = np.array([[0.25, 0.75]], np.float32)
    params = jax.tree.map(jnp.asarray, made_variables(layer, x, style_weights)["params"])

    def total(params, x):
        return jnp.sin(answer(layer, {"params": params}, x, style_weights)).sum()

    check_grads(
        jax.jit(total), (params, jnp.asarray(x)), order=1, modes=("rev",), rtol=1e-2, eps=1e-2
    )
    for leaf in jax.tree.leaves(jax.grad(total, (0, 1))(params, jnp.ones(x.shape))):
        assert np.isfinite(leaf).all()


# Pictures ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(46, 48), (48, 45), (40, 48), (48, 40)])
def test_sides_are_multiples_of_4_and_long_enough(height, width):
    message = f"multiples of 4 and at least 44 pixels, got {height} by {width}; pad"
    with pytest.raises(ValueError, match=re.escape(message)):
        require_pictures(jnp.zeros((1, height, width, 3)), least=44)
    require_pictures(jnp.zeros((1, 44, 48, 3)), least=44)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((1, 8, 8, 3), np.uint8), "got uint8; divide by the value of white"),
        (np.zeros((8, 8, 3), np.float32), "got (8, 8, 3); add a leading axis"),
        (np.zeros((1, 8, 8, 1), np.float32), "got (1, 8, 8, 1); give three channels, RGB"),
    ],
    ids=["integers", "a single picture", "grey"],
)
def test_what_is_no_picture_is_refused(images, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        require_pictures(jnp.asarray(images), least=8)
