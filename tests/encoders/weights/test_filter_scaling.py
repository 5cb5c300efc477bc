"""Oracles: means over features in numpy, and what scaling by a positive factor must do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from vgg_oracle import random_arrays, relative_error

from nst_jax.encoders.preprocessing import CAFFE, TORCHVISION
from nst_jax.encoders.vgg import VGG
from nst_jax.encoders.weights.filter_scaling import FLOOR, filter_means, normalize_arrays

LAYERS = ("relu1_1", "relu1_2", "pool1", "relu2_1", "relu2_2")


@pytest.fixture
def arrays():
    """Two blocks whose filters are all active somewhere: the biases see to that."""
    made = random_arrays("vgg16", deepest="conv2_2")
    for kinds in made.values():
        kinds["kernel"] *= 0.3
        kinds["bias"] += 1
    return made


def to_params(arrays):
    return {"params": jax.tree.map(jnp.asarray, arrays)}


def means_of(encoder, arrays, *batches):
    return filter_means(encoder, to_params(arrays), batches)


def test_means_count_every_position_of_every_picture_alike(arrays, photograph, painting):
    encoder = VGG("vgg16", TORCHVISION)
    ours = means_of(encoder, arrays, photograph, jnp.concatenate([painting, painting[:, ::-1]]))
    assert tuple(ours) == ("conv1_1", "conv1_2", "conv2_1", "conv2_2")
    maps = [
        encoder.apply(to_params(arrays), picture, layers=LAYERS)
        for picture in (photograph, painting, painting[:, ::-1])
    ]
    for name, means in ours.items():
        found = [np.asarray(features[name.replace("conv", "relu")]) for features in maps]
        flat = np.concatenate([f.reshape(-1, f.shape[-1]).astype(np.float64) for f in found])
        np.testing.assert_allclose(means, flat.mean(axis=0), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("preprocessing", [TORCHVISION, CAFFE])
def test_normalised_filters_have_mean_one_on_their_own_pictures(
    arrays, photograph, painting, pooling, preprocessing
):
    encoder = VGG("vgg16", preprocessing, pooling=pooling)
    arrays["conv1_1"]["kernel"] /= preprocessing.scale
    means = means_of(encoder, arrays, photograph, painting)
    assert min((m / np.median(m)).min() for m in means.values()) > FLOOR  # no floor in this one
    after = means_of(encoder, normalize_arrays(arrays, means), photograph, painting)
    for name, values in after.items():
        np.testing.assert_allclose(values, 1, rtol=2e-5, err_msg=name)


def test_features_are_the_old_ones_divided_even_behind_a_pooling(arrays, photograph):
    encoder = VGG("vgg16", TORCHVISION)
    means = means_of(encoder, arrays, photograph)
    old = encoder.apply(to_params(arrays), photograph, layers=LAYERS)
    new = encoder.apply(to_params(normalize_arrays(arrays, means)), photograph, layers=LAYERS)
    divisors = {**means, "conv1": means["conv1_2"]}
    for layer in LAYERS:
        expected = (
            np.asarray(old[layer]) / divisors[layer.replace("relu", "conv").replace("pool", "conv")]
        )
        assert relative_error(new[layer], expected) < 1e-5, layer


def test_a_dead_filter_stays_dead_and_harms_no_other(arrays, photograph):
    encoder = VGG("vgg16", TORCHVISION)
    arrays["conv1_2"]["bias"][5] = -1e6  # never active
    arrays["conv1_2"]["bias"][6] = -1e6
    arrays["conv1_2"]["kernel"][..., 6] = 0
    means = means_of(encoder, arrays, photograph)
    assert means["conv1_2"][5] == 0
    normalized = normalize_arrays(arrays, means)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(normalized))
    after = means_of(encoder, normalized, photograph)
    np.testing.assert_array_equal(after["conv1_2"][5:7], 0)
    np.testing.assert_allclose(np.delete(after["conv1_2"], [5, 6]), 1, rtol=2e-5)
    np.testing.assert_allclose(after["conv2_2"], 1, rtol=2e-5)


def test_a_rare_filter_is_scaled_as_if_at_the_floor():
    means = np.full(64, 2.0, np.float32)
    means[3] = 1e-4
    kernel = np.ones((3, 3, 3, 64), np.float32)
    arrays = {"conv1_1": {"kernel": kernel, "bias": np.ones(64, np.float32)}}
    bias = normalize_arrays(arrays, {"conv1_1": means})["conv1_1"]["bias"]
    np.testing.assert_allclose(bias[:4], [0.5, 0.5, 0.5, 1 / (FLOOR * 2.0)], rtol=1e-6)


def test_the_scale_of_the_weights_does_not_matter(arrays, photograph):
    # Caffe's activations are hundreds of times torchvision's; the result must not know. Layer 1
    # times 100 means every later bias times 100 for the same function.
    encoder = VGG("vgg16", TORCHVISION)
    large = {
        name: {"kernel": kinds["kernel"], "bias": 100 * kinds["bias"]}
        for name, kinds in arrays.items()
    }
    large["conv1_1"]["kernel"] = 100 * large["conv1_1"]["kernel"]
    ours = normalize_arrays(arrays, means_of(encoder, arrays, photograph))
    theirs = normalize_arrays(large, means_of(encoder, large, photograph))
    for name in ours:
        assert relative_error(theirs[name]["kernel"], ours[name]["kernel"]) < 1e-4, name
        assert relative_error(theirs[name]["bias"], ours[name]["bias"]) < 1e-4, name


def test_useless_means_are_refused(arrays):
    means = {name: np.ones(len(kinds["bias"]), np.float32) for name, kinds in arrays.items()}
    with pytest.raises(ValueError, match="means: wanted 128 for conv2_1, got none"):
        normalize_arrays(arrays, {key: m for key, m in means.items() if key != "conv2_1"})
    with pytest.raises(ValueError, match=r"means: wanted 64 for conv1_2, got \(128,\)"):
        normalize_arrays(arrays, {**means, "conv1_2": means["conv2_1"]})
    with pytest.raises(ValueError, match="half of conv2_2's filters are never active"):
        normalize_arrays(arrays, {**means, "conv2_2": 0 * means["conv2_2"]})
    with pytest.raises(ValueError, match="pictures: none given"):
        filter_means(VGG("vgg16", TORCHVISION), to_params(arrays), [])
