"""A training's folder: whose it is, how far an earlier run came, and whether it can be written."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nst_jax import files
from nst_jax.files.disk import FilePath, quoted
from nst_jax.jobs.training_papers import TRAINING_PAPERS
from nst_jax.jobs.training_plan import MODEL, Plan
from nst_jax.train import TrainingPaper
from nst_jax.train.checkpoints import saved_description, saved_steps
from nst_jax.train.fitting import make_workdir

RECORD = "record.json"
"""What a run's record is called in its folder."""


def check_owner(workdir: FilePath, plan: Plan) -> None:
    """Refuse a folder that another kind of training has left something in.

    Whether a training of the same paper is the same in all else is known once its checkpoint is
    read.

    Args:
        workdir: The run's folder, which may be missing.
        plan: What is to be trained.

    Raises:
        ValueError: The folder holds checkpoints of another paper, or of a stage that this training
            has not; or a network whose checkpoints are gone, which would be replaced.
    """
    ours = {stage.folder for stage in plan.stages}
    found = [folder for folder in sorted(_stage_folders()) if _steps_in(workdir, folder)]
    for folder in found:
        owner = _owner(saved_description(_checkpoints(workdir, folder)) or {})
        if owner is not None and owner.name != plan.paper.name:
            raise ValueError(
                f"workdir: {quoted(workdir)} holds a training of {owner.name}, this one is of "
                f"{plan.paper.name}; choose another workdir, or go on with nst-jax train "
                f"{owner.name}"
            )
        if folder not in ours:
            raise ValueError(
                f"workdir: {quoted(workdir)} holds a training that begins with {folder!r}, this "
                "one does not; give the same settings or another workdir"
            )
    model = Path(workdir, MODEL)
    if not found and model.exists():
        raise ValueError(
            f"workdir: {quoted(model)} exists without checkpoints to go on from, and would be "
            "replaced; choose another workdir, or move the file"
        )


def steps_done(workdir: FilePath, plan: Plan) -> int:
    """Return how many steps are saved in a run's folder, those of all stages."""
    done = 0
    for stage in reversed(plan.stages):
        saved = _steps_in(workdir, stage.folder)
        # What follows begins when a stage is complete, whose checkpoints may be gone by then.
        done = stage.num_steps + done if done else saved
    return done


def make(workdir: FilePath) -> None:
    """Make the folder, and raise now what writing there would raise in hours.

    Raises:
        ValueError: The path is not UTF-8, or another process trains there.
        OSError: The folder cannot be made or written to.
    """
    with files.locked(make_workdir(workdir), name="workdir"):
        pass  # the run itself holds it; another's is told before anything is computed
    for name in (MODEL, RECORD):
        files.check_output(Path(workdir, name), overwrite=True, extensions=(Path(name).suffix,))


def _stage_folders() -> set[str]:
    """Where stages of any paper's trainings have their checkpoints."""
    return {
        stage.folder
        for paper in TRAINING_PAPERS.values()
        for config in paper.presets.values()
        for stage in paper.stages(config)
    }


def _checkpoints(workdir: FilePath, folder: str) -> Path:
    return Path(workdir, folder, "checkpoints")


def _steps_in(workdir: FilePath, folder: str) -> int:
    return max(saved_steps(_checkpoints(workdir, folder)), default=0)


def _owner(description: Mapping[str, Any]) -> TrainingPaper | None:
    """The paper whose configurations have a run's fields; None of an older version's."""
    fields = set(description.get("config", ()))
    for paper in TRAINING_PAPERS.values():
        config = next(iter(paper.presets.values()))
        if fields == {field.name for field in dataclasses.fields(config)}:
            return paper
    return None
