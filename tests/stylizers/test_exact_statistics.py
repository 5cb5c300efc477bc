"""Statistics of a large picture measured tile by tile, against those of the picture run whole."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_oracle import made_arrays, made_pictures

from nst_jax.networks.dumoulin import DumoulinNetwork
from nst_jax.networks.johnson import JohnsonNetwork
from nst_jax.networks.layers import InstanceNorm
from nst_jax.stylizers import painting
from nst_jax.stylizers.exact_statistics import can_measure, exact_statistics, layers_in_order
from nst_jax.stylizers.model_files import Model
from nst_jax.stylizers.tiling import cut

NETWORK = DumoulinNetwork(num_styles=2, width=2)
CONDITIONS = (jnp.array([[0.0, 1.0]]),)


def as_model(network: Any, variables: Any) -> Model:
    return Model(
        {JohnsonNetwork: "johnson2016", DumoulinNetwork: "dumoulin2017"}[type(network)],
        network,
        variables,
        ("a", "b"),
        {},
    )


def dumoulin() -> Model:
    images = jax.ShapeDtypeStruct((1, 48, 48, 3), jnp.float32)
    shapes = jax.eval_shape(NETWORK.init, jax.random.key(0), images, *CONDITIONS)
    return as_model(NETWORK, made_arrays(shapes))


def test_a_layer_measures_the_positions_that_count():
    x = jnp.asarray(made_pictures(1, 6, 8, 5)) * 3 + 100
    rows, columns = np.zeros(12, np.float32), np.zeros(16, np.float32)
    rows[2:10], columns[4:12] = 1, 1  # of the picture, of twice the map's size
    _, recorded = InstanceNorm().apply(
        {
            "params": {"scale": jnp.ones(5), "bias": jnp.zeros(5)},
            "counted": {"rows": rows, "columns": columns},
        },
        x,
        mutable=["statistics"],
    )
    found: Any = recorded["statistics"]
    part = np.asarray(x, np.float64)[:, 1:5, 2:6]
    np.testing.assert_allclose(found["mean"], part.mean((1, 2)), rtol=1e-6)
    np.testing.assert_allclose(found["var"], part.var((1, 2)), rtol=1e-4)


def test_layers_come_in_the_order_of_computation():
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    names = ["/".join(path) for path in layers_in_order(dumoulin(), images, CONDITIONS)]
    assert len(names) == len(set(names)) == 16
    assert [names[i] for i in (0, 2, 3, 12, 13, 15)] == [
        *("contract1_norm", "contract3_norm", "residual1a_norm"),
        *("residual5b_norm", "expand1_norm", "output_norm"),
    ]
    assert names != sorted(names)


@pytest.mark.slow
def test_tiles_are_as_the_picture_run_whole():
    model = dumoulin()
    y, x = np.mgrid[0:160, 0:200] / 160
    scene = np.stack([0.2 + 0.7 * y * (x > 0.6), 0.1 + 0.5 * x, 0.5 + 0.4 * np.sin(30 * x * y)], -1)
    pixels = scene.clip(0, 1).astype(np.float32)
    size = painting.fit_size(160, 200)
    whole = cut(pixels, top=0, left=0, size=size)
    wanted = painting.record_statistics(model, whole, CONDITIONS)

    found = exact_statistics(model, pixels, CONDITIONS, size=size, max_pixels=128**2)

    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        scale = float(jnp.abs(theirs).max())
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * scale)
    (picture,) = painting.paint(model, [pixels], [CONDITIONS])
    in_tiles = partial(painting.paint, model, [pixels], [CONDITIONS], max_pixels=128**2)
    (exact,) = in_tiles(measure=exact_statistics)
    (estimated,) = in_tiles()
    np.testing.assert_allclose(exact, picture, atol=1e-4)
    assert np.abs(estimated - picture).max() > 1e-3


def test_what_can_be_measured():
    assert can_measure(dumoulin())
    batch = JohnsonNetwork(width=2, normalization="batch")
    assert not can_measure(as_model(batch, {}))
    with pytest.raises(ValueError, match=r"^exact_statistics: wanted a network that takes no pix"):
        can_measure(as_model(JohnsonNetwork(width=2, normalization="instance"), {}))
