"""Findings as claims: they hold in the published records, and not in records that say otherwise."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.reproduce.claims import CLAIMS

ROOT = Path(__file__).parents[2]
FOLDERS = {"style_losses": "beyond_gram"}


def published(claim):
    module: str = claim.module
    folder = ROOT / "results" / FOLDERS.get(module, module) / claim.figure
    return json.loads((folder / "record.json").read_text(encoding="utf-8")), folder


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_findings_hold_in_what_is_published(claim):
    facts = list(claim.check(*published(claim)))
    assert facts
    missed = [fact for fact in facts if not fact.holds]
    assert not missed


def turned(record):
    """A record that says the opposite, where it has numbers by alpha or by alpha/beta."""
    record = copy.deepcopy(record)
    for row in record.get("rows", ()):
        for key in ("style_distance", "lpips_to_content"):
            row[key] = row[key][::-1]
    losses = record.get("losses", {})
    if losses:
        keys = sorted(losses, key=float)
        record["losses"] = dict(zip(keys, [losses[key] for key in keys[::-1]], strict=True))
    return record


@pytest.mark.parametrize("name", ["gatys_2016/ratios", "huang_2017/alpha"])
def test_they_do_not_hold_in_the_opposite(name):
    (claim,) = (each for each in CLAIMS if each.name == name)
    record, folder = published(claim)
    assert not any(fact.holds for fact in claim.check(turned(record), folder))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--figure", "gatys_2016/ratios"], "--data: wanted for gatys_2016/ratios"),
        (["--all", "--budget", "soon"], "wanted a time such as 90s, 30m or 2h, got 'soon'"),
        (["--figure", "none"], "invalid choice: 'none'"),
    ],
)
def test_bad_input_is_one_line(words, said, monkeypatch):
    monkeypatch.delenv("NST_JAX_DATA", raising=False)
    command = [sys.executable, "-m", "experiments.reproduce", *words]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert said in ended.stderr
