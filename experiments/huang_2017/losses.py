"""The figure `losses` of huang_2017: a network's losses beside those of optimised pixels.

Both are after the same objective, the one that the network's card names: the AdaIN features in
relu4_1, and the painting's channel means and deviations. Pixels are optimised by L-BFGS from the
photograph. Told are the objective's weighted terms, and the paper's Euclidean norms of equations
(12) and (13), which differ from them by roots and weights; and after how many steps the pixels'
style loss is as low as the network's. The paper says 50 to 100, for Gatys et al.'s optimisation.
The network's picture is the one that is delivered, clipped to the range of colours; pixels are not.
A pair is measured once: what the record holds, for the same network, size and steps, is kept.
"""

import argparse
import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from rich.console import Console
from rich.table import Table

from experiments.common import network_figures, provenance
from experiments.common.descent import (
    Limits,
    descend,
    describe_steps,
    first_step_at,
    make_optimizer,
    spacing,
)
from experiments.huang_2017.pairs import HeldOutPair, held_out_pairs, load_network, size_of
from nst_jax import files
from nst_jax.array_types import Features
from nst_jax.networks.huang import LAYER
from nst_jax.ops.moments import channel_moments
from nst_jax.papers import huang_2017
from nst_jax.pixels.step import Optimizer

TERMS = ("content", "style", "content_norm", "style_norm")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what this figure alone wants to know."""
    parser.add_argument(
        "--steps", nargs="+", type=int, default=[50, 100], help="of L-BFGS, for `losses`"
    )


class Judge(NamedTuple):
    """A network's objective, with all that it needs but the pictures."""

    config: huang_2017.Config
    compute_targets: Any
    evaluate: Any
    """(image, targets, encoder_params) -> ((total, terms), gradient), compiled."""
    optimizer: Optimizer
    encoder_params: Any


def make_judge(network: Any) -> Judge:
    """The objective that a network was trained for, whose encoder is the network's own."""
    config = network_figures.config_of(network, huang_2017.PRESETS)
    encoder, layers = network.network.encoder, huang_2017.loss_layers(config)

    def objective(image, targets, encoder_params):
        features = encoder.apply(encoder_params, image, layers=layers)
        total, terms = huang_2017.sum_terms(config, features, targets)
        return total, {**terms, **_norms(config, features, targets)}

    evaluate = jax.jit(jax.value_and_grad(objective, has_aux=True))
    return Judge(
        config,
        jax.jit(lambda pair, params: huang_2017.compute_targets(config, pair, encoder, params)),
        evaluate,
        make_optimizer(evaluate),
        {"params": network.variables["params"]["encoder"]},
    )


def _norms(
    config: huang_2017.Config, features: Features, targets: huang_2017.Targets
) -> dict[str, Any]:
    """Equations (12) and (13) of one picture, without weights."""
    style = jnp.zeros(())
    for layer, _ in config.style_layers:
        mean, deviation = channel_moments(features[layer])
        wanted_mean, wanted_deviation = targets.style[layer]
        style += jnp.linalg.norm(mean - wanted_mean)
        style += jnp.linalg.norm(deviation - wanted_deviation)
    content = jnp.linalg.norm((features[LAYER] - targets.content).reshape(-1))
    return {"content_norm": content, "style_norm": style}


def losses(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `losses`."""
    steps = sorted(set(options.steps))
    if steps[0] < 1:
        raise ValueError(f"steps: wanted numbers from 1 on, got {steps[0]}")
    network, size = load_network(options.model), size_of(options, 256)
    judge, path = make_judge(network), out / "record.json"
    settings = _describe(network, judge, size, steps)
    record = files.read_record(path) if path.exists() else {}
    same = all(record.get(name) == value for name, value in settings.items())
    known, found = record["pairs"] if same else {}, {}
    for pair in held_out_pairs(options.data, options.count or 8, size):
        if pair.name not in known:
            measured = measure(network, judge, pair, steps)
            known[pair.name] = {**provenance.describe_origin(), **measured}
            described = {"command": provenance.describe_command(), **settings}
            files.write_record(path, {**described, "pairs": known})
        found[pair.name] = known[pair.name]
        told = found[pair.name]["steps_to_style"]
        print(f"{pair.name}: {f'{told} steps' if told is not None else 'style not reached'}")
    summary = summarize(list(found.values()), steps)
    files.write_record(path, {**files.read_record(path), "summary": summary, "pairs": found})
    print_summary(network.name, summary)
    plot(list(found.values()), steps[-1], out / "losses.png")


def _describe(network: Any, judge: Judge, size: int, steps: Sequence[int]) -> dict[str, Any]:
    """What measurements have in common with those that are not repeated, as a record has it."""
    settings = {
        "network": network.name,
        "card": dict(network.card),
        "size": size,
        "steps": list(steps),
        "config": dataclasses.asdict(judge.config),
    }
    return network_figures.as_recorded(settings)


def measure(network: Any, judge: Judge, pair: HeldOutPair, steps: Sequence[int]) -> dict[str, Any]:
    """The losses of the network's picture, and those of L-BFGS after so many steps."""
    whole = huang_2017.Pair(pair.content, pair.style)
    targets = judge.compute_targets(whole, judge.encoder_params)
    args = targets, judge.encoder_params
    (_, terms), _ = judge.evaluate(network(pair.content, pair.style), *args)
    limits = Limits(steps[-1], steps[-1])
    reports = descend(judge.optimizer, pair.content, args, float("-inf"), limits)
    curves = {name: [report.terms[name] for report in reports] for name in TERMS}
    return {
        "network": {name: float(terms[name]) for name in TERMS},
        # A curve that diverged is shorter.
        "optimised": {
            str(step): {name: curves[name][step] for name in TERMS} if step < len(reports) else None
            for step in (0, *steps)
        },
        **{
            f"steps_to_{name}": first_step_at(curves[name], float(terms[name]))
            for name in ("style", "style_norm")
        },
        "style_curve": curves["style"][:: spacing(steps[-1])],
    }


def summarize(found: Sequence[Mapping[str, Any]], steps: Sequence[int]) -> dict[str, Any]:
    """Means over the pairs, and the steps to the network's style loss."""
    told = {"network": [one["network"] for one in found]}
    for step in (0, *steps):
        told[str(step)] = [one["optimised"][str(step)] for one in found]
    means = {
        name: {term: statistics.mean(one[term] for one in rows) for term in TERMS}
        for name, rows in told.items()
        if None not in rows
    }
    counts = {
        name: describe_steps([one[name] for one in found])
        for name in ("steps_to_style", "steps_to_style_norm")
    }
    return {"means": means, **counts}


def print_summary(name: str, summary: Mapping[str, Any]) -> None:
    """Print the means, and in how many steps L-BFGS comes to the network's style loss."""
    table = Table("picture of", *TERMS, title=f"{name}, losses over pairs")
    for row, means in summary["means"].items():
        label = row if row == "network" else f"L-BFGS, {row} steps"
        table.add_row(label, *(f"{means[term]:.4g}" for term in TERMS))
    Console().print(table)
    told = summary["steps_to_style"]
    print(
        f"style loss of the network after {told['median']} steps in the median, "
        f"not reached in {told['not_reached']} of {told['photographs']}"
    )


def plot(found: Sequence[Mapping[str, Any]], num_steps: int, path: Path) -> None:
    """Draw the curves of the style loss over the network's, which is 1."""
    figure = network_figures.make_plot(1)
    if figure is None:
        return
    (axes,) = figure.axes
    for one in found:
        curve = [loss / one["network"]["style"] for loss in one["style_curve"]]
        axes.plot([spacing(num_steps) * i for i in range(len(curve))], curve)
    axes.axhline(1, color="black", linestyle="--")
    axes.set(xlabel="steps of L-BFGS", ylabel="style loss / network's", yscale="log")
    figure.savefig(path, dpi=100)
