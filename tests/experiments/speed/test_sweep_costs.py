"""That the sweep and the single commands that it is compared with paint the same pictures."""

import dataclasses
from pathlib import Path

import pytest

from experiments.speed import sweep_costs
from nst_jax import files
from nst_jax.cli import optimize_options
from nst_jax.cli import sweep as sweep_command


def weights(config):
    """What the runs differ in, as shares of the content weight."""
    fields = dataclasses.asdict(config)
    layers = fields.pop("style_layers")
    ratio = fields.pop("style_weight") / fields.pop("content_weight")
    return fields, tuple((name, pytest.approx(ratio * share)) for name, share in layers)


def test_both_ways_paint_the_same_sixteen_pictures(tmp_path):
    common = ["photo.jpg", "painting.jpg", "--size", "96", "--num-steps", "3"]
    words = sweep_costs.sweep_command(common, tmp_path)
    swept = [run.config for run in sweep_command.parse_options(words[1:])[1].runs]
    singly = [
        optimize_options.parse_options(words[1:]).job.config
        for words in sweep_costs.single_commands(common, tmp_path)
    ]
    assert len(swept) == len(singly) == 16
    for ours, theirs in zip(swept, singly, strict=True):
        assert weights(ours) == weights(theirs)


def test_each_way_begins_with_a_cache_of_its_own(start, monkeypatch, tmp_path, capsys):
    done = []

    def run(words, cache):
        done.append((words[0], cache.parent.name, cache))
        if words[0] == "sweep":
            out = Path(words[words.index("--out") + 1])
            out.mkdir()
            (out / "sheet.jpg").write_bytes(b"sheet")

    monkeypatch.setattr(sweep_costs, "run", run)
    start(sweep_costs, "--out", tmp_path / "out")
    assert [words[0] for words in done] == ["sweep", *["optimize"] * 16] * 2
    assert len({cache for _, _, cache in done}) == 2
    record = files.read_record(tmp_path / "out" / "record.json")
    assert set(record["seconds"]) == {"empty", "filled"}
    assert (tmp_path / "out" / "sheet.jpg").read_bytes() == b"sheet"
    assert "16 pictures" in capsys.readouterr().out


@pytest.mark.slow
def test_a_command_that_fails_is_told_in_one_line(tmp_path):
    with pytest.raises(ValueError, match=r"^nst-jax optimize: .*nowhere\.jpg"):
        sweep_costs.run(
            ["optimize", "nowhere.jpg", "p.jpg", "--out", str(tmp_path / "o.png")], tmp_path
        )
