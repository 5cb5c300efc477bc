"""The figures on Dumoulin et al. 2017, on made networks and pictures of a few pixels."""

import jax
import numpy as np
import pytest

from experiments.common import data_folder, network_figures
from experiments.dumoulin_2017 import __main__ as script
from experiments.dumoulin_2017 import style_judges
from nst_jax import files, stylizers
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.papers import dumoulin_2017

pytestmark = pytest.mark.usefixtures("lax_promotion", "small_sheets")

SIZE = 48


@pytest.fixture
def saved_sheets(monkeypatch):
    """The cells of the sheets that are saved, before they are put on paper."""
    saved = []
    monkeypatch.setattr(script, "save_sheet", lambda path, rows, *, side: saved.append(rows))
    return saved


@pytest.mark.slow
def test_many_styles_are_compared_with_one_on_the_styles_of_both(
    start, data, models, tmp_path, capsys
):
    given = ("--data", data, "--models", models.one, models.many, "--out", tmp_path)
    pixels = ("--size", SIZE, "--count", 2)
    start(script, "--figures", "styles", *pixels, *given)
    record = files.read_record(tmp_path / "styles" / "record.json")
    assert list(record["styles"]) == ["strokes"]
    row = record["styles"]["strokes"]
    assert row["network"] == "one"
    assert row["trained_alike"] is False  # by the weights in its card
    assert "Johnson" in record["note"]
    assert record["photographs"] == ["content/heldout/a_hill.jpg", "content/heldout/b_lake.jpg"]

    config = dumoulin_2017.PRESETS["smoke"]
    encoder, params = load_encoder("vgg16")
    style = files.load_image(data / "papers/style/strokes.jpg")
    grams = dumoulin_2017.compute_style_grams(config, [style], encoder, params)
    measure = jax.jit(dumoulin_2017.make_objective(config, encoder))
    photographs = data_folder.pictures_in(data, "content/heldout")
    content = network_figures.load_square(photographs[1], SIZE)
    many = stylizers.load_stylizer(models.many)
    one = stylizers.load_stylizer(models.one, median_filter=1)
    _, theirs = measure(many(content, "strokes"), content, grams, params)
    _, single = measure(one(content), content, grams, params)
    for term in ("content", "style"):
        wanted = 100 * (float(theirs[term]) / float(single[term]) - 1)
        assert row[term]["percent"][1] == pytest.approx(wanted, rel=1e-3)
        assert record["percent"][term]["mean"] == pytest.approx(np.mean(row[term]["percent"]))
    assert "strokes" in capsys.readouterr().out


@pytest.mark.slow
def test_mixtures_go_from_one_style_to_the_other(start, data, models, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "POINTS", 5)
    given = ("--data", data, "--models", models.many, "--out", tmp_path, "--size", SIZE)
    start(script, "--figures", "interpolation", "--count", 1, *given)
    record = files.read_record(tmp_path / "interpolation" / "record.json")
    np.testing.assert_allclose(record["weights_of_second"], np.linspace(0, 1, 5), atol=1e-9)
    assert list(record["styles"]) == ["strokes", "waves"]
    assert record["photographs"] == ["content/heldout/a_hill.jpg"]
    assert list(record["strip"]) == ["content/heldout/a_hill.jpg"]

    config = dumoulin_2017.PRESETS["smoke"]
    encoder, params = load_encoder("vgg16")
    style = files.load_image(data / "style/train/waves.jpg")
    grams = dumoulin_2017.compute_style_grams(config, [style], encoder, params)
    measure = jax.jit(dumoulin_2017.make_objective(config, encoder))
    (photograph, *_) = data_folder.pictures_in(data, "content/heldout")
    content = network_figures.load_square(photograph, SIZE)
    network = stylizers.load_stylizer(models.many)
    losses = record["styles"]["waves"]["style_loss"]
    for point, weights in ((0, [1, 0, 0]), (1, [0.75, 0.25, 0]), (4, [0, 1, 0])):
        _, terms = measure(network(content, weights), content, grams, params)
        assert losses[point] == pytest.approx(float(terms["style"]), rel=1e-3)
    for name, sign in (("strokes", 1), ("waves", -1)):
        found = record["styles"][name]
        curve = sign * np.array(found["style_loss"])
        least = np.diff(curve).min()
        assert found["largest_step_back"] == pytest.approx(max(0, -least) / np.ptp(curve))
        assert found["monotone"] == (least > 0)
    folder = tmp_path / "interpolation"
    assert {path.name for path in folder.iterdir()} == {"losses.png", "record.json", "strip.jpg"}

    with pytest.raises(SystemExit, match="error: between: wanted two styles of many"):
        start(script, "--figures", "interpolation", "--between", "waves", "waves", *given)


@pytest.mark.slow
def test_mixtures_fill_the_square_between_four_styles(
    start, data, saved_sheets, tmp_path, monkeypatch
):
    colours = dict(zip(script.CORNERS, np.eye(4, 3), strict=True))  # and black

    def paint(content, shares):
        colour = sum(share * colours[name] for name, share in shares.items())
        return np.broadcast_to(colour, content.shape)

    class FlatNetwork:
        name = "flat"
        __call__ = staticmethod(paint)

    monkeypatch.setattr(network_figures, "load_networks", lambda *given: [FlatNetwork()])
    start(script, "--figures", "corners", "--data", data, "--out", tmp_path)
    rows = saved_sheets[0]
    painted = np.array([[picture.mean((0, 1)) for picture, _ in row] for row in rows])
    assert painted.shape == (5, 5, 3)
    for place, name in zip(((0, 0), (0, 4), (4, 0), (4, 4)), colours, strict=True):
        np.testing.assert_allclose(painted[place], colours[name], atol=1e-6)
        assert rows[place[0]][place[1]][1] == name
    np.testing.assert_allclose(painted[2, 2], 0.25)
    np.testing.assert_allclose(painted[0, :, 0], [1, 0.75, 0.5, 0.25, 0])


def test_monotone_is_each_step_in_the_right_direction():
    describe = style_judges.describe_curves
    rising = describe([[0.0, 1.0, 3.0], [0.0, 4.0, 3.0]], rising=True)
    assert rising == {
        "style_loss": [0.0, 2.5, 3.0],
        "mean_is_monotone": True,
        "monotone": 1,
        "largest_step_back": 0.25,  # 4 to 3, of a range of 4
    }
    falling = describe([[0.0, 1.0, 3.0], [9.0, 4.0, 2.0]], rising=False)
    assert (falling["monotone"], falling["mean_is_monotone"]) == (1, False)  # it ends flat
    assert falling["largest_step_back"] == pytest.approx(2 / 3)


@pytest.mark.slow
def test_each_style_has_a_row(start, data, models, tmp_path):
    given = ("--figures", "sheet", "--data", data, "--models", models.many, "--out", tmp_path)
    start(script, *given)
    (sheet,) = (tmp_path / "sheet").glob("*.jpg")
    height, width = files.load_image(sheet).shape[1:3]
    assert (height, width) == (3 * (20 + 84), 64 + 64 + 96)  # Tübingen's is the highest


def test_networks_without_a_style_of_both_are_refused(start, data, models, tmp_path):
    given = ("--data", data, "--out", tmp_path, "--figures", "styles")
    one = stylizers.load_model(models.one)
    stray = tmp_path / "stray.safetensors"
    stylizers.save_model(stray, one.network, one.variables, styles=["fog"], card={})
    with pytest.raises(SystemExit, match="error: models: many has no style"):
        start(script, *given, "--models", models.many, stray)
