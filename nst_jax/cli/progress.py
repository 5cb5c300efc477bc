"""Progress on standard error: a bar on a terminal, a few plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from nst_jax.coarse_to_fine import Level
from nst_jax.optimize import Report

_PLAIN_LINES = 20  # a run prints about so many where there is no terminal

OnStep = Callable[[Report], None]
OnPart = Callable[[int, int | None], None]


def describe_losses(total: float, terms: Mapping[str, float]) -> str:
    """Return the loss and its parts on one line; a part that is switched off is left out."""
    parts = " + ".join(f"{name} {value:.3g}" for name, value in terms.items() if value)
    return f"loss {total:.3g} = {parts}" if parts else f"loss {total:.3g}"


@contextmanager
def follow_steps(
    levels: Sequence[Level], *, first_step: int = 0, quiet: bool = False
) -> Iterator[OnStep]:
    """Yield what stylize wants as on_step, and show the run's progress meanwhile.

    Args:
        levels: The sizes that will be run.
        first_step: Steps done before, by a run that is resumed.
        quiet: Show nothing.
    """
    console = Console(stderr=True, highlight=False)
    if quiet:
        yield lambda report: None
    elif console.is_terminal and not console.is_dumb_terminal:
        with _bar(console, levels, first_step) as on_step:
            yield on_step
    else:
        yield _plain_lines(levels, first_step)


@contextmanager
def follow_parts(label: str, *, unit: str, scale: float = 1.0) -> Iterator[OnPart]:
    """Yield on_progress(done, in all or None), and show the progress of counted work.

    Args:
        label: What is being done.
        unit: What is counted.
        scale: How many of the numbers given make one unit.
    """
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal or console.is_dumb_terminal:
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


def _work_by_step(levels: Sequence[Level]) -> list[int]:
    """The pixels of all steps until each, from 0 on: a step takes as long as it has pixels."""
    pixels: list[int] = []
    for level in levels:
        pixels += [level.height * level.width] * (level.last_step - len(pixels))
    return list(accumulate(pixels, initial=0))


def _next_level(levels: Sequence[Level], done: int) -> Level:
    """The size of the step that comes after so many, or the last size."""
    return next((level for level in levels if level.last_step > done), levels[-1])


def _compiling(level: Level) -> str:
    return f"compiling for {level.width}x{level.height}"


@contextmanager
def _bar(console: Console, levels: Sequence[Level], first_step: int) -> Iterator[OnStep]:
    work, steps = _work_by_step(levels), levels[-1].last_step
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TaskProgressColumn("{task.fields[steps]}"),
        TextColumn("{task.fields[losses]}"),
        TimeElapsedColumn(Column(min_width=7, no_wrap=True)),
        TextColumn("left"),
        TimeRemainingColumn(table_column=Column(min_width=7, no_wrap=True)),
    )
    with Progress(*columns, console=console, expand=True) as progress:
        task = progress.add_task(
            _compiling(_next_level(levels, first_step)),
            total=work[-1],
            completed=work[first_step],
            steps=f"{first_step}/{steps}",
            losses="this takes a while",
        )

        def on_step(report: Report) -> None:
            level, following = (_next_level(levels, report.step - back) for back in (1, 0))
            here = f"{level.width}x{level.height}"
            progress.update(
                task,
                completed=work[report.step],
                description=here if following == level else _compiling(following),
                steps=f"{report.step}/{steps}",
                losses=describe_losses(report.total, report.terms),
            )

        yield on_step


def _plain_lines(levels: Sequence[Level], first_step: int) -> OnStep:
    work, steps = _work_by_step(levels), levels[-1].last_step
    _say(f"{_compiling(_next_level(levels, first_step))}; the first step takes a while")
    began: list[tuple[float, int]] = []  # when the first step was done, and the work until then

    def on_step(report: Report) -> None:
        now, done = time.monotonic(), work[report.step]
        if not began:
            began.append((now, done))
        lines_before = _PLAIN_LINES * (report.step - 1) // steps
        if _PLAIN_LINES * report.step // steps > lines_before:
            left = ""
            if began[0][1] < done < work[-1]:
                rate = (done - began[0][1]) / (now - began[0][0])
                left = f"  about {(work[-1] - done) / rate:.0f} s left"
            losses = describe_losses(report.total, report.terms)
            _say(f"step {report.step}/{steps}  {losses}{left}")
        following = _next_level(levels, report.step)
        if following != _next_level(levels, report.step - 1):
            _say(_compiling(following))

    return on_step
