"""A sweep's report: one folder with tables, a sheet and a page, which needs no network to read."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nst_jax import files
from nst_jax.papers.gatys_2016 import Config
from nst_jax.sweeps import storage
from nst_jax.sweeps.axes import describe_value, printable
from nst_jax.sweeps.contact_sheet import write_sheet
from nst_jax.sweeps.curves import write_curves
from nst_jax.sweeps.requirements import require_libraries
from nst_jax.sweeps.running import Outcome, Sweep
from nst_jax.sweeps.tables import Row, describe_runs, describe_settings, write_table


def write_report(sweep: Sweep) -> Path:
    """Write runs.csv, settings.csv, sheet.jpg, curves/ and report.html; return the page's path.

    What an earlier report left in their places is replaced: they hold nothing that the runs'
    own records do not.

    Args:
        sweep: From run_grid; runs that diverged, failed or are missing are told as such.

    Raises:
        ReportLibraryMissingError: A library is missing.
        OSError: A file cannot be read or written.
    """
    require_libraries()
    folder = sweep.folder
    runs, settings = describe_runs(sweep), describe_settings(sweep)
    write_table(folder / "runs.csv", runs)
    write_table(folder / "settings.csv", settings)
    write_sheet(folder / "sheet.jpg", sweep)
    rows = [
        _describe_row(sweep, number, runs)
        for number in sorted({outcome.run.row for outcome in sweep.outcomes})
    ]
    page = _render(
        sweep=sweep,
        inputs=_describe_inputs(sweep),
        base=_describe_base(sweep),
        machine=_describe_machine(sweep),
        rows=rows,
        runs=runs,
        settings=settings,
        several_seeds=len(sweep.grid.seeds) > 1,
    )
    path = folder / "report.html"
    with files.replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")
    return path


def _describe_inputs(sweep: Sweep) -> list[dict[str, str]]:
    """The pictures that went in: their files' own names, and where they lie in the folder."""
    shown = storage.input_paths(sweep.folder, len(sweep.styles))
    return [
        {"name": printable(own.name), "path": path.relative_to(sweep.folder).as_posix()}
        for own, path in zip((sweep.content, *sweep.styles), shown, strict=True)
    ]


def _describe_row(sweep: Sweep, number: int, runs: Sequence[Row]) -> Mapping[str, Any]:
    """A row of the grid: what it is called, its pictures setting by setting, and its curves."""
    members = [
        (outcome, row)
        for outcome, row in zip(sweep.outcomes, runs, strict=True)
        if outcome.run.row == number
    ]
    columns: dict[int, list[tuple[Outcome, Row]]] = {}
    for outcome, row in members:
        columns.setdefault(outcome.run.column, []).append((outcome, row))
    cells = [
        {
            "label": " ".join(group[0][0].run.labels[-1]) if sweep.grid.axes else "all",
            "runs": [row for _, row in group],
        }
        for group in columns.values()
    ]
    lines = {
        cell["label"]: [outcome for outcome, _ in group]
        for cell, group in zip(cells, columns.values(), strict=True)
    }
    curves = f"curves/row_{number + 1}.svg"
    labels = members[0][0].run.labels[:-1]
    return {
        "title": ", ".join(f"{name} {label}" for name, label in labels),
        "cells": cells,
        "curves": curves if write_curves(sweep.folder / curves, lines) else None,
    }


def _describe_base(sweep: Sweep) -> dict[str, str]:
    """The settings that all runs share, but for those that are varied with one value."""
    first, *others = (outcome.run.config for outcome in sweep.outcomes)
    varied = {axis.name for axis in sweep.grid.axes} | {"seed"}
    shared = {
        name: value
        for name, value in ((name, getattr(first, name)) for name in Config.__dataclass_fields__)
        if name not in varied and all(getattr(config, name) == value for config in others)
    }
    return {name: describe_value(value) for name, value in shared.items()}


def _describe_machine(sweep: Sweep) -> dict[str, str]:
    """Devices and versions, from the records: older runs may have others."""
    found: dict[str, set[str]] = {}
    for outcome in sweep.outcomes:
        record = outcome.record or {}
        versions = record.get("versions", {})
        for name, value in {"device": record.get("device"), **versions}.items():
            if value:
                found.setdefault(name, set()).add(str(value))
    return {name: ", ".join(sorted(values)) for name, values in found.items()}


def _render(**values: Any) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("nst_jax.sweeps", "."),
        autoescape=True,  # names of files are anybody's
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "link": quote}
    return environment.get_template("report.html.jinja").render(**values)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
