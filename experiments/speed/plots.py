"""Speed tables as pictures: bars of time over the fastest rival's, beside each record.

    python -m experiments.speed.plots [RECORD ...]

RECORD is a record.json of gatys.py, networks.py, adain.py or
control_costs.py; by default all that results/ has. Each gets a speed.png in its folder: a group of
bars a row, the seconds written at every bar, on a logarithmic axis.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.common import command, network_figures
from nst_jax import files

RECORDS = (
    *("benchmark", "network_benchmark", "network_benchmark/h200"),
    *("adain_benchmark", "adain_benchmark/h200", "control_costs"),
)
TORCH = "torch"
_TICKS = [digit * 10.0**power for power in range(-2, 3) for digit in (1, 2, 5)]

Bars = Mapping[str, Mapping[str, Mapping[str, float]]]
"""By row and by what was timed its seconds, and their ratio to those it is compared with."""


def read_bars(record: Mapping[str, Any]) -> Bars:
    """What a benchmark's record says of times.

    Raises:
        ValueError: It is not a record of a benchmark.
    """
    if "methods" in record:
        return record["methods"]
    rows = record.get("rows")
    if isinstance(rows, Mapping):
        return {name: row["sides"] for name, row in rows.items()}
    if isinstance(rows, list):
        return {f"{row['size']} pixels": row["value_and_gradient"] for row in rows}
    raise ValueError("record: wanted one of a benchmark, got one without rows or methods")


def plot(bars: Bars, path: Path) -> None:
    """Draw them; ours and what it is compared with in two families of colours."""
    lines = sum(len(sides) + 1 for sides in bars.values())
    figure = network_figures.make_plot(1)
    if figure is None:
        return
    (axes,) = figure.axes
    figure.set_size_inches(9, 1 + 0.24 * lines)
    place, ticks = 0, []
    for name, sides in bars.items():
        ticks.append((place + (len(sides) - 1) / 2, name))
        for side, found in sides.items():
            color = f"C{1 if side.startswith(TORCH) else 0}"
            axes.barh(place, found["ratio"] - 1, left=1, color=color)
            label = f" {side}: {found['seconds']:.3g} s "
            at_right = found["ratio"] >= 1
            axes.text(
                found["ratio"],
                place,
                label,
                va="center",
                ha="left" if at_right else "right",
                size=8,
            )
            place += 1
        place += 1
    axes.set_yticks([at for at, _ in ticks], [name for _, name in ticks])
    axes.invert_yaxis()
    ratios = [found["ratio"] for sides in bars.values() for found in sides.values()]
    axes.set(xscale="log", xlabel="time over what it is compared with")
    axes.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
    axes.minorticks_off()
    # The seconds beside the longest bars want a third of the axis on either side.
    room = max(3.2, (max(ratios) / min(ratios)) ** 0.6)
    axes.set_xlim(min(ratios) / room, max(ratios) * room)
    axes.axvline(1, color="black", linewidth=0.8)
    figure.savefig(path, dpi=100)


def main() -> None:
    """Draw the records that are named, or all."""
    parser = command.make_parser(__doc__)
    known = [Path("results") / name / "record.json" for name in RECORDS]
    parser.add_argument("records", nargs="*", type=Path, default=known, metavar="RECORD")
    for path in parser.parse_args().records:
        plot(read_bars(files.read_record(path)), path.with_name("speed.png"))
        print(f"wrote {path.with_name('speed.png')}")


if __name__ == "__main__":
    command.run(main)
