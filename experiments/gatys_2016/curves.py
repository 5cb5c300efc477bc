"""Curves and numbers of runs of Gatys et al. 2016, beside their pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.common import network_figures

Losses = Mapping[float, Mapping[str, float]]
"""alpha/beta to the losses of a picture, as unweighted_losses answers them."""


def unweighted_losses(record: Mapping[str, Any]) -> dict[str, float]:
    """The content loss and the style loss of a run's picture, each without its weight."""
    last, config = record["steps"][-1], record["config"]
    return {term: last[term] / config[f"{term}_weight"] for term in ("content", "style")}


def plot_by_ratio(path: Path, lines: Mapping[str, Losses]) -> None:
    """Draw both losses over alpha/beta, a line for each name."""
    figure = network_figures.make_plot(2)
    if figure is None:
        return
    for axes, term in zip(figure.axes, ("content", "style"), strict=True):
        for name, losses in lines.items():
            axes.plot(losses.keys(), [each[term] for each in losses.values()], "o-", label=name)
        axes.set(xlabel="alpha/beta", ylabel=f"{term} loss", xscale="log", yscale="log")
    if len(lines) > 1:
        figure.axes[0].legend(title="style layers")
    figure.savefig(path, dpi=100)


def plot_by_step(path: Path, records: Mapping[str, Mapping[str, Any]]) -> None:
    """Draw the total loss over the steps, a line for each run.

    The last point is before clipping to [0, 1], which is not a step down.
    """
    figure = network_figures.make_plot(1)
    if figure is None:
        return
    (axes,) = figure.axes
    for name, record in records.items():
        reached = record["info"]["before_clipping"]["total"]
        steps = [entry["step"] for entry in record["steps"]]
        totals = [entry["total"] for entry in record["steps"][:-1]]
        axes.plot(steps, [*totals, reached], label=name)
    axes.set(xlabel="steps", ylabel="weighted loss", yscale="log")
    axes.legend()
    figure.savefig(path, dpi=100)
