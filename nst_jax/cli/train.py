"""`nst-jax train`: teach a network to paint in one style, in several, or in any."""

import math
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import jax

from nst_jax import train
from nst_jax.cli.environment import check_device, describe_device, keep_compiled_programs
from nst_jax.cli.errors import INTERRUPTED
from nst_jax.cli.train_options import help_text, make_job, parse
from nst_jax.jobs import training
from nst_jax.jobs.training import Prepared
from nst_jax.jobs.training_plan import TrainingJob
from nst_jax.jobs.training_workdir import steps_done
from nst_jax.networks.dumoulin import is_style_table
from nst_jax.progress import describe_losses, follow_training
from nst_jax.runs.report import Report


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments after `nst-jax train` say and return the exit status."""
    parsed = parse(arguments)
    if parsed is None:
        print(help_text())
        return 0
    check_device()
    keep_compiled_programs()
    job = make_job(parsed, command=shlex.join(("nst-jax", "train", *arguments)))
    report = parsed.options.report
    with _Progress(quiet=report.quiet, verbose=report.verbose) as progress:
        try:
            trained = training.run(
                job,
                on_start=progress.begin,
                on_progress=progress.show,
                on_plan=progress.plan,
            )
        except KeyboardInterrupt as error:  # before the first step, or the second one
            raise KeyboardInterrupt(progress.describe_stop()) from error
    if not trained.is_finished:
        of_all = f" of {trained.num_steps}" if trained.num_steps < train.NOT_PLANNED else ""
        told = f"stopped after step {trained.step}{of_all}; the same command goes on"
        print(told, file=sys.stderr)
        return INTERRUPTED
    if not parsed.options.report.quiet:
        line = f"{job.workdir} is finished: nothing to train"
        if trained.is_new:
            line = _describe_result(job, trained)
        print(f"{line}\nnext: {_next_command(job, progress.prepared, trained)}")
    return 0


class _Progress:
    """What is shown of a run: the plan when it is known, and the steps from then on."""

    def __init__(self, *, quiet: bool, verbose: bool):
        self._quiet, self._verbose, self._stack = quiet, verbose, ExitStack()
        self.prepared: Prepared | None = None
        self._step = 0
        self._on_step: Callable[[Report], None] | None = None

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def begin(self, prepared: Prepared) -> None:
        self.prepared, plan = prepared, prepared.plan
        limit = prepared.job.time_limit
        self._quiet = self._quiet or (limit is None and prepared.first_step >= plan.num_steps)
        self._step = prepared.first_step
        if not self._quiet:
            _tell_plan(prepared)
        if limit is None:
            self._follow(plan.num_steps)
        elif not self._quiet:
            print("measuring how long steps take", file=sys.stderr, flush=True)

    def plan(self, num_steps: int) -> None:
        """Show progress towards a last step that has come to be known."""
        assert self.prepared is not None
        if not self._quiet and self._step < num_steps:
            seconds = f"{self.prepared.job.time_limit:.0f}"
            print(f"planned {num_steps} steps, to end within {seconds} s", flush=True)
            self._follow(num_steps)

    def show(self, report: Report) -> None:
        self._step = report.step
        if self._on_step is not None:
            self._on_step(report)

    def _follow(self, num_steps: int) -> None:
        assert self.prepared is not None
        plan = self.prepared.plan
        follow = follow_training(
            num_steps,
            size=plan.config.size,
            warm_start_steps=plan.num_steps - plan.stages[-1].num_steps,
            first_step=self._step,
            quiet=self._quiet,
            verbose=self._verbose,
        )
        self._on_step = self._stack.enter_context(follow)

    def describe_stop(self) -> str:
        """What an interruption at once has left."""
        if self.prepared is None:
            return ""
        done = steps_done(self.prepared.job.workdir, self.prepared.plan)
        kept = f"the same command goes on after step {done}" if done else "nothing was saved"
        return f"stopped at once; {kept}"


def _tell_plan(prepared: Prepared) -> None:
    plan, pictures, job = prepared.plan, prepared.pictures, prepared.job
    shapes = plan.trained_shapes()
    sizes = [(math.prod(shape.shape), is_style_table(path)) for path, shape in shapes.items()]
    parameters = f"{sum(size for size, _ in sizes):,} parameters"
    if plan.num_new < len(plan.styles):
        own = sum(size for size, is_table in sizes if is_table) // len(plan.styles)
        parameters = f"{own:,} of {parameters}"
    measured = _origin(job.held_out_dir)
    if job.frames is not None:
        what = (
            f"{len(pictures.content):,} painted frames of a clip; their losses as whole frames are "
            "logged"
        )
    elif pictures.paintings:
        style_origin = _origin(job.held_out_style_dir)
        paintings = "paintings" if style_origin == measured else f"{style_origin} paintings"
        like = ", ".join(plan.styles) or "any painting"
        what = (
            f"{len(pictures.content):,} photographs and {len(pictures.paintings):,} paintings to "
            f"paint like {like}; losses of {pictures.num_held_out} pairs of {measured} "
            f"photographs and {paintings} are logged"
        )
    else:
        what = (
            f"{len(pictures.content):,} pictures to paint like {', '.join(plan.paintings)}; "
            f"losses of {pictures.num_held_out} {measured} pictures are logged"
        )
    print(describe_device())
    print(f"training {parameters} on {what}")
    if prepared.first_step:
        of_all = f" of {plan.num_steps}" if job.time_limit is None else ""
        print(f"going on after step {prepared.first_step}{of_all}")
    print(end="", flush=True)


def _origin(held_out: Sequence[object]) -> str:
    return "held-out" if held_out else "training"


def _describe_result(job: TrainingJob, trained: training.Trained) -> str:
    terms = dict(trained.held_out)
    losses = describe_losses(terms.pop("total"), terms)
    seconds = trained.card["seconds"]
    what = "held-out pictures" if job.frames is None else "the painted frames"
    took = "" if seconds is None else f" in {seconds:.0f} s"
    return f"{trained.model}: {trained.step} steps{took}; on {what} {losses}"


def _next_command(job: TrainingJob, prepared: Prepared | None, trained: training.Trained) -> str:
    if job.frames is not None:
        assert prepared is not None
        size = max(jax.tree.leaves(prepared.pictures.held_out)[0].shape[1:3])
        words = ("nst-jax", "video", str(job.frames), "--model", str(trained.model))
        return shlex.join((*words, "--size", str(size), "-o", "out.mp4"))
    style = ("--style", trained.example_style) if trained.example_style else ()
    words = ("nst-jax", "stylize", "photo.jpg", *style, "--model", str(trained.model))
    return shlex.join((*words, "-o", "out.png"))
