"""`nst-jax sweep`: many runs of optimize that differ in a few settings, and a report on them."""

import dataclasses
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import OmitArgPrefixes, UseAppendAction, arg

from nst_jax import sweeps
from nst_jax.cli.config_options import choose_preset, config_groups, make_config
from nst_jax.cli.environment import check_device, keep_compiled_programs
from nst_jax.cli.errors import FAILURE, INTERRUPTED
from nst_jax.cli.optimize_options import PICTURES
from nst_jax.cli.shared_options import parse
from nst_jax.progress import describe_losses, describe_seconds, follow_parts
from nst_jax.sweeps import Grid, Sweep
from nst_jax.sweeps.axes import LAYER_SETS
from nst_jax.sweeps.requirements import require_libraries
from nst_jax.sweeps.running import Outcome

_DESCRIPTION = f"""\
Run a grid of settings of nst-jax optimize, and report on it with pictures and losses.

Examples:
  nst-jax sweep photo.jpg painting.jpg -o folder --vary style_weight 5 50 500
  nst-jax sweep photo.jpg painting.jpg -o folder --size 256 \\
      --vary style_layers cumulative --vary ratio 1e-1 1e-2 1e-3
  nst-jax sweep photo.jpg painting.jpg -o folder \\
      --vary style_layers relu1_1 relu1_1,relu2_1 relu1_1:0.2,relu4_1:1
  nst-jax sweep photo.jpg painting.jpg -o folder --init noise --seeds 0 1 2 \\
      --vary optimizer lbfgs lbfgs_zoom

What --vary takes: a setting by the name that it has in a record, and its values.
  style_weight, tv_weight, pooling, init, ...   one word each: 50, average, noise
  size, style_size, weights                     may be none: as large as they are, the usual ones
  style_layers, content_layers                  relu1_1,relu2_1 for equal weights that sum to 1;
                                                relu1_1:0.2,relu4_1:1 for weights of their own;
                                                or for many sets of the layers that you give or
                                                leave: {", ".join(LAYER_SETS)}
  ratio                                         content weight over style weight (the paper's
                                                alpha/beta); the content weight stays
  scales, style_blend                           0.5:0.65,1:0.35 and 2,1
  style_loss                                    gram, wasserstein, mrf, ...: another one than all
                                                runs have brings its own layers and weight, even
                                                where you give some; vary these too if it should not

Each --vary multiplies the runs; the last one makes the columns of the report.

FOLDER gets report.html, sheet.jpg, runs.csv, settings.csv, and runs/ with each run's picture and
record. Runs that are there are not repeated: after Ctrl-C, a crash or with more values give the
command again. All other options are those of nst-jax optimize, for all runs alike."""


@dataclass(frozen=True)
class SweepOptions:
    """How the runs are carried out."""

    batch: Annotated[
        int | None, arg(metavar="N", help_behavior_hint="(default: 1 on a CPU, else what fits)")
    ] = None
    """Runs at once on each device, where they differ in weights, seeds or beginnings alone."""
    quiet: Annotated[bool, arg(help_behavior_hint="")] = False
    """Print nothing but errors."""


_OUT_HELP = "The folder to write: a new one, or that of an earlier sweep."
_Vary = Annotated[
    UseAppendAction[tuple[tuple[str, ...], ...]],
    arg(
        metavar="SETTING VALUE [VALUE ...]",
        help="A setting and its values; give it once for each setting.",
    ),
]
_Seeds = Annotated[
    tuple[int, ...],
    arg(
        metavar="N [N ...]",
        help="Run everything with each of these seeds, and tell mean and deviation.",
        help_behavior_hint="",
    ),
]
_GROUPS = ("result", "balance", "network", "optimizer")  # masks are no settings of a sweep


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments after `nst-jax sweep` say and return the exit status."""
    options, grid = parse_options(arguments)
    require_libraries()
    check_device()
    keep_compiled_programs()
    quiet = options.sweep.quiet
    following = nullcontext() if quiet else follow_parts("sweep", unit="steps")
    with following as on_step:
        sweep = sweeps.run_grid(
            options.content,
            options.style,
            grid,
            options.out,
            batch=options.sweep.batch,
            on_run=None if quiet else _tell_run,
            on_step=on_step,
        )
    if not quiet:
        print("writing the report", file=sys.stderr)
    report = sweeps.write_report(sweep)
    return _tell(sweep, report, quiet=quiet)


def parse_options(arguments: Sequence[str]) -> tuple[Any, Grid]:
    """Return what the words after `nst-jax sweep` ask for: the options, and the runs.

    Raises:
        SystemExit: After help, or where an option is wrong.
        ValueError: An option has a wrong value, or two do not fit together.
        OSError: A file of weights cannot be read.
    """
    chosen = choose_preset(arguments)
    groups = [group for group in config_groups(chosen) if group[0] in _GROUPS]
    fields = [
        *PICTURES,
        ("out", Annotated[Path, arg(aliases=("-o",), metavar="FOLDER", help=_OUT_HELP)]),
        ("vary", _Vary, ()),
        ("seeds", _Seeds, ()),
        ("sweep", OmitArgPrefixes[SweepOptions], SweepOptions()),
        *groups,
    ]
    options: Any = parse(
        dataclasses.make_dataclass("Sweep", fields, frozen=True),
        arguments,
        command="sweep",
        description=_DESCRIPTION,
    )
    base = make_config(chosen, options, arguments)
    vary: dict[str, tuple[str, ...]] = {}
    for words in options.vary:
        if not words:
            raise ValueError("vary: wanted a setting and its values, got nothing")
        if words[0] in vary:
            raise ValueError(f"vary {words[0]}: given twice; put all its values behind one --vary")
        vary[words[0]] = words[1:]
    return options, sweeps.make_grid(base, vary, seeds=options.seeds)


def _tell_run(outcome: Outcome) -> None:
    """Print a line for a run that has ended."""
    told = f"{outcome.status}: {outcome.message}"
    if outcome.status == "done" and outcome.record is not None:
        last, seconds = dict(outcome.record["steps"][-1]), outcome.record["seconds"]
        total, _ = last.pop("total"), last.pop("step")
        took = describe_seconds(sum(seconds.values()), seconds["compile"])
        told = f"{describe_losses(total, last)}; {took}"
    setting = f"{outcome.run.setting}, " if outcome.run.setting else ""
    print(f"{setting}seed {outcome.run.config.seed}: {told}", file=sys.stderr)


def _tell(sweep: Sweep, report: Path, *, quiet: bool) -> int:
    counts = {status: sweep.count(status) for status in ("done", "diverged", "failed", "missing")}
    told = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    known = sum(not o.is_new and o.status in ("done", "diverged") for o in sweep.outcomes)
    if sweep.interrupted:
        print(
            f"stopped: of {len(sweep.outcomes)} runs {told}; the same command goes on; "
            f"so far: {report}",
            file=sys.stderr,
        )
        return INTERRUPTED
    if not quiet:
        there = f" ({known} were there)" if known else ""
        print(f"{report}: {told}{there}")
    if counts["failed"]:
        first = next(o for o in sweep.outcomes if o.status == "failed")
        print(
            f"error: {counts['failed']} of {len(sweep.outcomes)} runs failed, the first with: "
            f"{first.message}; the same command tries them again",
            file=sys.stderr,
        )
        return FAILURE
    return 0
