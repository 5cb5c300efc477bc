"""Figure 1 of Gatys et al. 2016: what layers keep of a photograph, and of a painting's style.

The photograph and the painting are bundled ones, in place of Tübingen and The Starry Night, so
that they may be seen beside what is reconstructed from them.
"""

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path

from experiments.common.contact_sheet import split_rows
from experiments.gatys_2016 import curves
from experiments.gatys_2016.runs import (
    Run,
    Runs,
    base_config,
    bundled,
    describe_command,
    given,
    made,
    run_all,
    save_sheet,
    size_and_steps,
    style_layers_up_to,
)
from nst_jax.papers import gatys_2016
from nst_jax.papers.gatys_2016 import Config

CONTENT = "content/neuschwanstein_castle.jpg"
STYLE = "style/van_gogh_church_at_auvers.jpg"
CONTENT_LAYERS = ("relu1_2", "relu2_2", "relu3_2", "relu4_2", "relu5_2")
SIZE, NUM_STEPS = 256, 300
COLUMNS = 3


def content_runs(base: Config) -> Runs:
    """From noise to a photograph's features in one layer, without any style."""
    base = dataclasses.replace(base, style_layers=())
    return {
        layer: Run(
            dataclasses.replace(base, content_layers=((layer, 1.0),)),
            bundled(CONTENT),
            bundled(STYLE),
        )
        for layer in CONTENT_LAYERS
    }


def style_runs(base: Config) -> Runs:
    """From noise to a painting's Gram matrices in the first layers, without any content."""
    base = dataclasses.replace(base, content_layers=())
    return {
        f"up to {gatys_2016.STYLE_LAYERS[block - 1]}": Run(
            dataclasses.replace(base, style_layers=style_layers_up_to(block)),
            bundled(STYLE),  # gives the size alone
            bundled(STYLE),
        )
        for block in range(1, 6)
    }


def content_reconstructions(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `content_reconstructions`."""
    _make(content_runs, "photograph", options, out)


def style_reconstructions(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `style_reconstructions`."""
    _make(style_runs, "painting", options, out)


def _make(
    make_runs: Callable[[Config], Runs], label: str, options: argparse.Namespace, out: Path
) -> None:
    settings = size_and_steps(options, size=SIZE, num_steps=NUM_STEPS)
    runs = make_runs(base_config(**settings))
    records = run_all(runs, out, command=describe_command(out.name, options))
    original = given(next(iter(runs.values())).content, settings["size"], label)
    cells = [original, *(made(out, name) for name in runs)]
    save_sheet(out, split_rows(cells, COLUMNS), side=settings["size"])
    curves.plot_by_step(out / "losses.png", records)
