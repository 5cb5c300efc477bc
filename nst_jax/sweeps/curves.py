"""Loss curves as SVG, drawn by Matplotlib."""

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nst_jax import files
from nst_jax.sweeps.running import Outcome

_TERMS = ("total", "content", "style")
_FAR_BELOW = 1e-3  # of the least loss that comes after it
_MOST_NAMES = 16  # in a legend; of more lines the colours run from first to last

Lines = Mapping[str, Sequence[Outcome]]
"""What a line is called, and the runs, one a seed, that it stands for."""


def write_curves(path: Path, lines: Lines) -> bool:
    """Write the losses of each step, weighted, on logarithmic axes; a line is a mean over seeds.

    Where there are several seeds a band shows one standard deviation to each side. Dotted lines
    stand where the picture changes its size. A first loss far below all others, as that of a run
    that begins with the content image, lies below the axis. Return False, and write nothing, where
    no run has a loss to show.

    Args:
        path: An .svg file.
        lines: Runs that diverged are drawn as far as they went.

    Raises:
        OSError: The file cannot be written.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    found = {name: _statistics([_steps(o) for o in group]) for name, group in lines.items()}
    terms = [t for t in _TERMS if any(m > 0 for curve in found.values() for m, _ in curve[t])]
    if not terms:
        return False
    changes = {step for group in lines.values() for o in group for step in _size_changes(o)}
    colors = mpl.colormaps["viridis"]
    # Equal curves make equal files; text stays text, in the reader's own font.
    with mpl.rc_context({"svg.hashsalt": "nst_jax", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(3.6 * len(terms), 3.0), layout="constrained")
        panels: Any = figure.subplots(1, len(terms), squeeze=False)
        handles: dict[str, Any] = {}
        for panel, term in zip(panels[0], terms, strict=True):
            for number, (name, curve) in enumerate(found.items()):
                color = colors(0.88 * number / max(1, len(found) - 1))  # its end is too pale
                line = _draw_line(panel, curve[term], color)
                handles.setdefault(name, line)
            panel.set_yscale("log", nonpositive="mask")
            _fit_axis(panel, [curve[term] for curve in found.values()])
            for step in changes:
                panel.axvline(step, color="0.5", linewidth=0.8, linestyle=":")
            panel.set(title=f"{term}, weighted", xlabel="step")
            panel.grid(alpha=0.25)
            panel.spines[["top", "right"]].set_visible(False)
        if 1 < len(found) <= _MOST_NAMES:
            names = figure.legend(
                list(handles.values()), list(handles), loc="outside right upper", frameon=False
            )
            for text in names.get_texts():
                text.set_parse_math(False)  # a file's name may have dollars in it
        with files.replacing(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})
    return True


def _draw_line(panel: Any, points: Sequence[tuple[float, float]], color: Any) -> Any:
    steps = list(range(len(points)))
    means = [mean for mean, _ in points]
    (line,) = panel.plot(steps, means, color=color, linewidth=1.4)
    if any(deviation for _, deviation in points):
        low = [max(mean - deviation, mean / 10) for mean, deviation in points]
        high = [mean + deviation for mean, deviation in points]
        panel.fill_between(steps, low, high, color=color, alpha=0.2, linewidth=0)
    return line


def _fit_axis(panel: Any, curves: Sequence[Sequence[tuple[float, float]]]) -> None:
    """Let the axis begin with the losses after the first step, if the first lie far below them."""
    later = [mean for points in curves for mean, _ in points[1:] if mean > 0]
    first = [points[0][0] for points in curves if points and points[0][0] > 0]
    if later and first and min(first) < _FAR_BELOW * min(later):
        panel.set_ylim(bottom=min(later) / 2)


def _size_changes(outcome: Outcome) -> list[int]:
    """The last step at each size but the last; none in records of older versions."""
    return (outcome.record or {}).get("info", {}).get("last_steps", [])[:-1]


def _steps(outcome: Outcome) -> list[dict[str, Any]]:
    """The losses from before the first step on, as far as they are finite, all before clipping."""
    record = outcome.record or {}
    info = record.get("info", {})
    initial, last = info.get("initial"), info.get("before_clipping")
    steps = ([initial] if initial else []) + record.get("steps", [])
    if last and steps:
        steps = [*steps[:-1], last]
    return [step for step in steps if all(_is_finite(step.get(term)) for term in _TERMS)]


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _statistics(
    runs: Sequence[Sequence[Mapping[str, Any]]],
) -> dict[str, list[tuple[float, float]]]:
    """Mean and deviation of each term at each step, over the runs that got there."""
    found: dict[str, list[tuple[float, float]]] = {term: [] for term in _TERMS}
    for step in range(max(map(len, runs), default=0)):
        for term in _TERMS:
            values = [run[step][term] for run in runs if step < len(run)]
            deviation = statistics.stdev(values) if len(values) > 1 else 0.0
            found[term].append((statistics.fmean(values), deviation))
    return found
