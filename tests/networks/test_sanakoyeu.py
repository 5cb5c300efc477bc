"""Oracles: counts by hand, the networks in PyTorch, and what a change of one pixel can reach."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_oracle import as_torch, made_arrays, made_pictures
from vgg_oracle import relative_error

from nst_jax.networks.sanakoyeu import TILE_MARGIN, SanakoyeuDiscriminator, SanakoyeuNetwork


def shapes_of(network, side=64):
    images = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    return jax.eval_shape(network.init, jax.random.key(0), images)


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def test_parameters_are_as_many_as_in_the_authors_code():
    maps = (3, 32, 32, 64, 128, 256)
    encoder = sum(9 * a * b + 2 * b for a, b in itertools.pairwise(maps)) + 2 * 3
    residual = 18 * (9 * 256 * 256 + 2 * 256)
    maps = (256, 256, 128, 64, 32)
    decoder = sum(9 * a * b + 2 * b for a, b in itertools.pairwise(maps)) + 49 * 32 * 3
    assert count(shapes_of(SanakoyeuNetwork())) == encoder + residual + decoder
    maps = (3, 128, 128, 256, 512, 512, 1024, 1024)
    judge = sum(25 * a * b + 2 * b for a, b in itertools.pairwise(maps))
    heads = 25 * 128 + 100 * 128 + 100 * 512 + 36 * 1024 + 9 * 1024
    assert count(shapes_of(SanakoyeuDiscriminator(), side=256)) == judge + heads


def test_what_the_encoder_keeps_is_a_sixteenth_of_the_picture():
    network = SanakoyeuNetwork(width=2)
    images = jax.ShapeDtypeStruct((2, 48, 64, 3), jnp.float32)

    def both(variables, images):
        return network.apply(variables, images), network.apply(variables, images, method="encode")

    painted, kept = jax.eval_shape(both, shapes_of(network), images)
    assert painted.shape == (2, 48, 64, 3)
    assert kept.shape == (2, 3, 4, 16)
    few = SanakoyeuDiscriminator(width=2, num_layers=4)
    logits = jax.eval_shape(few.init_with_output, jax.random.key(0), images)[0]
    assert [each.shape[1:] for each in logits] == [(24, 32, 1), (12, 16, 1), (3, 4, 1)]


@pytest.mark.parametrize(
    ("network", "side", "complaint"),
    [
        (SanakoyeuNetwork(width=2), 40, "images: wanted sides that are multiples of 16 and at le"),
        (SanakoyeuNetwork(width=2), 16, "images: wanted sides that are multiples of 16 and at le"),
        (SanakoyeuDiscriminator(), 248, "images: wanted sides of at least 256 pixels, got 248"),
    ],
)
def test_other_pictures_are_refused(network, side, complaint):
    with pytest.raises(ValueError, match=complaint):
        shapes_of(network, side)


@pytest.mark.slow
def test_an_output_sees_no_further_than_the_margin():
    """But for the statistics, which are given."""
    network, side = SanakoyeuNetwork(width=1), 16 * (2 * TILE_MARGIN // 16 + 3)
    images = made_pictures(1, side, side, 3)
    variables = made_arrays(shapes_of(network))
    apply = jax.jit(lambda variables, x: network.apply(variables, x, mutable=["statistics"]))
    _, recorded = apply(variables, jnp.asarray(images))
    given = {**variables, "given_statistics": recorded["statistics"]}
    changed = images.copy()
    middle = slice(TILE_MARGIN + 16, TILE_MARGIN + 32)
    changed[0, middle, middle] = 1 - changed[0, middle, middle]
    before, after = (np.asarray(apply(given, jnp.asarray(x))[0]) for x in (images, changed))
    rows = np.flatnonzero(np.abs(before - after).max((0, 2, 3)) > 1e-7)
    assert 16 <= rows[0] < 16 + 64
    assert side - 16 - 64 <= rows[-1] < side - 16


@pytest.mark.oracle
def test_the_networks_answer_as_in_pytorch():
    import torch
    from torch.nn import functional

    images = made_pictures(2, 48, 64, 3)

    def convolve(x, kernel, stride=1):
        return functional.conv2d(x, kernel.permute(3, 2, 0, 1), stride=stride)

    def normalize(x, own):
        return functional.instance_norm(x, weight=own["scale"], bias=own["bias"], eps=1e-5)

    network = SanakoyeuNetwork(width=3)
    variables = made_arrays(shapes_of(network))
    variables["params"]["decoder"]["output"]["kernel"] *= 0.3  # lest the sigmoid saturates
    params = as_torch(variables["params"])
    encoder, decoder = params["encoder"], params["decoder"]
    x = as_torch(images).permute(0, 3, 1, 2)
    x = functional.pad(normalize(x, encoder["input_norm"]), (15,) * 4, mode="reflect")
    for number in range(1, 6):
        x = convolve(x, encoder[f"contract{number}"]["kernel"], 1 if number == 1 else 2)
        x = normalize(x, encoder[f"contract{number}_norm"]).relu()
    for number in range(1, 10):
        y = x
        for part in ("a", "b"):
            y = functional.pad(y.relu() if part == "b" else y, (1,) * 4, mode="reflect")
            y = convolve(y, decoder[f"residual{number}{part}"]["kernel"])
            y = normalize(y, decoder[f"residual{number}{part}_norm"])
        x = x + y
    for number in range(1, 5):
        x = functional.pad(functional.interpolate(x, scale_factor=2), (1,) * 4)
        x = convolve(x, decoder[f"expand{number}"]["kernel"])
        x = normalize(x, decoder[f"expand{number}_norm"]).relu()
    x = functional.pad(x, (3,) * 4, mode="reflect")
    wanted = torch.sigmoid(convolve(x, decoder["output"]["kernel"])).permute(0, 2, 3, 1)
    found = jax.jit(network.apply)(jax.tree.map(jnp.asarray, variables), jnp.asarray(images))
    assert relative_error(found, wanted.detach().numpy()) < 1e-3
    assert float(wanted.detach().std()) > 0.05

    judge = SanakoyeuDiscriminator(width=2, num_layers=4)
    variables = made_arrays(shapes_of(judge))
    params = as_torch(variables["params"])
    x = 2 * as_torch(images).permute(0, 3, 1, 2) - 1
    wanted = []
    for number in range(4):
        x = convolve(functional.pad(x, (1, 2, 1, 2)), params[f"convolution{number}"]["kernel"], 2)
        x = functional.leaky_relu(normalize(x, params[f"convolution{number}_norm"]), 0.2)
        if number != 2:
            pad = (2, 2, 2, 2) if number == 0 else (4, 5, 4, 5)
            wanted.append(convolve(functional.pad(x, pad), params[f"logits{number}"]["kernel"]))
    found = jax.jit(judge.apply)(jax.tree.map(jnp.asarray, variables), jnp.asarray(images))
    for own, their in zip(found, wanted, strict=True):
        assert relative_error(own, their.permute(0, 2, 3, 1).detach().numpy()) < 1e-3
