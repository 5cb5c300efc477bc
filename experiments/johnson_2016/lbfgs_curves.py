"""How many steps L-BFGS takes to a trained network's loss, on the network's own objective."""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax

from experiments.common import network_figures
from experiments.common.data_folder import Picture
from experiments.common.descent import (
    HISTORY,
    Limits,
    descend,
    describe_steps,
    first_step_at,
    make_optimizer,
    spacing,
)
from experiments.johnson_2016 import pixel_objective
from nst_jax import losses
from nst_jax.array_types import Params
from nst_jax.encoders.vgg import VGG
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.papers import gatys_2016, johnson_2016
from nst_jax.papers.johnson_2016 import Config
from nst_jax.pixels.step import Optimizer
from nst_jax.stylizers import Stylizer

STARTS = ("noise", "photograph")
# From fainter noise the second step of L-BFGS may overflow: see gatys_2016's preset `paper`.
NOISE = gatys_2016.Config(init="noise", noise_std=0.5)


class Judge(NamedTuple):
    """One network's objective, with all that it needs but the photograph."""

    config: Config
    grams: losses.Grams
    encoder: VGG
    encoder_params: Params
    evaluate: Any
    """(image, targets, encoder_params) -> ((total, terms), gradient), compiled."""
    optimizer: Optimizer


def make_judge(stylizer: Stylizer, data: Path) -> Judge:
    """The objective that a network was trained for."""
    config = network_figures.config_of(stylizer, johnson_2016.PRESETS)
    encoder, params = load_encoder(config.encoder, weights=config.weights)
    painting = network_figures.load_painting(stylizer, stylizer.styles[0], data)
    grams = johnson_2016.compute_style_grams(config, painting, encoder, params)
    total = pixel_objective.make_objective(config, encoder)
    evaluate = jax.jit(jax.value_and_grad(total, has_aux=True))
    return Judge(config, grams, encoder, params, evaluate, make_optimizer(evaluate))


def describe_settings(
    stylizer: Stylizer, config: Config, size: int, limits: Limits
) -> dict[str, Any]:
    """What a measurement must have in common with one that is not to be repeated."""
    settings = {
        "card": dict(stylizer.card),
        "config": dataclasses.asdict(config),
        "size": size,
        "least_steps": limits.least,
        "num_steps": limits.most,
        "history": HISTORY,
        "noise_std": NOISE.noise_std,
    }
    return network_figures.as_recorded(settings)


def measure(
    stylizer: Stylizer, judge: Judge, photograph: Picture, size: int, limits: Limits
) -> dict[str, Any]:
    """The network's loss on one photograph, and the steps that L-BFGS takes to it."""
    began = time.perf_counter()
    content = network_figures.load_square(photograph, size)
    targets = pixel_objective.compute_targets(
        judge.config, content, judge.grams, judge.encoder, judge.encoder_params
    )
    args = targets, judge.encoder_params
    painted = _apply(stylizer.network, stylizer.variables, content)
    (total, terms), _ = judge.evaluate(painted, *args)
    (clipped_total, _), _ = judge.evaluate(painted.clip(0, 1), *args)
    found = {
        "total": float(total),
        "terms": {name: float(term) for name, term in terms.items()},
        "clipped_total": float(clipped_total),
    }
    noise = gatys_2016.initial_picture(NOISE, content, content, height=size, width=size)
    for start, image in zip(STARTS, (noise, content), strict=True):
        lowest = min(total, clipped_total)
        totals = [r.total for r in descend(judge.optimizer, image, args, lowest, limits)]
        found[start] = {
            "steps": first_step_at(totals, found["total"]),
            "steps_clipped": first_step_at(totals, found["clipped_total"]),
            # Enough to draw it; all of it would make megabytes of the record.
            "curve": totals[: limits.least + 1 : spacing(limits.least)],
        }
    return {**found, "seconds": time.perf_counter() - began}


@partial(jax.jit, static_argnums=0)
def _apply(network, variables, images):
    return network.apply(variables, images)


def summarize(measured: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean and spread over photographs of the steps to the network's loss, from each start."""
    return {
        start: {
            kind: describe_steps([found[start][kind] for found in measured])
            for kind in ("steps", "steps_clipped")
        }
        for start in STARTS
    }
