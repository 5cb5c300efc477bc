"""Oracles: PyTorch's own iterates, stored (tests/goldens/make_lbfgs.py) and live; dense BFGS."""

import itertools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax import files
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.papers.gatys_2016 import PRESETS
from nst_jax.pixels import lbfgs

GOLDENS = Path(__file__).parents[1] / "goldens" / "lbfgs.npz"
ASSETS = Path(__file__).parents[2] / "nst_jax" / "assets"
NUM_STEPS = 20
CASES = [(name, history) for name in ("quadratic", "rosenbrock", "hills") for history in (100, 5)]


def quadratic(x):
    curvatures = 300 ** jnp.linspace(0.0, 1.0, len(x))
    reflected = x - 2 / len(x) * x.sum()
    return 0.5 * (curvatures * reflected**2).sum() - x.sum()


def rosenbrock(x):
    return (5 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def hills(x):
    heights = jnp.linspace(0.2, 1.2, len(x))
    return (heights * jnp.cos(2 * x)).sum() + 0.2 * (x**2).sum()


PROBLEMS = {"quadratic": quadratic, "rosenbrock": rosenbrock, "hills": hills}


def make(*, learning_rate=1.0, history=100, **bound) -> Any:
    return lbfgs.lbfgs(learning_rate=learning_rate, history=history, **bound)


def walk(gradient, x, tx, num_steps):
    """The start and where each step leads, and how many pairs were kept in all."""
    state, update = tx.init(x), jax.jit(tx.update)
    visited = [np.asarray(x)]
    for _ in range(num_steps):
        updates, state = update(gradient(x), state)
        x = x + updates
        visited.append(np.asarray(x))
    return np.stack(visited), int(state.num_pairs)


def worst_distance(ours, theirs):
    """The largest distance between equal steps, relative to the way from the start until there."""
    ours, theirs = (a.reshape(len(a), -1).astype(np.float64) for a in (ours, theirs))
    way = np.linalg.norm(theirs[1:] - theirs[0], axis=1)
    return (np.linalg.norm(ours[1:] - theirs[1:], axis=1) / way).max()


# The same iterates as PyTorch -----------------------------------------------------------------


@pytest.mark.parametrize(("name", "history"), CASES)
def test_stored_iterates_of_torch(name, history):
    with np.load(GOLDENS) as stored:
        theirs = stored[f"{name}_{history}"]
    gradient = jax.jit(jax.grad(PROBLEMS[name]))
    ours, pairs = walk(gradient, jnp.asarray(theirs[0]), make(history=history), NUM_STEPS)
    assert worst_distance(ours, theirs) < 1e-3
    # The hills' first step yields a pair that must be dropped.
    assert pairs == NUM_STEPS - 1 - (name == "hills")


def test_the_stored_cases_tell_a_short_history_from_a_long_one():
    with np.load(GOLDENS) as stored:
        for name in PROBLEMS:
            distance = worst_distance(stored[f"{name}_5"], stored[f"{name}_100"])
            assert distance > 1e-2, name


@pytest.mark.oracle
@pytest.mark.parametrize(("name", "history"), CASES)
def test_live_iterates_of_torch(name, history):
    pytest.importorskip("torch")
    from goldens.make_lbfgs import PROBLEMS as TORCH_PROBLEMS
    from goldens.make_lbfgs import iterates

    objective, start = TORCH_PROBLEMS[name]
    theirs = iterates(objective, start, history=history)
    gradient = jax.jit(jax.grad(PROBLEMS[name]))
    ours, _ = walk(gradient, jnp.asarray(start), make(history=history), NUM_STEPS)
    assert worst_distance(ours, theirs) < 1e-3


@pytest.mark.oracle
@pytest.mark.parametrize("history", [100, 5])
def test_every_step_on_a_picture_is_torchs(history):
    """On the objective of Gatys et al., led along PyTorch's path.

    There, two float32 runs part by themselves: a pixel that rounding moves across the kink of a
    ReLU or a max pool gets another gradient, and after 20 steps PyTorch is 20 % away from PyTorch
    in another memory format. So ours is given PyTorch's 21 pictures' gradients, one by one, and
    must answer PyTorch's next step each time, from what it remembers of its own.
    """
    torch = pytest.importorskip("torch")
    from goldens.make_lbfgs import iterates

    from experiments.pytorch import gatys as torch_gatys

    encoder, encoder_params = load_encoder("vgg16")
    content = files.load_image(ASSETS / "content" / "neuschwanstein_castle.jpg", size=64)
    style = files.load_image(ASSETS / "style" / "van_gogh_night_cafe.jpg", size=64)
    vgg = torch_gatys.TorchVGG(encoder_params["params"], encoder.preprocessing, pooling="max")
    objective = torch_gatys.make_objective(PRESETS["default"], vgg, content, style)
    path = iterates(
        lambda image: objective(image)[0],
        torch_gatys.to_torch(content, vgg).numpy(),
        history=history,
    )

    def gradient(image):
        leaf = torch.tensor(image).requires_grad_()
        objective(leaf)[0].backward()
        return jnp.asarray(leaf.grad.numpy())

    tx = make(history=history)
    state, update = tx.init(jnp.asarray(path[0])), jax.jit(tx.update)
    for here, there in itertools.pairwise(path):
        updates, state = update(gradient(here), state)
        wanted = there.astype(np.float64) - here
        difference = np.linalg.norm(np.asarray(updates) - wanted)
        assert difference < 1e-3 * np.linalg.norm(wanted)


# The rules one by one -------------------------------------------------------------------------


def test_the_direction_is_that_of_dense_bfgs():
    """−H g with H multiplied out from the last pairs, in float64, as in the textbook."""
    history, size = 3, 6
    rng = np.random.default_rng(0)
    factor = rng.standard_normal((size, size))
    curvature = factor @ factor.T + np.eye(size)
    tx = make(history=history)
    x = rng.standard_normal(size).astype(np.float32)
    state, pairs, step, before = tx.init(jnp.asarray(x)), [], None, None
    for _ in range(8):
        gradient = curvature @ x
        if before is not None:
            pairs = [*pairs, (step, gradient - before)][-history:]
        wanted = -dense_inverse(pairs, size) @ gradient
        if not pairs:
            wanted *= min(1.0, 1.0 / np.abs(gradient).sum())
        updates, state = tx.update(jnp.asarray(gradient, jnp.float32), state)
        step = np.asarray(updates, np.float64)
        np.testing.assert_allclose(step, wanted, rtol=0, atol=1e-3 * np.abs(wanted).max())
        before, x = gradient, (x + step).astype(np.float32)


def dense_inverse(pairs, size):
    inverse = np.eye(size)
    if pairs:
        step, difference = pairs[-1]
        inverse *= (step @ difference) / (difference @ difference)
    for step, difference in pairs:
        rho = 1 / (step @ difference)
        left = np.eye(size) - rho * np.outer(step, difference)
        inverse = left @ inverse @ left.T + rho * np.outer(step, step)
    return inverse


@pytest.mark.parametrize(
    ("gradient", "length"),
    [([3.0, -4.0, 1.0], 1 / 8), ([0.1, -0.2, 0.05], 1.0)],  # 1 / ‖g‖₁, but at most 1
)
@pytest.mark.parametrize("learning_rate", [1.0, 0.5])
def test_the_first_step_is_cautious(gradient, length, learning_rate):
    gradient = jnp.asarray(gradient)
    tx = make(learning_rate=learning_rate)
    updates, state = tx.update(gradient, tx.init(gradient))
    np.testing.assert_allclose(updates, -learning_rate * length * gradient, rtol=1e-6)
    assert int(state.num_pairs) == 0


def test_later_steps_have_the_learning_rates_length():
    # Equal gradients give y = 0 and so no pair: the second step is −lr · g, however long g is.
    gradient = jnp.array([3.0, -4.0])
    tx = make(learning_rate=0.25)
    _, state = tx.update(gradient, tx.init(gradient))
    updates, _ = tx.update(gradient, state)
    np.testing.assert_allclose(updates, [-0.75, 1.0], rtol=1e-6)


@pytest.mark.parametrize(("curvature", "kept"), [(2e-10, True), (0.5e-10, False), (-1e-3, False)])
def test_a_pair_is_kept_only_above_the_least_curvature(curvature, kept):
    # With ‖g‖₁ < 1 the first step is −g: s = −(0.01, 0). The second gradient is g − (δ, 0), so
    # y·s = 0.01 δ, and H₀ = s·y / y·y makes the second step −(0.01 − δ) · 0.01/δ.
    delta = curvature / 0.01
    first, second = jnp.array([0.01, 0.0]), jnp.array([0.01 - delta, 0.3])
    first = first.at[1].set(0.3)  # unchanged, so not part of y
    tx = make()
    _, state = tx.update(first, tx.init(first))
    updates, state = tx.update(second, state)
    assert int(state.num_pairs) == kept
    if not kept:
        np.testing.assert_allclose(updates, -second, rtol=1e-6)
    else:
        assert float(jnp.abs(updates).max()) > 1e3


def test_a_dropped_pair_leaves_the_memory_as_it_was():
    tx = make(history=2)
    gradients = [jnp.array(g) for g in ([0.4, 0.3], [0.2, 0.2], [0.25, 0.1], [0.6, 0.7])]
    state = tx.init(gradients[0])
    _, state = tx.update(gradients[0], state)
    step, state = tx.update(gradients[1], state)  # keeps the first pair
    assert int(state.num_pairs) == 1
    # Along the last step the gradient grows against it: y·s < 0.
    against = gradients[1] - 0.5 * step / jnp.linalg.norm(step)
    updates, after = tx.update(against, state)
    assert int(after.num_pairs) == 1
    for name in ("steps", "differences", "curvatures", "scale"):
        np.testing.assert_array_equal(getattr(after, name), getattr(state, name))
    pair = np.asarray(state.steps[0], np.float64), np.asarray(state.differences[0], np.float64)
    wanted = -dense_inverse([pair], 2) @ np.asarray(against, np.float64)
    np.testing.assert_allclose(updates, wanted, rtol=1e-4)


def test_a_quadratic_is_solved():
    curvatures = jnp.linspace(1.0, 50.0, 40)
    solution = jnp.linspace(-1.0, 2.0, 40)
    visited, _ = walk(
        lambda x: curvatures * (x - solution), jnp.zeros(40), make(history=20), num_steps=60
    )
    np.testing.assert_allclose(visited[-1], solution, atol=1e-4)


def test_a_long_step_is_shortened_in_its_direction():
    gradient = jnp.array([4.0, 0.2, -1.0])
    (free, _), (short, state) = (
        tx.update(gradient, tx.init(gradient)) for tx in (make(), make(longest_step=1e-3))
    )
    length = np.sqrt(np.mean(np.square(np.asarray(free, np.float64))))
    assert length > 0.1
    np.testing.assert_allclose(short, 1e-3 * np.asarray(free) / length, rtol=1e-5)
    np.testing.assert_array_equal(state.previous_updates, short)  # pairs are of steps taken


def test_short_steps_lead_where_long_ones_do():
    scales = jnp.array([1.0, 3.0, 10.0])
    visited, _ = walk(lambda x: scales * x, jnp.ones(3), make(longest_step=0.05), 60)
    lengths = np.sqrt(np.mean(np.square(np.diff(visited, axis=0)), axis=1))
    assert (lengths <= 0.05 * (1 + 1e-4)).all()
    assert (lengths[:10] > 0.049).all()  # the bound is felt
    np.testing.assert_allclose(visited[-1], 0, atol=1e-4)


def test_a_step_within_the_bound_is_torchs():
    (free, _), (bound, _) = (
        walk(jax.grad(rosenbrock), jnp.array([-1.2, 1.0]), tx, 30)
        for tx in (make(), make(longest_step=1e3))
    )
    np.testing.assert_array_equal(free, bound)


# As a gradient transformation -----------------------------------------------------------------


def test_a_tree_moves_as_its_raveled_vector():
    tree = {"a": jnp.array([[0.5, -2.0]]), "b": jnp.array([1.5])}
    vector = jnp.array([0.5, -2.0, 1.5])
    tx = make(history=4)
    tree_state, vector_state = tx.init(tree), tx.init(vector)
    for _ in range(4):
        tree_updates, tree_state = tx.update(jax.tree.map(jnp.sin, tree), tree_state, tree)
        vector_updates, vector_state = tx.update(jnp.sin(vector), vector_state)
        tree = jax.tree.map(jnp.add, tree, tree_updates)
        vector = vector + vector_updates
    np.testing.assert_array_equal(jnp.concatenate([tree["a"].ravel(), tree["b"]]), vector)


def test_jit_equals_eager_and_compiles_once():
    tx, traces = make(history=3), []

    def update(gradient, state):
        traces.append(gradient.shape)
        return tx.update(gradient, state)

    jitted = jax.jit(update)
    x = jnp.linspace(0.5, 1.5, 5)
    eager_state = jitted_state = tx.init(x)
    for _ in range(5):
        gradient = jax.grad(rosenbrock)(x)
        eager, eager_state = tx.update(gradient, eager_state)
        compiled, jitted_state = jitted(gradient, jitted_state)
        np.testing.assert_allclose(compiled, eager, rtol=1e-4, atol=1e-6)
        x = x + eager
    assert len(traces) == 1


@pytest.mark.parametrize("bound", [0.0, -1.0, float("nan")])
def test_a_bound_that_lets_nothing_move_is_refused(bound):
    with pytest.raises(ValueError, match="longest_step: wanted a number above 0"):
        make(longest_step=bound)


def test_no_pairs_are_refused():
    with pytest.raises(ValueError, match="history: wanted at least 1 pair, got 0"):
        make(history=0)


@pytest.mark.parametrize("size", [2, 1e10, 1e25, 3e37])
def test_a_step_of_any_length_is_shortened_to_the_bound(size):
    """Squares of more than 1.8e19 overflow in float32; a step that is then 0 would stall a run."""
    tx, image = make(longest_step=0.05), jnp.zeros((1, 4, 4, 3))
    pattern = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, image.shape), jnp.float32)
    _, state = tx.update(pattern, tx.init(image))
    # The gradient grows along the way down: no pair is kept, and the step would be −g.
    step, _ = tx.update(size * pattern, state)
    exact = np.asarray(pattern, np.float64)
    np.testing.assert_allclose(step, -0.05 * exact / np.sqrt(np.mean(exact**2)), rtol=1e-5)
