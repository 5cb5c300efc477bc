"""Oracles: counts by hand, the decoder in PyTorch, and what a change of one pixel can reach."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_oracle import as_torch, made_arrays, made_pictures
from vgg_oracle import relative_error

from nst_jax.encoders.preprocessing import SIGNED, TORCHVISION
from nst_jax.encoders.vgg import VGG
from nst_jax.networks.li_wand import TILE_MARGIN, LiWandDecoder, LiWandNetwork


def shapes_of(decoder):
    features = jax.ShapeDtypeStruct((1, 2, 2, 512), jnp.float32)
    return jax.eval_shape(decoder.init, jax.random.key(0), features)


def test_the_decoder_has_as_many_parameters_as_the_authors():
    found = sum(leaf.size for leaf in jax.tree.leaves(shapes_of(LiWandDecoder())["params"]))
    kernels = 9 * 512 * 512 + 16 * 512 * 256 + 16 * 256 * 128 + 16 * 128 * 3
    biases, norms = 512 + 256 + 128 + 3, 2 * (512 + 256 + 128)
    assert found == kernels + biases + norms


def test_the_network_knows_what_its_encoder_is_given():
    encoder = VGG("vgg16", TORCHVISION)
    assert LiWandNetwork(encoder=encoder).encoder_input == "weights"
    signed = dataclasses.replace(encoder, preprocessing=SIGNED)
    assert LiWandNetwork(encoder=signed).encoder_input == "signed"
    pictures = jax.ShapeDtypeStruct((1, 20, 16, 3), jnp.float32)
    with pytest.raises(ValueError, match="images: wanted sides that are multiples of 8"):
        jax.eval_shape(LiWandNetwork(encoder=encoder).init, jax.random.key(0), pictures)


@pytest.mark.slow
def test_an_output_sees_no_further_than_the_margin():
    network = LiWandNetwork(encoder=VGG("vgg19", TORCHVISION), width=1)
    side = 2 * TILE_MARGIN + 24
    images = made_pictures(1, side, side, 3)
    shapes = jax.eval_shape(network.init, jax.random.key(0), jnp.asarray(images))
    variables = made_arrays(shapes)
    variables["params"]["decoder"]["decode4"]["kernel"] *= 0.01  # lest the tanh saturates
    changed = images.copy()
    middle = slice(TILE_MARGIN + 8, TILE_MARGIN + 16)
    changed[0, middle, middle] = 1 - changed[0, middle, middle]
    apply = jax.jit(network.apply)
    before, after = (np.asarray(apply(variables, jnp.asarray(x))) for x in (images, changed))
    rows = np.flatnonzero(np.abs(before - after).max((0, 2, 3)))
    assert 8 <= rows[0] < 8 + 24
    assert side - 8 - 24 <= rows[-1] < side - 8


@pytest.mark.oracle
def test_the_decoder_paints_as_in_pytorch():
    import torch
    from torch.nn import functional

    decoder = LiWandDecoder(width=3)
    variables = made_arrays(shapes_of(decoder))
    variables["params"]["decode4"]["kernel"] *= 0.1
    features = made_pictures(2, 3, 4, 512)
    params, stats = as_torch(variables["params"]), as_torch(variables["batch_stats"])
    x = as_torch(features).permute(0, 3, 1, 2)
    first = params["decode1"]
    x = functional.conv2d(x, first["kernel"].permute(3, 2, 0, 1), first["bias"], padding=1)
    for number in (2, 3, 4):
        own, kept = (tree[f"decode{number - 1}_norm"] for tree in (params, stats))
        mean, var = kept["mean"].detach(), kept["var"].detach()
        x = functional.batch_norm(x, mean, var, own["scale"], own["bias"], eps=1e-5)
        layer = params[f"decode{number}"]
        kernel = layer["kernel"].permute(2, 3, 0, 1)
        x = functional.conv_transpose2d(x.relu(), kernel, layer["bias"], stride=2, padding=1)
    wanted = ((torch.tanh(x) + 1) / 2).permute(0, 2, 3, 1).detach().numpy()
    found = jax.jit(decoder.apply)(jax.tree.map(jnp.asarray, variables), jnp.asarray(features))
    assert found.shape == (2, 24, 32, 3)
    assert relative_error(found, wanted) < 1e-4
    assert wanted.std() > 0.05
