"""What the tabs do, as plain functions: pictures, and the commands that make the same."""

import shlex
import shutil
import threading

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest
from small_models import save_models, save_picture, save_small

from nst_jax.app import work
from nst_jax.app.limits import Limits
from nst_jax.app.style_menu import MINE, list_items, pick_styles
from nst_jax.app.visits import Visits
from nst_jax.app.work import BRUSHES, NOTHING, Course, Look, Place
from nst_jax.cli import main
from nst_jax.networks.ghiasi import GhiasiNetwork
from nst_jax.stylizers import DEFAULT_MODEL, loading

LIMITS = Limits(steps=20, optimise_size=128)

# What the page says of wrong words, not what the checks of types say before.
pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A visitor with photo.jpg and painting.jpg; the models that ship are small ones."""
    for name in ("models", "uploads", "visits"):
        (tmp_path / name).mkdir()
    save_models(tmp_path / "models")
    embedding = jax.ShapeDtypeStruct((1, 100), jnp.float32)
    default = tmp_path / "models" / f"{DEFAULT_MODEL}.safetensors"
    save_small(default, GhiasiNetwork(width=2), (), embedding)
    monkeypatch.setattr(loading, "_models_folder", lambda: tmp_path / "models")
    monkeypatch.setattr(work, "_STYLE_SIZE", 64)
    work.stylizer_of.cache_clear()
    monkeypatch.chdir(tmp_path)
    save_picture(tmp_path / "uploads" / "photo.jpg", height=80, width=64)
    save_picture(tmp_path / "uploads" / "painting.jpg", seed=1, height=64, width=64)
    for each in (tmp_path / "uploads").iterdir():
        shutil.copy(each, tmp_path)
    yield Place(
        Visits(tmp_path / "visits", most=2, idle_seconds=60.0).visit("me"),
        tmp_path / "uploads",
        LIMITS,
    )
    work.stylizer_of.cache_clear()


def do(job, *, cancel=None, told=None):
    return job(cancel or threading.Event(), (told if told is not None else []).append)


def photo(place):
    return str(place.uploads / "photo.jpg")


def painting(place):
    return str(place.uploads / "painting.jpg")


def pixels(path):
    with PIL.Image.open(path) as picture:
        return np.asarray(picture).astype(int)


def assert_commands_make_the_same(outcome, *words):
    """The command line and the Python of a recipe paint what the page has painted."""
    program, *command = shlex.split(outcome.recipe.command)
    assert program == "nst-jax"
    assert main([*command, *words]) == 0
    made = pixels("out.png")
    assert np.abs(made - pixels(outcome.path)).max() <= 1
    return made


@pytest.mark.slow
def test_a_painting_of_ones_own_is_painted_after(place):
    look = Look(MINE, painting(place), alpha=0.6, color="keep", size=64)
    outcome = do(work.paint_work(photo(place), look, place))
    assert outcome is not None
    assert outcome.path.parent == place.visit.folder
    assert outcome.text == "painted: 51 by 64 pixels"
    made = assert_commands_make_the_same(outcome, "--style-size", "64", "--quiet")
    code = outcome.recipe.python.replace("size=64", "size=64, style_size=64")
    exec(code.replace("out.png", "python.png"), {})
    np.testing.assert_array_equal(pixels("python.png"), made)


def test_named_styles_are_painted_and_mixed(place):
    outcome = do(work.paint_work(photo(place), Look("waves (one)", size=64), place))
    assert "--model one --size 64" in outcome.recipe.command
    assert_commands_make_the_same(outcome)
    look = Look("waves (many)", size=64, second="dots (many)", share=0.25)
    mixed = do(work.paint_work(photo(place), look, place))
    assert "--style waves dots --style-blend 0.75 0.25" in mixed.recipe.command
    assert_commands_make_the_same(mixed, "--overwrite")
    code = mixed.recipe.python.replace("out.png", "python.png")
    exec(code, {})
    assert np.abs(pixels("python.png") - pixels(mixed.path)).max() <= 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"label": "huang2017"}, "style: wanted one of the list"),
        ({"label": "../models/one.safetensors"}, "style: wanted one of the list"),
        ({"label": None}, "style: wanted one of the list"),
        ({"label": ["waves (one)"]}, "style: wanted one of the list"),
        ({"label": MINE}, "painting: wanted a file, got none"),
        ({"label": "waves (one)", "alpha": 0.5}, "alpha: wanted with a model"),
        ({"alpha": 2}, "alpha: wanted a number from 0 to 1"),
        ({"alpha": float("nan")}, "alpha: wanted a number"),
        ({"alpha": "1"}, "alpha: wanted a number"),
        ({"size": 5000}, "size: wanted a number from 64 to 1024"),
        ({"size": True}, "size: wanted a number"),
        ({"size": -(10**400)}, "size: wanted a number"),
        ({"color": "red"}, "colours: wanted one of style, keep"),
        ({"color": {}}, "colours: wanted one of"),
        ({"second": "van gogh harvest"}, "got a mixture"),
        ({"second": "waves (many)", "share": 7}, "share: wanted a number from 0 to 1"),
    ],
)
def test_what_is_not_on_the_page_is_refused(place, changes, told):
    look = Look(**{"label": "waves (one)", "size": 64, **changes})
    with pytest.raises(ValueError, match=told):
        do(work.paint_work(photo(place), look, place))
    assert not list(place.visit.folder.iterdir())


@pytest.mark.slow
def test_an_optimisation_stops_and_goes_on_to_the_same_picture(place):
    look = Look("van gogh harvest", size=64)

    class AfterThree(threading.Event):
        def __init__(self, told):
            super().__init__()
            self.told = told

        def is_set(self):
            return len(self.told) >= 4

    def begin(*, goes_on=False, steps=6):
        return work.optimise_work(photo(place), look, steps, 50.0, place, goes_on=goes_on)

    with pytest.raises(ValueError, match="go on: wanted a picture that was stopped"):
        do(begin(goes_on=True))
    straight = do(begin())
    told = []
    stopped = do(begin(), cancel=AfterThree(told), told=told)
    assert stopped.text.startswith("stopped after step ")
    assert 1 <= told[-1].step < 6
    assert stopped.path != straight.path
    told = []
    done = do(begin(goes_on=True), told=told)
    assert done.text.endswith("after 6 steps")
    assert told[-1].step == 6
    assert all(isinstance(each, Course) for each in told)
    assert any(each.preview[:2] == b"\xff\xd8" for each in told if each.preview)
    np.testing.assert_array_equal(pixels(done.path), pixels(straight.path))
    assert "--num-steps 6 --style-weight 50" in done.recipe.command
    with pytest.raises(ValueError, match="steps: wanted a number from 1 to 20"):
        do(begin(steps=21))
    named = Look("waves (one)", size=64)
    with pytest.raises(ValueError, match="style: wanted a painting"):
        do(work.optimise_work(photo(place), named, 2, 50.0, place, goes_on=False))


def draw(place, name, **strokes):
    """Upload a layer whose rows are drawn with brushes: red=(first, last)."""
    layer = np.zeros((80, 64, 4), np.uint8)
    for brush, (first, last) in strokes.items():
        layer[first:last] = (*BRUSHES[brush], 255)
    path = place.uploads / name
    PIL.Image.fromarray(layer).save(path)
    return str(path)


def test_each_brush_gets_its_style(place):
    layers = [draw(place, "a.png", red=(0, 40)), draw(place, "b.png", blue=(30, 80))]
    labels = ["waves (many)", NOTHING, "dots (many)"]
    made = do(work.regions_work(photo(place), layers, labels, [None] * 3, NOTHING, 64, place))
    assert [name for name, _ in made.others] == ["mask1.png", "mask2.png"]
    first, second = (pixels(path)[..., 0] for _, path in made.others)
    assert (first[:40] == 255).all()
    assert (second[40:] == 255).all()
    assert not np.logical_and(first, second).any(), "where layers overlap the first brush counts"
    for name, path in made.others:
        shutil.copy(path, name)
    assert_commands_make_the_same(made)


@pytest.mark.parametrize(
    ("layers", "labels", "told"),
    [
        ([], ["waves (many)", NOTHING, NOTHING], "wanted 1 to 3 layers"),
        ([{}], ["waves (many)", NOTHING, NOTHING], "wanted something drawn"),
        ([{"green": (0, 9)}], ["waves (many)", NOTHING, NOTHING], "green: wanted a style"),
        ([{}] * 4, ["waves (many)", NOTHING, NOTHING], "wanted 1 to 3 layers"),
        ([{"red": (0, 9)}], ["waves (one)", NOTHING, NOTHING], "mask: wanted with a model of"),
    ],
)
def test_regions_that_cannot_be_painted_are_refused(place, layers, labels, told):
    given = [draw(place, f"{number}.png", **strokes) for number, strokes in enumerate(layers)]
    job = work.regions_work(photo(place), given, labels, [None] * 3, NOTHING, 64, place)
    with pytest.raises(ValueError, match=told):
        do(job)


@pytest.mark.slow
def test_the_sheet_has_all_named_styles_and_each_can_be_used(place):
    told = []
    made = do(work.sheet_work(photo(place), place), told=told)
    names = [name for name, _ in made.others]
    assert names == ["waves (many)", "la muse (many)", "dots (many)", "waves (one)"]
    assert told[-1] == "4 of 4 styles"
    assert set(names) <= set(list_items())
    for name in names:
        assert pick_styles([name], [None], size=64).model in ("one", "many")
    assert all(path.exists() for _, path in made.others)


def test_a_job_that_is_stopped_before_it_paints_has_no_result(place):
    cancel = threading.Event()
    cancel.set()
    look = Look("waves (one)", size=64)
    assert do(work.paint_work(photo(place), look, place), cancel=cancel) is None
    assert do(work.sheet_work(photo(place), place), cancel=cancel) is None
