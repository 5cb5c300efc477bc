"""Photographs painted in one pass: decode ahead, gather pictures of like size, paint, write.

Nothing is printed; see run.
"""

import itertools
import math
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from nst_jax import files
from nst_jax.jobs import pictures
from nst_jax.jobs.outputs import Plan, Task, plan_outputs
from nst_jax.jobs.styles import Rendering, StyleChoice, choose_renderings
from nst_jax.ops.convolution import Precision
from nst_jax.runs.interrupts import Cancel
from nst_jax.stylizers import (
    DECODING_MODEL,
    DEFAULT_MODEL,
    MAX_PIXELS,
    Stylizer,
    Transform,
    fit_size,
    load_stylizer,
)

_THREADS = 2  # and as many pictures decoded ahead; more would fill the memory where they are large
_WAITING = 4  # batches' worth of pictures that wait for others of their size

Pixels = Float[np.ndarray, "_ _ 3"]
Size = tuple[int, int]
Group = list[tuple[int, Pixels]]  # a task by its number, and its photograph
OnProgress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class FolderJob:
    """What is to be painted, and by which network.

    Attributes:
        contents: Photographs: paths, folders, Pillow's pictures or arrays; see jobs.pictures.
        choice: The styles.
        out: The file for one picture, or the folder for several; None keeps them in the report.
        model: A network's name or file, or one that is loaded; None for stylizers.DEFAULT_MODEL, or
            with a transform for stylizers.DECODING_MODEL.
        precision: Of a network that is loaded now.
        median_filter: The same; see load_stylizer.
        transform: The same.
        size: Pixels of the results' longer side; None for each photograph's own.
        batch_size: How many pictures run at once, at most.
        max_pixels: How many pixels run at once; larger pictures run in tiles.
        exact_statistics: Whether tiles are normalised by exact statistics; see
            Stylizer.with_exact_statistics.
        overwrite: Whether files that exist may be replaced.
        skip_existing: Whether what exists is left out.
    """

    contents: Sequence[Any]
    choice: StyleChoice = field(default_factory=StyleChoice)
    out: str | os.PathLike[str] | None = None
    model: str | os.PathLike[str] | Stylizer | None = None
    precision: Precision = "float32"
    median_filter: int | None = None
    transform: Transform | None = None
    size: int | None = None
    batch_size: int = 4
    max_pixels: int = MAX_PIXELS
    exact_statistics: bool = False
    overwrite: bool = False
    skip_existing: bool = False


class Result(NamedTuple):
    """A picture that was painted.

    Attributes:
        content: The photograph.
        style: What names get for its style; empty where there is but one.
        file: Where it was written; None where it is kept in the report.
        width: In pixels.
        height: In pixels.
    """

    content: Any
    style: str
    file: Path | None
    width: int
    height: int


@dataclass
class Report:
    """What became of the pictures.

    Attributes:
        done: Pictures that were painted, or given up.
        results: Those that were painted, in the order in which they were done.
        skipped: How many files were there and left out.
        failures: Why others were not painted, one for each photograph or file.
        pictures: The results where they are not written: for each photograph, in order, one for
            each style; None where it failed.
        is_finished: Whether nothing has stopped the run.
        hub: Where the network came from, if from the Hugging Face Hub: its repository, revision,
            file and SHA-256.
    """

    done: int = 0
    results: list[Result] = field(default_factory=list)
    skipped: int = 0
    failures: list[Exception] = field(default_factory=list)
    pictures: list[list[Pixels | None]] = field(default_factory=list)
    is_finished: bool = True
    hub: Mapping[str, str] | None = None

    @property
    def sizes(self) -> Counter[Size]:
        """How many were painted of each (width, height)."""
        return Counter((result.width, result.height) for result in self.results)

    def give_up(self, error: Exception, count: int) -> None:
        """Note why so many pictures are not painted."""
        self.failures.append(error)
        self.done += count


def run(
    job: FolderJob, *, on_progress: OnProgress | None = None, cancel: Cancel | None = None
) -> Report:
    """Paint every photograph in every style; one that cannot be read or painted stops no other.

    Args:
        job: What to paint.
        on_progress: Called with how many pictures are done, and of how many.
        cancel: A flag that any thread may set, such as a threading.Event: the run ends after the
            pictures that are painted now.

    Raises:
        ValueError: The job asks for what the network cannot do, or two results have one name.
        FileExistsError: A result exists, and is neither to be replaced nor left out.
        OSError: OUT cannot be written to, or a painting or a mask not read.
        KeyboardInterrupt: Ctrl-C; its message says how many pictures are written.
    """
    _check(job)
    stylizer = _stylizer_of(job)
    if job.exact_statistics:
        stylizer = stylizer.with_exact_statistics()
    stylizer.check_max_pixels(job.max_pixels)
    choice = job.choice
    needed = (*choice.names, *choice.masks, *choice.style_masks)
    files.refuse_missing(needed, also=job.contents)
    renderings = choose_renderings(stylizer, job.choice)
    report = Report(hub=stylizer.card.get("hub"))
    try:
        with files.no_empty_folder(job.out):
            plan = _plan(job, renderings)
            report.skipped, report.failures = plan.skipped, list(plan.failures)
            _paint_all(job, stylizer, plan.tasks, renderings, report, on_progress, cancel)
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(
            f"stopped; {report.sizes.total()} pictures are written; the same command with "
            "--skip-existing goes on"
        ) from error
    return report


def _check(job: FolderJob) -> None:
    pictures.check_size("size", job.size)
    if job.batch_size < 1:
        raise ValueError(f"batch_size: wanted at least 1, got {job.batch_size}")


def _stylizer_of(job: FolderJob) -> Stylizer:
    if isinstance(job.model, Stylizer):
        if job.transform is not None:
            raise ValueError(
                "transform: wanted with a model's name or file, and the model is loaded; give it "
                "to load_stylizer"
            )
        return job.model
    default = DEFAULT_MODEL if job.transform is None else DECODING_MODEL
    return load_stylizer(
        default if job.model is None else job.model,
        precision=job.precision,
        median_filter=job.median_filter,
        transform=job.transform,
    )


def _plan(job: FolderJob, renderings: Sequence[Rendering]) -> Plan:
    if job.out is None:
        return Plan([Task(content, [None] * len(renderings)) for content in job.contents])
    return plan_outputs(
        job.contents,
        job.out,
        [rendering.suffix for rendering in renderings],
        overwrite=job.overwrite,
        skip_existing=job.skip_existing,
    )


def _paint_all(
    job: FolderJob,
    stylizer: Stylizer,
    tasks: Sequence[Task],
    renderings: Sequence[Rendering],
    report: Report,
    on_progress: OnProgress | None,
    cancel: Cancel | None,
) -> None:
    numbers = range(len(renderings))
    total = sum(_is_wanted(job, task, number) for task in tasks for number in numbers)
    if job.out is None:
        report.pictures = [[None] * len(renderings) for _ in tasks]
    tell = on_progress or (lambda done, of: None)
    tell(0, total)
    largest: Counter[tuple[Size, int]] = Counter()
    for run_size, group in _groups(_readable(job, stylizer, tasks, renderings, report), job):
        for number, rendering in enumerate(renderings):
            mine = [each for each in group if _is_wanted(job, tasks[each[0]], number)]
            if not mine:
                continue
            if cancel is not None and cancel.is_set():
                report.is_finished = False
                return
            # A batch as large as one before is compiled already, whatever it is filled up with.
            largest[run_size, number] = max(largest[run_size, number], len(mine))
            given = [pixels for _, pixels in mine]
            filled = given + given[-1:] * (largest[run_size, number] - len(given))
            painted = rendering.paint(stylizer, filled, max_pixels=job.max_pixels)
            for (place, _), result in zip(mine, painted, strict=False):
                _keep(job, tasks[place], (place, number), rendering.suffix, result, report)
            tell(report.done, total)


def _is_wanted(job: FolderJob, task: Task, number: int) -> bool:
    """Whether a rendering of a photograph is to be made: all are where none is written."""
    return job.out is None or task.outputs[number] is not None


def _groups(pictures: Iterable[tuple[int, Pixels]], job: FolderJob) -> Iterator[tuple[Size, Group]]:
    """Gather pictures that run at one size, as many as run at once; the last groups are smaller."""
    waiting: dict[Size, Group] = {}
    for place, pixels in pictures:
        run_size = fit_size(*pixels.shape[:2])
        group = waiting.setdefault(run_size, [])
        group.append((place, pixels))
        if len(group) >= min(job.batch_size, job.max_pixels // math.prod(run_size)):
            yield run_size, waiting.pop(run_size)
        elif sum(map(len, waiting.values())) >= _WAITING * job.batch_size:
            longest = next(iter(waiting))
            yield longest, waiting.pop(longest)
    yield from waiting.items()


def _readable(
    job: FolderJob,
    stylizer: Stylizer,
    tasks: Sequence[Task],
    renderings: Sequence[Rendering],
    report: Report,
) -> Iterator[tuple[int, Pixels]]:
    """Decode pictures ahead of the painting; those that cannot be read or painted are reported."""
    with ThreadPoolExecutor(_THREADS) as pool:
        ahead: deque[tuple[int, Future[Pixels]]] = deque()
        rest = iter(range(len(tasks)))
        while True:
            for place in itertools.islice(rest, _THREADS + 1 - len(ahead)):
                content = tasks[place].content
                ahead.append((place, pool.submit(pictures.load_pixels, content, size=job.size)))
            if not ahead:
                return
            place, decoding = ahead.popleft()
            try:
                pixels = decoding.result()
                stylizer.check_size(pixels, max_pixels=job.max_pixels)
                for rendering in renderings:
                    rendering.check(pixels)
            except (ValueError, OSError) as error:
                numbers = range(len(renderings))
                report.give_up(error, sum(_is_wanted(job, tasks[place], n) for n in numbers))
            else:
                yield place, pixels


def _keep(
    job: FolderJob, task: Task, at: tuple[int, int], suffix: str, painted: Pixels, report: Report
) -> None:
    """Write a result, or put it into the report."""
    place, number = at
    output = task.outputs[number]
    if output is None:
        report.pictures[place][number] = painted
    else:
        try:
            files.save_image(output, painted[None], overwrite=job.overwrite)
        except (ValueError, FileExistsError) as error:  # the format's, such as a side too long, or
            report.give_up(error, 1)  # somebody else's file; a full disk ends the run
            return
    report.done += 1
    height, width = painted.shape[:2]
    report.results.append(Result(task.content, suffix.removeprefix("_"), output, width, height))
