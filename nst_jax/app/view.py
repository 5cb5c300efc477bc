"""What the page shows of a job: lines of text, pictures and curves as HTML of its own."""

import base64
import html
import logging
import math
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import NamedTuple

from nst_jax.app.device_queue import BusyError, DeviceQueue, Done, Waiting, Work
from nst_jax.app.uploads import public_message
from nst_jax.app.visits import Visit
from nst_jax.app.work import Course, Outcome

ADDRESS = "results"
"""What addresses of visitors' files begin with."""

_WIDTH, _HEIGHT = 320, 120
_CLIPS = (".mp4",)
_LOG = logging.getLogger(__name__)


class Shown(NamedTuple):
    """What is shown of a job now.

    Attributes:
        status: A line.
        course: How far an optimisation is.
        outcome: What was made, at the end.
    """

    status: str
    course: Course | None = None
    outcome: Outcome | None = None


def follow(queue: DeviceQueue, owner: str, work: Work) -> Generator[Shown]:
    """Queue a job and yield what is shown of it until it ends; errors are lines too.

    Args:
        queue: The device's.
        owner: Who asks.
        work: The job.
    """
    try:
        ticket = queue.submit(owner, work)
    except BusyError as error:
        yield Shown(f"busy: {error}")
        return
    try:
        for update in ticket.updates():
            if isinstance(update, Waiting):
                jobs = "1 job" if update.before == 1 else f"{update.before} jobs"
                yield Shown(f"waiting: {jobs} before yours")
            elif isinstance(update, Done):
                done: Outcome | None = update.result
                yield Shown("stopped" if done is None else done.text, outcome=done)
            elif isinstance(update.progress, Course):
                yield Shown(_describe(update.progress), course=update.progress)
            else:
                yield Shown(update.progress or "preparing, once for this size")
    except KeyboardInterrupt:  # what jobs.paint raises where it is stopped before it has begun
        yield Shown("stopped before it had begun")
    except Exception as error:
        if not isinstance(error, ValueError | OSError):
            _LOG.exception("a job failed")
        yield Shown(f"error: {public_message(error)}")


def _describe(course: Course) -> str:
    if not course.totals:
        return "preparing, once for this size"
    return f"step {course.step} of {course.steps}, loss {course.totals[-1]:.3g}"


def result_html(visit: Visit, outcome: Outcome) -> str:
    """Return a result and the links to download it and what belongs to it.

    Args:
        visit: Whose it is.
        outcome: The result.
    """
    address, name = _address(visit, outcome.path), _name(outcome.path)
    if outcome.path.suffix in _CLIPS:
        shown = f'<video src="{address}" controls playsinline></video>'
    else:
        shown = f'<img src="{address}" alt="the result">'
    links = [(name, address), *((called, _address(visit, path)) for called, path in outcome.others)]
    return f'<div class="result">{shown}<p>{" ".join(_link(*link) for link in links)}</p></div>'


def sheet_html(visit: Visit, outcome: Outcome) -> str:
    """Return a sheet's pictures as buttons that say which style they are, and a link to it.

    Args:
        visit: Whose it is.
        outcome: The sheet.
    """
    buttons = [
        f'<button type="button" data-style="{html.escape(name, quote=True)}">'
        f'<img src="{_address(visit, path)}" alt=""><span>{number} {html.escape(name)}</span>'
        "</button>"
        for number, (name, path) in enumerate(outcome.others, start=1)
    ]
    link = _link("sheet.png", _address(visit, outcome.path))
    return f'<div class="styles">{"".join(buttons)}</div><p class="result">{link}</p>'


def course_html(course: Course) -> str:
    """Return an optimisation's picture so far and its curve of losses.

    Args:
        course: How far it is.
    """
    picture = ""
    if course.preview is not None:
        data = base64.b64encode(course.preview).decode()
        picture = f'<img src="data:image/jpeg;base64,{data}" alt="the picture so far">'
    return f'<div class="result">{picture}{curve_svg(course.totals, course.steps)}</div>'


def curve_svg(totals: Sequence[float], steps: int) -> str:
    """Return the losses as a curve on a logarithmic axis; nothing of fewer than two.

    Args:
        totals: One a step.
        steps: How many there will be.
    """
    logs = [math.log10(total) for total in totals if total > 0]
    if len(logs) < 2:
        return ""
    low, high = min(logs), max(logs)
    points = [
        (
            _WIDTH * number / max(1, steps - 1),
            _HEIGHT * (high - value) / ((high - low) or 1),
        )
        for number, value in enumerate(logs)
    ]
    text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    ends = f"loss from {totals[0]:.3g} to {totals[-1]:.3g}, logarithmic"
    return (
        f'<svg viewBox="-4 -4 {_WIDTH + 8} {_HEIGHT + 8}" role="img" aria-label="{ends}">'
        f'<polyline points="{text}" fill="none" stroke="currentColor" stroke-width="2"/></svg>'
        f"<p>{ends}</p>"
    )


def _address(visit: Visit, path: Path) -> str:
    return f"{ADDRESS}/{visit.token}/{path.name}"


def _name(path: Path) -> str:
    """What a browser saves a file as: without what makes its address unknown to others."""
    return path.name.partition("-")[2]


def _link(name: str, address: str) -> str:
    called = html.escape(name, quote=True)
    return f'<a href="{address}" download="{called}">{called}</a>'
