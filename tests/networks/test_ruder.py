"""Oracles: the network in NumPy, counts by hand, and what tiles must give."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_oracle import MEAN, made_arrays, made_pictures

from nst_jax.networks.johnson import PADDING
from nst_jax.networks.ruder import TILE_MARGIN, RuderNetwork

NETWORK = RuderNetwork(width=2)


def made_variables(network) -> Any:
    images = jax.ShapeDtypeStruct((1, 48, 44, 7), jnp.float32)
    variables = made_arrays(jax.eval_shape(network.init, jax.random.key(0), images))
    variables["params"]["contract1"]["kernel"] /= 100  # of numbers up to 255
    variables["params"]["contract1"]["kernel"][:, :, 6] *= 100  # but for the mask
    variables["params"]["output"]["kernel"] *= 0.3  # lest the tanh saturates and hides all
    return jax.tree.map(jnp.asarray, variables)


@pytest.fixture(scope="module")
def variables():
    return made_variables(NETWORK)


@pytest.fixture(scope="module")
def given():
    """A frame, a last picture, and a mask with an edge."""
    pictures = made_pictures(2, 48, 44, 3)
    mask = np.ones((48, 44, 1), np.float32)
    mask[:, :15] = 0
    return np.concatenate([pictures[0], pictures[1], mask], -1)[None]


@pytest.fixture(scope="module")
def apply():
    return jax.jit(NETWORK.apply)


def convolve(x, layer, *, stride=1, padded=True):
    kernel, bias = (np.asarray(layer[name], np.float64) for name in ("kernel", "bias"))
    side = kernel.shape[0]
    if padded:
        x = np.pad(x, ((side // 2, side // 2), (side // 2, side // 2), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(0, 1))
    return np.einsum("hwcij,ijco->hwo", windows[::stride, ::stride], kernel, optimize=True) + bias


def normalize(x, layer):
    mean, var = x.mean((0, 1)), x.var((0, 1))
    scale, bias = (np.asarray(layer[name], np.float64) for name in ("scale", "bias"))
    return (x - mean) / np.sqrt(var + 1e-5) * scale + bias


def in_numpy(params, given):
    """The network as the paper's table has it, in float64, of one frame (H, W, 7)."""
    x = np.pad(given.astype(np.float64), ((40, 40), (40, 40), (0, 0)), mode="reflect")
    mask = x[..., 6:]
    x = np.concatenate([255 * (x[..., :3] - MEAN), 255 * mask * (x[..., 3:6] - MEAN), mask], -1)
    for name, stride in (("contract1", 1), ("contract2", 2), ("contract3", 2)):
        x = normalize(convolve(x, params[name], stride=stride), params[f"{name}_norm"]).clip(0)
    for name in (f"residual{i}" for i in range(1, 6)):
        y = convolve(x, params[f"{name}a"], padded=False)
        y = normalize(y, params[f"{name}a_norm"]).clip(0)
        y = convolve(y, params[f"{name}b"], padded=False)
        x = x[2:-2, 2:-2] + normalize(y, params[f"{name}b_norm"])
    x = convolve(x.repeat(2, 0).repeat(2, 1), params["expand1"])
    x = normalize(x, params["expand1_norm"]).clip(0)
    x = convolve(x.repeat(2, 0).repeat(2, 1), params["output"])
    return MEAN + 150 / 255 * np.tanh(x)


def test_the_network_is_the_papers(variables, given, apply):
    wanted = in_numpy(variables["params"], given[0])
    np.testing.assert_allclose(apply(variables, jnp.asarray(given))[0], wanted, atol=2e-4)


def test_parameters_are_as_many_as_the_papers():
    images = jax.ShapeDtypeStruct((1, 48, 44, 7), jnp.float32)
    params = jax.eval_shape(RuderNetwork().init, jax.random.key(0), images)["params"]
    outer = 32 * (81 * 7 + 1) + 3 * (81 * 64 + 1)
    halving = 64 * (9 * 32 + 1) + 128 * (9 * 64 + 1)
    residual, doubling = 10 * 128 * (9 * 128 + 1), 64 * (9 * 128 + 1)
    norms = 2 * (32 + 64 + 128 + 10 * 128 + 64)
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert count == outer + halving + residual + doubling + norms


def test_a_frame_alone_has_no_last_picture(variables, given, apply):
    alone = apply(variables, jnp.asarray(given[..., :3]))
    hidden = given.copy()
    hidden[..., 6] = 0
    np.testing.assert_array_equal(alone, apply(variables, jnp.asarray(hidden)))
    assert np.abs(alone - apply(variables, jnp.asarray(given))).max() > 0.05


def test_what_is_masked_does_not_matter(variables, given, apply):
    other = given.copy()
    other[:, :, :15, 3:6] = 1 - other[:, :, :15, 3:6]
    wanted = apply(variables, jnp.asarray(given))
    np.testing.assert_allclose(apply(variables, jnp.asarray(other)), wanted, atol=1e-5)
    other[:, :, 15:, 3:6] = 1 - other[:, :, 15:, 3:6]
    assert np.abs(apply(variables, jnp.asarray(other)) - wanted).max() > 0.01


@pytest.mark.slow
def test_a_tile_is_a_part_of_the_whole_but_for_its_margin(variables, given):
    whole, recorded = jax.jit(NETWORK.apply, static_argnames="mutable")(
        variables, jnp.asarray(given), mutable=("statistics",)
    )
    fixed = {**variables, "given_statistics": recorded["statistics"]}
    border = (PADDING, PADDING)
    padded = jnp.pad(jnp.asarray(given), ((0, 0), border, border, (0, 0)), mode="reflect")
    tile = NETWORK.apply(fixed, padded[:, :, 4 : 4 + 2 * PADDING + 36], method="apply_padded")
    inner = slice(TILE_MARGIN, 36 - TILE_MARGIN)
    difference = np.abs(np.asarray(tile) - np.asarray(whole)[:, :, 4:40]).max((0, 1, 3))
    assert difference[inner].max() < 1e-5
    assert difference[TILE_MARGIN - 4 : TILE_MARGIN].max() > 1e-5  # no wider than it must be


@pytest.mark.usefixtures("unchecked")
def test_other_channels_are_refused(variables):
    with pytest.raises(ValueError, match=r"images: wanted 3 or 7 channels, got 6"):
        NETWORK.apply(variables, jnp.zeros((1, 48, 48, 6)))
