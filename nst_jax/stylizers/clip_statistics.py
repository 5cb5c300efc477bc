"""The statistics that a network's instance normalisations see in several frames of a clip."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from nst_jax.stylizers.architectures import ARCHITECTURES
from nst_jax.stylizers.model_files import Model
from nst_jax.stylizers.painting import (
    BUCKET,
    Conditions,
    Statistics,
    find_statistics,
    fit_size,
)
from nst_jax.stylizers.tiling import MaskedPixels, cut


def pool_over_frames(
    model: Model,
    frames: Sequence[MaskedPixels],
    conditions: Conditions,
    *,
    max_pixels: int,
) -> Statistics | None:
    """Return the statistics of frames as if they were one picture; None for a network without any.

    Each layer sees frames that the layers before it normalised by their pooled statistics, as in a
    pass over one large picture. That holds among as many frames as run at once; over groups of
    those, n of N frames each, μ = Σ n μ_g / N and v = Σ n (v_g + (μ_g − μ)²) / N. Frames too large
    to run whole count one by one.

    Args:
        model: The network.
        frames: Of one size, one at least.
        conditions: The network's other arguments.
        max_pixels: How many pixels run at once.

    Reference: Wang et al. 2020 ("global feature sharing"), the code of ReReVST. Differs: normalised
        maps are not clamped to the range of the sampled frames.
    """
    kind = ARCHITECTURES[model.architecture].statistics(model.network)
    if kind in ("none", "whole"):  # "whole" normalises by no layer that could be given others
        return None
    size = fit_size(*frames[0].shape[:2], bucket=BUCKET)
    at_once = max_pixels // (size[0] * size[1])
    if at_once == 0:
        found = [
            find_statistics(model, pixels, conditions, size=size, max_pixels=max_pixels)
            for pixels in frames
        ]
        return combine([(1, each) for each in found if each is not None])
    around = ARCHITECTURES[model.architecture].surroundings
    larger = (size[0] + 2 * around, size[1] + 2 * around)
    groups = []
    for first in range(0, len(frames), at_once):
        group = frames[first : first + at_once]
        images = np.stack([cut(each, top=-around, left=-around, size=larger) for each in group])
        groups.append((len(group), _pool(model, images, conditions)))
    return combine(groups)


def combine(groups: Sequence[tuple[int, Statistics]]) -> Statistics:
    """Return the statistics of groups of frames together.

    Args:
        groups: How many frames each has, and their statistics.
    """
    shares = np.array([count for count, _ in groups], np.float64)
    shares /= shares.sum()
    layers = [flatten_dict(statistics) for _, statistics in groups]
    combined = {}
    for path in layers[0]:
        if path[-1] != "mean":
            continue
        at_var = (*path[:-1], "var")
        means = np.stack([np.asarray(each[path], np.float64) for each in layers], -1)
        variances = np.stack([np.asarray(each[at_var], np.float64) for each in layers], -1)
        mean = means @ shares
        var = (variances + np.square(means - mean[..., None])) @ shares
        combined[path] = jnp.asarray(mean, jnp.float32)
        combined[at_var] = jnp.asarray(var, jnp.float32)
    return unflatten_dict(combined)


def follow(average: Statistics, newest: Statistics, *, keep: float) -> Statistics:
    """Return running statistics after one more frame: keep · average + (1 − keep) · newest.

    Args:
        average: What they were.
        newest: A frame's own.
        keep: From 0, forget, to 1.
    """
    return jax.tree.map(lambda old, new: keep * old + (1 - keep) * new, average, newest)


def _pool(model: Model, images: np.ndarray, conditions: Conditions) -> Statistics:
    together = jax.tree.map(lambda array: jnp.repeat(array, len(images), axis=0), conditions)
    method = ARCHITECTURES[model.architecture].method
    return _record_pooled(model.network, method, model.variables, images, together)


@partial(jax.jit, static_argnums=(0, 1))
def _record_pooled(network, method: str, variables, images, conditions) -> Any:
    def record(variables):
        return network.apply(variables, images, *conditions, method=method, mutable=["statistics"])

    own = {name: each for name, each in variables.items() if name != "given_statistics"}
    layers = jax.eval_shape(record, own)[1]["statistics"]
    marks = jax.tree.map(lambda _: jnp.zeros((), jnp.float32), layers)
    found = record({**own, "pooled_statistics": marks})[1]["statistics"]
    return jax.tree.map(lambda array: array[:1], found)
