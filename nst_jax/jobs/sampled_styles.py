"""Styles that are drawn at random, for networks that know paintings by embeddings."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from nst_jax import files
from nst_jax.jobs.paintings import load_paintings
from nst_jax.stylizers import EmbeddingMixture, PredictedStyleStylizer, Stylizer

RANDOM = "random"
"""Stands for a style that is drawn around the paintings named beside it, or the bundled ones."""

_BUNDLED = "style"  # the folder of the assets
_MOST_SEED = 2**32 - 1


def asks_for_random(names: Sequence[Any]) -> bool:
    """Return whether a style is to be drawn.

    Args:
        names: Of styles, as a user gives them: words, paths or pictures.
    """
    return any(isinstance(name, str) and name == RANDOM for name in names)


def sample_style(
    stylizer: Stylizer, names: Sequence[Any], *, size: int | None, seed: int, alpha: float | None
) -> EmbeddingMixture:
    """Return a style that is drawn from the Gaussian of paintings' embeddings.

    Args:
        stylizer: The network.
        names: RANDOM, and perhaps paintings or folders of them; without any the bundled ones count.
        size: Pixels of the paintings' longer side; None is what the network is best given.
        seed: Another seed gives another style.
        alpha: How much of the style, from 0 to 1; None is 1.

    Raises:
        ValueError: The network knows no embeddings, there are fewer than two paintings, or seed or
            alpha is out of range.
        OSError: A painting cannot be read.
    """
    if not isinstance(stylizer, PredictedStyleStylizer):
        raise ValueError(
            f"style: {RANDOM} wants a model that knows paintings by embeddings, such as "
            f"ghiasi2017-magenta, and {stylizer.name} does not; choose another --model"
        )
    if not 0 <= seed <= _MOST_SEED:
        raise ValueError(f"seed: wanted a number from 0 to {_MOST_SEED}, got {seed}")
    others = [name for name in names if not asks_for_random([name])]
    given = others or files.list_images(files.asset_path(_BUNDLED))
    loaded = load_paintings(given, size or stylizer.style_size)
    encoded = [stylizer.encode_style(jnp.asarray(each[None])) for each in loaded.values()]
    style = stylizer.sample_style(jax.random.key(seed), encoded)
    return stylizer.prepare(style, alpha=1.0 if alpha is None else alpha)
