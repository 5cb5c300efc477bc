"""Oracles: the networks called directly, loops over mirrored pixels, and files damaged by hand."""

import functools
import json
import math
from typing import Any

import compiled
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_oracle import made_arrays, made_pictures
from safetensors.numpy import load_file

import nst_jax
from nst_jax import files
from nst_jax.networks.dumoulin import DumoulinNetwork
from nst_jax.networks.johnson import JohnsonNetwork
from nst_jax.ops.resizing import resize
from nst_jax.stylizers import (
    DEFAULT_MODEL,
    Model,
    list_models,
    load_model,
    load_stylizer,
    model_path,
    painting,
    save_model,
)
from nst_jax.stylizers.model_files import read_styles
from nst_jax.stylizers.tiling import cut, plan_tiles

JOHNSON = JohnsonNetwork(width=4, normalization="instance")
BATCH_NORMALIZED = JohnsonNetwork(width=4, normalization="batch", output="vgg")
DUMOULIN = DumoulinNetwork(num_styles=3, width=4)
STYLES = ("waves", "la muse", "été")


@functools.cache
def shapes_of(network) -> Any:
    images = jax.ShapeDtypeStruct((1, 48, 48, 3), jnp.float32)
    conditions = ()
    if isinstance(network, DumoulinNetwork):
        conditions = (jax.ShapeDtypeStruct((1, network.num_styles), jnp.float32),)
    return jax.eval_shape(network.init, jax.random.key(0), images, *conditions)


def made_variables(network, *, seed=0) -> Any:
    """Weights that paint pictures which are neither flat nor saturated, exact in float16."""
    variables = made_arrays(shapes_of(network), seed=seed)
    if isinstance(network, JohnsonNetwork):
        variables["params"]["contract1"]["kernel"] /= 100  # of numbers up to 255
        variables["params"]["output"]["kernel"] *= 0.3
    return jax.tree.map(lambda x: jnp.asarray(x.astype(np.float16), jnp.float32), variables)


def save(path, network, *, styles=("waves",), card=None):
    variables = made_variables(network)
    if "batch_stats" in variables:  # which keep what float16 would round, or lose
        variables["batch_stats"]["contract1_norm"]["var"] += 70000.1
    save_model(path, network, variables, styles=styles, card=card or {"steps": 7})
    return variables


def test_a_card_may_hold_a_path_that_is_not_utf_8(tmp_path):
    """Such a path has lone surrogates in Python; the file must stay readable, and hold it."""
    card = {"command": "nst-jax train --style caf\udce9\\.png"}
    save(tmp_path / "m.safetensors", JOHNSON, card=card)
    assert load_model(tmp_path / "m.safetensors").card == card


@pytest.fixture
def johnson(tmp_path):
    save(tmp_path / "johnson.safetensors", JOHNSON)
    return load_stylizer(tmp_path / "johnson.safetensors", median_filter=1)


@pytest.fixture
def dumoulin(tmp_path):
    save(tmp_path / "dumoulin.safetensors", DUMOULIN, styles=STYLES)
    return load_stylizer(tmp_path / "dumoulin.safetensors")


def as_model(network, variables) -> Model:
    name = "dumoulin2017" if isinstance(network, DumoulinNetwork) else "johnson2016"
    return Model(name, network, variables, ("waves",), {})


# Model files -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "styles"),
    [(JOHNSON, ("waves",)), (BATCH_NORMALIZED, ("waves",)), (DUMOULIN, STYLES)],
    ids=["instance", "batch", "dumoulin"],
)
def test_a_model_comes_back_from_its_file(tmp_path, network, styles):
    path = tmp_path / "m.safetensors"
    card = {"licence": "CC0", "pictures": {"A": 3}, "losses": [1.5, None]}

    variables = save(path, network, styles=styles, card=card)
    model = load_model(path)

    assert model.network == network
    assert (model.styles, model.card) == (styles, card)
    assert read_styles(path) == styles
    assert jax.tree.structure(model.variables) == jax.tree.structure(variables)
    for found, wanted in zip(
        jax.tree.leaves(model.variables), jax.tree.leaves(variables), strict=True
    ):
        assert found.dtype == jnp.float32
        np.testing.assert_array_equal(found, wanted)
    for name, array in load_file(path).items():
        assert array.dtype == (np.float32 if name.startswith("batch_stats") else np.float16)


def test_the_precision_is_the_callers(tmp_path):
    save(tmp_path / "m.safetensors", JOHNSON)

    stylizer = load_stylizer(tmp_path / "m.safetensors", precision="bfloat16")

    assert stylizer.network.precision == "bfloat16"


def change_header(key, value):
    def change(arrays, header):
        del arrays
        header[key] = value

    return change


def change_setting(key, value):
    def change(arrays, header):
        del arrays
        header["settings"] = json.dumps(json.loads(header["settings"]) | {key: value})

    return change


def change_array(change_one):
    def change(arrays, header):
        del header
        change_one(arrays)

    return change


def drop_header(arrays, header):
    del arrays, header["card"]


BIAS = "params/output/bias"
DAMAGES = {
    "another kind": (change_header("kind", "nst_jax encoder weights 1"), "nst_jax network 1"),
    "unknown network": (change_header("network", "gatys2016"), "johnson2016"),
    "missing card": (drop_header, "card"),
    "broken JSON": (change_header("settings", "{"), "settings|Expecting"),
    "endless JSON": (change_header("card", "[" * 100_000), "damaged"),
    "card no mapping": (change_header("card", "[]"), "card"),
    "styles no list": (change_header("styles", '"waves"'), "styles"),
    "too many styles": (change_header("styles", '["waves", "more"]'), "1 different"),
    "style out of the folder": (change_header("styles", '["../waves"]'), "'../waves'"),
    "style for the terminal": (change_header("styles", '["\\u001b[2J"]'), "printed"),
    "setting for the terminal": (change_setting("\x1b[2J", 1), r"\\x1b"),
    "endless styles": (change_header("styles", json.dumps(["waves"] * 9999)), r"\.\.\."),
    "style called all": (change_header("styles", '["all"]'), "'all'"),
    "style no text": (change_header("styles", "[3]"), "names"),
    "huge width": (change_setting("width", 257), "256"),
    "true for a width": (change_setting("width", True), "width"),
    "float for a width": (change_setting("width", 4.0), "width"),
    "another width": (change_setting("width", 5), "shape"),
    "unknown normalization": (change_setting("normalization", "layer"), "batch or instance"),
    "unknown setting": (change_setting("depth", 3), "depth"),
    "missing array": (change_array(lambda a: a.pop(BIAS)), f"'{BIAS}': is missing"),
    "array too many": (change_array(lambda a: a.update(x=a[BIAS])), "array 'x'"),
    "wrong shape": (change_array(lambda a: a.update({BIAS: a[BIAS][:2]})), BIAS),
    "integers": (change_array(lambda a: a.update({BIAS: a[BIAS].astype(np.int32)})), "int32"),
    "not finite": (change_array(lambda a: a[BIAS].fill(np.inf)), "finite"),
}


@pytest.mark.parametrize(("damage", "told"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_told_in_one_line_that_names_it(tmp_path, damage, told):
    path = tmp_path / "m.safetensors"
    save(path, JOHNSON)
    arrays, header = files.load_arrays(path)
    damage(arrays, header)
    files.save_arrays(path, arrays, header)

    with pytest.raises(ValueError, match=told) as caught:
        load_model(path)

    assert "m.safetensors" in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


def test_files_that_are_no_models_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"m\.safetensors"):
        load_model(path)
    with pytest.raises(FileNotFoundError, match=r"missing\.safetensors"):
        load_model(tmp_path / "missing.safetensors")
    save(path, JOHNSON)
    monkeypatch.setattr("nst_jax.stylizers.model_files._MAX_BYTES", 1000)
    with pytest.raises(ValueError, match="max_bytes=1000"):
        load_model(path)


@pytest.mark.parametrize(
    ("network", "styles", "change", "told"),
    [
        (JOHNSON, ("a", "b"), None, "1 different"),
        (DUMOULIN, ("a", "b", "a"), None, "3 different"),
        (DUMOULIN, ("a", "b", "c/d"), None, "'c/d'"),
        (DUMOULIN.clone(width=5), STYLES, None, "shape"),
        (JOHNSON, ("a",), lambda v: v["params"]["output"]["bias"] * 0 + 1e6, "finite"),
        (np, ("a",), None, "johnson2016"),
    ],
    ids=["styles too many", "style twice", "path", "width", "too large", "no network"],
)
def test_what_could_not_be_loaded_is_not_saved(tmp_path, network, styles, change, told):
    variables = made_variables(DUMOULIN if network != JOHNSON else JOHNSON)
    if change:
        variables["params"]["output"]["bias"] = change(variables)
    with pytest.raises(ValueError, match=told):
        save_model(tmp_path / "m.safetensors", network, variables, styles=styles, card={})
    assert not list(tmp_path.iterdir())


def test_a_model_is_saved_under_a_name_by_which_it_is_loaded(tmp_path):
    with pytest.raises(ValueError, match=r"\.safetensors"):
        save_model(tmp_path / "m", JOHNSON, made_variables(JOHNSON), styles=["a"], card={})


def test_models_that_ship_are_found_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr("nst_jax.stylizers.loading._models_folder", lambda: tmp_path)
    for name in ("second", "first"):
        save(tmp_path / f"{name}.safetensors", JOHNSON)

    assert list_models() == ("first", "second")
    stylizer = nst_jax.load_stylizer("second")
    assert (stylizer.name, stylizer.architecture) == ("second", "johnson2016")
    assert (stylizer.styles, dict(stylizer.card)) == (("waves",), {"steps": 7})
    assert stylizer.network == JOHNSON
    assert stylizer.variables["params"]["output"]["bias"].shape == (3,)
    with pytest.raises(ValueError, match=r"first, second, .*\.safetensors; got 'third'"):
        load_stylizer("third")


# Sizes and batches -------------------------------------------------------------------------------


def test_pictures_of_whole_buckets_are_what_the_networks_answer(johnson, dumoulin):
    pictures = jnp.asarray(made_pictures(2, 64, 96, 3))

    painted = johnson(pictures)
    wanted = jax.jit(JOHNSON.apply)(johnson.variables, pictures)
    np.testing.assert_allclose(painted, wanted, atol=2e-5)
    assert painted.std() > 0.05

    weights = jnp.array([[0.0, 0.25, 0.75]] * 2)
    painted = dumoulin(pictures, {"été": 3, "la muse": 1})
    wanted = jax.jit(DUMOULIN.apply)(dumoulin.variables, pictures, weights)
    np.testing.assert_allclose(painted, wanted, atol=2e-5)


def test_apply_is_what_jit_wants(johnson, dumoulin):
    images = jnp.asarray(made_pictures(2, 64, 96, 3))
    painted = jax.jit(johnson.apply)(johnson.variables, images)  # which has no median filter
    np.testing.assert_allclose(painted, johnson(images), atol=2e-5)
    painted = jax.jit(dumoulin.apply)(dumoulin.variables, images, *dumoulin.conditions(1))
    np.testing.assert_allclose(painted, dumoulin(images, 1), atol=2e-5)


def test_a_picture_of_any_size_is_mirrored_painted_and_cut(johnson):
    small = made_pictures(1, 17, 61, 3)
    padded = np.pad(small, ((0, 0), (40, 47 + 40 - 32), (40, 43), (0, 0)), mode="reflect")

    painted = johnson(small)

    wanted = jax.jit(lambda v, x: JOHNSON.apply(v, x, method="apply_padded"))(
        johnson.variables, padded[:, : 32 + 80]
    )
    np.testing.assert_allclose(painted, wanted[:, :17, :61], atol=2e-5)


def test_a_median_filter_takes_out_the_grid_unless_told_otherwise(johnson, tmp_path):
    """Oracle: NumPy's medians of 3 x 3 windows, mirrored at the edges without their repetition."""
    pictures = made_pictures(1, 64, 96, 3)
    plain = np.pad(johnson(pictures)[0], ((1, 1), (1, 1), (0, 0)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(plain, (3, 3), axis=(0, 1))

    filtered = load_stylizer(tmp_path / "johnson.safetensors")(pictures)[0]

    np.testing.assert_array_equal(filtered, np.median(windows, axis=(-2, -1)))
    assert np.abs(filtered - johnson(pictures)[0]).max() > 0.01


def test_only_a_network_of_one_style_has_a_median_filter(johnson, dumoulin, tmp_path):
    del johnson, dumoulin
    with pytest.raises(ValueError, match="median_filter: wanted 1"):
        load_stylizer(tmp_path / "johnson.safetensors", median_filter=2)
    with pytest.raises(ValueError, match="median_filter: wanted with a network of one style"):
        load_stylizer(tmp_path / "dumoulin.safetensors", median_filter=3)


def test_results_are_clipped(tmp_path):
    save(tmp_path / "m.safetensors", BATCH_NORMALIZED)
    stylizer = load_stylizer(tmp_path / "m.safetensors", median_filter=1)
    pictures = made_pictures(1, 64, 96, 3)

    painted = stylizer(pictures)

    plain = jax.jit(BATCH_NORMALIZED.apply)(stylizer.variables, pictures)
    assert plain.min() < 0
    np.testing.assert_allclose(painted, np.clip(plain, 0, 1), atol=2e-5)


def test_pictures_do_not_see_what_else_is_in_their_batch(johnson):
    pictures = list(made_pictures(5, 64, 96, 3))
    pictures[2] = pictures[2][:60, :90]

    # 64 x 96 pixels thrice: batches of two, two and one that is filled up.
    painted = johnson.paint(pictures, max_pixels=3 * 64 * 96)

    assert [picture.shape for picture in painted] == [picture.shape for picture in pictures]
    for picture, alone in zip(painted, pictures, strict=True):
        np.testing.assert_allclose(picture, johnson.paint([alone])[0], atol=2e-5)


def test_pictures_of_one_bucket_share_a_program(johnson):
    johnson(made_pictures(1, 64, 96, 3))
    program: Any = painting._stylize
    before = program._cache_size()
    johnson(made_pictures(1, 40, 70, 3))
    assert program._cache_size() == before


def test_sizes_and_limits_out_of_range_are_refused(johnson):
    picture = made_pictures(1, 64, 96, 3)
    for bucket in (30, 4, 0):
        with pytest.raises(ValueError, match="bucket: wanted a multiple of 4"):
            johnson(picture, bucket=bucket)
    with pytest.raises(ValueError, match="max_pixels: wanted at least 16384, got 9999"):
        johnson(picture, max_pixels=9999)
    with pytest.raises(ValueError, match="one bucket"):
        johnson.paint([picture[0], picture[0, :30]])


# Styles ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("style", "weights"),
    [
        ("la muse", [0, 1, 0]),
        (2, [0, 0, 1]),
        ({"été": 1, "waves": 3}, [0.75, 0, 0.25]),
        ([1, 1, 2], [0.25, 0.25, 0.5]),
        (np.array([0.0, 2.0, 0.0]), [0, 1, 0]),
    ],
)
def test_a_style_is_a_name_a_number_or_a_mixture(dumoulin, style, weights):
    (found,) = dumoulin.conditions(style)
    np.testing.assert_allclose(found, [weights], atol=1e-7)


@pytest.mark.parametrize(
    ("style", "told"),
    [
        (None, "wanted one of waves, la muse, été"),
        ("muse", "wanted one of waves, la muse, été, got 'muse'"),
        ({"muse": 1.0}, "wanted one of waves, la muse, été, got 'muse'"),
        (3, "0 to 2, got 3"),
        (-1, "0 to 2, got -1"),
        ([1, 1], "wanted 3 weights"),
        ([1, 1, -1], "weights of 0 or more"),
        ({"waves": 0.0}, "not all 0"),
        ([1, 1, math.nan], "weights of 0 or more"),
    ],
)
def test_styles_that_a_model_lacks_are_refused(dumoulin, style, told):
    with pytest.raises(ValueError, match=told):
        dumoulin(made_pictures(1, 64, 96, 3), style)


# Regions -----------------------------------------------------------------------------------------


def test_masks_give_each_region_its_style(dumoulin):
    content = made_pictures(1, 64, 96, 3)
    masks = np.zeros((1, 64, 96), np.float32)
    masks[:, :25, :41] = 1

    found = dumoulin(content, ["été", {"waves": 1, "la muse": 3}], masks=masks)

    rows = jnp.array([[[0, 0, 1], [0.25, 0.75, 0]]], jnp.float32)
    both = np.concatenate([content, np.stack([masks, 1 - masks], -1)], -1)
    wanted = compiled.apply(dumoulin.network, dumoulin.variables, jnp.asarray(both), rows)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    swapped = dumoulin(content, [{"waves": 1, "la muse": 3}, "été"], masks=masks)
    assert np.abs(swapped - wanted).mean() > 0.02


@pytest.mark.parametrize(
    ("style", "masks", "told"),
    [
        ("waves", np.ones((1, 4, 6)), "style: wanted a sequence of styles, one for each mask"),
        (["waves", "wave"], np.ones((2, 4, 6)), "wanted one of waves, la muse, été, got 'wave'"),
        (["waves"], np.ones((2, 4, 6)), "masks: wanted 1, one for each style"),
        (["waves"], np.ones((1, 6, 6)), "masks: wanted the picture's proportions"),
        (["waves", "été"], np.zeros((1, 4, 6)), "masks: number 1 is empty"),
    ],
)
def test_masks_that_do_not_fit_are_refused(dumoulin, style, masks, told):
    with pytest.raises(ValueError, match=told):
        dumoulin(made_pictures(1, 64, 96, 3), style, masks=masks.astype(np.float32))


def test_a_model_of_one_style_takes_none(johnson):
    with pytest.raises(ValueError, match="one style 'waves'"):
        johnson(made_pictures(1, 64, 96, 3), "waves")


# Tiles -------------------------------------------------------------------------------------------


def test_a_cut_goes_on_as_a_mirror_would():
    pixels = made_pictures(1, 5, 3, 3)[0]

    found = cut(pixels, top=-9, left=-2, size=(25, 8))

    wanted = np.pad(pixels, ((9, 11), (2, 3), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(found, wanted)
    line = cut(pixels[:, :1], top=0, left=-1, size=(5, 3))
    np.testing.assert_array_equal(line, pixels[:, [0, 0, 0]])


@pytest.mark.parametrize(
    ("size", "max_side", "margin"),
    [
        ((160, 224), 128, 12),
        ((160, 224), 130, 56),
        ((4000, 6016), 1414, 56),
        ((4000, 6016), 1414, 12),
        ((64, 1024), 300, 12),
        ((132, 136), 128, 56),
    ],
)
def test_tiles_of_one_size_cover_a_picture_once(size, max_side, margin):
    (height, width), tiles = plan_tiles(size, max_side=max_side, margin=margin, multiple=32)

    assert max(height, width) <= max_side
    assert height % 4 == width % 4 == 0
    covered = np.zeros(size, int)
    for tile in tiles:
        assert tile.top % 4 == tile.left % 4 == 0
        assert 0 <= tile.top <= size[0] - height
        assert 0 <= tile.left <= size[1] - width
        covered[tile.kept] += 1
        for corner, length, (begin, end), side in (
            (tile.top, height, tile.rows, size[0]),
            (tile.left, width, tile.columns, size[1]),
        ):
            assert begin == 0 or begin - corner >= margin
            assert end == side or corner + length - end >= margin
        rows, columns = tile.kept_within
        assert (rows.start + tile.top, columns.stop + tile.left) == (tile.rows[0], tile.columns[1])
    assert (covered == 1).all()
    fewest = math.prod(
        max(1, math.ceil((side - 2 * margin) / (max_side // 4 * 4 - 2 * margin))) for side in size
    )
    assert len(tiles) <= fewest


@pytest.mark.parametrize("network", [JOHNSON, DUMOULIN], ids=type)
def test_tiles_are_the_whole_given_its_statistics(network):
    model = as_model(network, made_variables(network))
    conditions = (jnp.array([[0.0, 1.0, 0.0]]),) if network is DUMOULIN else ()
    pixels = made_pictures(1, 160, 224, 3)[0]
    statistics = painting.record_statistics(model, pixels, conditions)

    tiled = painting.paint_tiles(
        model, pixels, conditions, statistics, size=(160, 224), max_side=128
    )

    (wanted,) = painting.paint(model, [pixels], [conditions])
    assert wanted.std() > 0.05
    np.testing.assert_allclose(tiled, wanted, atol=2e-5)


def made_scene(height, width):
    """A dim, smooth left and a bright right full of rings: tiles that have little in common."""
    y, x = np.mgrid[0:height, 0:width] / height
    rings = np.sin(40 * np.hypot(y - 0.4, x - 1))[..., None] * [0.3, 0.2, -0.3]
    side = 1 / (1 + np.exp(-12 * (x - 0.7)))[..., None]
    left = np.stack([0.2 * y, 0.1 + 0.1 * x, 0.3 - 0.1 * y], -1)
    return (left + side * (0.3 + rings)).clip(0, 1).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "conditions"),
    [
        (JOHNSON, ()),
        (DUMOULIN, (np.array([[0.0, 1.0, 0.0]], np.float32),)),
        (DUMOULIN, (np.array([[[0.0, 1.0, 0.0], [0.5, 0.0, 0.5]]], np.float32),)),
    ],
    ids=["johnson", "dumoulin", "regions"],
)
def test_large_pictures_run_in_tiles_that_agree(network, conditions):
    model = as_model(network, made_variables(network))
    conditions = tuple(map(jnp.asarray, conditions))
    pixels = made_scene(160, 224)
    if conditions and conditions[0].ndim == 3:
        disc = np.hypot(*(np.mgrid[0:160, 0:224] - 90)) < 60
        pixels = np.concatenate([pixels, np.stack([disc, ~disc], -1)], -1).astype(np.float32)
    (whole,) = painting.paint(model, [pixels], [conditions])

    (tiled,) = painting.paint(model, [pixels], [conditions], max_pixels=128**2)

    naive = painting.paint_tiles(model, pixels, conditions, None, size=(160, 224), max_side=128)
    error, naive_error = (np.square(picture - whole).mean() for picture in (tiled, naive))
    assert 0 < error < 0.5 * naive_error


def test_statistics_of_reduced_copies_are_followed_to_full_size(monkeypatch):
    """Means that are linear in the size of a pixel, and variances e to the power of such."""

    def recorded(model, copy, conditions):
        del model, conditions
        h = math.sqrt(320 * 480 / (copy.shape[0] * copy.shape[1]))
        mean, var = jnp.array([[3 - 0.2 * h, 1.0]]), jnp.array([[math.exp(1 - h / 2), 0.0]])
        return {"output_norm": {"mean": mean, "var": var}}

    monkeypatch.setattr(painting, "record_statistics", recorded)
    pixels = made_pictures(1, 320, 480, 3)[0]
    model = as_model(JOHNSON, {})

    options = {"size": (320, 480), "max_pixels": 130**2}
    found = painting.estimate_statistics(model, pixels, (), **options)["output_norm"]

    np.testing.assert_allclose(found["mean"], [[2.8, 1]], rtol=1e-4)
    np.testing.assert_allclose(found["var"], [[math.exp(0.5), 0]], rtol=1e-3, atol=1e-9)


def test_what_statistics_are_followed_to_is_bounded(monkeypatch):
    """A mean that flies off, a variance that grows without end, and one that vanishes."""
    statistics = iter(
        [
            {"mean": jnp.array([[5.0, 0.0, 0.0]]), "var": jnp.array([[0.25, 1.0, 1.0]])},
            {"mean": jnp.array([[-5.0, 0.0, 0.0]]), "var": jnp.array([[0.25, 1e-4, 1e4]])},
        ]
    )

    def recorded(model, copy, conditions):
        del model, copy, conditions
        return {"block": {"norm": next(statistics)}}

    monkeypatch.setattr(painting, "record_statistics", recorded)
    pixels = made_pictures(1, 320, 480, 3)[0]

    options = {"size": (320, 480), "max_pixels": 130**2}
    found = painting.estimate_statistics(as_model(JOHNSON, {}), pixels, (), **options)

    np.testing.assert_allclose(found["block"]["norm"]["mean"], [[5.5, 0, 0]], rtol=1e-4)
    np.testing.assert_allclose(found["block"]["norm"]["var"], [[0.25, 4, 0.25]], rtol=1e-3)


def test_a_reduced_copy_is_no_larger_than_allowed_and_keeps_its_colours():
    pixels = made_pictures(1, 320, 480, 3)[0]

    copy = painting.shrink(pixels, max_pixels=10_000)

    height, width = copy.shape[:2]
    assert height % 4 == width % 4 == 0
    assert 9000 < height * width <= 10_000
    np.testing.assert_allclose(copy.mean((0, 1)), pixels.mean((0, 1)), atol=2e-3)
    wanted = resize(jnp.asarray(pixels)[None], height=height, width=width)[0]
    np.testing.assert_allclose(copy, wanted, atol=1e-4)


def test_batch_normalised_networks_need_no_statistics(tmp_path):
    save(tmp_path / "m.safetensors", BATCH_NORMALIZED)
    stylizer = load_stylizer(tmp_path / "m.safetensors")
    pixels = made_pictures(1, 156, 221, 3)

    tiled = stylizer(pixels, max_pixels=128**2)

    np.testing.assert_allclose(tiled, stylizer(pixels), atol=2e-5)


@pytest.mark.parametrize("name", list_models())
def test_the_models_that_ship_hold_what_their_networks_want(name):
    """Which loading them by name takes for granted."""
    model = load_model(model_path(name))
    assert load_stylizer(name).styles == model.styles


def test_the_network_of_any_painting_is_the_default():
    assert load_stylizer().name == DEFAULT_MODEL
