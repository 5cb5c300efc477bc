"""The command line of an experiment: where results go, and how it ends."""

import argparse
import sys
from pathlib import Path

import pytest

from experiments.common import command, provenance
from experiments.gatys_2016 import __main__ as gatys_2016
from experiments.speed import plots


@pytest.fixture
def parse(monkeypatch):
    """parse(WORD...) by a parser whose published results are in results/paper."""
    parser = argparse.ArgumentParser()
    command.add_out_option(parser, "results/paper")
    parser.add_argument("--size", type=int)
    parser.add_argument("--num-steps", type=int, default=300)
    parser.add_argument("--model", default="huang2017")

    def parse(*words):
        monkeypatch.setattr(sys, "argv", ["paper.py", *words])
        return command.parse(parser).out

    return parse


@pytest.mark.parametrize(
    "words", [(), ("--num-steps", "300"), ("--model", "mine")], ids=["none", "default", "other"]
)
def test_results_are_published_by_default(parse, words, capsys):
    assert parse(*words) == Path("results/paper")
    assert not capsys.readouterr().out


@pytest.mark.parametrize("words", [("--size", "96"), ("--num-steps", "30")])
def test_a_trial_leaves_published_results_alone(parse, words, capsys):
    assert parse(*words) == Path("trials/paper")
    assert capsys.readouterr().out.startswith("a trial: results go to trials/paper; --out ")


def test_a_trial_goes_where_it_is_asked_to(parse):
    assert parse("--size", "96", "--out", "here") == Path("here")
    assert parse("--size", "96", "--out", "results/paper") == Path("results/paper")


def test_a_trial_of_a_figure_is_made_beside_the_published_ones(start, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    made = []
    monkeypatch.setitem(gatys_2016.FIGURES, "weights", lambda options, out: made.append(out))
    start(gatys_2016, "--figures", "weights")
    start(gatys_2016, "--figures", "weights", "--size", 96, "--num-steps", 30)
    assert made == [Path("results/gatys_2016/weights"), Path("trials/gatys_2016/weights")]


@pytest.mark.parametrize(
    ("module", "name"),
    [(gatys_2016, "experiments.gatys_2016"), (plots, "experiments.speed.plots")],
    ids=["package", "module"],
)
def test_the_command_is_that_of_the_module(monkeypatch, tmp_path, module, name):
    words = ["--figures", "two words", "--data", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", [str(module.__file__), *words])
    wanted = f"python -m {name} --figures 'two words' --data FOLDER"
    assert provenance.describe_command() == wanted


def test_a_fault_of_the_input_ends_with_one_line():
    def main():
        raise ValueError("size: wanted 16 pixels or more, got 8")

    with pytest.raises(SystemExit, match=r"^error: size: wanted 16 pixels or more, got 8$"):
        command.run(main)
