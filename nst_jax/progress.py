"""Progress on standard error: a bar on a terminal, a few plain lines elsewhere."""

import importlib.util
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import timedelta
from itertools import accumulate
from typing import NamedTuple, Protocol, runtime_checkable

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from nst_jax.runs.report import Report

_PLAIN_LINES = 20  # a run prints about so many where there is no terminal,
_LONGEST_SILENCE = 300.0  # and training a line after so many seconds at the latest


@runtime_checkable
class Level(Protocol):
    """A size at which some of a run's steps are made, such as pixels.levels plans."""

    @property
    def height(self) -> int:
        """Pixels of the picture's height."""
        ...

    @property
    def width(self) -> int:
        """Pixels of the picture's width."""
        ...

    @property
    def last_step(self) -> int:
        """The number of the last step at this size."""
        ...


@runtime_checkable
class Stage(Protocol):
    """How far a run is, such as jobs.paint says."""

    @property
    def stage(self) -> str:
        """What is done now."""
        ...

    @property
    def levels(self) -> Sequence[Level]:
        """The sizes of the stage's steps."""
        ...

    @property
    def first_step(self) -> int:
        """Steps done before."""
        ...

    @property
    def report(self) -> Report | None:
        """The step that was made now; None at the stage's beginning."""
        ...


OnStep = Callable[[Report], None]
OnPart = Callable[[int, int | None], None]


def describe_losses(total: float, terms: Mapping[str, float]) -> str:
    """Return the loss and its parts on one line; a part that is switched off is left out."""
    parts = " + ".join(f"{name} {value:.3g}" for name, value in terms.items() if value)
    return f"loss {total:.3g} = {parts}" if parts else f"loss {total:.3g}"


def describe_seconds(seconds: float, compiling: float) -> str:
    """Return how long something took, and which part of it was compilation."""
    running = seconds - compiling
    return f"{seconds:.1f} s ({running:.1f} s running, {compiling:.1f} s compiling)"


def follow_steps(
    levels: Sequence[Level], *, first_step: int = 0, quiet: bool = False, verbose: bool = False
) -> AbstractContextManager[OnStep]:
    """Yield what stylize wants as on_step, and show the run's progress meanwhile.

    Args:
        levels: The sizes that will be run.
        first_step: Steps done before, by a run that is resumed.
        quiet: Show nothing.
        verbose: Lines of losses on a terminal too, in place of a bar.
    """

    def stage(done: int) -> str:
        level = _next_level(levels, done)
        return f"{level.width}x{level.height}"

    course = _Course(_work_by_step(levels), stage, is_training=False)
    return _follow(course, first_step, quiet=quiet, verbose=verbose)


@contextmanager
def follow_painting(
    *, quiet: bool = False, verbose: bool = False
) -> Iterator[Callable[[Stage], None]]:
    """Yield what jobs.paint wants as on_progress, and show the progress of its stages meanwhile.

    Args:
        quiet: Show nothing.
        verbose: As for follow_steps.
    """
    with ExitStack() as shown:
        on_step: list[OnStep] = []

        def on_progress(progress: Stage) -> None:
            if progress.report is not None:
                on_step[-1](progress.report)
                return
            shown.close()  # what the stage before has on the screen
            if progress.stage == "mixing" and not quiet:
                _say("mixing the fine texture into the painting")
            following = follow_steps(
                progress.levels, first_step=progress.first_step, quiet=quiet, verbose=verbose
            )
            on_step.append(shown.enter_context(following))

        yield on_progress


def follow_training(
    num_steps: int,
    *,
    size: int,
    warm_start_steps: int = 0,
    first_step: int = 0,
    quiet: bool = False,
    verbose: bool = False,
) -> AbstractContextManager[OnStep]:
    """Yield what a paper's fit wants as on_step, and show progress, rate and remaining time.

    Args:
        num_steps: The number of the last step.
        size: Side of the training pictures in pixels.
        warm_start_steps: How many of the first steps are a stage of their own, as
            papers.huang_2017 has it.
        first_step: Steps done before, by a run that goes on.
        quiet: Show nothing.
        verbose: As for follow_steps.
    """
    # A step costs so many passes through a VGG or its mirror, backwards ones counted too.
    passes = [4] * warm_start_steps + [7] * (num_steps - warm_start_steps)

    def stage(done: int) -> str:
        return f"{size}x{size}" + (", warm start" if done < warm_start_steps else "")

    course = _Course(list(accumulate(passes, initial=0)), stage, is_training=True)
    return _follow(course, first_step, quiet=quiet, verbose=verbose)


@contextmanager
def follow_parts(label: str, *, unit: str, scale: float = 1.0) -> Iterator[OnPart]:
    """Yield on_progress(done, in all or None), and show the progress of counted work.

    Args:
        label: What is being done.
        unit: What is counted.
        scale: How many of the numbers given make one unit.
    """
    console = Console(stderr=True, highlight=False)
    if not _shows_bars(console):
        yield _plain_parts(label, unit, scale)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(label, total=None, count="")

        def on_part(done: int, of: int | None) -> None:
            progress.update(task, completed=done, total=of, count=_count(done, of, unit, scale))

        yield on_part


@contextmanager
def follow_frames() -> Iterator[Callable[[str, int, int | None], None]]:
    """Yield on_frame(what is done, frames done, in all or None); show frames a second, time left.

    The rate is that of what is done now, from the first frame on that it is called with.
    """
    console = Console(stderr=True, highlight=False)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[rest]}"),
    )
    with Progress(*columns, console=console) if _shows_bars(console) else nullcontext() as bars:
        began: dict[str, tuple[int, float]] = {}
        tasks: dict[str, TaskID] = {}
        shown: dict[str, int] = {}

        def on_frame(label: str, done: int, of: int | None) -> None:
            before, since = began.setdefault(label, (done, time.monotonic()))
            rest = _describe_frames(done, of, done - before, time.monotonic() - since)
            if bars is not None:
                if label not in tasks:
                    tasks[label] = bars.add_task(label, total=of, rest="")
                bars.update(tasks[label], completed=done, total=of, rest=rest)
            elif (tenth := 10 * done // of if of else done // 50) > shown.get(label, -1):
                shown[label] = tenth
                _say(f"{label}: {rest}")

        yield on_frame


def _describe_frames(done: int, of: int | None, counted: int, seconds: float) -> str:
    """How far a clip is: frames, frames a second, time left."""
    text = _count(done, of, "frames", 1.0)
    if counted <= 0 or seconds <= 0:
        return text
    rate = counted / seconds
    left = f", {timedelta(seconds=round((of - done) / rate))} left" if of and done < of else ""
    return f"{text}, {rate:.3g} frames/s{left}"


def is_watched() -> bool:
    """Return whether bars can be seen: on a terminal, or in a notebook."""
    return _shows_bars(Console(stderr=True))


def _shows_bars(console: Console) -> bool:
    if console.is_jupyter:  # where rich draws by widgets
        return importlib.util.find_spec("ipywidgets") is not None
    return console.is_terminal and not console.is_dumb_terminal


def _count(done: int, of: int | None, unit: str, scale: float) -> str:
    whole = "" if of is None else f" of {of / scale:.0f}"
    return f"{done / scale:.0f}{whole} {unit}"


def _plain_parts(label: str, unit: str, scale: float) -> OnPart:
    shown = [-1.0]

    def on_part(done: int, of: int | None) -> None:
        # Tenths of the whole; where that is unknown, every 50 units.
        tenth = 10 * done // of if of else done // (50 * scale)
        if tenth > shown[0]:
            shown[0] = tenth
            _say(f"{label}: {_count(done, of, unit, scale)}")

    return on_part


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class _Course(NamedTuple):
    """What lies before a run."""

    work: Sequence[int]  # of all steps until each, from 0 on
    stage: Callable[[int], str]  # what the step after so many belongs to: a size
    is_training: bool  # hours, not minutes, and all steps alike


def _follow(
    course: _Course, first_step: int, *, quiet: bool, verbose: bool
) -> AbstractContextManager[OnStep]:
    console = Console(stderr=True, highlight=False)
    if quiet:
        return nullcontext(lambda report: None)
    if _shows_bars(console) and not verbose:
        return _bar(console, course, first_step)
    return nullcontext(_plain_lines(course, first_step))


def _work_by_step(levels: Sequence[Level]) -> list[int]:
    """The pixels of all steps until each, from 0 on: a step takes as long as it has pixels."""
    pixels: list[int] = []
    for level in levels:
        pixels += [level.height * level.width] * (level.last_step - len(pixels))
    return list(accumulate(pixels, initial=0))


def _next_level(levels: Sequence[Level], done: int) -> Level:
    """The size of the step that comes after so many, or the last size."""
    return next((level for level in levels if level.last_step > done), levels[-1])


class _Clock:
    """Tells a run's rate, from the end of its first step on, since that one is compiled.

    A training's stages have steps of different kinds: each has a rate of its own.
    """

    def __init__(self, course: _Course):
        self._course = course
        self._began: tuple[float, int] | None = None
        self._stage = ""

    def rate(self, step: int) -> float | None:
        """Work a second until the end of a step, which has come now; None where none is known."""
        now, done = time.monotonic(), self._course.work[step]
        stage = self._course.stage(step - 1) if self._course.is_training else ""
        if self._began is None or stage != self._stage:
            self._began, self._stage = (now, done), stage
        began, before = self._began
        return (done - before) / (now - began) if before < done and began < now else None


@contextmanager
def _bar(console: Console, course: _Course, first_step: int) -> Iterator[OnStep]:
    work, stage, clock = course.work, course.stage, _Clock(course)
    steps = len(work) - 1
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TaskProgressColumn("{task.fields[steps]}"),
        TextColumn("{task.fields[loss]}"),
        TimeElapsedColumn(Column(min_width=7, no_wrap=True)),
        TextColumn("left"),
        TimeRemainingColumn(table_column=Column(min_width=7, no_wrap=True)),
    )
    with Progress(*columns, console=console, expand=True) as progress:
        task = progress.add_task(
            f"preparing for {stage(first_step)}",
            total=work[-1],
            completed=work[first_step],
            steps=f"{first_step}/{steps}",
            loss="once for this size",
        )

        def on_step(report: Report) -> None:
            here, following = (stage(report.step - back) for back in (1, 0))
            rate = clock.rate(report.step) if course.is_training else None
            progress.update(
                task,
                completed=work[report.step],
                description=here if following == here else f"preparing for {following}",
                steps=f"{report.step}/{steps}"
                + (f" {_per_second(course, report.step, rate)}" if rate else ""),
                loss=f"loss {report.total:.3g}",
            )

        yield on_step


def _plain_lines(course: _Course, first_step: int) -> OnStep:
    work, stage, clock = course.work, course.stage, _Clock(course)
    steps = len(work) - 1
    _say(f"preparing for {stage(first_step)}, once for this size; the first step takes a while")
    said = [time.monotonic()]  # when a line was printed last

    def on_step(report: Report) -> None:
        rate, now = clock.rate(report.step), time.monotonic()
        lines_before = _PLAIN_LINES * (report.step - 1) // steps
        silent = course.is_training and now - said[0] >= _LONGEST_SILENCE
        if silent or _PLAIN_LINES * report.step // steps > lines_before:
            said[0] = now
            losses = describe_losses(report.total, report.terms)
            _say(f"step {report.step}/{steps}  {losses}{_describe_rest(course, report.step, rate)}")
        if (following := stage(report.step)) != stage(report.step - 1):
            _say(f"preparing for {following}, once for this size")

    return on_step


def _describe_rest(course: _Course, step: int, rate: float | None) -> str:
    """The rate, where it is told, and the time that remains."""
    left = course.work[-1] - course.work[step]
    if rate is None:
        return ""
    if not course.is_training:
        return f"  about {left / rate:.0f} s left" if left else ""
    return f"  {_per_second(course, step, rate)}, {timedelta(seconds=round(left / rate))} left"


def _per_second(course: _Course, step: int, rate: float) -> str:
    return f"{rate / (course.work[step] - course.work[step - 1]):.3g} steps/s"
