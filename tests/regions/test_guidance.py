"""Oracles: each unit's receptive field followed back by hand, SciPy's morphology, and gradients."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from vgg_oracle import random_arrays

from nst_jax.encoders.preprocessing import TORCHVISION
from nst_jax.encoders.vgg import VGG, layer_names
from nst_jax.losses import perceptual
from nst_jax.losses.perceptual import Weights
from nst_jax.regions.guidance import make_guides, propagate_masks

ENCODER = VGG("vgg16", TORCHVISION)
LAYERS = ("relu1_1", "conv2_2", "pool2", "relu3_3")


def sides_of(side, *, ceil_mode):
    """The length of each layer along an axis."""
    found = {"": side}
    for name in layer_names("vgg16"):
        side = -(-side // 2) if name.startswith("pool") and ceil_mode else side
        side = side // 2 if name.startswith("pool") and not ceil_mode else side
        found[name] = side
    return found


def field_of(layer, unit, sides):
    """The pixels along one axis that a unit sees: from ... to, both included."""
    names = ["", *layer_names("vgg16")]
    low = high = unit
    for place in range(names.index(layer), 0, -1):
        if names[place].startswith("conv"):
            low, high = low - 1, high + 1
        elif names[place].startswith("pool"):
            low, high = 2 * low, 2 * high + 1
        below = sides[names[place - 1]]
        low, high = max(low, 0), min(high, below - 1)
    return slice(low, high + 1)


def made_masks(*shape, seed=0):
    """Blobs, some of which no deep unit fits in."""
    rng = np.random.default_rng(seed)
    smooth = scipy.ndimage.gaussian_filter(rng.normal(size=shape), (0, 4, 4))
    return (smooth > 0).astype(np.float32)


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_a_unit_belongs_by_what_it_sees(ceil_mode):
    masks = made_masks(2, 37, 46)
    masks[0] *= 0.7  # soft, which only the extremes keep
    encoder = VGG("vgg16", TORCHVISION, ceil_mode=ceil_mode)
    seen = propagate_masks(masks, encoder, LAYERS, mode="all")
    within = propagate_masks(masks, encoder, LAYERS, mode="inside")
    rows, columns = (sides_of(side, ceil_mode=ceil_mode) for side in masks.shape[1:])
    for layer in LAYERS:
        assert seen[layer].shape == within[layer].shape == (2, rows[layer], columns[layer])
        largest, least = np.empty_like(seen[layer]), np.empty_like(seen[layer])
        for i, j in np.ndindex(rows[layer], columns[layer]):
            field = masks[:, field_of(layer, i, rows), field_of(layer, j, columns)]
            largest[:, i, j], least[:, i, j] = field.max((1, 2)), field.min((1, 2))
        np.testing.assert_allclose(seen[layer], largest, atol=1e-6)
        np.testing.assert_allclose(within[layer], least, atol=1e-6)


@pytest.mark.parametrize("growth", [2, -2])
def test_growth_is_by_a_box_of_units(growth):
    masks = made_masks(2, 30, 41)
    plain = propagate_masks(masks, ENCODER, ("relu2_1",), mode="simple")["relu2_1"]
    found = propagate_masks(masks, ENCODER, ("relu2_1",), mode="simple", growth=growth)["relu2_1"]
    extreme = scipy.ndimage.maximum_filter if growth > 0 else scipy.ndimage.minimum_filter
    wanted = extreme(plain, size=(1, 5, 5), mode="nearest")
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert np.abs(found - plain).max() > 0.5


def test_simple_masks_shrink_with_the_layers():
    masks = np.zeros((1, 32, 48), np.float32)
    masks[:, :16] = 1
    found = propagate_masks(masks, ENCODER, ("relu4_1",), mode="simple")["relu4_1"]
    assert found.shape == (1, 4, 6)
    np.testing.assert_allclose(found.mean(), 0.5, rtol=1e-6)
    assert found[0, 0, 0] == 1 - found[0, -1, 0] == 1


@pytest.mark.parametrize("mode", ["simple", "all", "inside"])
def test_the_whole_picture_is_the_whole_of_every_layer(mode):
    found = propagate_masks(np.ones((1, 35, 50), np.float32), ENCODER, LAYERS, mode=mode)
    for mask in found.values():
        np.testing.assert_allclose(mask, 1, rtol=1e-6)


def test_a_layer_that_is_not_there():
    masks = np.ones((1, 32, 32), np.float32)
    with pytest.raises(ValueError, match="no layer called 'relu9_1'"):
        propagate_masks(masks, ENCODER, ("relu9_1",), mode="simple")


def test_guides_have_squares_that_sum_to_one_and_skip_what_is_nowhere():
    masks = {"near": made_masks(2, 8, 9) * 0.7, "far": np.ones((2, 4, 4), np.float32)}
    masks["far"][1] = 0
    of_style = {"near": np.zeros((1, 5, 5), np.float32), "far": np.ones((1, 2, 3), np.float32)}
    guides = make_guides(masks, [of_style, None], ("near", "far"))

    assert set(guides.skipped) == {("far", 1), ("near", 0)}
    near, far = guides.content["near"], guides.content["far"]
    assert near.shape == (1, 8, 9, 2)
    np.testing.assert_array_equal(near[..., 0], 0)
    np.testing.assert_array_equal(far[..., 1], 0)
    np.testing.assert_allclose(np.square(near[..., 1]).sum(), 1, rtol=1e-6)
    np.testing.assert_allclose(np.square(far[..., 0]).sum(), 1, rtol=1e-6)
    np.testing.assert_allclose(near[0, ..., 1] / near.max(), masks["near"][1] / 0.7, rtol=1e-6)
    assert guides.styles[1] is None
    styles = guides.styles[0]
    assert styles is not None
    np.testing.assert_array_equal(styles["near"], 0)
    np.testing.assert_allclose(styles["far"], 6**-0.5, rtol=1e-6)


def test_inside_leaves_what_is_outside_alone():
    """The gradient is exactly 0 there; the other modes reach beyond."""
    params = {"params": jax.tree.map(jnp.asarray, random_arrays("vgg16", deepest="conv2_1"))}
    layers = (("relu1_1", 1.0), ("relu2_1", 1.0))
    rng = np.random.default_rng(1)
    image = jnp.asarray(rng.random((1, 24, 32, 3)), jnp.float32)
    masks = np.zeros((1, 24, 32), np.float32)
    masks[0, 3:20, 5:] = 1
    gradients = {}
    objective = partial(perceptual.objective, ENCODER, weights=Weights({}, dict(layers)))
    differentiate = jax.jit(jax.grad(objective, has_aux=True))
    for mode in ("inside", "simple", "all"):
        found = propagate_masks(masks, ENCODER, ("relu1_1", "relu2_1"), mode=mode)
        guides = make_guides(found, [None], ("relu1_1", "relu2_1"))
        targets = perceptual.compute_guided_targets(
            ENCODER,
            params,
            image,
            [image[:, ::-1]],
            weights=Weights({}, dict(layers)),
            guides=guides,
        )
        gradients[mode] = np.asarray(differentiate(image, targets, params)[0])
    outside = np.broadcast_to(masks[0, ..., None] == 0, gradients["all"][0].shape)
    for mode, gradient in gradients.items():
        assert bool(np.any(gradient[0][outside])) == (mode != "inside")
        assert np.abs(gradient[0][~outside]).mean() > 0
