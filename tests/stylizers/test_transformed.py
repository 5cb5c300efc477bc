"""Oracle: the network's parts, with the transforms of test_quantiles, test_whitening and
test_patch_matching between them, and SciPy and NumPy where regions are.
"""

from typing import Any

import compiled
import jax.numpy as jnp
import numpy as np
import pytest
from any_style_oracle import made_painting, save_made_model
from network_oracle import made_pictures

import nst_jax
from nst_jax.jobs import folder
from nst_jax.jobs.folder import FolderJob
from nst_jax.jobs.styles import StyleChoice
from nst_jax.networks.huang import Decoder
from nst_jax.ops.feature_transforms import decorate, match_distributions, whiten_and_color
from nst_jax.stylizers import (
    AnyStyleStylizer,
    FeatureTransformStylizer,
    Transform,
    load_stylizer,
)


def decorate_small(content, style):
    return decorate(content, style, patch_size=4)  # as many positions as a side here has


TRANSFORMS: dict[Transform, Any] = {
    "efdm": match_distributions,
    "wct": whiten_and_color,
    "decorator": decorate_small,
}
each_transform = pytest.mark.parametrize(
    "transform", [pytest.param("efdm", marks=pytest.mark.slow), "wct", "decorator"]
)

CONTENT = made_painting(1, height=32)
FIRST, SECOND = (made_painting(seed, height=32, width=96) for seed in (2, 3))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "any.safetensors"
    save_made_model(path)
    return path


@pytest.fixture(scope="module")
def stylizers(path):
    return {name: load_stylizer(path, transform=name) for name in TRANSFORMS}


def encode(stylizer, images):
    params = {"params": stylizer.variables["params"]["encoder"]}
    encoder = stylizer.network.encoder
    return compiled.encode(encoder, params, jnp.asarray(images), layers=("relu4_1",))["relu4_1"]


def decode(stylizer, features):
    params = {"params": stylizer.variables["params"]["decoder"]}
    decoder = Decoder(architecture="vgg16")
    return compiled.apply(decoder, params, jnp.asarray(features, jnp.float32)).clip(0, 1)


def assert_painted(found, wanted):
    assert float(jnp.std(wanted)) > 0.05
    np.testing.assert_allclose(found, wanted, atol=2e-3)


@pytest.mark.slow
@each_transform
def test_what_the_transform_makes_is_decoded(stylizers, transform):
    stylizer = stylizers[transform]
    assert isinstance(stylizer, FeatureTransformStylizer)
    assert stylizer.transform == transform
    x, y = encode(stylizer, CONTENT), encode(stylizer, FIRST)
    painted = TRANSFORMS[transform](x, y)
    assert float(jnp.abs(painted - x).max()) > 0.1
    assert_painted(stylizer(CONTENT, FIRST), decode(stylizer, painted))
    wanted = decode(stylizer, 0.6 * x + 0.4 * painted)
    assert_painted(stylizer(CONTENT, stylizer.encode_style(FIRST), alpha=0.4), wanted)


@pytest.mark.slow
@each_transform
def test_a_blend_is_the_mean_of_what_its_styles_make(stylizers, transform):
    stylizer = stylizers[transform]
    x = encode(stylizer, CONTENT)
    first, second = (TRANSFORMS[transform](x, encode(stylizer, each)) for each in (FIRST, SECOND))
    wanted = decode(stylizer, 0.2 * x + 0.6 * first + 0.2 * second)
    assert_painted(stylizer(CONTENT, [FIRST, SECOND], blend=[3.0, 1.0], alpha=0.8), wanted)


@pytest.mark.parametrize("transform", [pytest.param("efdm", marks=pytest.mark.slow), "wct"])
def test_regions_take_their_own_styles_by_their_own_statistics(stylizers, transform):
    stylizer = stylizers[transform]
    left = np.zeros((32, 64), np.float32)
    left[:, :24] = 1
    x = np.asarray(encode(stylizer, CONTENT))
    parts = [
        TRANSFORMS[transform](jnp.asarray(part), encode(stylizer, painting))
        for part, painting in ((x[:, :, :3], FIRST), (x[:, :, 3:], SECOND))
    ]
    found = stylizer(CONTENT, [FIRST, SECOND], masks=left[None])
    assert_painted(found, decode(stylizer, jnp.concatenate(parts, axis=2)))


@pytest.mark.slow
def test_regions_are_decorated_apart(stylizers):
    """Where two overlap both are seen; nothing happens where none is."""
    stylizer = stylizers["decorator"]
    masks = np.zeros((2, 32, 64), np.float32)
    masks[0] = 1
    masks[1, :8, :8] = 1  # half of it the second's
    first = stylizer.network.apply(
        stylizer.variables,
        jnp.concatenate([jnp.asarray(CONTENT), jnp.asarray(masks[0])[None, ..., None]], -1),
        (stylizer.encode_style(FIRST),),
        jnp.ones((1, 1)),
    ).clip(0, 1)
    found = np.asarray(stylizer(CONTENT, [FIRST, SECOND], masks=masks))
    assert_painted(first, np.asarray(stylizer(CONTENT, FIRST)))
    difference = np.abs(found - first).max((0, 1, 3))
    assert difference[:8].max() > 0.01
    half = np.zeros((1, 32, 64), np.float32)
    half[:, :, :8] = 1
    nowhere = np.asarray(stylizer(CONTENT, [FIRST, SECOND], masks=0.5 * half.repeat(2, 0)))
    plain = np.asarray(decode(stylizer, encode(stylizer, CONTENT)))
    assert np.abs(nowhere - plain)[:, :, :8].max() > 0.01
    # Beyond the region's position and the decoder's 26 pixels.
    np.testing.assert_allclose(nowhere[:, :, 48:], plain[:, :, 48:], atol=1e-4)


@pytest.mark.parametrize("transform", [pytest.param("efdm", marks=pytest.mark.slow), "wct"])
def test_a_painting_may_count_in_part(stylizers, transform):
    stylizer = stylizers[transform]
    part = np.zeros((32, 96), np.float32)
    part[:, :32] = 1
    x, y = encode(stylizer, CONTENT), encode(stylizer, SECOND)
    style = stylizer.encode_style(SECOND, mask=part)
    wanted = decode(stylizer, TRANSFORMS[transform](x, y[:, :, :4]))
    assert_painted(stylizer(CONTENT, style), wanted)


def test_patches_of_what_counts_alone_are_taken(stylizers):
    style = stylizers["decorator"].encode_style(SECOND, mask=np.eye(2, 6, dtype=np.float32))
    assert style.whitened.shape == (1, 4, 12, 512)
    assert style.weights.shape == (1, 4, 12)
    assert 0 == float(style.weights.min()) < 0.5 < float(style.weights.max())


@each_transform
@pytest.mark.slow
def test_each_picture_may_have_a_style_of_its_own(stylizers, transform):
    stylizer = stylizers[transform]
    pictures = [CONTENT[0], made_painting(5, height=32)[0]]
    styles = [stylizer.prepare(FIRST), stylizer.prepare([SECOND, FIRST], alpha=0.5)]
    found = stylizer.paint_each(pictures, styles)
    same = stylizer.paint(pictures, styles[0])
    for picture, style, result in zip(pictures, styles, found, strict=True):
        (alone,) = stylizer.paint([picture], style)
        np.testing.assert_allclose(result, alone, atol=1e-3)
    np.testing.assert_allclose(same[0], found[0], atol=1e-3)
    painted = stylizer.apply(
        stylizer.variables, jnp.asarray(pictures), *stylizer.conditions(styles[0])
    )
    np.testing.assert_allclose(painted, np.stack(same), atol=1e-3)


@each_transform
@pytest.mark.slow
def test_flat_photographs_are_painted_and_flat_paintings_refused(stylizers, transform):
    stylizer, flat = stylizers[transform], np.full((1, 32, 32, 3), 0.5, np.float32)
    assert np.isfinite(np.asarray(stylizer(flat, FIRST))).all()
    masks = np.eye(2, dtype=np.float32)[:, None]
    for style, given in ((flat, None), ([flat, SECOND], masks)):
        with pytest.raises(ValueError, match="style: wanted a painting with some texture"):
            stylizer(CONTENT, style, masks=given)
    assert np.isfinite(np.asarray(stylizer(CONTENT, [flat, SECOND]))).all()


def test_adain_is_what_is_taken_without_a_word(path):
    named, plain = load_stylizer(path, transform="adain"), load_stylizer(path)
    assert type(named) is type(plain) is AnyStyleStylizer
    assert named.network == plain.network


@pytest.mark.slow
def test_too_large_pictures_stop_no_others(stylizers, path):
    small, large = CONTENT, made_painting(6, height=512, width=512)
    told = r"max_pixels: wanted 262144, since .* got 65536; raise it, or make the picture smaller"
    with pytest.raises(ValueError, match=told):
        stylizers["wct"](large, FIRST, max_pixels=65536)
    choice = StyleChoice(names=(FIRST,), size=None)
    job = FolderJob([large, small], choice, model=path, transform="wct", max_pixels=65536)
    report = folder.run(job)
    assert [str(failure)[:19] for failure in report.failures] == ["max_pixels: wanted "]
    assert report.sizes.total() == 1


def test_what_cannot_be_is_told(stylizers, path):
    with pytest.raises(ValueError, match="transform: wanted one of adain, efdm, wct, decorator"):
        load_stylizer(path, transform="gram")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="transform: wanted with a network that decodes features"):
        load_stylizer("dumoulin2017", transform="wct")
    with pytest.raises(ValueError, match="style: wanted what encode_style of transform 'wct'"):
        stylizers["wct"](CONTENT, stylizers["efdm"].encode_style(FIRST))
    picture = jnp.asarray(made_pictures(1, 32, 32, 3))
    with pytest.raises(ValueError, match="transform: wanted with a model's name or file"):
        nst_jax.stylize(picture, picture, model=stylizers["wct"], transform="wct")
