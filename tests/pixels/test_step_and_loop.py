"""Oracles: Adam written out in NumPy, and the totals that a plain loop finds again."""

import os
import signal
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

from nst_jax.pixels import loop
from nst_jax.pixels.books import Books
from nst_jax.pixels.step import make_optimizer
from nst_jax.pixels.transformations import OptimizerName, make_transformation
from nst_jax.runs.compile_time import compile_seconds
from nst_jax.runs.report import DivergedError, Report

NAMES = ("lbfgs", "adam", "lbfgs_zoom")


def encode(image, kernels):
    """A toy encoder: two convolutions with ReLU between, for features and their Gram matrix."""
    features = image
    for kernel in kernels:
        dimensions = ("NHWC", "HWIO", "NHWC")
        features = lax.conv_general_dilated(
            jax.nn.relu(features), kernel, (2, 2), "SAME", dimension_numbers=dimensions
        )
    rows = features.reshape(-1, features.shape[-1])
    return features, rows.T @ rows / rows.shape[0]


def objective(image, targets, kernels):
    features, gram = encode(image, kernels)
    content = jnp.square(features - targets[0]).mean()
    style = 300.0 * jnp.square(gram - targets[1]).mean()
    return content + style, {"content": content, "style": style}


@pytest.fixture
def toy(photograph, painting):
    """The picture to begin with, and what the objective takes besides."""
    rng = np.random.default_rng(0)
    kernels = [
        jnp.asarray(rng.standard_normal((3, 3, *channels), np.float32) / 4)
        for channels in ((3, 8), (8, 8))
    ]
    content, style = photograph[:, 10:42, 20:52], painting[:, :32, :32]
    targets = encode(content, kernels)[0], encode(style, kernels)[1]
    return content, (targets, kernels)


def make(name: OptimizerName = "lbfgs", *, loss=objective, learning_rate=None, history=10):
    tx = make_transformation(
        name, learning_rate=learning_rate or (0.02 if name == "adam" else 1.0), history=history
    )
    value_and_gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))
    return make_optimizer(value_and_gradient, tx, objective=loss)


def square(image):
    """A loss whose numbers are easily foretold: the mean square."""
    total = jnp.square(image).mean()
    return total, {"content": total}


# One step -------------------------------------------------------------------------------------


def test_init_evaluates_the_picture_it_is_given(toy):
    image, args = toy
    state, metrics = make().init(image, *args)
    (total, terms), grads = jax.value_and_grad(objective, has_aux=True)(image, *args)
    np.testing.assert_array_equal(state.image, image)
    np.testing.assert_allclose(state.grads, grads, atol=1e-6)
    for found in (state.total, state.best_total, metrics.total):
        np.testing.assert_allclose(found, total, rtol=1e-6)
    assert {name: float(term) for name, term in metrics.terms.items()} == pytest.approx(
        {name: float(term) for name, term in terms.items()}
    )


@pytest.mark.usefixtures("lax_promotion")
@pytest.mark.parametrize("name", NAMES)
def test_a_steps_metrics_and_gradient_are_those_of_where_it_arrived(toy, name):
    image, args = toy
    optimizer = make(name)
    state, _ = optimizer.init(image, *args)
    for _ in range(3):
        state, metrics = optimizer.step(state, *args)
    (total, _), grads = jax.value_and_grad(objective, has_aux=True)(state.image, *args)
    np.testing.assert_allclose(metrics.total, total, rtol=1e-5)
    np.testing.assert_allclose(state.grads, grads, atol=1e-5)


@pytest.mark.usefixtures("lax_promotion")
@pytest.mark.parametrize(
    ("name", "num_steps", "factor"), [("lbfgs", 40, 25), ("adam", 40, 25), ("lbfgs_zoom", 20, 25)]
)
def test_the_loss_falls(toy, name, num_steps, factor):
    image, args = toy
    optimizer = make(name)
    state, before = optimizer.init(image, *args)
    for _ in range(num_steps):
        state, after = optimizer.step(state, *args)
    assert float(after.total) < float(before.total) / factor


@pytest.mark.usefixtures("lax_promotion")
def test_adam_is_adam(photograph):
    optimizer = make("adam", loss=square, learning_rate=0.01)
    state, _ = optimizer.init(10 * photograph)
    image = 10 * np.asarray(photograph, np.float64)
    mean, spread = np.zeros_like(image), np.zeros_like(image)
    for step in range(1, 11):
        state, _ = optimizer.step(state)
        gradient = 2 * image / image.size
        mean = 0.9 * mean + 0.1 * gradient
        spread = 0.999 * spread + 0.001 * gradient**2
        root = np.sqrt(spread / (1 - 0.999**step))
        image = image - 0.01 * mean / (1 - 0.9**step) / (root + 1e-8)
    np.testing.assert_allclose(state.image, image, atol=1e-5)


@pytest.mark.usefixtures("lax_promotion")
def test_the_best_picture_is_kept_while_the_loss_climbs(photograph):
    # From 0.2, steps of about 0.15 overshoot: to 0.05, −0.1, −0.2.
    optimizer = make("adam", loss=square, learning_rate=0.15)
    state, metrics = optimizer.init(jnp.full_like(photograph, 0.2))
    totals = [float(metrics.total)]
    for _ in range(3):
        state, metrics = optimizer.step(state)
        totals.append(float(metrics.total))
    assert totals.index(min(totals)) == 1
    assert float(state.best_total) == min(totals)
    np.testing.assert_allclose(square(state.best_image)[0], min(totals), rtol=1e-6)


def test_the_second_step_compiles_nothing(toy):
    image, args = toy
    traces = []

    def counted(image, *args):
        traces.append(image.shape)
        return objective(image, *args)

    optimizer = make("lbfgs", loss=counted)
    state, _ = optimizer.init(image, *args)
    state, _ = optimizer.step(state, *args)
    with compile_seconds() as compiling:
        state, _ = optimizer.step(state, *args)
        jax.block_until_ready(state)
    assert len(traces) == 1
    assert compiling() == 0


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan")])
def test_a_useless_learning_rate_is_refused(rate):
    with pytest.raises(ValueError, match=f"learning_rate: wanted a number above 0, got {rate}"):
        make_transformation("adam", learning_rate=rate)


def test_a_line_search_asks_for_the_objective(photograph):
    tx = make_transformation("lbfgs_zoom", learning_rate=1.0)
    optimizer = make_optimizer(jax.jit(jax.value_and_grad(square, has_aux=True)), tx)
    state, _ = optimizer.init(photograph)
    with pytest.raises(ValueError, match="objective: this optimizer has a line search"):
        optimizer.step(state)


# A run ----------------------------------------------------------------------------------------


def run(optimizer, state, *args, initial_total, on_step=None, restarts=None, **more):
    """loop.run of a single run whose books are told apart."""

    def tell(reports):
        if on_step is not None:
            on_step(reports[0])

    books = Books([{"step": 0, "total": initial_total}], on_step=tell)
    if restarts is not None:
        books.restarts = restarts
    state, done = loop.run(optimizer, state, *args, books=books, **more)
    if books.errors[0] is not None:
        raise books.errors[0]
    return state, done


def start(optimizer, image, *args):
    state, metrics = optimizer.init(image, *args)
    return state, float(metrics.total)


def test_a_run_reports_every_step_in_order_as_a_plain_loop_finds_it(toy):
    image, args = toy
    optimizer = make()
    state, initial_total = start(optimizer, image, *args)
    reports: list[Report] = []
    state, done = run(
        optimizer,
        state,
        *args,
        num_steps=7,
        first_step=2,
        initial_total=initial_total,
        on_step=reports.append,
    )
    assert done == 7
    assert [report.step for report in reports] == [3, 4, 5, 6, 7]
    again, _ = optimizer.init(image, *args)
    for report in reports:
        again, metrics = optimizer.step(again, *args)
        assert report.total == float(metrics.total)
        assert report.terms == {name: float(term) for name, term in metrics.terms.items()}
    np.testing.assert_array_equal(state.image, again.image)


def test_saves_come_on_time_and_after_the_reports(toy):
    image, args = toy
    optimizer = make()
    state, initial_total = start(optimizer, image, *args)
    events, totals = [], {}

    def on_step(report):
        events.append(("step", report.step))
        totals[report.step] = report.total

    def save(state, step):
        events.append(("save", step))
        assert float(state.total) == totals[step]

    run(
        optimizer,
        state,
        *args,
        num_steps=6,
        initial_total=initial_total,
        on_step=on_step,
        save=save,
        save_every=2,
    )
    # None after the last step: the run is done then.
    assert events == [
        *(("step", 1), ("step", 2), ("save", 2)),
        *(("step", 3), ("step", 4), ("save", 4)),
        *(("step", 5), ("step", 6)),
    ]


def test_no_steps_are_no_steps(photograph):
    optimizer = make(loss=square)
    state, initial_total = start(optimizer, photograph)
    state, done = run(optimizer, state, num_steps=0, initial_total=initial_total)
    assert done == 0
    np.testing.assert_array_equal(state.image, photograph)


# Divergence -----------------------------------------------------------------------------------


def brittle(image):
    """The mean square, which is NaN where the picture's mean falls under 0.2."""
    total = jnp.square(image).mean() + 0 * jnp.log(image.mean() - 0.2)
    return total, {"content": total}


@pytest.mark.usefixtures("lax_promotion")
def test_nan_stops_with_the_best_picture():
    # All pixels begin at 0.55 and every step of Adam's takes 0.1: 0.45, 0.35, 0.25, and then NaN.
    optimizer = make("adam", loss=brittle, learning_rate=0.1)
    image = jnp.full((1, 4, 4, 3), 0.55)
    state, initial_total = start(optimizer, image)
    reports: list[Report] = []
    with pytest.raises(DivergedError, match="The loss became nan at step 4") as caught:
        run(
            optimizer,
            state,
            num_steps=20,
            initial_total=initial_total,
            on_step=reports.append,
        )
    assert [report.step for report in reports] == [1, 2, 3]
    assert "\n" not in str(caught.value)
    assert caught.value.step == 4
    np.testing.assert_allclose(caught.value.best_image, 0.25, atol=1e-2)
    assert caught.value.best_total == pytest.approx(0.25**2, rel=5e-2)


@pytest.mark.usefixtures("lax_promotion")
def test_a_blown_up_loss_stops_with_the_best_picture(photograph):
    # Steps of 2: the first lands near −2, the mean square is beyond a million times 0.001².
    optimizer = make("adam", loss=square, learning_rate=2.0)
    image = 0.001 * photograph
    state, initial_total = start(optimizer, image)
    with pytest.raises(DivergedError, match=r"at step 1 .* Try another optimizer") as caught:
        run(optimizer, state, num_steps=20, initial_total=initial_total)
    np.testing.assert_array_equal(caught.value.best_image, image)
    assert caught.value.best_total == initial_total


class Watched:
    """A run whose reports and restarts are kept."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.restarts: list[int] = []

    def run(self, optimizer, image, **more):
        state, initial_total = start(optimizer, image)
        return run(
            optimizer,
            state,
            initial_total=initial_total,
            on_step=self.reports.append,
            restarts=self.restarts,
            **more,
        )


def blow_up_every(count: int) -> optax.GradientTransformation:
    """Gradient descent whose steps of this number since init, and of its multiples, are absurd."""

    def update(updates, state, params=None):
        del params
        rate = jnp.where((state + 1) % count == 0, 1e9, -1.0)
        return jax.tree.map(lambda g: rate * g, updates), state + 1

    return optax.GradientTransformation(lambda params: jnp.zeros((), jnp.int32), update)


def test_a_run_that_blows_up_goes_on_from_its_best_picture(photograph):
    evaluate = jax.jit(jax.value_and_grad(square, has_aux=True))
    optimizer = make_optimizer(evaluate, blow_up_every(3))
    watched, saved = Watched(), []
    state, done = watched.run(
        optimizer,
        photograph,
        num_steps=6,
        save=lambda state, step: saved.append(step),
        save_every=1,
    )
    assert (done, watched.restarts, saved) == (6, [3, 5], [1, 2, 3, 4, 5])
    # As six steps of gradient descent without any accident: ∂ mean x² = 2 x / n.
    shrunk = (1 - 2 / photograph.size) ** np.arange(1, 7)
    assert [report.step for report in watched.reports] == [1, 2, 3, 4, 5, 6]
    wanted = float(jnp.square(photograph).mean()) * shrunk**2
    np.testing.assert_allclose([report.total for report in watched.reports], wanted, rtol=1e-5)
    np.testing.assert_allclose(state.image, photograph * shrunk[-1], rtol=1e-5)


def abyss(image):
    """Almost a straight slope, whose foot L-BFGS takes to be far off, and steep walls below 0."""
    total = (jnp.sqrt(1 + jnp.square(image)) + jax.nn.relu(-image) ** 4).sum()
    return total, {"content": total}


def test_lbfgs_takes_short_steps_where_it_began_anew():
    image, watched = jnp.full((1, 2, 2, 3), 6.0), Watched()
    watched.run(make(loss=abyss), image, num_steps=40)
    (restart,) = watched.restarts
    assert restart < 10
    # All pixels are equal, so a step's length is each one's way: the slope's foot is near 1.
    totals = np.array([report.total for report in watched.reports]) / image.size
    heights = np.sqrt(np.square(totals) - 1)  # where the slope is as high as that
    ways = -np.diff(heights[restart:])
    np.testing.assert_allclose(ways, 0.05, rtol=1e-2)


@pytest.mark.parametrize(("own", "anew"), [(float("inf"), 0.05), (1.0, 0.05), (0.01, 0.01)])
def test_a_shorter_bound_of_its_own_holds_where_lbfgs_began_anew(photograph, own, anew):
    inner = make_transformation("lbfgs", learning_rate=1.0, longest_step=own)

    def update(updates, state, params=None):
        blow_up = jnp.where(state.count == 2, 1e9, 1.0)
        updates, state = inner.update(updates, state, params)
        return jax.tree.map(lambda u: blow_up * u, updates), state

    evaluate = jax.jit(jax.value_and_grad(square, has_aux=True))
    tx = optax.GradientTransformation(inner.init, update)
    watched, bounds = Watched(), []
    watched.run(
        make_optimizer(evaluate, tx),
        photograph,
        num_steps=4,
        save=lambda state, step: bounds.append(float(state.opt_state.longest)),
        save_every=1,
    )
    assert watched.restarts == [3]
    np.testing.assert_allclose(bounds, [own, own, anew], rtol=1e-6)


def test_a_run_that_blows_up_again_and_again_is_given_up(photograph):
    evaluate = jax.jit(jax.value_and_grad(square, has_aux=True))
    optimizer = make_optimizer(evaluate, blow_up_every(2))
    watched = Watched()
    with pytest.raises(DivergedError, match="at step 7"):
        watched.run(optimizer, photograph, num_steps=20)
    assert watched.restarts == [2, 3, 4, 5, 6]
    assert [report.step for report in watched.reports] == [1, 2, 3, 4, 5, 6]


@pytest.mark.usefixtures("lax_promotion")
def test_a_climb_is_no_blow_up(photograph):
    """Up to a million times the first total is borne: L-BFGS comes back from 3e4 times."""
    optimizer = make("adam", loss=square, learning_rate=1.0)
    state, initial_total = start(optimizer, 0.01 * photograph)
    totals = []
    run(
        optimizer,
        state,
        num_steps=4,
        initial_total=initial_total,
        on_step=lambda report: totals.append(report.total),
    )
    assert 1e3 * initial_total < max(totals) < 1e6 * initial_total


# Ctrl-C ---------------------------------------------------------------------------------------


def press():
    os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_ends_the_run_after_the_step_in_progress(toy):
    image, args = toy
    optimizer = make()
    state, initial_total = start(optimizer, image, *args)
    before = signal.getsignal(signal.SIGINT)
    reports: list[Report] = []

    def on_step(report):
        reports.append(report)
        if report.step == 3:
            press()

    state, done = run(
        optimizer, state, *args, num_steps=50, initial_total=initial_total, on_step=on_step
    )
    assert 3 <= done <= 3 + 2  # reports come up to two steps late
    assert [report.step for report in reports] == list(range(1, done + 1))
    assert float(state.total) == reports[-1].total
    assert float(objective(state.image, *args)[0]) == pytest.approx(reports[-1].total, rel=1e-5)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.fixture
def default_interrupt():
    """SIGINT as a terminal has it: a shell that starts tests in the background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("default_interrupt")
def test_a_second_ctrl_c_ends_it_at_once(toy):
    image, args = toy
    optimizer = make()
    state, initial_total = start(optimizer, image, *args)
    before = signal.getsignal(signal.SIGINT)
    steps = []

    def on_step(report):
        steps.append(report.step)
        press()
        press()

    with pytest.raises(KeyboardInterrupt):
        run(optimizer, state, *args, num_steps=50, initial_total=initial_total, on_step=on_step)
    assert steps == [1]
    assert signal.getsignal(signal.SIGINT) is before


def test_who_asks_may_stop_a_run(toy):
    image, args = toy
    optimizer = make()
    state, initial_total = start(optimizer, image, *args)
    asked = iter([False, False, True])
    _, done = run(
        optimizer,
        state,
        *args,
        num_steps=50,
        initial_total=initial_total,
        interrupted=lambda: next(asked),
    )
    assert done == 2


def test_a_run_in_a_thread_of_its_own(toy):
    """Python lets only the main thread handle signals."""
    image, args = toy
    optimizer = make()
    state, initial_total = start(optimizer, image, *args)
    found = []

    def work():
        found.append(run(optimizer, state, *args, num_steps=2, initial_total=initial_total)[1])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [2]


# Compile time ---------------------------------------------------------------------------------


def test_nested_functions_are_counted_once():
    pause = 0.05

    def paused(function):
        def with_pause(x):
            time.sleep(pause)  # while it is traced, and only then
            return function(x)

        return jax.jit(with_pause)

    innermost = paused(lambda x: x + 1)
    middle = paused(lambda x: 2 * innermost(x))
    outer = paused(lambda x: 3 * middle(x))
    began = time.perf_counter()
    with compile_seconds() as compiling:
        jax.block_until_ready(outer(jnp.ones(3)))
        wall = time.perf_counter() - began
        counted = compiling()
    assert 3 * pause <= counted <= wall


def test_running_and_waiting_are_not_compiling():
    program = jax.jit(lambda x: jnp.sin(x).sum())
    x = jnp.ones((64, 64))
    jax.block_until_ready(program(x))
    with compile_seconds() as compiling:
        jax.block_until_ready(program(x))
        time.sleep(0.02)
        assert compiling() == 0
        jax.block_until_ready(program(x[:32]))  # another shape
        counted = compiling()
    assert counted > 0
    jax.block_until_ready(program(x[:16]))
    assert compiling() == counted  # what comes after the block is not its own
