"""The objective as a function of sums over parts, against the literal losses."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.losses import STYLE_LOSSES, TOTAL_VARIATION_LOSSES, sums
from nst_jax.losses.perceptual import Weights


def test_the_objective_of_sums_is_that_of_the_features():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(1, 6, 5, 64)).astype(np.float32)
    wanted = rng.normal(size=(1, 6, 5, 64)).astype(np.float32)
    target = rng.normal(size=(1, 64, 64)).astype(np.float32)
    halves = features[:, :2], features[:, 2:]
    grams = [sums.sum_grams({"relu1_1": jnp.asarray(half)}, ("relu1_1",)) for half in halves]
    content = [
        sums.sum_content({"relu1_1": jnp.asarray(half)}, {"relu1_1": jnp.asarray(of)})
        for half, of in zip(halves, (wanted[:, :2], wanted[:, 2:]), strict=True)
    ]
    found = sums.Sums(
        {"relu1_1": grams[0]["relu1_1"] + grams[1]["relu1_1"]},
        {"relu1_1": content[0]["relu1_1"] + content[1]["relu1_1"]},
        jnp.asarray(0.25),
    )
    weights = Weights({"relu1_1": 3.0}, {"relu1_1": 2.0}, jnp.asarray(4.0))
    total, terms = sums.objective_of_sums(
        *(found, {"relu1_1": jnp.asarray(target)}, weights),
        loss=STYLE_LOSSES["gram"],
        size=(6, 5),
    )
    rows = features.reshape(30, 64).astype(np.float64)
    style = 2.0 * np.mean((rows.T @ rows / 30 - target[0]) ** 2)
    literal = {"content": 3.0 * np.mean((features - wanted) ** 2.0), "style": style, "tv": 1.0}
    assert {name: float(term) for name, term in terms.items()} == pytest.approx(literal, rel=1e-5)
    assert float(total) == pytest.approx(sum(literal.values()), rel=1e-5)


@pytest.mark.parametrize("tv_loss", list(TOTAL_VARIATION_LOSSES))
@pytest.mark.parametrize("size", [(7, 9), (8, 6)])
def test_the_variation_of_parts_adds_up(tv_loss, size):
    image = np.random.default_rng(1).random((1, *size, 3), np.float32)
    # Beyond the picture lies what must not count.
    pixels = np.pad(image, ((0, 0), (1, 9), (1, 9), (0, 0)), constant_values=5.0)
    total = sum(
        float(
            sums.sum_variation(
                jnp.asarray(pixels[:, top : top + 6, left : left + 6]),
                tv_loss=tv_loss,
                rows=(top - 1, size[0]),
                columns=(left - 1, size[1]),
                own=(slice(1, 5), slice(1, 5)),
                size=size,
            )
        )
        for top in range(0, size[0], 4)
        for left in range(0, size[1], 4)
    )
    whole = float(TOTAL_VARIATION_LOSSES[tv_loss](jnp.asarray(image)))
    assert total == pytest.approx(whole, rel=1e-5)


def test_what_needs_more_than_gram_matrices_is_refused():
    assert sums.require_sums(STYLE_LOSSES["gram"], name="tile") is STYLE_LOSSES["gram"]
    with pytest.raises(ValueError, match=r"^tile: wanted a style loss of Gram matrices.* got mrf;"):
        sums.require_sums(STYLE_LOSSES["mrf"], name="tile")
    own = dataclasses.replace(STYLE_LOSSES["gram"], name="own", of_gram=None)
    with pytest.raises(ValueError, match="got own"):
        sums.require_sums(own, name="devices")
