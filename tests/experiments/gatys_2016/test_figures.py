"""The figures of Gatys et al. 2015 and 2016, with a painter that tells what it was asked for."""

import dataclasses
import itertools
import json

import jax.numpy as jnp
import numpy as np
import pytest
from made_data import write_data

from experiments.gatys_2016 import __main__ as script
from experiments.gatys_2016 import reconstructions, runs
from nst_jax import files
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.papers import gatys_2016
from nst_jax.runs.report import DivergedError

pytestmark = pytest.mark.usefixtures("lax_promotion")

CAPTION = 20
UNITS = 100  # our alpha/beta over the captions'
TIERS = {
    "papers/content/tubingen.jpg": "C do not redistribute",
    "papers/style/shipwreck_minotaur.jpg": "A free",
    "papers/style/starry_night.jpg": "A free",
    "papers/style/the_scream.jpg": "A free",
    "papers/style/femme_nue_assise.jpg": "C do not redistribute",
    "papers/style/adain_contrast_of_forms.jpg": "A free",
    "papers/style/composition_vii.jpg": "A free",
    "content/train/gc_monuments_gatewayofindia.jpg": "A free",
    "content/train/skimage_rocket.jpg": "A free",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"), TIERS)


class Painter:
    """In place of gatys_2016.stylize: a flat picture of the colour that `color_of` gives a config.

    Losses are made up so that without their weights they are known: content 2, style 3.
    """

    def __init__(self, color_of=lambda config: (0.5, 0.5, 0.5)):
        self.color_of, self.configs, self.before = color_of, [], lambda config: None

    def __call__(self, content, style, config, encoder, encoder_params):
        assert encoder.architecture == config.encoder == "vgg16"
        self.before(config)
        self.configs.append(config)
        image = jnp.broadcast_to(jnp.asarray(self.color_of(config), jnp.float32), content.shape)
        terms = {"content": 2 * config.content_weight, "style": 3 * config.style_weight, "tv": 0.0}
        entries = [
            {"step": step, "total": sum(terms.values()), **terms}
            for step in range(config.num_steps + 1)
        ]
        record = {
            "config": dataclasses.asdict(config),
            "versions": {},
            "device": "none",
            "seconds": {"compile": 0.0, "run": 1.0},
            "steps": entries[1:],
            "info": {
                "initial": entries[0],
                "before_clipping": {"total": 10.0 + config.seed},
                "interrupted": False,
            },
        }
        return image, record


@pytest.fixture
def make(monkeypatch, start, data):
    """make(FIGURE, PAINTER, OUT, OPTION...) answers the record of the figure's folder."""
    encoder = load_encoder("vgg16")[0], {}
    monkeypatch.setattr(runs, "load_encoder", lambda *_, **__: encoder)
    runs._load_encoder.cache_clear()

    def make(figure, painter, out, *options, data=data):
        monkeypatch.setattr(gatys_2016, "stylize", painter)
        given = ["--figures", figure, "--out", out, "--size", 32, "--num-steps", 2]
        given += ["--data", data] if data else []
        start(script, *given, *options)
        return files.read_record(out / figure / "record.json")

    return make


def cells_of(path, rows, columns):
    """The mean colours of a sheet's cells, which have all the same size."""
    sheet = files.load_pixels(path)
    height, width = sheet.shape[0] // rows - CAPTION, sheet.shape[1] // columns
    cells = sheet.reshape(rows, CAPTION + height, columns, width, 3)[:, CAPTION:]
    return cells.mean((1, 3))


# What each figure asks for -------------------------------------------------------------------


@pytest.mark.slow
def test_the_grid_has_rows_of_layers_and_columns_of_ratios(make, tmp_path):
    def ratio_of(config):
        return config.content_weight / config.style_weight / UNITS

    painter = Painter(lambda c: (-np.log10(ratio_of(c)) / 10, len(c.style_layers) / 10, 0.5))
    record = make("grid", painter, tmp_path)
    assert len(painter.configs) == 20
    for config, (layers, exponent) in zip(
        painter.configs, itertools.product(range(1, 6), (5, 4, 3, 2)), strict=True
    ):
        assert ratio_of(config) == pytest.approx(10.0**-exponent)
        blocks = [f"relu{block}_1" for block in range(1, layers + 1)]
        assert config.style_layers == tuple((layer, pytest.approx(1 / layers)) for layer in blocks)
        assert config.content_layers == (("relu4_2", 1.0),)
        assert (config.weights, config.pooling, config.init) == (
            *("vgg16-normalized", "average"),
            "noise",
        )
        assert (config.size, config.num_steps, config.tv_weight) == (32, 2, 0)
    colours = cells_of(tmp_path / "grid" / "sheet.jpg", 5, 4)
    np.testing.assert_allclose(colours[..., 0], [[0.5, 0.4, 0.3, 0.2]] * 5, atol=0.02)
    np.testing.assert_allclose(colours[..., 1].T, [[0.1, 0.2, 0.3, 0.4, 0.5]] * 4, atol=0.02)
    assert record["losses"]["up to relu3_1"]["0.001"] == {"content": 2.0, "style": 3.0}
    assert (tmp_path / "grid" / "losses.png").stat().st_size > 1000
    assert (tmp_path / "grid" / "up_to_relu3_1_at_1e-3.jpg").exists()
    assert record["command"] == (
        "python -m experiments.gatys_2016 --figures grid --data FOLDER --size 32 --num-steps 2"
    )
    assert record["credit"]["papers/style/composition_vii.jpg"]["licence"] == "licence A"
    run = record["runs"]["up to relu3_1 at 1e-3"]
    assert {"config", "commit", "versions", "device", "seconds", "steps"} <= set(run)
    assert [entry["step"] for entry in run["steps"]] == [0, 1, 2]


@pytest.mark.slow
def test_of_a_painting_that_is_not_free_there_are_numbers_alone(make, tmp_path):
    painter = Painter(
        lambda config: (config.content_weight / config.style_weight / UNITS * 200, 0, 0)
    )
    record = make("painters", painter, tmp_path)
    pictures = {path.name for path in (tmp_path / "painters").glob("*.jpg")}
    letters = ("B_Turner", "C_van_Gogh", "D_Munch", "E_Leger", "F_Kandinsky", "sheet")
    assert pictures == {f"{name}.jpg" for name in letters}
    assert record["runs"]["E Picasso"]["style"] == "papers/style/femme_nue_assise.jpg"
    assert record["losses"]["E Picasso"] == {"content": 2.0, "style": 3.0}
    red = cells_of(tmp_path / "painters" / "sheet.jpg", 3, 2)[..., 0].ravel()
    np.testing.assert_allclose(red[:5], [0.2, 0.16, 1.0, 0.1, 0.1], atol=0.03)
    assert red[5] == pytest.approx(1, abs=0.02)  # no sixth cell: white paper
    make("painters", painter, tmp_path)
    assert len(painter.configs) == 6


@pytest.mark.slow
def test_starts_differ_in_nothing_else_and_the_seeds_are_compared(make, tmp_path):
    painter = Painter(lambda config: (0.1 * config.seed, 0.5, 0.5))
    record = make("initialisations", painter, tmp_path)
    starts = [(config.init, config.seed) for config in painter.configs]
    noise = [("noise", seed) for seed in range(4)]
    assert starts == [("content", 0), ("style", 0), *noise]
    assert len({dataclasses.replace(c, init="noise", seed=0) for c in painter.configs}) == 1
    assert record["totals"]["noise 3"] == 13.0
    assert record["noise"]["mean_total"] == pytest.approx(11.5)
    assert record["noise"]["deviation_of_total"] == pytest.approx(np.std([0, 1, 2, 3], ddof=1))
    apart = [0.1 * (b - a) / np.sqrt(3) for a, b in itertools.combinations(range(4), 2)]
    between = record["noise"]["root_mean_square_between_pictures"]
    assert between == pytest.approx(np.mean(apart), abs=0.01)


def test_the_other_figures_vary_what_they_are_named_after(make, tmp_path):
    painter = Painter()
    record = make("ratios", painter, tmp_path)
    found = [config.content_weight / config.style_weight / UNITS for config in painter.configs]
    assert found == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1])
    assert record["losses"]["0.1"] == {"content": 2.0, "style": 3.0}

    painter = Painter()
    make("content_layer", painter, tmp_path)
    layers = [config.content_layers for config in painter.configs]
    assert layers == [(("relu2_2", 1.0),), (("relu4_2", 1.0),)]

    painter = Painter()
    record = make("photographs", painter, tmp_path)
    assert {config.init for config in painter.configs} == {"content"}
    assert [(run["content"], run["style"]) for run in record["runs"].values()] == [
        (day, f"content/train/{night}.jpg")
        for day in ("content/neuschwanstein_castle.jpg", "content/eiffel_tower.jpg")
        for night in ("gc_monuments_gatewayofindia", "skimage_rocket")
    ]
    assert record["credit"]["content/eiffel_tower.jpg"]["author"] == "Tognopop"

    painter = Painter()
    make("style_reconstructions", painter, tmp_path, data=None)
    assert [len(config.style_layers) for config in painter.configs] == [1, 2, 3, 4, 5]
    assert {config.content_layers for config in painter.configs} == {()}


@pytest.mark.slow
def test_a_photograph_is_reconstructed_from_a_layer(make, tmp_path, monkeypatch):
    """Two steps in earnest: the loss is the mean of ΔF² of the normalised network."""
    encoder, params = load_encoder("vgg16", weights="vgg16-normalized", pooling="average")
    monkeypatch.setattr(runs, "load_encoder", lambda *_, **__: (encoder, params))
    runs._load_encoder.cache_clear()
    monkeypatch.setattr(reconstructions, "CONTENT_LAYERS", ("relu1_2",))
    record = make(
        "content_reconstructions", gatys_2016.stylize, tmp_path, "--num-steps", 3, data=None
    )
    run = record["runs"]["relu1_2"]
    first, last = run["steps"][0], run["steps"][-1]
    assert last["total"] == last["content"] < first["total"]
    out = tmp_path / "content_reconstructions"
    image = files.load_image(out / "relu1_2.jpg")
    content = files.load_image(files.asset_path(run["content"]), size=32)
    assert image.shape == content.shape
    mine, wanted = (
        np.asarray(encoder.apply(params, x, layers=("relu1_2",))["relu1_2"])
        for x in (image, content)
    )
    loss = run["config"]["content_weight"] * np.mean((mine - wanted) ** 2)
    assert last["content"] == pytest.approx(loss, rel=0.2)  # by a JPEG
    shown = files.load_pixels(out / "sheet.jpg")[CAPTION:, :32]
    assert np.abs(shown - np.asarray(content[0])).mean() < 0.05


# What is done is kept ------------------------------------------------------------------------


@pytest.mark.slow
def test_what_is_done_is_not_repeated(make, tmp_path):
    painter, out = Painter(), tmp_path / "ratios"
    first = make("ratios", painter, tmp_path)
    assert make("ratios", painter, tmp_path) == first
    assert len(painter.configs) == 4
    (out / "alpha_over_beta_1e-2.jpg").unlink()
    make("ratios", painter, tmp_path)
    assert [c.content_weight / c.style_weight / UNITS for c in painter.configs[4:]] == [1e-2]
    make("ratios", painter, tmp_path, "--num-steps", 3)
    assert len(painter.configs) == 9
    # A record that was written before pictures were named in it.
    record = files.read_record(out / "record.json")
    for run in record["runs"].values():
        del run["content"], run["style"]
    files.write_record(out / "record.json", record)
    make("ratios", painter, tmp_path, "--num-steps", 3)
    assert len(painter.configs) == 9
    record["runs"]["alpha over beta 1e-4"]["style"] = "papers/style/another.jpg"
    files.write_record(out / "record.json", record)
    make("ratios", painter, tmp_path, "--num-steps", 3)
    assert len(painter.configs) == 10


@pytest.mark.slow
def test_a_figure_that_was_killed_goes_on(make, tmp_path):
    painter = Painter()

    def kill(config):
        if len(painter.configs) == 2:
            raise RuntimeError("killed")

    painter.before = kill
    with pytest.raises(RuntimeError, match="killed"):
        make("ratios", painter, tmp_path)
    kept = json.loads((tmp_path / "ratios" / "record.json").read_text())["runs"]
    assert list(kept) == ["alpha over beta 1e-4", "alpha over beta 1e-3"]
    painter.before = lambda config: None
    assert len(make("ratios", painter, tmp_path)["runs"]) == 4
    assert len(painter.configs) == 4


@pytest.mark.slow
def test_a_run_that_was_stopped_is_not_taken_for_done(make, tmp_path):
    painter = Painter()

    def stopped(*given):
        image, record = painter(*given)
        record["info"]["interrupted"] = True
        return image, record

    with pytest.raises(KeyboardInterrupt):
        make("ratios", stopped, tmp_path)
    assert not (tmp_path / "ratios" / "record.json").exists()
    assert len(painter.configs) == 1


# Errors, labels ------------------------------------------------------------------------------


def test_what_cannot_be_made_is_told_in_one_line(make, tmp_path, data, capsys):
    def diverge(*given):
        raise DivergedError("it is 1e40", step=2, best_image=np.zeros(1), best_total=1.0)

    with pytest.raises(SystemExit, match=r"^error: alpha over beta 1e-4: it is 1e40$"):
        make("ratios", diverge, tmp_path)
    with pytest.raises(SystemExit, match=r"^error: size: wanted 16 pixels or more, got 0$"):
        make("ratios", Painter(), tmp_path, "--size", 0)
    lacking = write_data(tmp_path, {"papers/content/tubingen.jpg": "A", "papers/style/x.jpg": "A"})
    with pytest.raises(SystemExit, match=r"manifest\.csv does not list papers/style/composition_"):
        make("ratios", Painter(), tmp_path, data=lacking)
    with pytest.raises(SystemExit) as caught:
        make("ratios", Painter(), tmp_path, data=None)
    assert caught.value.code == 2
    assert "--data or NST_JAX_DATA must name" in capsys.readouterr().err
