"""Oracles: closed forms on constant pictures, and the run that was never stopped."""

import itertools
import json
import os
import signal
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nst_jax.ops.resizing import resize
from nst_jax.pixels import step as pixel_step
from nst_jax.pixels.levels import Level, Problem, optimize_levels, plan_levels, resize_state
from nst_jax.pixels.transformations import make_transformation
from nst_jax.runs.report import DivergedError, Report

pytestmark = pytest.mark.usefixtures("lax_promotion")

OPTIMIZERS = {"lbfgs": 1.0, "adam": 0.05}
LEVELS = [Level(12, 16, 0.5, 4), Level(24, 32, 1.0, 10)]


def objective(image, target):
    """Means over pixels, as ours all are: a distance and a term that is not a parabola."""
    content = jnp.square(image - target).mean()
    style = 0.05 * jnp.cos(9 * image).mean()
    smooth = 0.1 * jnp.square(jnp.diff(image, axis=2)).mean()
    return content + style + smooth, {"content": content, "style": style, "tv": smooth}


def make_optimizer(name, *, history=3, loss=objective):
    tx = make_transformation(name, learning_rate=OPTIMIZERS[name], history=history)
    return pixel_step.make_optimizer(jax.jit(jax.value_and_grad(loss, has_aux=True)), tx)


def make_problem(name, photograph, painting, *, args_at=None):
    """From a photograph towards a painting that is brighter than white in places."""

    def target_at(level):
        return (2 * resize(painting, height=level.height, width=level.width),)

    return Problem(
        make_optimizer(name),
        args_at or target_at,
        lambda level: resize(photograph, height=level.height, width=level.width),
    )


@pytest.fixture(params=OPTIMIZERS)
def problem(request, photograph, painting):
    return make_problem(request.param, photograph, painting)


# The plan -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("height", "width", "scales", "num_steps", "wanted"),
    [
        (384, 512, [(1.0, 1.0)], 500, [(384, 512, 1.0, 500)]),
        (
            *(384, 512, [(0.5, 0.65), (1.0, 0.35)], 200),
            [(192, 256, 0.5, 130), (384, 512, 1.0, 200)],
        ),
        # Shares are of their sum.
        (100, 200, [(0.5, 3.0), (1.0, 1.0)], 8, [(50, 100, 0.5, 6), (100, 200, 1.0, 8)]),
        # 63 pixels are too few, 64 are enough; the steps go to the next size.
        (90, 126, [(0.5, 0.5), (1.0, 0.5)], 10, [(90, 126, 1.0, 10)]),
        (96, 128, [(0.5, 0.5), (1.0, 0.5)], 10, [(48, 64, 0.5, 5), (96, 128, 1.0, 10)]),
        (
            *(90, 120, [(0.25, 0.25), (0.75, 0.25), (1.0, 0.5)], 12),
            [(68, 90, 0.75, 6), (90, 120, 1.0, 12)],
        ),
        (200, 200, [(0.5, 0.55), (1.0, 0.45)], 7, [(100, 100, 0.5, 4), (200, 200, 1.0, 7)]),
        # A size without a step is left out, but never the last.
        (200, 200, [(0.5, 0.0), (1.0, 1.0)], 7, [(200, 200, 1.0, 7)]),
        (200, 200, [(0.5, 1.0), (1.0, 0.0)], 7, [(100, 100, 0.5, 7), (200, 200, 1.0, 7)]),
        (200, 200, [(0.5, 0.1), (1.0, 0.9)], 1, [(200, 200, 1.0, 1)]),
        (200, 200, [(0.5, 0.5), (1.0, 0.5)], 0, [(200, 200, 1.0, 0)]),
    ],
)
def test_plans(height, width, scales, num_steps, wanted):
    assert plan_levels(height, width, scales=scales, num_steps=num_steps) == [
        Level(*level) for level in wanted
    ]


def test_coarse_sizes_that_do_not_fit_are_left_out_and_lose_no_step():
    scales = [(0.25, 0.25), (0.5, 0.25), (1.0, 0.5)]
    levels = plan_levels(
        *(100, 400), scales=scales, num_steps=8, fits=lambda level: level.height >= 30
    )
    assert levels == [Level(50, 200, 0.5, 4), Level(100, 400, 1.0, 8)]
    # The last size is never left out: what is too small for it is said of the picture.
    (only,) = plan_levels(100, 400, scales=scales, num_steps=8, fits=lambda level: False)
    assert only == Level(100, 400, 1.0, 8)


@pytest.mark.parametrize("num_steps", [1, 2, 3, 10, 199, 200])
def test_every_step_is_taken_once(num_steps):
    scales = [(0.3, 0.37), (0.5, 0.21), (0.8, 0.33), (1.0, 0.09)]
    levels = plan_levels(400, 300, scales=scales, num_steps=num_steps)
    taken = np.diff([0, *(level.last_step for level in levels)])
    assert taken.sum() == num_steps
    assert (taken[:-1] > 0).all()  # the last size may be there to enlarge the picture only


@pytest.mark.parametrize(
    ("scales", "complaint"),
    [
        ([(0.5, 1.0)], r"rising factors that end in 1, got \[0.5\]"),
        ([(1.0, 0.5), (0.5, 0.5)], "rising factors"),
        ([(0.5, 0.5), (0.5, 0.2), (1.0, 0.5)], "rising factors"),
        ([(-0.5, 0.5), (1.0, 0.5)], "rising factors"),
        ([(0.5, 0.5), (2.0, 0.5)], "rising factors"),
        ([], "rising factors"),
        ([(0.5, -0.5), (1.0, 1.0)], "shares of 0 or more, not all 0"),
        ([(0.5, 0.0), (1.0, 0.0)], "shares of 0 or more, not all 0"),
    ],
)
def test_plans_that_cannot_be(scales, complaint):
    with pytest.raises(ValueError, match=f"scales: wanted {complaint}"):
        plan_levels(200, 200, scales=scales, num_steps=10)


# From one size to the next --------------------------------------------------------------------


def colour(red, green, blue, *, height, width):
    return jnp.broadcast_to(jnp.array([red, green, blue]), (1, height, width, 3))


def adam_moments(state) -> Any:
    found = [s for s in state.opt_state if isinstance(s, optax.ScaleByAdamState)]
    assert len(found) == 1
    return found[0]


def constant_run(optimizer, num_steps, **size):
    """Constant pictures stay constant, so that every size tells the same story."""
    target = colour(0.9, 0.1, 0.9, **size)
    state, _ = optimizer.init(colour(0.2, 0.8, 0.1, **size), target)
    for _ in range(num_steps):
        state, _ = optimizer.step(state, target)
    return state, target


def test_adam_goes_on_as_if_it_had_been_there_all_the_time():
    optimizer = make_optimizer("adam")
    coarse, _ = constant_run(optimizer, 5, height=8, width=10)
    fine, target = constant_run(optimizer, 5, height=12, width=25)
    carried, metrics = resize_state(optimizer, coarse, target, height=12, width=25)
    for _ in range(4):
        np.testing.assert_allclose(carried.image, fine.image, rtol=1e-5)
        mine, wanted = adam_moments(carried), adam_moments(fine)
        assert int(mine.count) == int(wanted.count)
        np.testing.assert_allclose(mine.mu, wanted.mu, rtol=1e-3, atol=1e-9)
        np.testing.assert_allclose(mine.nu, wanted.nu, rtol=1e-3, atol=1e-12)
        np.testing.assert_allclose(metrics.total, fine.total, rtol=1e-5)
        carried, metrics = optimizer.step(carried, target)
        fine, _ = optimizer.step(fine, target)


def test_adams_moments_stay_where_they_were():
    optimizer = make_optimizer("adam")
    image = jnp.zeros((1, 8, 8, 3))
    target = jnp.zeros((1, 8, 8, 3)).at[:, :, :4].set(1.0)  # only the left half is pulled
    state, _ = optimizer.init(image, target)
    state, _ = optimizer.step(state, target)
    before = adam_moments(state)
    size = {"height": 16, "width": 16}
    carried, _ = resize_state(optimizer, state, resize(target, **size), **size)
    after = adam_moments(carried)
    for row, column, old in ((0, 0, (0, 0)), (15, 2, (7, 1)), (15, 15, (7, 7))):
        np.testing.assert_allclose(
            after.mu[0, row, column], before.mu[0, *old] / 4, rtol=1e-5, atol=1e-9
        )
        np.testing.assert_allclose(
            after.nu[0, row, column], before.nu[0, *old] / 16, rtol=1e-5, atol=1e-12
        )


def summed(image, target):
    """A sum over pixels, whose gradient at a pixel does not depend on how many there are."""
    total = jnp.square(image - target).sum()
    return total, {"content": total}


def test_adam_begins_afresh_where_the_loss_is_no_mean(photograph, painting):
    """Rescaled as if it were one, its moments would be off by the ratio of sizes."""

    def problem(is_mean):
        return Problem(
            make_optimizer("adam", loss=summed),
            lambda level: (resize(painting, height=level.height, width=level.width),),
            lambda level: resize(photograph, height=level.height, width=level.width),
            is_mean,
        )

    keeper, levels = Keeper(), [Level(12, 16, 0.5, 3), Level(24, 32, 1.0, 5)]
    optimize_levels(problem(False), levels, save=keeper, save_every=1)
    before, after = (keeper.saved[step][0] for step in (2, 4))
    (count,) = (name for name in after if name.endswith(".count"))
    assert (int(before[count]), int(after[count])) == (2, 1)
    # Adam's first step from scratch is its learning rate in every pixel.
    moments = {kind: after[count.replace(".count", f".{kind}")] for kind in ("mu", "nu")}
    np.testing.assert_allclose(moments["mu"] ** 2 * 1e-3, moments["nu"] * 1e-2, rtol=1e-4)
    carried = Keeper()
    optimize_levels(problem(True), levels, save=carried, save_every=1)
    assert int(carried.saved[4][0][count]) == 4


def test_lbfgs_begins_afresh():
    optimizer = make_optimizer("lbfgs")
    coarse, _ = constant_run(optimizer, 3, height=8, width=10)
    assert int(coarse.opt_state.num_pairs) > 0
    before = np.asarray(coarse.image)
    target = colour(0.9, 0.1, 0.5, height=12, width=25)
    carried, metrics = resize_state(optimizer, coarse, target, height=12, width=25)
    assert int(carried.opt_state.count) == int(carried.opt_state.num_pairs) == 0
    everywhere = np.broadcast_to(before[:, :1, :1], (1, 12, 25, 3))
    np.testing.assert_allclose(carried.image, everywhere, rtol=1e-6)
    np.testing.assert_allclose(metrics.total, objective(carried.image, target)[0], rtol=1e-6)
    start, gradient = np.asarray(carried.image), np.asarray(carried.grads)
    after, _ = optimizer.step(carried, target)
    length = min(1.0, 1 / np.abs(gradient).sum())
    np.testing.assert_allclose(after.image, start - length * gradient, atol=1e-6)


# A whole run ----------------------------------------------------------------------------------


def test_a_run_goes_through_all_sizes(problem, photograph):
    seen = []
    recording = Problem(
        problem.optimizer,
        problem.args_at,
        lambda level: seen.append(level) or problem.initial_at(level),
    )
    reports: list[Report] = []
    result = optimize_levels(recording, LEVELS, on_step=reports.append)
    assert seen == LEVELS[:1]  # afterwards the picture itself goes on
    assert result.image.shape == (1, 24, 32, 3)
    assert not result.interrupted
    assert [report.step for report in reports] == list(range(1, 11))
    assert [entry["step"] for entry in result.steps] == list(range(1, 11))
    for report, entry in list(zip(reports, result.steps, strict=True))[:-1]:
        assert entry == {"step": report.step, "total": report.total, **report.terms}
    # The first entry is before any step, at the first size.
    start = resize(photograph, height=12, width=16)
    assert result.initial["step"] == 0
    assert result.initial["total"] == pytest.approx(
        float(objective(start, *problem.args_at(LEVELS[0]))[0]), rel=1e-5
    )
    assert result.steps[3]["total"] < result.initial["total"]


def test_the_last_entry_is_the_clipped_pictures(problem):
    reports: list[Report] = []
    result = optimize_levels(problem, LEVELS, on_step=reports.append)
    image = np.asarray(result.image)
    assert image.min() >= 0.0
    assert image.max() == 1.0  # it wanted to go beyond
    total, terms = objective(result.image, *problem.args_at(LEVELS[-1]))
    wanted = {"step": 10, "total": float(total), **{k: float(v) for k, v in terms.items()}}
    assert result.steps[-1] == pytest.approx(wanted, rel=1e-5)
    assert result.steps[-1]["total"] != pytest.approx(reports[-1].total, rel=1e-3)


def test_a_run_without_steps_returns_the_picture_it_was_given(problem, photograph):
    result = optimize_levels(problem, [Level(48, 64, 1.0, 0)])
    np.testing.assert_array_equal(result.image, photograph)
    assert [entry["step"] for entry in result.steps] == [0]
    assert result.steps[0] == result.initial


# Saving and resuming --------------------------------------------------------------------------


class Keeper:
    """Keeps what is saved as a file would: copied, and the metadata as JSON."""

    def __init__(self):
        self.saved: dict[int, tuple[dict[str, np.ndarray], str]] = {}

    def __call__(self, arrays, metadata):
        copies = {name: np.array(array) for name, array in arrays.items()}
        self.saved[metadata["step"]] = copies, json.dumps(metadata)

    def load(self, step) -> Any:
        arrays, metadata = self.saved[step]
        return arrays, json.loads(metadata)


def assert_same(result, wanted):
    np.testing.assert_array_equal(result.image, wanted.image)
    assert result.steps == wanted.steps
    assert result.initial == wanted.initial


def test_resuming_from_any_step_ends_as_if_it_had_never_stopped(problem):
    keeper = Keeper()
    whole = optimize_levels(problem, LEVELS, save=keeper, save_every=1)
    assert list(keeper.saved) == [1, 2, 3, 5, 6, 7, 8, 9]  # at the end of a size comes the next
    for step in keeper.saved:
        for _ in range(2):  # resuming leaves what was saved as it was
            reports: list[Report] = []
            again = optimize_levels(
                problem, LEVELS, resume=keeper.load(step), on_step=reports.append
            )
            assert_same(again, whole)
            assert [report.step for report in reports] == list(range(step + 1, 11))


def test_saving_changes_nothing_and_shows_what_it_saves(problem):
    keeper, previews = Keeper(), {}
    watched = optimize_levels(
        problem,
        LEVELS,
        save=keeper,
        save_every=3,
        on_preview=lambda image, step: previews.update({step: image.copy()}),
    )
    assert_same(optimize_levels(problem, LEVELS), watched)
    assert list(previews) == list(keeper.saved) == [3, 6, 9]
    for step, preview in previews.items():
        image = keeper.saved[step][0][".image"]
        assert image.max() > 1.0 or step == 3
        np.testing.assert_array_equal(preview, image.clip(0, 1))


def test_what_was_handed_over_does_not_grow(problem):
    handed = []
    optimize_levels(problem, LEVELS, save=lambda _, metadata: handed.append(metadata), save_every=2)
    assert [len(metadata["steps"]) for metadata in handed] == [2, 6, 8]


def test_another_runs_arrays_are_refused(photograph, painting):
    keeper = Keeper()
    adam = make_problem("adam", photograph, painting)
    optimize_levels(adam, LEVELS, save=keeper, save_every=2)
    lbfgs = make_problem("lbfgs", photograph, painting)
    with pytest.raises(ValueError, match="arrays: saved by another optimiser; give the same"):
        optimize_levels(lbfgs, LEVELS, resume=keeper.load(2))
    larger = [Level(18, 24, 0.75, 4), LEVELS[1]]
    with pytest.raises(ValueError, match=r"has shape \(1, 12, 16, 3\), the run wants \(1, 18, 24"):
        optimize_levels(adam, larger, resume=keeper.load(2))


def test_a_saved_run_goes_on_for_longer(problem):
    """From a coarse step it ends as a run of more steps would; from a fine one it stays there."""
    keeper, longer = Keeper(), [Level(12, 16, 0.5, 7), Level(24, 32, 1.0, 14)]
    optimize_levels(problem, LEVELS, save=keeper, save_every=1)
    whole = optimize_levels(problem, longer)
    assert_same(optimize_levels(problem, longer, resume=keeper.load(3)), whole)
    fine = optimize_levels(problem, longer, resume=keeper.load(6))
    assert fine.image.shape == (1, 24, 32, 3)
    assert [entry["step"] for entry in fine.steps] == list(range(1, 15))
    once = optimize_levels(problem, [LEVELS[0], Level(24, 32, 1.0, 14)])
    assert_same(fine, once)
    with pytest.raises(ValueError, match="num_steps: the saved run is at step 6 already; wanted"):
        optimize_levels(problem, [Level(24, 32, 1.0, 5)], resume=keeper.load(6))


# Divergence -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_run_that_begins_at_its_goal_has_not_diverged(name):
    """The first total is rounding alone, which Adam's first step makes a million times more."""
    grey = jnp.full((1, 24, 32, 3), 0.3)
    optimizer = make_optimizer(name, loss=summed)
    problem = Problem(optimizer, lambda level: (grey,), lambda level: grey + 1e-6)
    result = optimize_levels(problem, [Level(24, 32, 1.0, 6)])
    assert 0 < result.initial["total"] < 1e-8
    np.testing.assert_allclose(result.image, grey, atol=0.2)


def blow_up_on_calls(calls):
    """Gradient descent whose steps of these numbers, counted over all sizes, are absurd."""
    made = itertools.count(1)

    def update(updates, state, params=None):
        del params
        absurd = jax.pure_callback(
            lambda: np.float32(1e9 if next(made) in calls else -1.0),
            jax.ShapeDtypeStruct((), jnp.float32),
        )
        return jax.tree.map(lambda g: absurd * g, updates), state

    return optax.GradientTransformation(lambda params: (), update)


def test_the_budget_of_restarts_is_a_runs_and_not_a_sizes(photograph):
    def square(image):
        total = jnp.square(image).mean()
        return total, {"content": total}

    def problem(calls):
        evaluate = jax.jit(jax.value_and_grad(square, has_aux=True))
        return Problem(
            pixel_step.make_optimizer(evaluate, blow_up_on_calls(calls)),
            lambda level: (),
            lambda level: resize(photograph, height=level.height, width=level.width),
        )

    # Steps run up to two ahead of what is read, so that accidents lie four apart.
    coarse, keeper = {2, 6, 10}, Keeper()
    levels = [Level(12, 16, 0.5, 6), Level(24, 32, 1.0, 40)]
    result = optimize_levels(problem(coarse), levels, save=keeper, save_every=10)
    assert len(result.restarts) == 3
    fine = {30, 34, 38}
    with pytest.raises(DivergedError):
        optimize_levels(problem(coarse | fine), levels)
    saved = keeper.load(10)
    assert len(saved[1]["restarts"]) == 3
    with pytest.raises(DivergedError):
        optimize_levels(problem({5, 9, 13}), levels, resume=saved)


# Ctrl-C ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_step", [1, 4, 6])
def test_an_interrupted_run_is_saved_and_goes_on(problem, at_step):
    whole, keeper = optimize_levels(problem, LEVELS), Keeper()

    def press(report):
        if report.step == at_step:
            os.kill(os.getpid(), signal.SIGINT)

    stopped = optimize_levels(problem, LEVELS, save=keeper, on_step=press)
    assert stopped.interrupted
    (step,) = keeper.saved
    assert at_step <= step <= at_step + 2
    assert stopped.steps[-1]["step"] == step
    assert [entry["step"] for entry in stopped.steps] == list(range(1, step + 1))
    image = keeper.saved[step][0][".image"]
    np.testing.assert_array_equal(stopped.image, image.clip(0, 1))
    assert_same(optimize_levels(problem, LEVELS, resume=keeper.load(step)), whole)


@pytest.mark.parametrize(("level", "steps_done"), [(0, 0), (1, 4)])
def test_ctrl_c_while_a_size_is_prepared(photograph, painting, level, steps_done):
    """Compiling for a size takes longer than many steps: this is when it is pressed."""
    plain = make_problem("lbfgs", photograph, painting)

    def args_at(asked):
        if asked == LEVELS[level]:
            os.kill(os.getpid(), signal.SIGINT)
        return plain.args_at(asked)

    pressed = make_problem("lbfgs", photograph, painting, args_at=args_at)
    whole, keeper = optimize_levels(plain, LEVELS), Keeper()
    stopped = optimize_levels(pressed, LEVELS, save=keeper)
    assert stopped.interrupted
    assert list(keeper.saved) == [steps_done]
    assert stopped.steps[-1]["step"] == steps_done
    again = optimize_levels(plain, LEVELS, resume=keeper.load(steps_done))
    assert_same(again, whole)


def test_ctrl_c_in_the_coarse_sizes_last_step(problem):
    """With one step a size the report comes while the next size waits to begin."""
    levels, keeper = [Level(12, 16, 0.5, 1), Level(24, 32, 1.0, 4)], Keeper()
    whole = optimize_levels(problem, levels)
    stopped = optimize_levels(
        problem,
        levels,
        save=keeper,
        on_step=lambda report: os.kill(os.getpid(), signal.SIGINT),
    )
    assert stopped.interrupted
    assert list(keeper.saved) == [1]
    assert stopped.image.shape == (1, 12, 16, 3)
    assert_same(optimize_levels(problem, levels, resume=keeper.load(1)), whole)


def test_ctrl_c_in_the_very_last_step_comes_too_late(problem):
    def press(report):
        if report.step == 10:
            os.kill(os.getpid(), signal.SIGINT)

    keeper = Keeper()
    result = optimize_levels(problem, LEVELS, save=keeper, on_step=press)
    assert not result.interrupted
    assert not keeper.saved
    assert_same(result, optimize_levels(problem, LEVELS))
