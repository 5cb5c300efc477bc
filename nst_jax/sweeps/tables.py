"""The numbers of a sweep: a row a run, a row a setting with mean and deviation over its seeds."""

import csv
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nst_jax import files
from nst_jax.sweeps.grid import Run
from nst_jax.sweeps.running import Outcome, Sweep

LOSSES = ("total", "content", "style", "tv")

Row = dict[str, Any]
"""Column to cell; None where there is nothing to say."""


def describe_runs(sweep: Sweep) -> list[Row]:
    """Return a row for each run, with the losses of its picture.

    Losses are weighted, as in a record. Those that end in _unweighted are divided by content_weight
    and style_weight: only they can be compared between runs of other weights, and the style's only
    between runs of the same style layers.
    """
    return [_describe_run(sweep, outcome) for outcome in sweep.outcomes]


def describe_settings(sweep: Sweep) -> list[Row]:
    """Return a row for each combination of the axes, with its losses over the runs that are done.

    For each loss its mean and its sample deviation s = √(Σ (x − x̄)² / (n − 1)); None for a
    deviation of fewer than two runs.
    """
    groups: dict[tuple, list[Row]] = {}
    for outcome, row in zip(sweep.outcomes, describe_runs(sweep), strict=True):
        groups.setdefault(outcome.run.labels, []).append(row)
    rows = []
    for labels, runs in groups.items():
        done = [run for run in runs if run["status"] == "done"]
        row: Row = {**dict(labels), "seeds": len(runs), "done": len(done)}
        for name in (*LOSSES, "content_unweighted", "style_unweighted"):
            values = [run[name] for run in done if run[name] is not None]
            row[f"{name}_mean"] = statistics.fmean(values) if values else None
            row[f"{name}_deviation"] = statistics.stdev(values) if len(values) > 1 else None
        rows.append(row)
    return rows


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV (UTF-8, a line of headers); None is an empty cell.

    Raises:
        OSError: The file cannot be written.
    """
    with files.replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _describe_run(sweep: Sweep, outcome: Outcome) -> Row:
    run, record = outcome.run, outcome.record or {}
    last = record["steps"][-1] if record.get("steps") else {}
    seconds = record.get("seconds", {})
    picture = _relative(sweep, outcome) if record else None
    return {
        "run": outcome.folder.name,
        "status": outcome.status,
        **dict(run.labels),
        "seed": run.config.seed,
        "steps": last.get("step"),
        **{name: last.get(name) for name in LOSSES},
        **_unweighted(run, last),
        "compile_seconds": seconds.get("compile"),
        "run_seconds": seconds.get("run"),
        "picture": picture,
        "message": outcome.message or None,
    }


def _unweighted(run: Run, last: Mapping[str, Any]) -> Row:
    weights = {"content": run.config.content_weight, "style": run.config.style_weight}
    return {
        f"{name}_unweighted": last[name] / weight if weight and name in last else None
        for name, weight in weights.items()
    }


def _relative(sweep: Sweep, outcome: Outcome) -> str:
    return (outcome.folder / "picture.png").relative_to(sweep.folder).as_posix()
