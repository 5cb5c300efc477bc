"""Make figures smaller, and say whether what they found comes out.

    python -m experiments.reproduce --list
    python -m experiments.reproduce --figure huang_2017/alpha
    python -m experiments.reproduce --all --budget 30m --data FOLDER

A figure is made by its own command, at the size that --list shows, in trials/reproduce unless --out
says otherwise. What is there is not made again. Each fact of a finding is then looked up in the
figure's record. Exit status: 0 where all facts hold, 1 where one does not or a figure failed, 2 for
bad input. With --all, figures that want --data are left out where there is none, and so are those
for which the budget does not suffice; both are told.

FOLDER is described in common/data_folder.py.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console

from experiments.common import command
from experiments.reproduce.claims import CLAIMS, Claim, Fact

_UNITS = {"s": 1, "m": 60, "h": 3600}


def main() -> int:
    """Run what the options say and return the exit status."""
    options = _parse()
    console = Console(highlight=False, soft_wrap=True)
    if options.list:
        _show_list(console)
        return 0
    named = [claim for claim in CLAIMS if options.all or claim.name == options.figure]
    began, missed = time.monotonic(), 0
    for claim in named:
        if reason := _left_out(claim, options, time.monotonic() - began):
            console.print(f"{claim.name}: left out: {reason}")
            continue
        console.print(f"[bold]{claim.name}[/bold]: {claim.finding}")
        facts = _find_facts(claim, options)
        for fact in facts or ():
            mark = "[green]holds[/green]   " if fact.holds else "[red]does not[/red]"
            console.print(f"  {mark} {fact.text}: {fact.numbers}")
        missed += facts is None or not all(fact.holds for fact in facts)
    return min(missed, 1)


def _parse() -> argparse.Namespace:
    parser = command.make_parser(__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--list", action="store_true", help="show the figures and their findings")
    what.add_argument("--figure", choices=[claim.name for claim in CLAIMS])
    what.add_argument("--all", action="store_true", help="all of them, within the budget")
    parser.add_argument("--budget", type=_seconds, help="time for --all, such as 30m or 2h")
    data = os.environ.get("NST_JAX_DATA")
    parser.add_argument("--data", type=Path, default=Path(data) if data else None)
    parser.add_argument(
        "--out", type=Path, default=command.TRIALS / "reproduce", help="(default: %(default)s)"
    )
    options = parser.parse_args()
    claim = next((each for each in CLAIMS if each.name == options.figure), None)
    if claim is not None and claim.wants_data and options.data is None:
        parser.error(f"--data: wanted for {claim.name}: a folder with the papers' inputs")
    if options.data is not None and not options.data.is_dir():
        parser.error(f"--data: there is no folder {options.data}")
    return options


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"wanted a time such as 90s, 30m or 2h, got {text!r}")
    return float(found[1]) * _UNITS[found[2]]


def _show_list(console: Console) -> None:
    for claim in CLAIMS:
        needs = ", wants --data" if claim.wants_data else ""
        console.print(f"[bold]{claim.name}[/bold]: {claim.finding}")
        console.print(f"  at {' '.join(claim.words)}: {claim.minutes:g} minutes{needs}")


def _left_out(claim: Claim, options: argparse.Namespace, spent: float) -> str | None:
    if claim.wants_data and options.data is None:
        return "it wants --data"
    if options.budget is not None and spent + 60 * claim.minutes > options.budget:
        return f"some {claim.minutes:g} minutes are more than what is left of the budget"
    return None


def _find_facts(claim: Claim, options: argparse.Namespace) -> list[Fact] | None:
    """Make the figure and look its finding up; None where it failed."""
    out = options.out / claim.module
    words = [sys.executable, "-m", f"experiments.{claim.module}", *claim.words, "--out", str(out)]
    if claim.module != "style_losses":  # which makes one figure
        words += ["--figures", claim.figure]
    if claim.wants_data:
        words += ["--data", str(options.data)]
    ended = subprocess.run(words, stdout=subprocess.DEVNULL, check=False)
    if ended.returncode:
        print(f"error: {claim.name}: its command ended with {ended.returncode}", file=sys.stderr)
        return None
    folder = out / claim.figure
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    return list(claim.check(record, folder))


if __name__ == "__main__":
    sys.exit(main())
