"""The gradient tile by tile, against that of the whole picture in one program."""

from typing import Any

import jax
import numpy as np
import pytest
from parted_pictures import ENCODER, LAYERS, params, picture, targets, weights, whole_gradient

from nst_jax.losses import STYLE_LOSSES
from nst_jax.pixels.layouts import Layout
from nst_jax.pixels.tiles import TiledObjective, plan_grid


@pytest.mark.parametrize("size", [(32, 48), (33, 47), (15, 64)])
def test_tiles_are_equal_and_cover_a_picture_once(size):
    grid = plan_grid(size, tile=20, stride=4, reach=5)
    covered = np.zeros((100, 100), int)
    for top, left in grid.corners():
        covered[top : top + grid.sides[0], left : left + grid.sides[1]] += 1
    assert (covered[: size[0], : size[1]] == 1).all()
    assert max(grid.sides) <= 20
    assert all(side % 4 == 0 for side in grid.sides)
    assert grid.margins == tuple(0 if count == 1 else 8 for count in grid.counts)


def tiled(tile, *, tv_loss="mean"):
    gram = STYLE_LOSSES["gram"]
    return TiledObjective(ENCODER, loss=gram, tv_loss=tv_loss, tile=tile)


@pytest.mark.parametrize(
    ("height", "width", "tile", "tv_loss"),
    [(40, 36, 16, "mean"), (41, 35, 16, "half_sum"), (33, 34, 64, "mean")],
)
def test_value_and_gradient_are_those_of_the_whole(height, width, tile, tv_loss):
    image, wanted = picture(height, width), targets(height, width)
    (total, terms), gradient = whole_gradient(image, wanted, tv_loss=tv_loss)
    out = np.full(image.shape, 7.0, np.float32)
    objective = tiled(tile, tv_loss=tv_loss)
    kept = objective.compute_targets(
        *(params(), picture(height, width, seed=1), [picture(21, 30, seed=2)]),
        weights=weights(),
        style_blend=(1.0,),
    )
    for layer in LAYERS:
        np.testing.assert_allclose(kept.style[layer], wanted.style[layer], rtol=1e-4, atol=1e-5)
    for layer, features in wanted.content.items():
        np.testing.assert_allclose(kept.content[layer], features, rtol=1e-4, atol=1e-5)
    found, found_terms = objective.value_and_gradient(
        np.asarray(image), kept, params(), weights(tv_loss), out
    )
    assert float(found) == pytest.approx(float(total), rel=1e-5)
    shares = {name: float(term / total) for name, term in terms.items()}
    assert min(shares.values()) > 0.01  # else a term could be wrong unseen
    for name, term in terms.items():
        assert float(found_terms[name]) == pytest.approx(float(term), rel=1e-5)
    scale = np.abs(gradient).max()
    np.testing.assert_allclose(out, gradient, rtol=1e-4, atol=2e-6 * scale)


def test_memory_of_a_tile_does_not_grow_with_the_picture():
    def temporary(height, width):
        grid = plan_grid((height, width), tile=16, stride=2, reach=6)
        shape = [side + 2 * margin for side, margin in zip(grid.sides, grid.margins, strict=True)]
        part = jax.ShapeDtypeStruct((1, *shape, 3), np.float32)
        content = {"relu2_1": jax.ShapeDtypeStruct((1, 8, 8, 128), np.float32)}
        objective = tiled(16)
        layers: Any = {"layers": (LAYERS, ("relu2_1",)), "grid": grid}

        def sums_of(part, content):
            return objective._sums_of(part, content, params(), (0, 0), **layers)

        slopes = jax.eval_shape(sums_of, part, content)
        lowered = objective._gradient.lower(part, content, params(), (0, 0), slopes, **layers)
        analysis: Any = lowered.compile().memory_analysis()
        return analysis.temp_size_in_bytes

    assert temporary(32, 32) == temporary(320, 160)


def test_layouts_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match=r"^tile: wanted 16 pixels or more, got 8"):
        Layout(tile=8)
