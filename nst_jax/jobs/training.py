"""A whole training: what it is made of, the run itself, the network's card and its file."""

import dataclasses
import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import jax

from nst_jax import files, stylizers, train
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.jobs import training_workdir
from nst_jax.jobs.training_pictures import Pictures, find_pictures, identify
from nst_jax.jobs.training_plan import MODEL, Plan, TrainingJob, make_plan
from nst_jax.jobs.training_workdir import RECORD, steps_done
from nst_jax.runs.compile_time import compile_seconds
from nst_jax.runs.interrupts import Cancel, cancelled_by
from nst_jax.runs.record import describe_config, versions
from nst_jax.runs.report import Report
from nst_jax.train.config import CroppedConfig


class Prepared(NamedTuple):
    """A training that can begin.

    Attributes:
        job: What was asked for.
        plan: What it comes to.
        pictures: Its pictures.
        data: What identifies them.
        first_step: How many steps an earlier run has left in the workdir.
    """

    job: TrainingJob
    plan: Plan
    pictures: Pictures
    data: Mapping[str, Any]
    first_step: int


class Trained(NamedTuple):
    """What a training came to.

    Attributes:
        network: The linen module.
        variables: Its variables.
        step: How many steps are done.
        num_steps: How many there were to be; more than step where the run was stopped.
        held_out: Held-out losses by term, and their total; empty where the run was stopped.
        model: The network's file; None where the run was stopped.
        card: What the file says of the network's origin; empty where the run was stopped.
        is_new: Whether this call has written the file, or found it finished.
        example_style: What a network of several styles, or of any, may be asked to paint like.
    """

    network: Any
    variables: Any
    step: int
    num_steps: int
    held_out: Mapping[str, float]
    model: Path | None = None
    card: Mapping[str, Any] = {}
    is_new: bool = False
    example_style: str | None = None

    @property
    def is_finished(self) -> bool:
        """Whether all steps are done."""
        return self.step >= self.num_steps


def run(
    job: TrainingJob,
    *,
    on_start: Callable[[Prepared], None] | None = None,
    on_progress: Callable[[Report], None] | None = None,
    on_plan: Callable[[int], None] | None = None,
    cancel: Cancel | None = None,
) -> Trained:
    """Train a network, write its file with its card, and return it; go on with what workdir holds.

    Nothing is printed. Ctrl-C, SIGTERM and the cancel flag end the run after the step in progress
    with a checkpoint; the same job then goes on from there to the same network, bit for bit.

    Args:
        job: What to train, on what, and where.
        on_start: Called once with all that is known before the first step.
        on_progress: Called with every step's losses, in order, up to two steps late.
        on_plan: Called with the number of the last step once that is planned, where the job has a
            time limit.
        cancel: A flag that any thread may set, such as a threading.Event.

    Returns:
        The network. Where the run was stopped, its step is under num_steps and there is no file.

    Raises:
        ValueError: A field of the job has a wrong value, or workdir holds another training.
        OSError: A file cannot be read or written.
        TrainingDivergedError: As train.fit.
    """
    began = time.perf_counter()
    prepared = prepare(job)
    if on_start is not None:
        on_start(prepared)
    plan, workdir = prepared.plan, Path(job.workdir)
    limit = None
    if job.time_limit is not None:
        limit = train.TimeLimit(job.time_limit, began, on_plan)
    with compile_seconds() as compiling:
        trained = _fit(prepared, on_progress, cancel, limit)
        compiled = compiling()
    seconds = {"compile": compiled, "run": time.perf_counter() - began - compiled}
    found = Trained(*trained[:3], trained.num_steps, trained.held_out)
    if not found.is_finished:
        return found
    card = _make_card(prepared, trained)
    is_new = prepared.first_step < trained.step or not _is_written(workdir, card)
    if is_new:
        _write(prepared, trained, card, seconds)
    return found._replace(
        model=workdir / MODEL, card=card, is_new=is_new, example_style=_example_style(plan)
    )


def _example_style(plan: Plan) -> str | None:
    """A style that was learnt now, or for a network of any style a file."""
    examples = {"several": next(iter(plan.paintings), None), "any": "painting.jpg"}
    return examples.get(plan.paper.styles)


def prepare(job: TrainingJob) -> Prepared:
    """Return what a job comes to, having read what it begins with and made its folder.

    Raises:
        ValueError, OSError: As run.
    """
    plan = make_plan(job)
    training_workdir.check_owner(job.workdir, plan)
    pictures = find_pictures(job, plan)
    plan = _choose_decoding(plan, pictures)
    training_workdir.make(job.workdir)
    return Prepared(
        job, plan, pictures, identify(job, plan, pictures), steps_done(job.workdir, plan)
    )


def _choose_decoding(plan: Plan, pictures: Pictures) -> Plan:
    """The plan, whose configuration says where pictures are decoded: a run goes on likewise."""
    config = plan.config
    if not isinstance(config, CroppedConfig):
        return plan
    count = len(pictures.content) + len(pictures.paintings)
    side = config.size if config.shorter_side is None else config.shorter_side[1]
    decode = train.choose_decoding(config.decode, count, side)
    return plan._replace(config=dataclasses.replace(config, decode=decode))


def _fit(
    prepared: Prepared,
    on_progress: Callable[[Report], None] | None,
    cancel: Cancel | None,
    limit: train.TimeLimit | None,
) -> train.Trained:
    job, plan, pictures = prepared.job, prepared.plan, prepared.pictures
    encoder, encoder_params = load_encoder(plan.config.encoder, weights=plan.config.weights)
    stream = plan.paper.open_stream(plan.config, pictures.content, pictures.paintings)
    with closing(stream), cancelled_by(cancel):
        return plan.fit(
            stream,
            plan.config,
            encoder,
            encoder_params,
            held_out=pictures.held_out,
            samples=pictures.samples,
            reporting=train.Reporting(
                workdir=job.workdir,
                data=prepared.data,
                on_step=on_progress,
                save_every=job.save_every,
                report_every=job.report_every,
                time_limit=limit,
            ),
        )


def _make_card(prepared: Prepared, trained: train.Trained) -> dict[str, Any]:
    """What should be known of the network wherever its file goes."""
    plan = prepared.plan
    return {
        "paper": plan.paper.name,
        **prepared.job.origin,
        "config": describe_config(plan.config),
        "data": prepared.data,
        "steps": trained.step,
        "seed": plan.config.seed,
        "seconds": _training_seconds(prepared),
        "held_out_losses": {
            name: loss if math.isfinite(loss) else None for name, loss in trained.held_out.items()
        },
        "device": jax.devices()[0].device_kind,
        "versions": versions(),
        **({"base": plan.base["card"]} if plan.base else {}),
    }


def _training_seconds(prepared: Prepared) -> float | None:
    """How long the training took, interruptions left out, if its logs are as they were written."""
    folders = [Path(prepared.job.workdir, stage.folder) for stage in prepared.plan.stages]
    try:
        return sum(map(_logged_seconds, folders))
    except (OSError, ValueError, IndexError):
        return None


def _logged_seconds(folder: Path) -> float:
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [entry["seconds"] for entry in map(json.loads, lines) if "seconds" in entry][-1]


def _is_written(workdir: Path, card: Mapping[str, Any]) -> bool:
    """Whether a finished run's results lie there: its process may have been killed before."""
    try:
        found = stylizers.load_model(workdir / MODEL).card
    except (OSError, ValueError):
        return False
    same = all(found.get(name) == json.loads(json.dumps(card[name])) for name in ("config", "data"))
    return same and (workdir / RECORD).exists()


def _write(
    prepared: Prepared,
    trained: train.Trained,
    card: Mapping[str, Any],
    seconds: Mapping[str, float],
) -> None:
    plan, workdir = prepared.plan, Path(prepared.job.workdir)
    outside = {name: plan.weights[name] for name in ("weights", "arrays_sha256")}
    stylizers.save_model(
        workdir / MODEL,
        trained.network,
        trained.variables,
        styles=plan.styles,
        card=card,
        encoder=outside if plan.is_around_encoder else None,
    )
    stylizers.load_model(workdir / MODEL)  # whoever is told that it is done can use it
    fields = ("command", "config", "versions", "device")
    record = {
        **{name: card[name] for name in fields if name in card},
        "seconds": seconds,  # of this process; info has those of the whole training
        "steps": [],  # they are in metrics.jsonl
        "info": {
            **{name: entry for name, entry in card.items() if name not in fields},
            "styles": plan.styles,
            "weights": plan.weights,
        },
    }
    files.write_record(workdir / RECORD, record)
