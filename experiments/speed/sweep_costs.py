"""What a sweep saves: sixteen pictures by `nst-jax sweep`, and by sixteen commands one by one.

    python -m experiments.speed.sweep_costs [--size 256] [--num-steps 20] [--out FOLDER]

Four sets of style layers by four ratios of content to style, all else as by default, on bundled
pictures. Both ways begin with an empty cache of compiled programs, as on a new machine, and then do
it all again with what they left there. Told are the seconds of the commands from beginning to end,
reports and pictures on disk included. On a GPU or TPU a sweep also does several runs at once. Let
nothing else run. Results: results/sweep_costs/record.json, and the sweep's contact sheet.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from experiments.common import command, provenance
from nst_jax import files

PICTURES = ("content/neuschwanstein_castle.jpg", "style/van_gogh_church_at_auvers.jpg")
LAYERS = tuple(",".join(f"relu{block}_1" for block in range(1, last + 1)) for last in (1, 2, 3, 5))
RATIOS = (1.0, 1e-1, 1e-2, 1e-3)  # the default weights' is 2e-2
WAYS = ("sweep", "one by one")


def sweep_command(common: list[str], out: Path) -> list[str]:
    """The one command."""
    ratios = [f"{ratio:g}" for ratio in RATIOS]
    varied = ["--vary", "style_layers", *LAYERS, "--vary", "ratio", *ratios]
    return ["sweep", *common, "--out", str(out), *varied]


def single_commands(common: list[str], out: Path) -> list[list[str]]:
    """The sixteen commands that paint the same pictures."""
    return [
        [
            "optimize",
            *common,
            *("--out", str(out / f"{number}_{ratio:g}.png")),
            *("--style-weight", repr(1 / ratio)),
            *("--style-layers", *layers.split(",")),
            *(
                "--style-layer-weights",
                *[repr(1 / len(layers.split(",")))] * len(layers.split(",")),
            ),
        ]
        for number, layers in enumerate(LAYERS)
        for ratio in RATIOS
    ]


def run(words: list[str], cache: Path) -> None:
    """Run nst-jax with a cache of its own.

    Raises:
        ValueError: It failed.
    """
    environment = {**os.environ, "NST_JAX_CACHE": str(cache)}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-m", "nst_jax", *words], env=environment, capture_output=True, text=True
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise ValueError(f"nst-jax {words[0]}: {said[-1]}")


def main() -> None:
    """Measure, print and write the record."""
    parser = command.make_parser(__doc__)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--num-steps", type=int, default=20)
    command.add_out_option(parser, "results/sweep_costs")
    options = command.parse(parser)
    pictures = [str(files.asset_path(name)) for name in PICTURES]
    common = [*pictures, "--size", str(options.size), "--num-steps", str(options.num_steps)]
    seconds: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        for cache in ("empty", "filled"):
            for way in WAYS:
                out = Path(name) / way / cache
                out.mkdir(parents=True)
                if way == "sweep":
                    commands = [sweep_command(common, out / "sweep")]
                else:
                    commands = single_commands(common, out)
                began = time.perf_counter()
                for words in commands:
                    run(words, Path(name) / way / "cache")
                seconds.setdefault(cache, {})[way] = time.perf_counter() - began
                print(f"{way}, cache {cache}: {seconds[cache][way]:.0f} s", flush=True)
        options.out.mkdir(parents=True, exist_ok=True)
        sheet = Path(name) / "sweep" / "filled" / "sweep" / "sheet.jpg"
        shutil.copyfile(sheet, options.out / "sheet.jpg")
    record = {
        **provenance.describe_run(),
        "style_layers": LAYERS,
        "ratios": RATIOS,
        "seconds": seconds,
        "sweep_over_one_by_one": {
            cache: found["sweep"] / found["one by one"] for cache, found in seconds.items()
        },
    }
    files.write_record(options.out / "record.json", record)
    table = Table("compiled programs", *WAYS, "ratio", title="seconds for 16 pictures")
    for cache, found in seconds.items():
        ratio = record["sweep_over_one_by_one"][cache]
        table.add_row(cache, *(f"{found[way]:.0f}" for way in WAYS), f"{ratio:.2f}")
    Console().print(table)


if __name__ == "__main__":
    command.run(main)
