"""Oracle: the network applied plainly, whose own tests are in test_huang.py."""

import json

import compiled
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from any_style_oracle import encoder_words, made_painting, save_made_model

from nst_jax.stylizers import (
    AnyStyleStylizer,
    load_model,
    load_stylizer,
    painting,
    read_styles,
    save_model,
)
from nst_jax.stylizers.tiling import plan_tiles


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A file, and the network and variables that it was made of."""
    path = tmp_path_factory.mktemp("model") / "any.safetensors"
    network, variables = save_made_model(path)
    half = jax.tree.map(lambda array: array.astype(jnp.float16), variables["params"]["decoder"])
    whole = jax.tree.map(lambda array: array.astype(jnp.float32), half)
    params = {"encoder": variables["params"]["encoder"], "decoder": whole}
    return path, network, {"params": params}


@pytest.fixture(scope="module")
def stylizer(model) -> AnyStyleStylizer:
    loaded = load_stylizer(model[0])
    assert isinstance(loaded, AnyStyleStylizer)
    return loaded


CONTENT = made_painting(1)
FIRST, SECOND = made_painting(2, height=32), made_painting(3, width=96)


def paint(model, content, paintings, *, shares=None, alpha=1.0):
    """The network, given moments that are averaged here."""
    _, network, variables = model
    found = [
        compiled.apply(network, variables, jnp.asarray(each), method="style_moments")
        for each in paintings
    ]
    shares = shares or [1.0]
    moments = [
        jnp.einsum("s,sbc->bc", jnp.asarray(shares), jnp.stack(each))[:, None]
        for each in zip(*found, strict=True)
    ]
    ones = jnp.full((len(content), 1), alpha)
    repeated = [jnp.repeat(each, len(content), axis=0) for each in moments]
    return compiled.apply(network, variables, jnp.asarray(content), *repeated, ones).clip(0, 1)


def crop(images):
    """Sides that are multiples of 32, which are not mirrored."""
    return images[:, :32, :64]


# Files ----------------------------------------------------------------------------------------


def test_a_file_holds_the_decoder_and_names_the_encoder(model, stylizer):
    path, network, variables = model
    arrays = safetensors.numpy.load_file(path)
    assert sum(array.size for array in arrays.values()) == 2_915_139
    assert path.stat().st_size < 6 * 2**20
    loaded = load_model(path)
    assert loaded.network == network
    assert loaded.styles == read_styles(path) == stylizer.styles == ()
    assert loaded.card == {"steps": 7}
    jax.tree.map(np.testing.assert_array_equal, loaded.variables, variables)


def change_header(path, key, value):
    arrays = safetensors.numpy.load_file(path)
    with safetensors.safe_open(path, "numpy") as opened:
        header = opened.metadata()
    header[key] = value
    safetensors.numpy.save_file(arrays, path, header)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("encoder", json.dumps({"weights": "/etc/passwd", "arrays_sha256": "0"}), "wanted one of"),
        ("encoder", json.dumps({"weights": "vgg16-lpips", "arrays_sha256": "0"}), "has another"),
        ("encoder", json.dumps({"weights": {}, "arrays_sha256": "0"}), "damaged"),
        ("encoder", "[]", "damaged"),
        ("settings", json.dumps({"architecture": "vgg11"}), "vgg16 or vgg19"),
        ("settings", json.dumps({"architecture": "vgg19"}), "vgg16"),
        ("styles", json.dumps(["one"]), "wanted 0"),
    ],
)
def test_a_file_that_asks_for_another_encoder_is_refused(tmp_path, key, value, told):
    path = tmp_path / "m.safetensors"
    save_made_model(path)
    change_header(path, key, value)
    with pytest.raises(ValueError, match=r"cannot use|vgg16") as raised:
        load_model(path)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("encoder", [None, {"weights": "mine.safetensors", "arrays_sha256": ""}])
def test_a_decoder_is_not_saved_without_its_encoders_name(tmp_path, encoder):
    with pytest.raises(ValueError, match="encoder: wanted the weights"):
        save_made_model(tmp_path / "m.safetensors", encoder=encoder)
    assert not list(tmp_path.iterdir())


def test_saving_what_was_loaded_gives_the_same_file(model, tmp_path):
    path, *_ = model
    loaded = load_model(path)
    again = tmp_path / "again.safetensors"
    save_model(
        again,
        loaded.network,
        loaded.variables,
        styles=(),
        card=loaded.card,
        encoder=encoder_words(),
    )
    assert again.read_bytes() == path.read_bytes()


# Styles ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_painting_or_what_it_was_encoded_to(model, stylizer):
    wanted = paint(model, crop(CONTENT), [FIRST[:, :, :64]])
    painting = FIRST[:, :, :64]
    np.testing.assert_allclose(stylizer(crop(CONTENT), painting), wanted, atol=1e-4)
    encoded = stylizer.encode_style(painting)
    np.testing.assert_allclose(stylizer(crop(CONTENT), encoded), wanted, atol=1e-4)
    assert float(jnp.abs(stylizer(crop(CONTENT), SECOND) - wanted).max()) > 0.02


def test_paintings_are_paired_with_photographs(stylizer):
    contents = jnp.concatenate([crop(CONTENT), crop(CONTENT)[:, :, ::-1]])
    paintings = jnp.concatenate([crop(FIRST), crop(made_painting(4))])
    found = stylizer(contents, paintings, alpha=0.7)
    for i in range(2):
        alone = stylizer(contents[i : i + 1], paintings[i : i + 1], alpha=0.7)
        np.testing.assert_allclose(found[i], alone[0], atol=2e-5)
    with pytest.raises(ValueError, match="wanted one painting, or one for each of 2 photographs"):
        stylizer(contents, jnp.concatenate([paintings, paintings]))
    with pytest.raises(ValueError, match="neither blend nor masks"):
        stylizer(contents, paintings, blend=[1.0, 2.0])


@pytest.mark.slow
def test_apply_is_pure_and_has_derivatives(stylizer):
    images, style = jnp.asarray(crop(CONTENT)), stylizer.conditions(FIRST)
    pure = jax.jit(stylizer.apply)
    painted = pure(stylizer.variables, images, *style)
    np.testing.assert_allclose(painted, stylizer(images, FIRST), atol=2e-5)
    two = pure(stylizer.variables, jnp.concatenate([images, images]), *style)
    np.testing.assert_allclose(two[1], painted[0], atol=2e-5)

    def brightness(alpha, variables):
        return pure(variables, images, *style[:2], alpha).mean()

    # Along alpha the decoder is piecewise smooth: a central difference is close.
    alpha, step = jnp.full((1, 1), 0.5), 2e-3
    above, below = (brightness(alpha + sign * step, stylizer.variables) for sign in (1, -1))
    found = jax.grad(brightness)(alpha, stylizer.variables)[0, 0]
    np.testing.assert_allclose(found, (above - below) / (2 * step), rtol=0.05)


def test_alpha(model, stylizer):
    content, painting = crop(CONTENT), FIRST[:, :, :64]
    for alpha in (0.0, 0.4):
        wanted = paint(model, content, [painting], alpha=alpha)
        np.testing.assert_allclose(stylizer(content, painting, alpha=alpha), wanted, atol=1e-4)


def test_a_mixture_of_prepared_styles_is_their_blend(stylizer):
    prepared = [stylizer.prepare(jnp.asarray(each), alpha=0.8) for each in (FIRST, SECOND)]
    found = stylizer.mix(prepared, [3.0, 1.0])
    wanted = stylizer.prepare([FIRST, SECOND], blend=[3.0, 1.0], alpha=0.8)
    for one, other in zip(found[:3], wanted[:3], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    masked = stylizer.prepare([FIRST, SECOND], masks=MASKS)
    with pytest.raises(ValueError, match="styles: wanted without masks"):
        stylizer.mix([masked, FIRST], [1.0, 1.0])
    with pytest.raises(ValueError, match="blend: wanted 2 weights"):
        stylizer.mix(prepared, [1.0])


def test_a_blend_is_of_moments(model, stylizer):
    content, paintings = crop(CONTENT), [FIRST[:, :, :64], SECOND[:, :32]]
    for blend, shares in (([3.0, 1.0], [0.75, 0.25]), (None, [0.5, 0.5])):
        wanted = paint(model, content, paintings, shares=shares)
        np.testing.assert_allclose(stylizer(content, paintings, blend=blend), wanted, atol=1e-4)


def test_masks_are_scaled_to_the_picture(model, stylizer):
    content, paintings = crop(CONTENT), [FIRST[:, :, :64], SECOND[:, :32]]
    left = np.array([[1.0, 0.0]], np.float32)
    found = stylizer(content, paintings, masks=np.stack([left, 1 - left]))

    _, network, variables = model
    moments = [
        compiled.apply(network, variables, jnp.asarray(each), method="style_moments")
        for each in paintings
    ]
    mean, deviation = (jnp.stack(each, 1) for each in zip(*moments, strict=True))
    # Pillow's triangle filter, of 2 pixels enlarged to 64.
    ramp = (48 - np.arange(64) - 0.5) / 32
    regions = np.broadcast_to(ramp.clip(0, 1)[:, None], (1, 32, 64, 1))
    pixels = np.concatenate([content, regions, 1 - regions], -1).astype(np.float32)
    wanted = compiled.apply(
        network, variables, jnp.asarray(pixels), mean, deviation, jnp.ones((1, 1))
    )
    np.testing.assert_allclose(found, wanted.clip(0, 1), atol=1e-4)


def test_a_painting_may_count_in_part(model, stylizer):
    """By the moments of the features that lie in it."""
    painting = np.concatenate([SECOND[:, :32, :32], FIRST[:, :32, :32]], 2)
    part = np.zeros((32, 64), np.float32)
    part[:, :32] = 1
    _, network, variables = model
    encoder = network.encoder
    params = {"params": variables["params"]["encoder"]}
    found = compiled.encode(encoder, params, jnp.asarray(painting), layers=("relu4_1",))
    features = np.asarray(found["relu4_1"])
    rows = features[:, :, :4].reshape(-1, 512).astype(np.float64)

    style = stylizer.encode_style(painting, mask=part)

    np.testing.assert_allclose(style.mean[0], rows.mean(0), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(
        style.deviation[0], np.sqrt(rows.var(0) + 1e-5), rtol=1e-2, atol=1e-3
    )
    with pytest.raises(ValueError, match="style_masks: wanted the picture's proportions"):
        stylizer.encode_style(painting, mask=part[:, :32])
    with pytest.raises(ValueError, match="style_masks: number 1 is empty"):
        stylizer.encode_style(painting, mask=0 * part)


def test_other_sizes_are_mirrored_and_cut_again(model, stylizer):
    """As NumPy's reflection, on the lower and the right side, up to multiples of 32."""
    content, painting = CONTENT[:, :45, :51], made_painting(4, height=32, width=80)[:, :27, :77]

    def mirrored(images, *, height, width):
        rows, columns = height - images.shape[1], width - images.shape[2]
        return np.pad(images, ((0, 0), (0, rows), (0, columns), (0, 0)), mode="reflect")

    painted = stylizer(content, painting)

    whole = mirrored(content, height=64, width=64)
    wanted = paint(model, whole, [mirrored(painting, height=32, width=96)])
    assert painted.shape == content.shape
    np.testing.assert_allclose(painted, wanted[:, :45, :51], atol=1e-4)


def test_each_picture_may_have_a_style_of_its_own(stylizer):
    pictures = [crop(CONTENT)[0], crop(made_painting(5))[0]]
    styles = [stylizer.prepare(FIRST), stylizer.prepare(SECOND, alpha=0.5)]
    found = stylizer.paint_each(pictures, styles)
    for picture, style, result in zip(pictures, styles, found, strict=True):
        (alone,) = stylizer.paint([picture], style)
        np.testing.assert_allclose(result, alone, atol=1e-4)


MASKS = np.ones((2, 8, 8), np.float32)


@pytest.mark.parametrize(
    ("style", "options", "told"),
    [
        (None, {}, "wants a painting"),
        ([], {}, "wants a painting"),
        ("painting.jpg", {}, "load_image reads a file"),
        (np.zeros((2, 32, 32, 3), np.float32), {}, "wanted one painting, or one for each of 1 ph"),
        (np.zeros((1, 15, 32, 3), np.float32), {}, "at least 16 pixels"),
        (FIRST, {"alpha": 1.1}, "alpha: wanted a number from 0 to 1"),
        (FIRST, {"alpha": float("nan")}, "alpha: wanted a number from 0 to 1"),
        ([FIRST, SECOND], {"blend": [1.0]}, "blend: wanted 2 weights"),
        ([FIRST, SECOND], {"blend": [1.0, -1.0]}, "blend: wanted weights of 0 or more"),
        ([FIRST, SECOND], {"masks": MASKS, "blend": [1.0, 1.0]}, "blend: wanted without masks"),
        ([FIRST], {"masks": MASKS}, "masks: wanted 1"),
        ([FIRST, SECOND], {"masks": 2 * MASKS}, "masks: wanted values from 0 to 1"),
        (
            [FIRST, SECOND],
            {"masks": MASKS * np.asarray([[[1]], [[0]]], np.float32)},
            "masks: number 2 is empty",
        ),
        (FIRST, {"bucket": 12}, "bucket: wanted a multiple of 8"),
        (FIRST, {"max_pixels": 128**2}, "max_pixels: wanted at least 65536"),
    ],
)
def test_what_cannot_be_painted_is_told(stylizer, style, options, told):
    with pytest.raises(ValueError, match=told):
        stylizer(CONTENT, style, **options)


# Large pictures -------------------------------------------------------------------------------


@pytest.mark.parametrize("regions", [False, True])
@pytest.mark.slow
def test_tiles_are_the_picture_painted_whole(stylizer, regions):
    """With statistics pooled over tiles, which are exact."""
    content = made_painting(6, height=288, width=448)[:, :280, :440]
    masks = None
    if regions:
        across = np.linspace(0, 1, 44, dtype=np.float32)[None].repeat(28, 0)
        masks = np.stack([across, (across < 0.3).astype(np.float32)])
    style = stylizer.prepare([FIRST, SECOND], masks=masks)
    (whole,) = stylizer.paint([content[0]], style)

    (tiled,) = stylizer.paint([content[0]], style, max_pixels=256**2)

    assert len(plan_tiles((288, 448), max_side=256, margin=72, multiple=32, step=8)[1]) > 2
    np.testing.assert_allclose(tiled, whole, atol=1e-4)
    naive = painting.paint_tiles(
        load_model_of(stylizer),
        stylizer.with_regions(content[0], style),
        stylizer.conditions(style),
        None,
        size=(288, 448),
        max_side=256,
    )
    assert np.abs(naive - whole).max() > 0.02


def load_model_of(stylizer):
    return stylizer._model
