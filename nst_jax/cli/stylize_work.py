"""The work of `nst-jax stylize`: decode ahead, gather pictures of like size, paint, write."""

import itertools
import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nst_jax import files
from nst_jax.cli.stylize_plan import Job
from nst_jax.cli.stylize_styles import Rendering
from nst_jax.stylizers import Stylizer, fit_size

_THREADS = 2  # and as many pictures decoded ahead; more would fill the memory where they are large
_WAITING = 4  # batches' worth of pictures that wait for others of their size

Pixels = Float[np.ndarray, "_ _ 3"]
Size = tuple[int, int]
Group = list[tuple[Job, Pixels]]


@dataclass
class Report:
    """What became of the pictures.

    Attributes:
        done: Pictures that were painted, or given up.
        sizes: How many were written of each (width, height).
        failures: Why the others were not, one for each photograph or file.
    """

    done: int = 0
    sizes: Counter[Size] = field(default_factory=Counter)
    failures: list[Exception] = field(default_factory=list)

    def give_up(self, error: Exception, count: int) -> None:
        """Note why so many pictures are not painted."""
        self.failures.append(error)
        self.done += count


def paint_all(
    stylizer: Stylizer,
    jobs: Sequence[Job],
    renderings: Sequence[Rendering],
    report: Report,
    *,
    size: int | None,
    batch_size: int,
    max_pixels: int,
    on_part: Callable[[int, int | None], None],
) -> None:
    """Paint every picture in every rendering; one that cannot be read stops no other.

    Args:
        stylizer: What paints.
        jobs: The pictures.
        renderings: As many as each job has outputs.
        report: Is kept up to date.
        size: Pixels of the longer side; None for each picture's own.
        batch_size: How many pictures run at once, at most.
        max_pixels: How many pixels run at once.
        on_part: Is told how many pictures are done, of how many.
    """
    total = len(jobs) * len(renderings)
    on_part(0, total)
    largest: Counter[Size] = Counter()
    for run_size, group in _groups(
        _readable(jobs, renderings, report, size), batch_size, max_pixels
    ):
        # A batch as large as one before is compiled already, whatever it is filled up with.
        largest[run_size] = max(largest[run_size], len(group))
        pictures = [pixels for _, pixels in group]
        missing = largest[run_size] - len(group)
        for place, rendering in enumerate(renderings):
            styles = [rendering.style_for(pixels) for pixels in pictures]
            given = [rendering.content_for(pixels) for pixels in pictures]
            painted = stylizer.paint_each(
                given + given[-1:] * missing,
                styles + styles[-1:] * missing,
                max_pixels=max_pixels,
            )
            for (job, pixels), result in zip(group, painted, strict=False):
                _write(job.outputs[place], rendering.finish(result, pixels), report)
            on_part(report.done, total)


def _groups(
    pictures: Iterable[tuple[Job, Pixels]], batch_size: int, max_pixels: int
) -> Iterator[tuple[Size, Group]]:
    """Gather pictures that run at one size, as many as run at once; the last groups are smaller."""
    waiting: dict[Size, Group] = {}
    for job, pixels in pictures:
        run_size = fit_size(*pixels.shape[:2])
        group = waiting.setdefault(run_size, [])
        group.append((job, pixels))
        if len(group) >= min(batch_size, max_pixels // math.prod(run_size)):
            yield run_size, waiting.pop(run_size)
        elif sum(map(len, waiting.values())) >= _WAITING * batch_size:
            longest = next(iter(waiting))
            yield longest, waiting.pop(longest)
    yield from waiting.items()


def _readable(
    jobs: Iterable[Job], renderings: Sequence[Rendering], report: Report, size: int | None
) -> Iterator[tuple[Job, Pixels]]:
    """Decode pictures ahead of the painting; those that cannot be read or painted are reported."""
    with ThreadPoolExecutor(_THREADS) as pool:
        ahead: deque[tuple[Job, Future[Pixels]]] = deque()
        jobs = iter(jobs)
        while True:
            for job in itertools.islice(jobs, _THREADS + 1 - len(ahead)):
                ahead.append((job, pool.submit(files.load_pixels, job.content, size=size)))
            if not ahead:
                return
            job, decoding = ahead.popleft()
            try:
                pixels = decoding.result()
                for rendering in renderings:
                    rendering.check(pixels)
            except (ValueError, OSError) as error:
                report.give_up(error, len(job.outputs))
            else:
                yield job, pixels


def _write(output: Path, painted: Pixels, report: Report) -> None:
    try:
        files.save_image(output, jnp.asarray(painted[None]))
    except ValueError as error:  # the format's, such as a side too long; a full disk ends the run
        report.give_up(error, 1)
    else:
        report.done += 1
        report.sizes[painted.shape[1], painted.shape[0]] += 1
