"""Trainings that figures compare: each is done once, kept, and told by its held-out losses.

A training has a folder of its own in --workdir, from which it goes on where it was killed. When it
is complete its held-out losses go to the figure's record, and its picture beside it; what the
record holds, at the same settings and with its picture still there, is not trained again.
"""

import argparse
import dataclasses
import hashlib
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from rich.console import Console
from rich.table import Table

from experiments.common import network_figures, provenance
from nst_jax import files, train
from nst_jax.array_types import Image
from nst_jax.train import datasets
from nst_jax.train.config import CroppedConfig

TERMS = ("content", "style")


class Training(NamedTuple):
    """One training of a figure."""

    settings: Mapping[str, Any]
    """What tells it from another, as what JSON can hold."""
    fit: Callable[[str], train.Trained]
    """Trains in the folder that is given, going on from what it holds."""
    paint: Callable[[train.Trained], Image]
    """One picture that shows what was learnt."""
    defaults: Mapping[str, Any] = MappingProxyType({})
    """Of the settings that are mappings, what fields are that a record is too old to have."""


Trainings = Mapping[str, Sequence[Training]]
"""By the name of what is compared, one for each seed."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what figures that train want to know."""
    group = parser.add_argument_group("figures that train")
    group.add_argument(
        "--workdir",
        type=Path,
        default=files.cache_dir() / "experiments",
        help="for checkpoints, from which a training goes on (default: the package's cache)",
    )
    group.add_argument("--train-steps", type=int, default=500, help="of each training")
    group.add_argument("--train-size", type=int, default=64, help="of the squares trained on")
    group.add_argument("--batch-size", type=int, default=4)
    group.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    group.add_argument("--every", type=int, default=25, help="steps between held-out losses")


_Config = TypeVar("_Config", bound=CroppedConfig)


def shorten(config: _Config, options: argparse.Namespace, **changes: Any) -> _Config:
    """A configuration for as small and short a training as the options say, at a constant rate."""
    return dataclasses.replace(
        config,
        size=options.train_size,
        shorter_side=(options.train_size, 2 * options.train_size),
        batch_size=options.batch_size,
        num_steps=options.train_steps,
        schedule="constant",
        average_decay=None,
        **changes,
    )


def open_stream(photographs: Sequence[Path], config: CroppedConfig) -> datasets.PictureStream:
    """Training pictures as the configuration has them; whoever opens it closes it."""
    return train.open_stream(
        photographs,
        size=config.size,
        shorter_side=config.shorter_side,
        flip=config.flip,
        batch_size=config.batch_size,
        seed=config.seed,
    )


def for_seeds(
    config: _Config, options: argparse.Namespace, make: Callable[[_Config], Training]
) -> list[Training]:
    """A training for each of the seeds."""
    return [make(dataclasses.replace(config, seed=seed)) for seed in options.seeds]


def run_all(trainings: Trainings, out: Path, workdir: Path) -> dict[str, list[dict[str, Any]]]:
    """Train what the record lacks, and return each training's settings and held-out losses.

    Raises:
        ValueError: A training diverged; those before it are kept.
        KeyboardInterrupt: The user stopped it; the same command goes on.
    """
    path = out / "record.json"
    known = files.read_record(path)["trainings"] if path.exists() else {}
    done: dict[str, list[dict[str, Any]]] = {}
    for name, seeds in trainings.items():
        done[name] = []
        for number, training in enumerate(seeds):
            settings = network_figures.as_recorded(training.settings)
            picture = picture_path(out, name, number)
            found = _find(known.get(name, []), settings, training.defaults)
            if found is not None and picture.exists():
                done[name].append(found)
                continue
            done[name].append(_train(f"{name}, {number}", training, settings, picture, workdir))
            files.write_record(path, {"trainings": {**known, **done}})
    return done


def _find(
    records: Sequence[dict[str, Any]], settings: Any, defaults: Mapping[str, Any]
) -> dict[str, Any] | None:
    defaults = network_figures.as_recorded(defaults)

    def fill(recorded: Mapping[str, Any]) -> dict[str, Any]:
        filled = {name: {**fields, **recorded.get(name, {})} for name, fields in defaults.items()}
        return {**recorded, **filled}

    return next((record for record in records if fill(record["settings"]) == settings), None)


def config_defaults(config: Any) -> dict[str, Any]:
    """A Training's defaults where its settings have a configuration under "config"."""
    return {"config": dataclasses.asdict(type(config)())}


def _train(
    name: str, training: Training, settings: Any, picture: Path, workdir: Path
) -> dict[str, Any]:
    # A folder for each settings: checkpoints of others would be refused.
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
    folder = workdir / digest
    try:
        trained = training.fit(str(folder))
    except train.TrainingDivergedError as error:
        raise ValueError(f"{name}: {error}") from error
    if not trained.held_out:
        raise KeyboardInterrupt
    files.save_image(picture, training.paint(trained))
    curve, seconds = _read_log(folder / "metrics.jsonl")
    last = ", ".join(f"{term} {curve[-1][term]:.4g}" for term in TERMS)
    print(f"{name}: {last}, {seconds:.0f} s", flush=True)
    made = provenance.describe_run()
    return {"settings": settings, **made, "seconds": seconds, "curve": curve}


def _read_log(path: Path) -> tuple[list[dict[str, float]], float]:
    """The held-out losses by step, and how long the training took."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    curve = [{"step": line["step"], **line["held_out"]} for line in lines if "held_out" in line]
    return curve, max(line["seconds"] for line in lines if "seconds" in line)


def picture_path(out: Path, name: str, number: int) -> Path:
    """The file of a training's picture."""
    return out / f"{name.replace(' ', '_')}_{number}.jpg"


def load_picture(out: Path, name: str, number: int = 0) -> Any:
    """The picture of a training, (height, width, 3)."""
    return files.load_image(picture_path(out, name, number))[0]


def finish(
    out: Path,
    panels: Mapping[str, Mapping[str, Any]],
    records: Mapping[str, Sequence[Mapping[str, Any]]],
) -> None:
    """Write what the trainings come to, and them alone, to the record, print it, and draw curves.

    Args:
        out: The figure's folder.
        panels: By title the lines of a panel, by name the trainings of a line.
        records: All trainings, from run_all.
    """
    summary = summarize(records)
    files.write_record(out / "record.json", {"summary": summary, "trainings": records})
    table = Table("", *TERMS, title="held-out losses at the last step")
    for name, terms in summary.items():
        table.add_row(name, *(_as_text(terms[term]) for term in TERMS))
    Console().print(table)
    for term in TERMS:
        plot(panels, term, out / f"{term}.png")


def summarize(records: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Mean and spread over seeds of each term at the last step."""
    return {
        name: {term: mean_and_deviation([run["curve"][-1][term] for run in runs]) for term in TERMS}
        for name, runs in records.items()
    }


def mean_and_deviation(numbers: Sequence[float]) -> dict[str, float | None]:
    """Mean and spread; one number has no spread."""
    deviation = statistics.stdev(numbers) if len(numbers) > 1 else None
    return {"mean": statistics.mean(numbers), "deviation": deviation}


def _as_text(number: Mapping[str, float | None]) -> str:
    mean, deviation = number["mean"], number["deviation"]
    return f"{mean:.4g}" if deviation is None else f"{mean:.4g} ± {deviation:.2g}"


def plot(panels: Mapping[str, Mapping[str, Any]], term: str, path: Path) -> None:
    """Draw one held-out term over the steps: a panel each, a line each, the mean over seeds."""
    figure = network_figures.make_plot(len(panels))
    if figure is None:
        return
    for axes, (title, records) in zip(figure.axes, panels.items(), strict=True):
        for name, runs in records.items():
            axes.plot(*_mean_curve([run["curve"] for run in runs], term), label=name)
        axes.set_title(title, wrap=True)
        axes.set(xlabel="steps", ylabel=f"held-out {term} loss", yscale="log")
        axes.yaxis.set_major_formatter("{x:g}")  # 20, not 2 times a power of ten
        axes.yaxis.set_minor_formatter("{x:g}")
        axes.legend()
    figure.savefig(path, dpi=100)


def _mean_curve(curves: Sequence[Sequence[Mapping[str, float]]], term: str) -> Any:
    columns = list(zip(*curves, strict=True))
    steps = [column[0]["step"] for column in columns]
    return steps, [statistics.mean(each[term] for each in column) for column in columns]
