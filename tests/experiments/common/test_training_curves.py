"""Trainings that figures compare are done once, and told."""

import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax.numpy as jnp
import pytest

from experiments.common import training_curves
from nst_jax import files, train


class FakeTraining:
    """Writes a log of two held-out losses, the last of which is `loss`."""

    def __init__(self, loss, **settings):
        self.loss, self.settings, self.folders = loss, {"loss": loss, **settings}, []

    def fit(self, workdir):
        self.folders.append(workdir)
        Path(workdir).mkdir(parents=True, exist_ok=True)
        lines = [
            {"step": 1, "held_out": {"total": 9.0, "content": 4.0, "style": 5.0}},
            {"step": 2, "total": 1.0, "seconds": 3.5},
            {"step": 2, "held_out": {"total": 3.0, "content": self.loss, "style": 2.0}},
        ]
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        (Path(workdir) / "metrics.jsonl").write_text(text)
        return train.Trained(None, {}, 2, {"total": 3.0})

    def paint(self, trained):
        return jnp.full((1, 8, 8, 3), 0.25)


def run_all(tmp_path, defaults: Any = MappingProxyType({}), **fakes):
    make = training_curves.Training
    trainings = {
        name: [make(f.settings, f.fit, f.paint, defaults) for f in seeds]
        for name, seeds in fakes.items()
    }
    (tmp_path / "out").mkdir(exist_ok=True)
    return training_curves.run_all(trainings, tmp_path / "out", tmp_path / "work")


def test_a_training_is_done_once_while_its_picture_is_there(tmp_path):
    first, second, other = FakeTraining(1.0), FakeTraining(2.0), FakeTraining(5.0)
    records = run_all(tmp_path, one=[first, second], two=[other])
    assert [r["curve"][-1]["content"] for r in records["one"]] == [1.0, 2.0]
    assert records["two"][0]["seconds"] == 3.5
    assert len({*first.folders, *second.folders, *other.folders}) == 3

    assert run_all(tmp_path, one=[first, second], two=[other]) == records
    assert len(first.folders) == len(other.folders) == 1

    (tmp_path / "out" / "one_1.jpg").unlink()
    changed = FakeTraining(5.0, rate=2)
    run_all(tmp_path, one=[first, second], two=[changed])
    assert [len(fake.folders) for fake in (first, second, changed)] == [1, 2, 1]
    assert changed.folders != other.folders


def test_a_record_may_be_older_than_a_field_of_the_configuration(tmp_path):
    old = FakeTraining(1.0, config={"rate": 2})
    run_all(tmp_path, one=[old])
    same = FakeTraining(1.0, config={"rate": 2, "layers": []})
    run_all(tmp_path, {"config": {"rate": 1, "layers": ()}}, one=[same])
    other = FakeTraining(1.0, config={"rate": 2, "layers": ["relu1_1"]})
    run_all(tmp_path, {"config": {"rate": 1, "layers": ()}}, one=[other])
    assert [len(fake.folders) for fake in (old, same, other)] == [1, 0, 1]


def test_seeds_are_averaged(tmp_path, capsys):
    records = run_all(tmp_path, one=[FakeTraining(1.0), FakeTraining(3.0)])
    training_curves.finish(tmp_path / "out", {"": records}, records)
    found = files.read_record(tmp_path / "out" / "record.json")["summary"]["one"]
    assert found["content"] == {"mean": 2.0, "deviation": pytest.approx(2**0.5)}
    assert found["style"] == {"mean": 2.0, "deviation": 0.0}
    assert "2 ± 1.4" in capsys.readouterr().out


def test_one_that_was_stopped_is_not_recorded(tmp_path):
    stopped = FakeTraining(1.0)
    fit = stopped.fit
    stopped.fit = lambda workdir: fit(workdir)._replace(held_out={})
    with pytest.raises(KeyboardInterrupt):
        run_all(tmp_path, done=[FakeTraining(2.0)], stopped=[stopped])
    record = files.read_record(tmp_path / "out" / "record.json")
    assert list(record["trainings"]) == ["done"]
