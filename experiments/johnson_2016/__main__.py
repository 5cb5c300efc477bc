"""Johnson et al. 2016: how good the trained networks are, in numbers and in pictures.

    python -m experiments.johnson_2016 --figures objective --data FOLDER [--sizes 256 512]
    python -m experiments.johnson_2016 --figures sheet sizes --data FOLDER [--look FOLDER]

`objective` is the paper's figure 5: the loss of a network's picture, by the objective that its card
names, against that of L-BFGS on the same objective, from noise and from the photograph. It tells
after how many steps optimisation has come as far; the paper says 50 to 100. Photographs are central
squares of held-out ones. The paper projects each iterate to the range of colours; here neither
side's pictures are clipped, and what the network's clipped picture, the one that is delivered,
comes to is told beside it. A picture takes about a minute at 256 pixels and four at 512, on two CPU
cores; what the record holds is not repeated. Results: results/johnson_2016/objective.

`sheet` shows what each network paints: held-out photographs at 512 pixels and the papers' at 1024.
Only pictures made from photographs of tier A, and from that of Tübingen, are written to
results/johnson_2016/sheet; the others go to the folder named by --look. About half a minute a
network.

`sizes` is the paper's claim that a network trained on small crops paints pictures of 256, 512 and
1024 pixels: Tübingen at each, shown at one size. Results: results/johnson_2016/sizes.

The paper's table 1, speed, is speed/networks.py's, which wants PyTorch and an idle machine.

The networks are those that ship, or --models. FOLDER is described in common/data_folder.py.
"""

import argparse
import statistics
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from experiments.common import command, network_figures, provenance
from experiments.common.contact_sheet import save_sheet, split_rows
from experiments.common.data_folder import TUBINGEN, find_picture, pictures_in, spread
from experiments.common.descent import Limits, spacing
from experiments.common.network_figures import HELD_OUT, LARGE
from experiments.johnson_2016 import lbfgs_curves
from experiments.johnson_2016.lbfgs_curves import STARTS
from nst_jax import files

SIZES = (256, 512, 1024)  # pixels: table 1 and figure 6


def objective(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `objective`, network by network, size by size and picture by picture."""
    photographs = spread(pictures_in(options.data, HELD_OUT), options.count)
    limits = Limits(options.least_steps, options.num_steps)
    path = out / "record.json"
    runs: dict[str, Any] = files.read_record(path)["runs"] if path.exists() else {}
    for stylizer in network_figures.load_networks("johnson2016", options.models):
        judge = lbfgs_curves.make_judge(stylizer, options.data)
        for size in options.sizes:
            name = f"{stylizer.name} at {size}"
            settings = lbfgs_curves.describe_settings(stylizer, judge.config, size, limits)
            known = runs.get(name, {})
            found = known["photographs"] if known.get("settings") == settings else {}
            for photograph in photographs:
                if photograph.file not in found:
                    measured = lbfgs_curves.measure(stylizer, judge, photograph, size, limits)
                    found[photograph.file] = {**provenance.describe_origin(), **measured}
                    print(f"{name}, {photograph.path.stem}: {_tell(found[photograph.file])}")
                summary = lbfgs_curves.summarize(list(found.values()))
                runs[name] = {"summary": summary, "settings": settings, "photographs": found}
                files.write_record(path, {"command": provenance.describe_command(), "runs": runs})
    print_summaries(runs)
    plot(runs, out / "objective.png")


def _tell(found: Mapping[str, Any]) -> str:
    steps = ", ".join(f"{found[start]['steps']} steps from {start}" for start in STARTS)
    return f"loss {found['total']:.4g}, {steps}, {found['seconds']:.0f} s"


def print_summaries(runs: Mapping[str, Any]) -> None:
    """Print in how many steps L-BFGS comes to the networks' losses."""
    table = Table("network", "start", "mean", "deviation", "median", "range", "not reached")
    for name, run in runs.items():
        for start, kinds in run["summary"].items():
            found = kinds["steps"]
            ends = f"{found['least']} to {found['most']}"
            numbers = (found[key] for key in ("mean", "deviation", "median"))
            cells = ("-" if number is None else f"{number:.1f}" for number in numbers)
            missed = f"{found['not_reached']} of {found['photographs']}"
            table.add_row(name, start, *cells, ends, missed)
    Console(width=max(110, Console().width)).print(table)


def plot(runs: Mapping[str, Any], path: Path) -> None:
    """Draw the mean curves of L-BFGS over the networks' losses, which are 1."""
    figure = network_figures.make_plot(len(runs))
    if figure is None:
        return
    for axes, (name, run) in zip(figure.axes, runs.items(), strict=True):
        every = spacing(run["settings"]["least_steps"])
        for start in STARTS:
            curves = [
                [total / found["total"] for total in found[start]["curve"]]
                for found in run["photographs"].values()
            ]
            # A curve that diverged is shorter: the mean is over those that go on.
            columns = [[c for c in column if c is not None] for column in zip_longest(*curves)]
            means = [statistics.mean(column) for column in columns]
            axes.plot([every * i for i in range(len(means))], means, label=f"L-BFGS from {start}")
        axes.axhline(1, color="black", linestyle="--", label="network")
        axes.set(title=name, xlabel="steps", ylabel="loss / network's loss", yscale="log")
        axes.legend()
    figure.savefig(path, dpi=100)


def sheet(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `sheet`: one of held-out photographs a network, one of Tübingen."""
    path = out / "record.json"
    shown = files.read_record(path)["shown"] if path.exists() else {}
    for stylizer in network_figures.load_networks("johnson2016", options.models):
        small, large = network_figures.paint_sheet(stylizer, None, options.data, options.look)
        cells = [(one.pixels, one.photograph.path.stem) for one in small]
        if cells:
            save_sheet(out / f"{stylizer.name}.jpg", split_rows(cells, 3), side=480)
        for one in large:
            file = out / f"{stylizer.name}_{one.photograph.path.stem}.jpg"
            save_sheet(file, [[(one.pixels, stylizer.name)]], side=LARGE)
        shown[stylizer.name] = network_figures.credit([one.photograph for one in (*small, *large)])
        print(f"{stylizer.name}: {len(small) + len(large)} pictures in {out}", flush=True)
    files.write_record(path, {**provenance.describe_run(), "shown": shown})


def sizes(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `sizes`: a row a network, a column a size."""
    photograph = find_picture(options.data, TUBINGEN)
    networks = network_figures.load_networks("johnson2016", options.models)
    rows = [
        [
            (network(files.load_image(photograph.path, size=size))[0], f"{network.name}, {size}")
            for size in SIZES
        ]
        for network in networks
    ]
    save_sheet(out / "sizes.jpg", rows, side=480)
    told = {"networks": [network.name for network in networks], "sizes": SIZES}
    credits = network_figures.credit([photograph])
    record = {**provenance.describe_run(), **told, "shown": credits}
    files.write_record(out / "record.json", record)


FIGURES = {"objective": objective, "sheet": sheet, "sizes": sizes}


def main() -> None:
    """Make the figures that were asked for."""
    parser = network_figures.make_parser(__doc__, FIGURES, "results/johnson_2016")
    parser.add_argument("--sizes", nargs="+", type=int, default=[256], help="for `objective`")
    parser.add_argument("--least-steps", type=int, default=100, help="of each curve")
    parser.add_argument("--num-steps", type=int, default=500, help="after which to give up")
    networks = dict.fromkeys(FIGURES, ("johnson2016",))
    network_figures.make_figures(parser, FIGURES, networks=networks, resuming={"objective"})


if __name__ == "__main__":
    command.run(main)
