"""The losses of pictures in the styles of a network of Dumoulin et al. 2017, and comparing them."""

import statistics
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jax

from experiments.common import network_figures
from experiments.common.training_curves import TERMS
from nst_jax import losses
from nst_jax.array_types import Image, Params
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.papers import dumoulin_2017
from nst_jax.papers.dumoulin_2017 import Config
from nst_jax.stylizers import Stylizer
from nst_jax.train.perceptual_training import TransferObjective


class Judge(NamedTuple):
    """A network's objective, with the paintings of some of its styles."""

    config: Config
    grams: Mapping[str, losses.Grams]
    """By style."""
    encoder_params: Params
    objective: TransferObjective

    def measure(self, painted: Image, content: Image, style: str) -> dict[str, float]:
        """The weighted terms of the loss of one picture."""
        _, terms = self.objective(painted, content, self.grams[style], self.encoder_params)
        return {name: float(term) for name, term in terms.items()}


def make_judge(stylizer: Stylizer, names: Sequence[str], data: Path) -> Judge:
    """The objective that a network was trained for, in float32."""
    config = network_figures.config_of(stylizer, dumoulin_2017.PRESETS)
    encoder, params = load_encoder(config.encoder, weights=config.weights)
    grams = {}
    for name in names:
        painting = network_figures.load_painting(stylizer, name, data)
        grams[name] = dumoulin_2017.compute_style_grams(config, [painting], encoder, params)
    objective = jax.jit(dumoulin_2017.make_objective(config, encoder))
    return Judge(config, grams, params, objective)


def compare(
    many: Sequence[Mapping[str, float]], one: Sequence[Mapping[str, float]]
) -> dict[str, Any]:
    """Each term's means, and by how many per cent the first is above the second, by photograph."""
    return {
        term: {
            "many": statistics.mean(found[term] for found in many),
            "one": statistics.mean(found[term] for found in one),
            "percent": [100 * (a[term] / b[term] - 1) for a, b in zip(many, one, strict=True)],
        }
        for term in TERMS
    }


def describe_curves(curves: Sequence[Sequence[float]], *, rising: bool) -> dict[str, Any]:
    """The mean of one style's losses over photographs, and how many curves are monotone.

    A curve is monotone where each step goes in the right direction. The largest step back over all
    photographs is told as a share of its curve's range.
    """
    means = [statistics.mean(column) for column in zip(*curves, strict=True)]
    steps = [_smallest_step(curve, rising=rising) for curve in curves]
    return {
        "style_loss": means,
        "mean_is_monotone": _smallest_step(means, rising=rising) > 0,
        "monotone": sum(step > 0 for step in steps),
        "largest_step_back": max(0.0, -min(steps)),
    }


def _smallest_step(curve: Sequence[float], *, rising: bool) -> float:
    """The step that goes least far in the right direction, as a share of the curve's range."""
    sign = 1 if rising else -1
    least = min(sign * (after - before) for before, after in pairwise(curve))
    return least / ((max(curve) - min(curve)) or 1.0)
