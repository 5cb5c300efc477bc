"""New weights for filters of a decoder that have stopped to fire.

A filter whose ReLU answers 0 everywhere has no gradient, and stays so: at high rates a step along
the mean of its inputs, which are all positive, is enough. The decoder then has fewer channels than
it seems; with nine left of 64 before the last layer it had hardly any colours.
"""

import itertools
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.array_types import FeatureMap, Params
from nst_jax.networks.huang import Decoder, decoder_channels

_RARELY = 5e-3  # the share of positions
_BIAS = 0.1
_OUTGOING = 0.3  # of the layer's own deviation, lest the picture change much


def revive(decoder: Decoder, params: Params, features: FeatureMap, *, seed: int = 0) -> Any:
    """Return params where filters that answer 0 nearly everywhere begin anew.

    Their weights are drawn as He et al. (2015) say, less their mean, so that they do not answer to
    the mean of their inputs; what later layers made of them is drawn anew as well, and small.

    Args:
        decoder: The network.
        params: Its parameters.
        features: What it is given, of a few dozen pictures.
        seed: Of the drawing.
    """
    rng = np.random.default_rng(seed)
    revived = jax.tree.map(np.array, params)
    names, x = list(decoder_channels(decoder.architecture)), features
    for name, following in itertools.pairwise(names):
        layer, later = revived[name], revived[following]["kernel"]
        fires = np.asarray(_run(decoder, revived, x, name) > 0).mean((0, 1, 2))
        dead = fires < _RARELY
        shape = (*layer["kernel"].shape[:3], dead.sum())
        drawn = rng.normal(0, np.sqrt(2 / np.prod(shape[:3])), shape)
        layer["kernel"][..., dead] = drawn - drawn.mean((0, 1, 2))
        layer["bias"][dead] = _BIAS
        shape = (*later.shape[:2], dead.sum(), later.shape[3])
        later[:, :, dead] = rng.normal(0, _OUTGOING * later.std(), shape)
        print(f"{name}: {dead.sum()} of {dead.size} filters revived")
        x = _run(decoder, revived, x, name)
    return jax.tree.map(jnp.asarray, revived)


def _run(decoder: Decoder, params: Params, x: Any, name: str) -> Any:
    layer = {name: jax.tree.map(jnp.asarray, params[name])}
    run = jax.jit(partial(decoder.apply, first=name, last=name, method="run_layers"))
    return run({"params": layer}, x)
