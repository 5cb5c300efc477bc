"""Optimisers in NumPy, in place, against those that JAX compiles."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.files import scratch_arrays
from nst_jax.pixels import step
from nst_jax.pixels.host_steps import make_host_optimizer
from nst_jax.pixels.saved_state import state_from_arrays, state_to_arrays
from nst_jax.pixels.tiles import zeros_in_memory
from nst_jax.pixels.transformations import make_transformation

pytestmark = pytest.mark.usefixtures("lax_promotion")

RNG = np.random.default_rng(3)
START = RNG.random((1, 4, 5, 3), np.float32)
GOAL = RNG.random((1, 4, 5, 3), np.float32)
STEEP = np.exp(RNG.normal(size=(1, 4, 5, 3))).astype(np.float32)


def objective(image):
    bent = STEEP * jnp.square(image - GOAL) + 0.3 * jnp.cos(4 * image)
    return bent.mean(), {"bent": bent.mean()}


def into(image, out):
    (total, terms), gradient = jax.value_and_grad(objective, has_aux=True)(jnp.asarray(image))
    out[...] = gradient
    return total, terms


def both(name, *, longest_step=float("inf"), new_array=zeros_in_memory):
    options = {"learning_rate": 0.1 if name == "adam" else 1.0, "history": 3}
    options["longest_step"] = longest_step
    compiled = step.make_optimizer(
        jax.jit(jax.value_and_grad(objective, has_aux=True)), make_transformation(name, **options)
    )
    return compiled, make_host_optimizer(into, name, **options, new_array=new_array)


@pytest.mark.parametrize(
    ("name", "longest_step"), [("adam", float("inf")), ("lbfgs", float("inf")), ("lbfgs", 0.02)]
)
def test_ten_steps_are_those_of_the_compiled_optimizer(name, longest_step, tmp_path):
    compiled, hosted = both(name, longest_step=longest_step, new_array=scratch_arrays(tmp_path))
    theirs, _ = compiled.init(jnp.asarray(START))
    ours, _ = hosted.init(START)
    assert isinstance(ours.image, np.memmap)
    for _ in range(10):
        theirs, wanted = compiled.step(theirs)
        ours, found = hosted.step(ours)
        assert float(found.total) == pytest.approx(float(wanted.total), rel=1e-4)
    np.testing.assert_allclose(ours.image, theirs.image, atol=1e-4)
    np.testing.assert_allclose(ours.best_image, theirs.best_image, atol=1e-4)
    assert float(ours.best_total) == pytest.approx(float(theirs.best_total), rel=1e-4)
    assert not list(tmp_path.iterdir())  # its files have no names


@pytest.mark.parametrize("name", ["adam", "lbfgs"])
def test_a_state_goes_on_under_the_other_optimizer(name):
    compiled, hosted = both(name)
    theirs, _ = compiled.init(jnp.asarray(START))
    for _ in range(4):
        theirs, _ = compiled.step(theirs)
    saved = state_to_arrays(theirs)
    ours = hosted.from_whole(state_from_arrays(hosted.init(START)[0], saved))
    for _ in range(3):
        theirs, wanted = compiled.step(theirs)
        ours, found = hosted.step(ours)
        assert float(found.total) == pytest.approx(float(wanted.total), rel=1e-5)
    back = state_from_arrays(compiled.init(jnp.asarray(START))[0], state_to_arrays(ours))
    assert float(compiled.step(back)[1].total) == pytest.approx(
        float(compiled.step(theirs)[1].total), rel=1e-4
    )


def test_a_line_search_is_refused_and_a_scratch_folder_must_exist(tmp_path):
    options: Any = {"learning_rate": 1.0, "history": 3, "longest_step": float("inf")}
    with pytest.raises(ValueError, match=r"^tile: wanted optimizer lbfgs or adam, got lbfgs_zoom"):
        make_host_optimizer(into, "lbfgs_zoom", **options, new_array=zeros_in_memory)
    with pytest.raises(ValueError, match=r"^scratch: wanted a folder that exists, got .*nowhere"):
        scratch_arrays(tmp_path / "nowhere")
