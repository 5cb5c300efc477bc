"""Oracles: counts by hand, the network in PyTorch, and what a change of one pixel can reach."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_oracle import as_torch, made_arrays, made_pictures
from vgg_oracle import relative_error

from nst_jax.networks.texler import TILE_MARGIN, TexlerNetwork


def shapes_of(network):
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    return jax.eval_shape(network.init, jax.random.key(0), images)


def made_variables(network):
    variables = made_arrays(shapes_of(network))
    variables["params"]["output"]["kernel"] *= 0.3  # lest the tanh saturates and hides all
    return jax.tree.map(jnp.asarray, variables)


def test_parameters_are_as_many_as_in_the_authors_configuration():
    found = sum(leaf.size for leaf in jax.tree.leaves(shapes_of(TexlerNetwork())["params"]))
    contracting = (49 * 3 * 32 + 32) + (9 * 32 * 64 + 64) + (9 * 64 * 128 + 128)
    residual = 7 * (2 * (9 * 128 * 128 + 128) + 2 * 128)
    expanding = 9 * (128 + 128) * 128 + 9 * (128 + 64) * 128
    joining = (49 * (128 + 32 + 3) * 64 + 64) + 2 * (9 * 64 * 64 + 64) + (64 * 3 + 3)
    norms = 2 * (32 + 64 + 128) + 2 * 2 * 128 + 2 * 64
    authors = contracting + residual + expanding + joining + norms
    assert 3.26e6 < authors < 3.28e6
    assert found == authors + 2 * 128  # biases before a normalisation, which the authors leave out


@pytest.mark.slow
def test_an_output_sees_no_further_than_the_margin():
    network = TexlerNetwork(width=2)
    variables = made_variables(network)
    side = 4 * (2 * TILE_MARGIN // 4 + 3)
    images = made_pictures(1, side, side, 3)
    changed = images.copy()
    middle = side // 2
    changed[0, middle : middle + 4, middle : middle + 4] = 1 - changed[0, :4, :4]
    apply = jax.jit(network.apply)
    before, after = (np.asarray(apply(variables, jnp.asarray(x))) for x in (images, changed))
    rows = np.flatnonzero(np.abs(before - after).max((0, 2, 3)))
    assert middle - rows[0] <= TILE_MARGIN
    assert rows[-1] - (middle + 3) <= TILE_MARGIN
    assert middle - rows[0] > TILE_MARGIN - 12


def test_pictures_of_other_sides_are_refused():
    network = TexlerNetwork(width=2)
    with pytest.raises(ValueError, match="images: wanted sides that are multiples of 4"):
        jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, 30, 32, 3)))


def torch_texler(variables, images):
    """Painted pictures (NHWC) by running statistics."""
    import torch
    from torch.nn import functional

    params, stats = as_torch(variables["params"]), as_torch(variables["batch_stats"])

    def convolve(x, name, stride=1):
        kernel = params[name]["kernel"].permute(3, 2, 0, 1)
        return functional.conv2d(
            x, kernel, params[name]["bias"], stride=stride, padding=kernel.shape[-1] // 2
        )

    def normalize(x, name):
        own, kept = params[f"{name}_norm"], stats[f"{name}_norm"]
        return functional.batch_norm(
            x, kept["mean"].detach(), kept["var"].detach(), own["scale"], own["bias"], eps=1e-5
        )

    def contract(x, name, stride):
        return functional.leaky_relu(normalize(convolve(x, name, stride), name), 0.2)

    def enlarge(x, beside, name):
        x = functional.interpolate(torch.cat([x, beside], 1), scale_factor=2)
        return functional.relu(normalize(convolve(x, name), name))

    pixels = 2 * images.permute(0, 3, 1, 2) - 1
    full = contract(pixels, "contract1", 1)
    half = contract(full, "contract2", 2)
    x = quarter = contract(half, "contract3", 2)
    for number in range(1, 8):
        y = normalize(convolve(functional.relu(x), f"residual{number}a"), f"residual{number}")
        x = x + convolve(functional.relu(y), f"residual{number}b")
    x = enlarge(x, quarter, "expand1")
    x = enlarge(x, half, "expand2")
    x = functional.relu(convolve(torch.cat([x, full, pixels], 1), "join"))
    x = normalize(functional.relu(convolve(x, "smooth1")), "smooth1")
    x = torch.tanh(convolve(functional.relu(convolve(x, "smooth2")), "output"))
    return ((x + 1) / 2).permute(0, 2, 3, 1)


@pytest.mark.oracle
def test_the_network_paints_as_in_pytorch():
    network = TexlerNetwork(width=4)
    variables, images = made_variables(network), made_pictures(2, 36, 44, 3)
    wanted = torch_texler(variables, as_torch(images)).detach().numpy()
    found = jax.jit(network.apply)(variables, jnp.asarray(images))
    assert relative_error(found, wanted) < 1e-4
    assert wanted.std() > 0.05
