"""Runs a grid: skips what is done, keeps every device at work, lets no failure stop the rest."""

import dataclasses
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from nst_jax import files
from nst_jax.array_types import Params
from nst_jax.encoders.vgg import VGG
from nst_jax.encoders.weights.pretrained import describe_weights, load_encoder
from nst_jax.files.disk import FilePath, as_path
from nst_jax.papers import gatys_2016
from nst_jax.papers.gatys_2016 import Config, Record
from nst_jax.runs.compile_time import stopwatch
from nst_jax.runs.report import DivergedError, Report
from nst_jax.sweeps import storage
from nst_jax.sweeps.axes import describe_value
from nst_jax.sweeps.batching import make_batches, runs_at_once
from nst_jax.sweeps.grid import Grid, Run
from nst_jax.sweeps.storage import Inputs

Status = Literal["done", "diverged", "failed", "missing"]
"""A diverged run is a result, and kept; a failed one, and one that is missing, is run next time."""

Painted = tuple[Any, Record] | Exception

Network = tuple[VGG, Params, dict[str, str]]
"""An encoder, its parameters, and where they come from."""

_MESSAGE_LENGTH = 300


@dataclass
class Outcome:
    """What became of a run.

    Attributes:
        run: Its place in the grid, and its configuration.
        folder: Where its picture and its record lie.
        inputs: The hashes of what went in.
        status: done, diverged, failed or missing.
        record: As stylize's; None where there is none.
        message: Why it diverged or failed.
        is_new: Whether it ran just now.
    """

    run: Run
    folder: Path
    inputs: Inputs
    status: Status = "missing"
    record: Record | None = None
    message: str = ""
    is_new: bool = False


@dataclass(frozen=True)
class Sweep:
    """A grid, and what became of its runs, in the grid's order."""

    folder: Path
    content: Path
    styles: tuple[Path, ...]
    grid: Grid
    outcomes: tuple[Outcome, ...]
    interrupted: bool

    def count(self, status: Status) -> int:
        """Return how many runs have this status."""
        return sum(outcome.status == status for outcome in self.outcomes)


class _Pictures(NamedTuple):
    """The files that go into every run."""

    content: Path
    styles: tuple[Path, ...]

    def load(self, config: Config) -> tuple[Any, list[Any], Any]:
        """The photograph, the paintings and the picture to begin with, sized as a run has them."""
        own = config.begins_with_file
        style_size = config.style_size or config.size
        return (
            files.load_image(self.content, size=config.size),
            [files.load_image(style, size=style_size) for style in self.styles],
            files.load_image(config.init) if own else None,
        )


def run_grid(
    content: FilePath,
    styles: Sequence[FilePath],
    grid: Grid,
    folder: FilePath,
    *,
    batch: int | None = None,
    devices: Sequence[Any] | None = None,
    on_run: Callable[[Outcome], None] | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> Sweep:
    """Run whatever of the grid a folder does not hold yet, and return what became of every run.

    Ctrl-C ends it after the steps in progress; unfinished runs begin anew next time.

    Args:
        content: The photograph's file.
        styles: The paintings' files.
        grid: From make_grid.
        folder: Made if missing.
        batch: Runs at once on a device; None for what batching.runs_at_once says.
        devices: What to run on, by default all of JAX's; each takes one batch at a time.
        on_run: Called with every run that ends, from whichever thread it ran in, one at a time.
        on_step: Called likewise with the steps done and those of all runs that there are to do.

    Raises:
        ValueError: The pictures and the configurations do not fit together, or a record in the
            folder is another run's; or another process works in the folder.
        OSError: A picture cannot be read, or the folder cannot be used.
    """
    folder, devices = as_path(folder, name="folder"), list(devices or jax.devices())
    if batch is not None and batch < 1:
        raise ValueError(f"batch: wanted 1 run or more, got {batch}")
    paintings = tuple(as_path(style, name="styles") for style in styles)
    pictures = _Pictures(as_path(content, name="content"), paintings)
    networks: dict[tuple, Network] = {}
    outcomes = _find_outcomes(pictures, grid, folder, networks)
    todo = [outcome for outcome in outcomes if outcome.status == "missing"]
    pixels = _check_pictures(pictures, [outcome.run.config for outcome in outcomes])

    def most(config: Config) -> int:
        memory = (devices[0].memory_stats() or {}).get("bytes_limit", 0)
        of_device = {"platform": devices[0].platform, "memory": memory}
        return batch or runs_at_once(config, pixels=pixels[config.size], **of_device)

    batches = make_batches([o.run.config for o in todo], most=most, devices=len(devices))
    work = _Work(
        pictures,
        networks,
        deque([todo[place] for place in places] for places in batches),
        _Progress(todo, on_run, on_step),
    )
    with storage.claimed(folder, _describe(pictures, grid)):
        _show_inputs(folder, pictures, grid)
        stopped = _keep_busy(work, devices)
    interrupted = stopped and any(outcome.status == "missing" for outcome in outcomes)
    return Sweep(folder, *pictures, grid, tuple(outcomes), interrupted)


def _find_outcomes(
    pictures: _Pictures, grid: Grid, folder: Path, networks: dict[tuple, Network]
) -> list[Outcome]:
    """Every run of the grid, its encoder's weights named, with the record that it may have.

    The networks are entered under what the configurations call them.
    """
    hashes: dict[tuple, Inputs] = {}
    known = storage.find_folders(folder)
    outcomes = []
    for run in grid.runs:
        asked = run.config.encoder, run.config.weights
        if asked not in networks:
            described = describe_weights(asked[0], weights=asked[1])
            networks[asked] = (*load_encoder(asked[0], weights=asked[1]), described)
        network = networks[asked]
        weights = run.config.weights or network[2]["weights"]
        networks[run.config.encoder, weights] = network
        run = dataclasses.replace(run, config=dataclasses.replace(run.config, weights=weights))
        key = (run.config.encoder, weights, run.config.init)
        if key not in hashes:
            initial = Path(run.config.init) if run.config.begins_with_file else None
            hashes[key] = storage.hash_inputs(*pictures, initial, network[2])
        inputs = hashes[key]
        name = storage.folder_name(run, inputs)
        place = known.get(storage.hash_of(name), folder / "runs" / name)
        outcome = Outcome(run, place, inputs, record=storage.load_done(place, run, inputs))
        if outcome.record is not None:
            outcome.message = outcome.record["info"].get("diverged", "")
            outcome.status = "diverged" if outcome.message else "done"
        outcomes.append(outcome)
    return outcomes


def _check_pictures(pictures: _Pictures, configs: Sequence[Config]) -> dict[int | None, int]:
    """The pixels of the result by size, or an error that would otherwise come run by run."""
    if not pictures.styles:
        raise ValueError("style: wanted at least one painting, got none")
    found: dict[int | None, int] = {}
    for config in {(c.size, c.style_size, c.init): c for c in configs}.values():
        content, _, _ = pictures.load(config)
        found[config.size] = content.shape[1] * content.shape[2]
    for config in configs:
        blend = config.style_blend
        if blend is not None and (len(blend) != len(pictures.styles) or sum(blend) <= 0):
            raise ValueError(
                f"style_blend: wanted {len(pictures.styles)} shares, one a painting, not all 0; "
                f"got {blend}"
            )
    return found


def _describe(pictures: _Pictures, grid: Grid) -> dict[str, Any]:
    """What was asked for."""
    return {
        "content": pictures.content,
        "styles": pictures.styles,
        "vary": {axis.name: [_as_json(value) for value in axis.values] for axis in grid.axes},
        "seeds": grid.seeds,
        "base": storage.as_json(grid.base),
    }


def _as_json(value: Any) -> Any:
    """A value as sweep.json has it: numbers as such, all else as one would type it."""
    return (
        value if value is None or isinstance(value, bool | int | float) else describe_value(value)
    )


def _show_inputs(folder: Path, pictures: _Pictures, grid: Grid) -> None:
    """Write the pictures that go in, as the first run has them."""
    content, styles, _ = pictures.load(grid.runs[0].config)
    paths = storage.input_paths(folder, len(styles))
    for path, picture in zip(paths, (content, *styles), strict=True):
        files.save_image(path, picture)


class _StoppedError(Exception):
    """Ends a run from within, after Ctrl-C."""


class _Progress:
    """Counts steps and tells of runs, whichever threads they come from."""

    def __init__(self, todo: Sequence[Outcome], on_run: Any, on_step: Any) -> None:
        self._lock = threading.Lock()
        self._steps = {id(outcome): 0 for outcome in todo}
        self._in_all = sum(outcome.run.config.num_steps for outcome in todo)
        self._on_run, self._on_step = on_run, on_step

    def step(self, outcome: Outcome, steps: int) -> None:
        with self._lock:
            self._steps[id(outcome)] = steps
            if self._on_step is not None:
                self._on_step(sum(self._steps.values()), self._in_all)

    def end(self, outcome: Outcome) -> None:
        self.step(outcome, outcome.run.config.num_steps)
        with self._lock:
            if self._on_run is not None:
                self._on_run(outcome)


@dataclass
class _Work:
    """What the workers share."""

    pictures: _Pictures
    networks: dict[tuple, Network]
    batches: deque[list[Outcome]]
    progress: _Progress
    stop: threading.Event = field(default_factory=threading.Event)


def _keep_busy(work: _Work, devices: Sequence[Any]) -> bool:
    """A thread a device until all is done; whether Ctrl-C was pressed.

    The main thread waits: only there Ctrl-C can be heard, and a step is never cut in two.
    """
    with ThreadPoolExecutor(len(devices)) as pool:
        workers = [pool.submit(_work_off, work, device) for device in devices]
        try:
            while wait(workers, timeout=0.2).not_done:
                pass
        except KeyboardInterrupt:
            work.stop.set()
            wait(workers)
        for worker in workers:
            worker.result()
    return work.stop.is_set()


def _work_off(work: _Work, device: Any) -> None:
    placed: dict[tuple, Params] = {}
    with jax.default_device(device):
        while not work.stop.is_set():
            try:
                batch = work.batches.popleft()
            except IndexError:
                return
            first = batch[0].run.config
            name = first.encoder, first.weights
            encoder, params, _ = work.networks[name]
            if name not in placed:
                placed[name] = jax.device_put(params, device)
            try:
                _run_batch(work, batch, encoder, placed[name])
            except _StoppedError:
                return


def _run_batch(work: _Work, batch: list[Outcome], encoder: VGG, params: Params) -> None:
    """Run a batch together, or, if the memory does not hold it, run by run."""
    histories: list[list[Report]] = [[] for _ in batch]

    def on_step(reports: Sequence[Report | None]) -> None:
        for outcome, history, report in zip(batch, histories, reports, strict=True):
            if report is not None:
                history.append(report)
                work.progress.step(outcome, report.step)
        if work.stop.is_set():
            raise _StoppedError

    configs = [outcome.run.config for outcome in batch]
    with stopwatch() as watch:
        painted = _paint(work.pictures, configs, encoder, params, on_step)
        whole = watch()
    if len(batch) > 1 and _is_lack_of_memory(painted):
        for outcome in batch:
            _run_batch(work, [outcome], encoder, params)
        return
    results = len(batch) * [painted] if isinstance(painted, Exception) else painted
    seconds = {name: each / len(batch) for name, each in whole.items()}
    for outcome, history, result in zip(batch, histories, results, strict=True):
        _keep(outcome, result, history, seconds)
        work.progress.end(outcome)


def _paint(
    pictures: _Pictures,
    configs: Sequence[Config],
    encoder: VGG,
    params: Params,
    on_step: Callable[[Sequence[Report | None]], None],
) -> Sequence[Painted] | Exception:
    """What each run came to, or what kept all from running."""
    try:
        content, styles, initial = pictures.load(configs[0])
        if len(configs) > 1:
            return gatys_2016.stylize_together(
                *(content, styles, configs, encoder, params),
                initial_image=initial,
                on_step=on_step,
            )
        return [
            gatys_2016.stylize(
                *(content, styles, configs[0], encoder, params),
                initial_image=initial,
                on_step=lambda report: on_step([report]),
            )
        ]
    except _StoppedError:
        raise
    except Exception as error:
        return error


def _keep(
    outcome: Outcome, result: Painted, history: Sequence[Report], seconds: dict[str, float]
) -> None:
    """Write down what a run came to."""
    outcome.is_new = True
    if isinstance(result, DivergedError):
        outcome.status, outcome.message = "diverged", _one_line(result)
        picture = jnp.asarray(result.best_image)
        record = {
            "config": storage.as_json(outcome.run.config),
            "seconds": seconds,
            "steps": [{"step": r.step, "total": r.total, **r.terms} for r in history],
            "info": {"diverged": outcome.message, "diverged_at": result.step},
        }
    elif isinstance(result, Exception):
        outcome.status, outcome.message = "failed", _one_line(result)
        return
    else:
        outcome.status, (picture, record) = "done", result
    record["info"]["inputs"] = outcome.inputs
    try:
        storage.store(outcome.folder, picture, record)
        outcome.record = record
    except OSError as error:
        outcome.status, outcome.message = "failed", _one_line(error)


def _is_lack_of_memory(painted: Sequence[Painted] | Exception) -> bool:
    return isinstance(painted, MemoryError) or (
        isinstance(painted, Exception) and "RESOURCE_EXHAUSTED" in str(painted)
    )


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())[:_MESSAGE_LENGTH]
    known = isinstance(error, DivergedError | ValueError | OSError) and text
    return text if known else f"{type(error).__name__}: {text}"
