"""Whose a workdir is: every pair of papers, stages that another training has not, lone networks."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from train_command import assert_refused, make_pictures, run

from nst_jax.jobs.training_papers import TRAINING_PAPERS
from nst_jax.runs.record import describe_config
from nst_jax.train.checkpoints import save_checkpoint
from nst_jax.train.trainer import State

PICTURES = {
    "one": ("--content-dir", "photos", "--style", "wave.png"),
    "several": ("--content-dir", "photos", "--style", "wave.png"),
    "any": ("--content-dir", "photos", "--style-dir", "held"),
    "collection": ("--content-dir", "photos", "--style-dir", "held"),
    "frames": ("--frames", "photos", "--painted", "photos"),
}
WORDS = {
    name: [name, "--preset", "smoke", "--workdir", "w", *PICTURES[paper.styles]]
    for name, paper in TRAINING_PAPERS.items()
}


@pytest.fixture(autouse=True)
def pictures(tmp_path, monkeypatch):
    """Pictures in the current folder; a training that begins is an error."""
    monkeypatch.chdir(tmp_path)
    make_pictures()

    def begin(*args, **options):
        raise AssertionError("began to train")

    monkeypatch.setattr("nst_jax.jobs.training._fit", begin)


def leave_checkpoint(paper, folder=""):
    """What a training that was stopped after two steps leaves."""
    number = jnp.zeros((), jnp.int32)
    state = State(number + 2, {"w": jnp.zeros(1)}, {}, (), None, jax.random.key(0))
    config = describe_config(TRAINING_PAPERS[paper].presets["smoke"])
    save_checkpoint(
        f"w/{folder}/checkpoints",
        state,
        description={"config": config, "data": {}},
        extra={},
        keep=1,
    )


def files_below(folder):
    return sorted(path for path in Path(folder).rglob("*") if path.is_file())


@pytest.mark.parametrize("now", TRAINING_PAPERS)
@pytest.mark.parametrize("before", TRAINING_PAPERS)
def test_another_papers_workdir_is_refused_with_its_name(before, now):
    stages = TRAINING_PAPERS[before].stages(TRAINING_PAPERS[before].presets["smoke"])
    leave_checkpoint(before, stages[0].folder)
    there = files_below("w")
    if before == now:
        assert "began to train" in run(*WORDS[now]).err
    else:
        refused = f"workdir: 'w' holds a training of {before}, this one is of {now}; choose another"
        assert_refused(run(*WORDS[now]), refused)
    assert files_below("w") == there


def test_a_stage_that_a_training_has_not_is_refused():
    leave_checkpoint("huang2017", "warm_start")
    told = run(*WORDS["huang2017"], "--warm-start-steps", "0")
    assert_refused(told, "workdir: 'w' holds a training that begins with 'warm_start', this one")


def test_a_network_whose_checkpoints_are_gone_is_not_replaced():
    Path("w").mkdir()
    Path("w/model.safetensors").write_bytes(b"hours of work")
    told = run(*WORDS["johnson2016"])
    assert_refused(told, "workdir: 'w/model.safetensors' exists without checkpoints to go on from")
    assert Path("w/model.safetensors").read_bytes() == b"hours of work"


def test_papers_are_known_by_the_fields_of_their_configurations():
    fields = [
        frozenset(field.name for field in dataclasses.fields(config))
        for paper in TRAINING_PAPERS.values()
        for config in paper.presets.values()
    ]
    assert len(set(fields)) == len(TRAINING_PAPERS)
