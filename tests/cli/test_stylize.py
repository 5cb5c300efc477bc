"""nst-jax stylize: what users type, what they are told, what lies on their disk afterwards."""

import re
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest
from any_style_oracle import made_painting, save_made_model
from network_oracle import made_pictures
from small_models import save_models, save_small

import nst_jax
from nst_jax import files
from nst_jax.cli import main
from nst_jax.networks.ghiasi import GhiasiNetwork
from nst_jax.ops import color
from nst_jax.ops.color import match_covariance_by_pca
from nst_jax.stylizers import (
    AnyStyleStylizer,
    ManyStylesStylizer,
    PredictedStyleStylizer,
    load_stylizer,
)


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """A folder with a model of one style, a model of many, and two that take any."""
    place = tmp_path_factory.mktemp("models")
    save_models(place)
    save_made_model(place / "any.safetensors")
    embedding = jax.ShapeDtypeStruct((1, 100), jnp.float32)
    save_small(place / "predicted.safetensors", GhiasiNetwork(width=2), (), embedding)
    return place


@pytest.fixture
def folder(models, tmp_path, monkeypatch) -> Path:
    """A current folder with three models, and photos/ of three pictures that run at one size."""
    shutil.copytree(models, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NST_JAX_CACHE", str(tmp_path / "cache"))
    Path("photos").mkdir()
    pictures = made_pictures(3, 64, 64, 3)
    nst_jax.save_image("photos/a.png", jnp.asarray(pictures[:1]))
    nst_jax.save_image("photos/b.png", jnp.asarray(pictures[1:2, :50, :61]))
    nst_jax.save_image("photos/c.bmp", jnp.asarray(pictures[2:, :, :40]))
    return tmp_path


def stylize(*words: str, model: str = "one") -> int:
    return main(["stylize", *words, "--model", f"{model}.safetensors"])


def written(place: str = ".") -> list[str]:
    return sorted(path.name for path in Path(place).iterdir())


def pixels(path: str) -> np.ndarray:
    return np.asarray(PIL.Image.open(path)).astype(int)


def painted(model: str, photograph: str, style=None) -> np.ndarray:
    picture = load_stylizer(f"{model}.safetensors")(nst_jax.load_image(photograph), style)
    return np.rint(np.asarray(picture)[0] * 255).astype(int)


def test_one_picture_becomes_the_file_that_out_names(folder, capsys):
    assert stylize("photos/b.png", "-o", "out.png") == 0

    np.testing.assert_allclose(pixels("out.png"), painted("one", "photos/b.png"), atol=1)
    told = capsys.readouterr().out
    assert re.fullmatch(
        r"out\.png: 61x50 pixels in [\d.]+ s \([\d.]+ s running, [\d.]+ s compiling\)\n", told
    )


def test_a_folder_becomes_a_folder(folder, capsys):
    assert stylize("photos", "-o", "painted") == 0

    assert written("painted") == ["a.png", "b.png", "c.bmp"]
    for name in written("painted"):
        wanted = painted("one", f"photos/{name}")
        np.testing.assert_allclose(pixels(f"painted/{name}"), wanted, atol=1)
    told = capsys.readouterr()
    assert told.out.startswith("painted: 3 pictures of 40x64 to 64x64 pixels in ")
    assert told.err.splitlines()[-1] == "painting: 3 of 3 pictures"


def test_every_style_asked_for_is_painted_and_named(folder):
    assert stylize("photos/a.png", "-o", "painted", "--style", "dots", "waves", model="many") == 0
    assert written("painted") == ["a_dots.png", "a_waves.png"]
    for style in ("dots", "waves"):
        wanted = painted("many", "photos/a.png", style)
        np.testing.assert_allclose(pixels(f"painted/a_{style}.png"), wanted, atol=1)

    assert stylize("photos/a.png", "-o", "every", "--style", "all", model="many") == 0
    assert written("every") == ["a_dots.png", "a_la muse.png", "a_waves.png"]

    assert stylize("photos/a.png", "-o", "dots.png", "--style", "dots", model="many") == 0
    np.testing.assert_array_equal(pixels("dots.png"), pixels("painted/a_dots.png"))


def test_styles_are_blended_into_one_picture(folder):
    options = ("--style", "dots", "waves", "--style-blend", "3", "1")

    assert stylize("photos/a.png", "-o", "out.png", *options, model="many") == 0

    wanted = painted("many", "photos/a.png", {"dots": 0.75, "waves": 0.25})
    np.testing.assert_allclose(pixels("out.png"), wanted, atol=1)


def test_size_is_the_longer_sides(folder):
    assert stylize("photos/b.png", "-o", "out.png", "--size", "40") == 0
    assert PIL.Image.open("out.png").size == (40, 33)


def test_batches_do_not_change_pictures(folder):
    for name in "defgh":
        nst_jax.save_image(f"photos/{name}.png", jnp.asarray(made_pictures(1, 64, 64, 3, seed=5)))
    assert stylize("photos", "-o", "twos", "--batch-size", "2") == 0
    assert stylize("photos", "-o", "ones", "--batch-size", "1") == 0
    assert len(written("twos")) == 8
    for name in written("twos"):
        np.testing.assert_allclose(pixels(f"twos/{name}"), pixels(f"ones/{name}"), atol=1)


@pytest.mark.slow
def test_pictures_above_the_limit_run_in_tiles(folder):
    nst_jax.save_image("large.png", jnp.asarray(made_pictures(1, 144, 160, 3)))

    assert stylize("large.png", "-o", "tiles.png", "--max-pixels", "16384") == 0

    picture = nst_jax.load_image("large.png")
    tiled = load_stylizer("one.safetensors")(picture, max_pixels=16384)
    np.testing.assert_allclose(pixels("tiles.png"), np.rint(np.asarray(tiled)[0] * 255), atol=1)
    assert np.abs(pixels("tiles.png") - painted("one", "large.png")).max() > 10


def test_a_broken_picture_is_told_at_the_end_and_stops_nothing(folder, capsys):
    Path("photos/aa.jpg").write_bytes(b"no picture")

    assert stylize("photos", "missing.png", "-o", "painted") == 2

    assert written("painted") == ["a.png", "b.png", "c.bmp"]
    told = capsys.readouterr()
    assert "3 pictures" in told.out
    *_, last, first, second = told.err.splitlines()
    assert last == "painting: 5 of 5 pictures"
    assert first.startswith("error: cannot read 'photos/aa.jpg': ")
    assert second.startswith("error: cannot read 'missing.png': ")


def test_nothing_is_replaced_unasked(folder, capsys):
    assert stylize("photos", "-o", "painted", "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    before = Path("painted/b.png").read_bytes()
    Path("painted/a.png").unlink()

    assert stylize("photos", "-o", "painted") == 2
    assert "exists" in capsys.readouterr().err
    assert written("painted") == ["b.png", "c.bmp"], "work had begun"

    Path("painted/b.png").write_bytes(b"")
    assert stylize("photos", "-o", "painted", "--overwrite") == 0
    assert Path("painted/b.png").read_bytes() == before


def test_photographs_are_never_replaced(folder, capsys):
    before = Path("photos/a.png").read_bytes()
    assert stylize("photos", "-o", "photos", "--overwrite") == 2
    assert "one of the photographs" in capsys.readouterr().err
    assert Path("photos/a.png").read_bytes() == before


def test_kinds_of_files_that_cannot_be_written_become_png(folder):
    PIL.Image.open("photos/a.png").save("moving.gif")
    assert stylize("moving.gif", "photos/c.bmp", "-o", "painted") == 0
    assert written("painted") == ["c.bmp", "moving.png"]


# Any style -------------------------------------------------------------------------------------


@pytest.fixture
def paintings(folder):
    """paintings/ of two pictures, and masks of the photographs' shape and of another."""
    Path("paintings").mkdir()
    nst_jax.save_image("paintings/lake.png", jnp.asarray(made_painting(1)))
    nst_jax.save_image("paintings/wood.png", jnp.asarray(made_painting(2, height=64, width=48)))
    upper = np.zeros((1, 64, 64, 3), np.float32)
    upper[:, :32] = 1
    nst_jax.save_image("upper.png", jnp.asarray(upper))
    nst_jax.save_image("flat.png", jnp.full((1, 64, 64, 3), 0.25))
    nst_jax.save_image("wide.png", jnp.asarray(np.repeat(upper, 2, axis=2)))
    return folder


# The default size of paintings, 512, costs seconds: one test takes it, others this one.
SMALL = ("--style-size", "64")


def load_painting(name, *, size=64):
    return nst_jax.load_image(f"paintings/{name}.png", size=size)


def after(names, photograph="photos/a.png", *, size=64, **options):
    """What Python paints after paintings of one size."""
    pictures = [load_painting(name, size=size) for name in names]
    picture = load_stylizer("any.safetensors")(nst_jax.load_image(photograph), pictures, **options)
    return np.rint(np.asarray(picture)[0] * 255).astype(int)


@pytest.mark.slow
def test_every_photograph_is_painted_after_every_painting(paintings, capsys):
    words = ("photos", "--style", "paintings", *SMALL, "-o", "out")
    assert stylize(*words, model="any") == 0

    names = [
        f"{photo}_{style}.{kind}"
        for photo, kind in (("a", "png"), ("b", "png"), ("c", "bmp"))
        for style in ("lake", "wood")
    ]
    assert written("out") == names
    for name in ("lake", "wood"):
        wanted = after([name])
        np.testing.assert_allclose(pixels(f"out/a_{name}.png"), wanted, atol=1)
    assert "6 pictures" in capsys.readouterr().out


def test_one_photograph_after_one_painting_is_the_file_that_out_names(paintings):
    words = ("photos/a.png", "--style", "paintings/lake.png", "-o", "out.png")
    assert stylize(*words, model="any") == 0
    np.testing.assert_allclose(pixels("out.png"), after(["lake"], size=512), atol=1)

    assert stylize(*words, *SMALL, "--alpha", "0.5", "--overwrite", model="any") == 0
    np.testing.assert_allclose(pixels("out.png"), after(["lake"], alpha=0.5), atol=1)


@pytest.mark.slow
def test_features_may_take_on_a_style_in_another_way(paintings):
    words = ("photos/a.png", "--style", "paintings/lake.png", *SMALL, "--transform", "wct")
    assert stylize(*words, "-o", "out.png", model="any") == 0
    network = load_stylizer("any.safetensors", transform="wct")
    wanted = network(nst_jax.load_image("photos/a.png"), load_painting("lake"))
    np.testing.assert_allclose(pixels("out.png"), 255 * np.asarray(wanted)[0], atol=1)
    assert np.abs(pixels("out.png") - after(["lake"])).max() > 2


def test_paintings_are_blended_or_share_the_picture(paintings):
    words = ("photos/a.png", "--style", "paintings/lake.png", "paintings/wood.png", *SMALL)
    assert stylize(*words, "--style-blend", "3", "1", "-o", "blend.png", model="any") == 0
    wanted = after(["lake", "wood"], blend=[3.0, 1.0])
    np.testing.assert_allclose(pixels("blend.png"), wanted, atol=1)

    upper = np.asarray(PIL.Image.open("upper.png"))[..., 0] / np.float32(255)
    masks = np.stack([upper, 1 - upper])
    wanted = after(["lake", "wood"], masks=masks)
    assert stylize(*words, "--mask", "upper.png", "-o", "mask.png", model="any") == 0
    np.testing.assert_allclose(pixels("mask.png"), wanted, atol=1)
    PIL.Image.fromarray((255 - 255 * upper).astype(np.uint8)).save("lower.png")
    both = ("--mask", "upper.png", "lower.png")
    assert stylize(*words, *both, "-o", "masks.png", model="any") == 0
    np.testing.assert_array_equal(pixels("masks.png"), pixels("mask.png"))


def test_a_style_is_drawn_by_its_seed_around_paintings(paintings):
    words = ("photos/a.png", "--style", "random", "paintings", *SMALL)
    for name, options in {"0": (), "again": ("--seed", "0"), "1": ("--seed", "1")}.items():
        assert stylize(*words, *options, "-o", f"{name}.png", model="predicted") == 0
    stylizer = load_stylizer("predicted.safetensors")
    assert isinstance(stylizer, PredictedStyleStylizer)
    pictures = [load_painting(name) for name in ("lake", "wood")]
    style = stylizer.sample_style(jax.random.key(0), pictures)
    expected = stylizer(nst_jax.load_image("photos/a.png"), style)
    np.testing.assert_allclose(pixels("0.png"), np.rint(255 * np.asarray(expected[0])), atol=1)
    np.testing.assert_array_equal(pixels("0.png"), pixels("again.png"))
    assert np.abs(pixels("0.png").astype(int) - pixels("1.png")).max() > 1


def test_a_part_of_a_painting_may_count_alone(paintings):
    part = np.zeros((48, 64), np.uint8)
    part[:, :30] = 255
    PIL.Image.fromarray(part).save("part.png")
    words = ("photos/a.png", "--style", "paintings/lake.png", *SMALL, "--style-mask", "part.png")
    assert stylize(*words, "-o", "out.png", model="any") == 0
    stylizer = load_stylizer("any.safetensors")
    assert isinstance(stylizer, AnyStyleStylizer)
    style = stylizer.encode_style(load_painting("lake"), mask=part / np.float32(255))
    wanted = np.rint(np.asarray(stylizer(nst_jax.load_image("photos/a.png"), style))[0] * 255)
    np.testing.assert_allclose(pixels("out.png"), wanted, atol=1)
    assert np.abs(pixels("out.png") - after(["lake"])).max() > 2


def test_styles_of_a_model_share_the_picture(paintings):
    """A mask and what it leaves, or a picture of two colours, which first appear in this order."""
    words = ("photos/a.png", "--style", "dots", "waves")
    assert stylize(*words, "--mask", "upper.png", "-o", "mask.png", model="many") == 0
    upper = np.asarray(PIL.Image.open("upper.png"))[..., 0] / np.float32(255)
    stylizer = load_stylizer("many.safetensors")
    assert isinstance(stylizer, ManyStylesStylizer)
    photograph = nst_jax.load_image("photos/a.png")
    wanted = stylizer(photograph, ["dots", "waves"], masks=np.stack([upper, 1 - upper]))
    np.testing.assert_allclose(pixels("mask.png"), np.rint(np.asarray(wanted)[0] * 255), atol=1)
    colours = np.where(upper[..., None] == 1, [250, 200, 0], [0, 0, 90]).astype(np.uint8)
    colours[5:8, 5:8] = (250, 190, 10)  # too little, and too like, to be a region
    PIL.Image.fromarray(colours).save("colours.png")
    assert stylize(*words, "--mask", "colours.png", "-o", "two.png", model="many") == 0
    np.testing.assert_array_equal(pixels("two.png"), pixels("mask.png"))


def test_the_photographs_colours_are_kept(paintings):
    words = ("photos/a.png", "photos/b.png", "--style", "paintings/lake.png", *SMALL)
    assert stylize(*words, "--color", "pca", "-o", "out", model="any") == 0
    for name in ("a", "b"):
        photograph = nst_jax.load_image(f"photos/{name}.png")
        style = match_covariance_by_pca(load_painting("lake"), photograph).clip(0, 1)
        picture = load_stylizer("any.safetensors")(photograph, style)
        wanted = np.rint(np.asarray(picture)[0] * 255)
        np.testing.assert_allclose(pixels(f"out/{name}.png"), wanted, atol=1)
    np.testing.assert_array_less(10, np.abs(pixels("out/a.png") - after(["lake"])).max())


def test_results_keep_the_photographs_hues_by_any_model(paintings):
    words = ("photos/a.png", *SMALL, *LAKE.split())
    luminance = ("--color", "luminance")
    assert stylize(*words, *luminance, "-o", "any.png", model="any") == 0
    assert stylize("photos/a.png", "--color", "keep", "-o", "one.png", model="one") == 0
    content = nst_jax.load_image("photos/a.png")
    grey = color.prepare_content(content, color="luminance", when="before")
    style = load_painting("lake")
    style = color.prepare_style(style, content, color="luminance", when="before")
    for name, result in (
        ("any", load_stylizer("any.safetensors")(grey, style)),
        ("one", load_stylizer("one.safetensors")(content)),
    ):
        wanted = color.replace_luminance(content, color.luminance(result)).clip(0, 1)
        np.testing.assert_allclose(pixels(f"{name}.png"), np.rint(wanted[0] * 255), atol=1)


def test_results_are_recoloured_by_any_model(paintings):
    after_it = ("--color", "histogram", "--style", "dots")
    assert stylize("photos/a.png", *after_it, "-o", "many.png", model="many") == 0
    content = nst_jax.load_image("photos/a.png")
    result = load_stylizer("many.safetensors")(content, "dots")
    wanted = np.rint(color.match_histograms(result, content)[0] * 255)
    np.testing.assert_allclose(pixels("many.png"), wanted, atol=1)


def test_a_photograph_that_a_mask_does_not_fit_is_told_at_the_end(paintings, capsys):
    words = ("photos", *LAKE.split(), *SMALL, "--mask", "upper.png", "-o", "out")
    assert stylize(*words, model="any") == 2
    assert written("out") == ["a.png"]
    errors = capsys.readouterr().err
    assert errors.count("mask: 'upper.png': wanted the picture's proportions") == 2


LAKE = "--style paintings/lake.png"


@pytest.mark.parametrize(
    ("words", "model", "told"),
    [
        ("--style flat.png", "any", "style: 'flat.png' has a single colour"),
        ("--style random", "any", "random wants a model that knows paintings by embeddings"),
        (f"--style random {LAKE[8:]}", "predicted", "at least 2 paintings to draw a style around"),
        ("--style random --style-blend 1", "predicted", "style_blend: wanted without --style ran"),
        ("--style random --seed -1", "predicted", "seed: wanted a number from 0"),
        ("--style random --color keep --color-when before", "predicted", "leave out --color-when"),
        (f"{LAKE} --seed 1", "predicted", "seed: wanted with --style random"),
        ("", "any", "name one or several with --style"),
        ("--style missing.png", "any", "missing.png"),
        (f"{LAKE} --alpha 2", "any", "alpha: wanted a number from 0 to 1, got 2"),
        (f"{LAKE} --style-size 8", "any", "style_size: wanted 16 to"),
        (f"{LAKE} --style-blend 1 2", "any", "style_blend: wanted 1 weights"),
        (f"{LAKE} --style-blend -1", "any", "weights of 0 or more"),
        ("--style paintings paintings/lake.png", "any", "have one name"),
        (f"{LAKE} --mask upper.png upper.png", "any", "mask: wanted 1, one for each"),
        (f"{LAKE} paintings/wood.png --mask upper.png wide.png", "any", "masks of one size"),
        (f"{LAKE} --mask upper.png --style-blend 1", "any", "mask: wanted without --style-blend"),
        (f"{LAKE} --max-pixels 16384", "any", "max_pixels: wanted at least 65536"),
        ("--alpha 0.5", "one", "leave out --alpha"),
        ("--transform wct", "one", "transform: wanted with a network that decodes features"),
        ("--mask upper.png", "one", "leave out --mask"),
        ("--style waves --style-mask upper.png", "many", "leave out --style-mask"),
        ("--style waves --mask upper.png upper.png", "many", "mask: wanted 1, one for each"),
        (f"{LAKE} --style-mask whole whole", "any", "style_mask: wanted 1, one for each painting"),
        (f"{LAKE} --style-mask wide.png", "any", "style_mask: 'wide.png': wanted the picture's"),
        ("--color keep --color-when before", "one", "leave out --color-when"),
        (f"{LAKE} --color-when after", "any", "color_when: wanted with --color"),
        ("--style waves --style-size 64", "many", "leave out --style-size"),
    ],
)
def test_what_paintings_cannot_do_is_told_before_any_work(paintings, capsys, words, model, told):
    assert stylize("photos/a.png", "-o", "o.png", *words.split(), model=model) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert not Path("o.png").exists()


# Bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "model", "told"),
    [
        ("photos -o out.png", "one", "wanted a folder for 3 pictures"),
        ("photos/a.png -o missing/out.png", "one", "missing/out.png"),
        ("photos -o missing/out", "one", "cannot make the folder 'missing/out'"),
        ("photos -o one.safetensors", "one", "cannot make the folder 'one.safetensors'"),
        ("photos/a.png -o out.xyz", "one", "'.xyz'"),
        ("photos photos/a.png -o out", "one", "would both become"),
        ("-o out.png", "one", "content: wanted a photograph"),
        ("empty -o out", "one", "no pictures in 'empty'"),
        ("photos/a.png -o o.png --style waves", "one", "has the one style waves"),
        ("photos/a.png -o o.png", "many", "--style with some of waves, la muse, dots"),
        ("photos/a.png -o o.png --style x", "many", "one of waves, la muse, dots, got 'x'"),
        ("photos -o out --style dots dots", "many", "each once"),
        ("photos/a.png -o o.png --style dots --style-blend 1 2", "many", "wanted 1 weights"),
        ("photos/a.png -o o.png --style dots --style-blend -1", "many", "weights of 0 or more"),
        ("photos/a.png -o o.png --size 15", "one", "size: wanted 16 to 16384"),
        ("photos/a.png -o o.png --batch-size 0", "one", "batch_size"),
        ("photos/a.png -o o.png --max-pixels 100", "one", "max_pixels: wanted at least 16384"),
    ],
)
def test_what_cannot_be_done_is_told_before_any_work(folder, capsys, words, model, told):
    Path("empty").mkdir()
    assert stylize(*words.split(), model=model) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert not Path("out.png").exists()
    assert not Path("o.png").exists()


def test_the_help_tells_models_and_their_styles(folder, capsys, monkeypatch):
    def refuse(path):
        raise AssertionError(f"the arrays of {path} were read")

    monkeypatch.setattr("nst_jax.stylizers.loading._models_folder", lambda: folder)
    monkeypatch.setattr(files, "load_arrays", refuse)  # a header is enough
    assert main(["stylize", "--help"]) == 0
    told = capsys.readouterr().out
    assert "many: waves, la muse, dots" in told
    assert "one: waves" in told
    assert "any: any painting" in told
    assert main(["--help"]) == 0
    assert "nst-jax stylize" in capsys.readouterr().out
