"""Sweeps: the grid, what is run and what is not, and what a report says of it."""

import csv
import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import jax
import numpy as np
import PIL.Image
import pytest

import nst_jax
from nst_jax import files, sweeps
from nst_jax.files.disk import claim_temporary
from nst_jax.losses import STYLE_LOSSES, StyleLoss
from nst_jax.papers import gatys_2016
from nst_jax.papers.gatys_2016 import PRESETS, STYLE_LAYERS, Config
from nst_jax.sweeps import storage
from nst_jax.sweeps.batching import make_batches, runs_at_once
from nst_jax.sweeps.curves import write_curves
from nst_jax.sweeps.running import Outcome
from nst_jax.sweeps.storage import claimed

# One program for all runs of these tests, and a small one.
TINY = dataclasses.replace(
    PRESETS["smoke"],
    size=32,
    num_steps=3,
    style_layers=(("relu1_1", 1.0),),
    content_layers=(("relu1_1", 1.0),),
    init="noise",
    noise_std=0.1,
)
HOSTILE = "a <script>alert('1')<img src=x onerror=y> & \"b\" $x_y$ %41 #?.png"
DIVERGING = {"noise_std": [0.1, 1e30]}  # the second overflows at once


@pytest.fixture
def pictures(tmp_path, monkeypatch, photograph, painting) -> Path:
    monkeypatch.chdir(tmp_path)
    nst_jax.save_image("c.png", photograph)
    nst_jax.save_image("s.png", painting)
    return tmp_path


def carry_out(vary, *, seeds=(), base=TINY, folder="out", **more) -> sweeps.Sweep:
    grid = sweeps.make_grid(base, vary, seeds=seeds)
    return sweeps.run_grid("c.png", ["s.png"], grid, folder, **more)


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*.*"))
        if path.is_file()
    }


# What is varied -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("style_weight", "5e1", 50.0),
        ("num_steps", "7", 7),
        ("size", "none", None),
        ("size", "256", 256),
        ("weights", "none", None),
        ("weights", "vgg16-normalized", "vgg16-normalized"),
        ("pooling", "average", "average"),
        ("optimizer", "adam", "adam"),
        ("style_loss", "mrf", "mrf"),
        ("remat", "true", True),
        ("init", "my picture.png", "my picture.png"),
        ("style_blend", "2,1", (2.0, 1.0)),
        ("style_blend", "none", None),
        ("scales", "0.5:0.65,1:0.35", ((0.5, 0.65), (1.0, 0.35))),
        ("style_layers", "relu1_1,conv3_1", (("relu1_1", 0.5), ("conv3_1", 0.5))),
        ("style_layers", "relu1_1:0.2,relu4_1:1", (("relu1_1", 0.2), ("relu4_1", 1.0))),
        ("content_layers", "none", ()),
        ("ratio", "1e-3", 1e-3),
    ],
)
def test_text_becomes_a_fields_value(name, text, value):
    axis = sweeps.make_axis(name, [text], base=Config())
    assert axis.values == (value,)
    assert type(axis.values[0]) is type(value)
    assert sweeps.make_axis(name, [value], base=Config()) == axis  # typed, as from Python


def test_every_field_but_the_seed_can_be_varied():
    base = PRESETS["default"]
    names = [field.name for field in dataclasses.fields(Config) if field.name != "seed"]
    for name in names:
        value = getattr(base, name)
        assert sweeps.make_axis(name, [value], base=base).values == (value,)


def test_numbers_and_names_of_layers_are_enough_in_python():
    axis = sweeps.make_axis("style_weight", [5, 50], base=Config())
    assert axis.values == (5.0, 50.0)
    assert axis.labels == ("5", "50")
    axis = sweeps.make_axis("style_layers", [["relu1_1", "relu2_1"]], base=Config())
    assert axis.values == ((("relu1_1", 0.5), ("relu2_1", 0.5)),)


def test_one_word_gives_many_sets_of_layers():
    def sets_of(word: str) -> list[tuple[str, ...]]:
        axis = sweeps.make_axis("style_layers", [word], base=Config())
        for value in axis.values:
            assert sum(weight for _, weight in value) == pytest.approx(1)
            assert len({weight for _, weight in value}) == 1
        assert len(set(axis.labels)) == len(axis.values)
        return [tuple(layer for layer, _ in value) for value in axis.values]

    assert sets_of("single") == [(layer,) for layer in STYLE_LAYERS]
    assert sets_of("cumulative") == [STYLE_LAYERS[:n] for n in (1, 2, 3, 4, 5)]
    left_out = [set(STYLE_LAYERS) - set(some) for some in sets_of("leave_one_out")]
    assert left_out == [{layer} for layer in STYLE_LAYERS]
    by_mask = {
        tuple(layer for bit, layer in enumerate(STYLE_LAYERS) if mask >> bit & 1)
        for mask in range(1, 32)
    }
    assert set(sets_of("subsets")) == by_mask
    assert len(sets_of("subsets")) == 31


def test_values_are_called_what_one_types():
    for name, texts in (
        ("style_layers", ["relu1_1,relu2_1", "conv1_1", "relu1_1:0.2,relu4_1:1", "none"]),
        ("scales", ["0.5:0.65,1:0.35", "1:1"]),
        ("style_blend", ["2,1", "none"]),
    ):
        axis = sweeps.make_axis(name, texts, base=Config())
        assert axis.labels == tuple(texts)
        assert sweeps.make_axis(name, axis.labels, base=Config()).values == axis.values


def test_a_style_loss_of_ones_own_is_varied_like_a_name():
    gram = STYLE_LOSSES["gram"]
    own = StyleLoss("own", gram.measure, gram.distance, weight=7.0, layers=(("relu1_1", 1.0),))
    grid = sweeps.make_grid(TINY, {"style_loss": ["gram", own]})
    assert [run.labels for run in grid.runs] == [
        (("style_loss", "gram"),),
        (("style_loss", "own"),),
    ]
    assert grid.runs[1].config.style_weight == 7
    assert storage.as_json(grid.runs[1].config)["style_loss"] == "own"
    with pytest.raises(
        ValueError, match=r"vary style_loss: wanted gram or moments or .*, got 'ow'"
    ):
        sweeps.make_grid(TINY, {"style_loss": ["ow"]})


def curves_of(records):
    """The paths of the lines that write_curves draws of runs, and what it returned."""
    run, inputs = sweeps.make_grid(TINY, {"style_weight": [1]}).runs[0], {}
    group = [Outcome(run, Path("x"), inputs, "done", record) for record in records]
    assert write_curves(Path("curves.svg"), {"line": group})
    return Path("curves.svg").read_text()


def test_curves_begin_where_losses_are_and_mark_a_change_of_size(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    losses = [{"total": 9.0, "content": 1e-12, "style": 9.0}]
    losses += [{"total": 8.0 / k, "content": 0.1 * k, "style": 7.0 / k} for k in range(1, 7)]
    entries = [{"step": step, **loss} for step, loss in enumerate(losses)]
    record = {"steps": entries[1:], "info": {"initial": entries[0]}}
    plain = curves_of([record])
    record["info"]["last_steps"] = [4, 6]
    marked = curves_of([record])
    dotted = "stroke-dasharray"
    assert marked.count(dotted) - plain.count(dotted) == 3  # one line a panel
    # Of 1e-12 the axis would have labels from 10^-12 on.
    assert marked.count("\N{MINUS SIGN}") <= 2
    # The last point is the step's own, before its picture was clipped.
    record["info"]["before_clipping"] = {**entries[-1], "total": 5.0}
    assert curves_of([record]) != marked


@pytest.mark.parametrize(
    ("vary", "told"),
    [
        ({"style_wieght": ["5"]}, "vary: style_wieght is no setting; did you mean style_weight?"),
        ({"zzz": ["5"]}, "vary: zzz is no setting; wanted color, color_when, content_layers"),
        ({"style_weight": ["five"]}, "vary style_weight: wanted a number, got 'five'"),
        ({"num_steps": ["1.5"]}, "vary num_steps: wanted a whole number, got '1.5'"),
        ({"num_steps": [1.5]}, "vary num_steps: wanted a whole number, got 1.5"),
        ({"style_weight": [[5, 6]]}, r"vary style_weight: wanted a number, got \[5, 6\]"),
        ({"size": ["big"]}, "vary size: wanted a whole number or none, got 'big'"),
        ({"pooling": ["median"]}, "vary pooling: wanted max or average, got 'median'"),
        ({"remat": ["yes"]}, "vary remat: wanted true or false, got 'yes'"),
        ({"style_layers": ["relu1_1,"]}, "vary style_layers: wanted layers like relu1_1,relu2_1"),
        ({"style_layers": ["relu1_1:x"]}, "vary style_layers: wanted layers like"),
        ({"style_layers": ["relu1_1,relu1_1"]}, "layers: wanted each once, got relu1_1,relu1_1"),
        ({"style_layers": ["relu9_1"]}, "layers: no layer called 'relu9_1' in vgg16; choose from"),
        ({"scales": ["0.5"]}, "vary scales: wanted scales and shares like 0.5:0.65,1:0.35"),
        ({"scales": ["0.5:1"]}, "scales: wanted rising factors that end in 1"),
        ({"style_blend": ["1,x"]}, "vary style_blend: wanted shares like 2,1 or none, got 'x'"),
        ({"style_weight": ["-1"]}, "style_weight: wanted a finite number, 0 or more, got -1"),
        ({"style_weight": ["5", "5.0"]}, "vary style_weight: wanted each value once, got 5 twice"),
        ({"style_weight": []}, "vary style_weight: wanted at least one value, got none"),
        ({"ratio": ["0"]}, "vary ratio: wanted a finite number above 0, got 0"),
        ({"ratio": ["1"], "style_weight": ["1"]}, "vary ratio: it sets style_weight, which is"),
        ({"seed": ["1"]}, r"vary seed: seeds are given apart, as seeds \(--seeds 0 1 2\)"),
        ({}, "vary: wanted at least one setting to vary, or seeds, got none"),
    ],
)
def test_what_cannot_be_varied_is_told_on_one_line(vary, told):
    with pytest.raises(ValueError, match="^" + told) as caught:
        sweeps.make_grid(PRESETS["default"], vary)
    assert "\n" not in str(caught.value)


def test_a_grid_has_every_combination_in_its_place():
    vary = {"pooling": ["max", "average"], "style_weight": [1, 2, 3]}
    grid = sweeps.make_grid(TINY, vary, seeds=[4, 5])
    found = [
        (run.row, run.column, run.config.pooling, run.config.style_weight, run.config.seed)
        for run in grid.runs
    ]
    assert found == [
        (row, column, pooling, weight, seed)
        for row, pooling in enumerate(["max", "average"])
        for column, weight in enumerate([1.0, 2.0, 3.0])
        for seed in (4, 5)
    ]
    assert grid.runs[3].setting == "pooling max, style_weight 2"
    changed = {"pooling": "max", "style_weight": 2.0, "seed": 5}
    assert grid.runs[3].config == dataclasses.replace(TINY, **changed)


def test_a_ratio_is_content_weight_over_style_weight():
    vary = {"content_weight": [1, 8], "ratio": [0.5, 4]}
    configs = [run.config for run in sweeps.make_grid(TINY, vary).runs]
    assert [(c.content_weight, c.style_weight) for c in configs] == [
        *((1.0, 2.0), (1.0, 0.25)),
        *((8.0, 16.0), (8.0, 2.0)),
    ]


def test_style_losses_are_compared_each_with_what_suits_it():
    vary = {"style_loss": ["gram", "mrf"], "num_steps": [1]}
    gram, patches = (run.config for run in sweeps.make_grid(TINY, vary).runs)
    assert (gram.style_layers, gram.style_weight) == (TINY.style_layers, TINY.style_weight)
    assert [layer for layer, _ in patches.style_layers] == ["relu3_1", "relu4_1"]
    (weighed,) = sweeps.make_grid(TINY, {"style_loss": ["mrf"], "style_weight": [7.0]}).runs
    assert weighed.config.style_weight == 7


def test_seeds_are_for_runs_that_begin_with_noise():
    grid = sweeps.make_grid(TINY, {"init": ["content", "noise"]}, seeds=[3, 4])
    assert [(r.config.init, r.config.seed) for r in grid.runs] == [
        *(("content", 3), ("noise", 3), ("noise", 4))
    ]
    still = dataclasses.replace(TINY, init="content")
    with pytest.raises(ValueError, match="seeds: no run begins with noise, so that every seed"):
        sweeps.make_grid(still, {"style_weight": [1, 2]}, seeds=[0, 1])
    with pytest.raises(ValueError, match="seeds: wanted each once, got 1 1"):
        sweeps.make_grid(TINY, {}, seeds=[1, 1])


# What goes together ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "memory", "runs"),
    [
        # 2600 bytes a pixel for the network, and 8 + 2 · 20 pictures of 12 bytes.
        ("gpu", 5.5 * 1000 * 3176 / 0.6, 5),
        *(("gpu", 1e12, 16), ("gpu", 1e3, 1), ("gpu", 0, 1), ("cpu", 1e12, 1)),
    ],
)
def test_a_batch_is_what_fits_into_three_fifths_of_the_memory(platform, memory, runs):
    place = {"pixels": 1000, "platform": platform, "memory": int(memory)}
    assert runs_at_once(TINY, **place) == runs
    assert runs_at_once(dataclasses.replace(TINY, optimizer="adam"), **place) == 1


def test_batches_hold_runs_of_one_kind():
    def vary(**changes) -> Config:
        return dataclasses.replace(TINY, **changes)

    configs = [
        *(vary(seed=1), vary(pooling="average"), vary(style_weight=9.0), vary(init="a.png")),
        *(vary(remat=True), vary(seed=2), vary(init="b.png"), vary(remat=True, seed=1)),
    ]
    found = make_batches(configs, most=lambda config: 8, devices=1)
    assert found == [[0, 2, 5], [1], [3], [4], [6], [7]]
    found = make_batches(configs, most=lambda config: 2, devices=1)
    assert found[:2] == [[0, 2], [5]]
    found = make_batches(configs, most=lambda config: 8, devices=3)
    assert found[:3] == [[0], [2], [5]]
    # What is kept of a painting has its size with some style losses, and so has the program.
    for style_loss, together in (("moments", [[0, 1]]), ("histogram", [[0], [1]])):
        configs = [vary(style_loss=style_loss, style_size=size) for size in (32, 48)]
        assert make_batches(configs, most=lambda config: 8, devices=1) == together


# Running --------------------------------------------------------------------------------------


def test_a_run_is_that_of_stylize_and_is_kept(pictures):
    sweep = carry_out({"style_weight": [2, 5]})
    for outcome, weight in zip(sweep.outcomes, (2.0, 5.0), strict=True):
        config = dataclasses.replace(TINY, style_weight=weight, weights="vgg16-lpips")
        image, record = gatys_2016.stylize(
            nst_jax.load_image("c.png", size=32),
            nst_jax.load_image("s.png", size=32),
            config,
            *nst_jax.load_encoder("vgg16"),
        )
        assert outcome.status == "done"
        stored = json.loads((outcome.folder / "record.json").read_text())
        assert stored["steps"] == record["steps"]
        assert stored["config"] == json.loads(json.dumps(dataclasses.asdict(config)))
        assert stored["info"]["inputs"]["content"] == files.sha256_of("c.png")
        nst_jax.save_image("wanted.png", image)
        wanted, found = (
            np.asarray(PIL.Image.open(path))
            for path in ("wanted.png", outcome.folder / "picture.png")
        )
        np.testing.assert_array_equal(found, wanted)


def test_what_is_done_is_not_done_again(pictures, painting):
    first = carry_out({"style_weight": [2, 5]})
    before = contents(Path("out/runs"))
    assert [outcome.is_new for outcome in first.outcomes] == [True, True]

    again = carry_out({"style_weight": [2, 5]})
    assert [outcome.is_new for outcome in again.outcomes] == [False, False]
    # Another axis, in which the runs there are have another name.
    more = carry_out({"content_weight": [1, 3], "style_weight": [5, 2, 7]})
    assert [outcome.is_new for outcome in more.outcomes] == [False, False, *4 * [True]]
    after = contents(Path("out/runs"))
    assert {path: after[path] for path in before} == before
    assert len(after) == len(before) + 4 * 2

    nst_jax.save_image("s.png", painting[:, ::-1])  # another picture makes other runs
    other = carry_out({"style_weight": [2, 5]})
    assert [outcome.is_new for outcome in other.outcomes] == [True, True]
    assert {path: contents(Path("out/runs"))[path] for path in after} == after


def test_one_that_diverges_or_fails_stops_none(pictures, monkeypatch):
    real = gatys_2016.stylize

    def fail(content, style, config, *rest, **more):
        if config.style_weight == 5.0:
            raise RuntimeError("RESOURCE_EXHAUSTED:\n out of memory")
        return real(content, style, config, *rest, **more)

    monkeypatch.setattr(gatys_2016, "stylize", fail)
    vary = {**DIVERGING, "style_weight": [2, 5, 7]}
    sweep = carry_out(vary)
    assert [outcome.status for outcome in sweep.outcomes] == [
        *("done", "failed", "done"),
        *("diverged", "failed", "diverged"),
    ]
    assert sweep.outcomes[1].message == "RuntimeError: RESOURCE_EXHAUSTED: out of memory"
    assert re.match(r"The loss became (nan|inf) at step \d \(it began", sweep.outcomes[3].message)
    rows = sweeps.describe_runs(sweep)
    assert [row["total"] is None for row in rows] == [False, True, False, True, True, True]
    page = sweeps.write_report(sweep).read_text()
    assert "2 diverged" in page
    assert "RESOURCE_EXHAUSTED: out of memory" in page

    # What diverged would diverge again; what failed may not.
    monkeypatch.setattr(gatys_2016, "stylize", real)
    sweep = carry_out(vary)
    assert [outcome.is_new for outcome in sweep.outcomes] == 2 * [False, True, False]
    assert [outcome.status for outcome in sweep.outcomes] == 3 * ["done"] + 3 * ["diverged"]
    assert sweep.outcomes[3].message.startswith("The loss became ")


def test_batches_and_devices_change_nothing_but_the_time(pictures, monkeypatch):
    one_by_one = carry_out({"style_weight": [2, 5]}, seeds=[0, 1], folder="one")
    monkeypatch.delattr(gatys_2016, "stylize")
    told: list[tuple[int, int]] = []
    together = carry_out(
        {"style_weight": [2, 5]},
        seeds=[0, 1],
        folder="two",
        batch=2,
        devices=2 * jax.devices()[:1],
        on_step=lambda done, of: told.append((done, of)),
    )
    for mine, wanted in zip(together.outcomes, one_by_one.outcomes, strict=True):
        assert (mine.status, mine.folder.name) == ("done", wanted.folder.name)
        assert mine.record is not None
        assert wanted.record is not None
        for entry, other in zip(mine.record["steps"], wanted.record["steps"], strict=True):
            assert entry == pytest.approx(other, rel=1e-3)
    assert told[-1] == (12, 12)
    assert told == sorted(told)


@pytest.mark.parametrize(("error", "status"), [("RESOURCE_EXHAUSTED", "done"), ("x", "failed")])
def test_a_batch_that_does_not_fit_is_run_one_by_one(pictures, monkeypatch, error, status):
    def fail(*args, **more):
        raise RuntimeError(error)

    monkeypatch.setattr(gatys_2016, "stylize_together", fail)
    sweep = carry_out({"style_weight": [2, 5]}, batch=2)
    assert [outcome.status for outcome in sweep.outcomes] == [status, status]


def test_ctrl_c_ends_it_and_the_same_call_goes_on(pictures, press_ctrl_c):
    sweep = carry_out({"style_weight": [2, 5, 7]}, on_run=lambda outcome: press_ctrl_c())
    assert sweep.interrupted
    statuses = [outcome.status for outcome in sweep.outcomes]
    assert statuses[0] == "done"
    assert statuses[-1] == "missing"
    assert "not run yet" in sweeps.write_report(sweep).read_text()

    rest = carry_out({"style_weight": [2, 5, 7]})
    assert not rest.interrupted
    assert [outcome.status for outcome in rest.outcomes] == 3 * ["done"]
    assert [outcome.is_new for outcome in rest.outcomes] == [s == "missing" for s in statuses]


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ("other files", "'out' holds other files; name a new folder, an empty one or that of a sw"),
        ("a file", "cannot make the folder 'out': File exists"),
        ("another run", "record.json' is not the record of this run; delete its folder to run aga"),
        ("blend", r"style_blend: wanted 1 shares, one a painting, not all 0; got \(2.0, 1.0\)"),
        ("batch", "batch: wanted 1 run or more, got 0"),
        ("missing", "cannot read 'c.png'"),
    ],
)
def test_what_stands_in_the_way_is_told_before_anything_runs(pictures, case, told, monkeypatch):
    vary: dict[str, list[Any]] = {"style_weight": [2]}
    more: dict[str, Any] = {}
    if case == "other files":
        Path("out").mkdir()
        Path("out/thesis.txt").write_text("mine")
    elif case == "a file":
        Path("out").write_text("mine")
    elif case == "another run":
        (outcome,) = carry_out(vary).outcomes
        path = outcome.folder / "record.json"
        path.write_text(path.read_text().replace('"num_steps": 3', '"num_steps": 4'))
    elif case == "blend":
        vary = {"style_blend": ["2,1"]}
    elif case == "batch":
        more = {"batch": 0}
    else:
        Path("c.png").unlink()
    monkeypatch.delattr(gatys_2016, "stylize")
    with pytest.raises((ValueError, OSError), match=told) as caught:
        carry_out(vary, **more)
    assert "\n" not in str(caught.value)


def test_two_at_once_do_not_share_a_folder(pictures):
    Path("out").mkdir()
    with (
        files.locked("out", name="folder"),
        pytest.raises(ValueError, match=r"^folder: 'out' is in use by another process"),
    ):
        carry_out({"style_weight": [2]})
    assert list(Path("out").iterdir()) == []


# The report -----------------------------------------------------------------------------------


class Page(HTMLParser):
    """Its links, its text and its tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [str(value) for name, value in attrs if name in ("href", "src")]
        self.words += [str(value) for name, value in attrs if name == "alt"]
        if tag not in ("img", "meta", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data.strip())


@pytest.fixture
def reported(pictures) -> sweeps.Sweep:
    """Hostile names, several seeds, a diverged run."""
    Path("c.png").rename(HOSTILE)
    grid = sweeps.make_grid(
        TINY, {"style_weight": [2, 5], "init": ["noise", HOSTILE], **DIVERGING}, seeds=[0, 1, 2]
    )
    sweep = sweeps.run_grid(HOSTILE, ["s.png"], grid, "out & <b>")
    sweeps.write_report(sweep)
    return sweep


@pytest.mark.slow
def test_a_report_is_right_in_every_part(reported):
    folder = Path("out & <b>")
    page = Page((folder / "report.html").read_text(encoding="utf-8"))

    assert page.open == []
    assert not {"script", "b<", "iframe"} & set(page.tags)
    assert HOSTILE in page.words
    assert len(page.links) > 30
    for link in page.links:
        parts = urlsplit(link)
        assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("", "", "", "")
        path = unquote(parts.path)
        assert not path.startswith("/")
        assert ".." not in path.split("/")
        assert (folder / path).is_file(), link

    curves = (folder / "curves" / "row_1.svg").read_text()
    assert "<script" not in curves
    assert not re.search(r"(href|src)=\"(?!#)", curves)

    # The table, read back: what the records say.
    with (folder / "runs.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(reported.outcomes) == 2 * (3 + 3 + 1 + 1)
    for row, outcome in zip(rows, reported.outcomes, strict=True):
        record = json.loads((outcome.folder / "record.json").read_text())
        diverged = record["config"]["noise_std"] == 1e30 and record["config"]["init"] == "noise"
        assert row["status"] == ("diverged" if diverged else "done")
        assert (folder / row["picture"]).is_file()
        assert row["init"] == record["config"]["init"]
        assert int(row["seed"]) == record["config"]["seed"]
        if diverged:
            assert row["total"] == ""
            continue
        last = record["steps"][-1]
        for name in ("total", "content", "style", "tv"):
            assert float(row[name]) == last[name]
        weight = record["config"]["style_weight"]
        assert float(row["style_unweighted"]) == pytest.approx(last["style"] / weight)

    # Mean and deviation over seeds, against NumPy's.
    with (folder / "settings.csv").open(newline="", encoding="utf-8") as stream:
        settings = list(csv.DictReader(stream))
    assert len(settings) == 8
    axes = ("style_weight", "init", "noise_std")
    for setting in settings:
        totals = [
            float(row["total"])
            for row in rows
            if row["status"] == "done" and all(row[axis] == setting[axis] for axis in axes)
        ]
        assert int(setting["done"]) == len(totals)
        if totals:
            assert float(setting["total_mean"]) == pytest.approx(np.mean(totals))
        if len(totals) > 1:
            deviation = np.std(totals, ddof=1)
            assert deviation > 0
            assert float(setting["total_deviation"]) == pytest.approx(deviation)
        else:
            assert setting["total_deviation"] == ""

    # The sheet: inputs, then each of four rows once for each seed; eight pictures at most beside.
    sheet = PIL.Image.open(folder / "sheet.jpg")
    assert sheet.size[0] == 2 * 12 + 2 * 192 + 8
    assert sheet.size[1] > 5 * 144


def test_a_sheet_shows_each_picture_in_its_place(pictures):
    sweep = carry_out({"style_weight": list(range(2, 12))})  # ten: wrapped at eight
    for outcome in sweep.outcomes:
        shade = round(20 * outcome.run.config.style_weight)
        PIL.Image.new("RGB", (32, 24), (shade, 0, 0)).save(outcome.folder / "picture.png")
    sweeps.write_report(sweep)
    sheet = np.asarray(PIL.Image.open("out/sheet.jpg")).astype(int)
    reds = []
    for y in range(0, sheet.shape[0], 12):
        for column in range(8):
            red, green, blue = sheet[y, 12 + column * 200 + 96]
            if max(green, blue) < 8 and red > 30:
                shade = round(red / 20)
                reds += [shade] if shade not in reds else []
    assert reds == list(range(2, 12))


def test_what_a_killed_sweep_left_goes(tmp_path):
    folder = tmp_path / "sweep"
    with claimed(folder, {}):
        left = [claim_temporary(folder / part / "a") for part in (".", "inputs", "curves")]
    with claimed(folder, {}):
        assert not any(path.exists() for path in left)
