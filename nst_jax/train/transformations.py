"""Adam and Muon with the papers' learning-rate schedules, clipping, and parameters left alone."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from jaxtyping import Array, Float, Int

Schedule = Literal["constant", "cosine", "inverse_time", "halving"]

Optimizer = Literal["adam", "muon"]

Trainable = Callable[[tuple[str, ...]], bool] | Any
"""Which parameters are trained: asked for each by its path, ("ConvBlock_0", "Conv_0", "kernel"),
or a pytree of booleans shaped as the parameters or as their upper levels."""


class _NotedNorm(NamedTuple):
    """The norm of the gradients that came in last, found by trainer.py under this name."""

    grad_norm: Float[Array, ""]


def make_transformation(
    *,
    optimizer: Optimizer = "adam",
    learning_rate: float,
    schedule: Schedule = "constant",
    num_steps: int | None,
    warmup_steps: int = 0,
    decay: float = 5e-5,
    halve_every: int | None = None,
    clip_norm: float | None = None,
    trainable: Trainable | None = None,
    momentum: float = 0.9,
) -> optax.GradientTransformation:
    """Return Adam (β momentum and 0.999, ε 1e-8), or Muon, at the scheduled rate η.

    Muon replaces the averaged gradient of a convolution's kernel, as a matrix M of its m inputs by
    n outputs, by the nearest orthogonal one, and moves the kernel by η √max(m, n) of that, about η
    a number. It is for networks whose inputs are all positive, as after a ReLU, such as AdaIN's
    decoder, which learns faster by it. What is no kernel, or has under 16 outputs, goes by Adam.
    Both then have Nesterov's momentum, of 0.95 and 0.9.

    Args:
        optimizer: "adam" or "muon".
        learning_rate: The rate that make_schedule begins with, after the warm-up.
        schedule: See make_schedule.
        num_steps: Length of the run; None where it is planned as the run goes on, by plan_steps.
        warmup_steps: See make_schedule.
        decay: See make_schedule.
        halve_every: See make_schedule.
        clip_norm: Gradients g of norm above c are replaced by c g / ‖g‖, the norm being over all
            trained parameters; None leaves them.
        trainable: Which parameters are trained. The others get no update and no optimiser state,
            and their gradients count for no norm. None trains all.
        momentum: β₁ of Adam.

    Raises:
        ValueError: A number is out of its range, or there is no schedule or optimizer of that
            name. When the transformation is initialised: trainable leaves nothing to train.

    Reference: Kingma and Ba 2015; for Muon, Jordan 2024, and Liu et al. 2025 for its scale.
    """
    if clip_norm is not None and not 0 < clip_norm < float("inf"):
        raise ValueError(f"clip_norm: wanted a number above 0 or None, got {clip_norm}")
    rate = make_schedule(
        learning_rate=learning_rate,
        schedule="constant" if num_steps is None and schedule == "cosine" else schedule,
        num_steps=1 if num_steps is None else num_steps,
        warmup_steps=warmup_steps,
        decay=decay,
        halve_every=halve_every,
    )
    clip = optax.identity() if clip_norm is None else optax.clip_by_global_norm(clip_norm)
    if optimizer not in _OPTIMIZERS:
        raise ValueError(f"optimizer: wanted {' or '.join(_OPTIMIZERS)}, got {optimizer!r}")
    method: Any = _OPTIMIZERS[optimizer]
    if optimizer == "adam":
        method = partial(method, b1=momentum)
    if num_steps is None:
        planned = _scale_by_planned(rate, is_cosine=schedule == "cosine")
        tx = optax.chain(_note_norm(), clip, method(1.0), planned)
    else:
        tx = optax.chain(_note_norm(), clip, method(rate))
    if trainable is None:
        return tx
    return optax.multi_transform(
        {"train": tx, "leave": optax.set_to_zero()},
        lambda params: _label(params, trainable),
    )


class _PlannedState(NamedTuple):
    """How many updates are done, and how many there will be."""

    count: Int[Array, ""]
    planned_steps: Int[Array, ""]


NOT_PLANNED = 2**30
"""Stands for a length that is not planned yet: so many steps that a schedule hardly begins."""


def planned_steps(opt_state: Any) -> int:
    """Return the length of a run that plans it, or 2³⁰ while it is not planned.

    Args:
        opt_state: Of a transformation that was made without num_steps.
    """
    return int(optax.tree.get(opt_state, "planned_steps"))


def plan_steps(opt_state: Any, num_steps: int) -> Any:
    """Return the state with that length of the run, at which its schedule ends.

    Args:
        opt_state: Of a transformation that was made without num_steps.
        num_steps: How many updates the run has in all.
    """
    before = optax.tree.get(opt_state, "planned_steps")
    value = jax.device_put(jnp.asarray(num_steps, jnp.int32), before.sharding)
    return optax.tree.set(opt_state, planned_steps=value)


def _scale_by_planned(rate: optax.Schedule, *, is_cosine: bool) -> optax.GradientTransformation:
    """Multiply by the rate, which falls to 0 as a cosine at the planned step if it is to."""

    def init(params):
        del params
        return _PlannedState(jnp.zeros((), jnp.int32), jnp.asarray(NOT_PLANNED, jnp.int32))

    def update(updates, state, params=None):
        del params
        scale = jnp.asarray(rate(state.count), jnp.float32)
        if is_cosine:
            done = jnp.minimum(1.0, _real(state.count) / _real(state.planned_steps))
            scale = scale * (1 + jnp.cos(jnp.pi * done)) / 2
        scaled = jax.tree.map(lambda leaf: leaf * scale.astype(leaf.dtype), updates)
        return scaled, state._replace(count=state.count + 1)

    return optax.GradientTransformation(init, update)


def _muon(rate: optax.Schedule) -> optax.GradientTransformation:
    return optax.contrib.muon(
        rate, consistent_rms=1.0, muon_weight_dimension_numbers=_kernels_as_matrices
    )


def _kernels_as_matrices(params):
    matrix = optax.contrib.MuonDimensionNumbers(reduction_axis=(0, 1, 2), output_axis=3)
    return jax.tree.map(
        lambda leaf: matrix if leaf.ndim == 4 and leaf.shape[-1] >= _LEAST_OUTPUTS else None, params
    )


_LEAST_OUTPUTS = 16
_OPTIMIZERS = {"adam": optax.adam, "muon": _muon}


def make_schedule(
    *,
    learning_rate: float,
    schedule: Schedule = "constant",
    num_steps: int,
    warmup_steps: int = 0,
    decay: float = 5e-5,
    halve_every: int | None = None,
) -> optax.Schedule:
    """Return the learning rate as a function of the number t of updates done.

    With η the learning_rate, 'constant' is η; 'cosine' is η (1 + cos(π t / num_steps)) / 2, which
    ends at 0; 'inverse_time' is η / (1 + decay t), Huang and Belongie's; 'halving' is
    η / 2^⌊t / halve_every⌋, an option of Johnson's code. Warm-up multiplies the first rates by
    (t + 1) / warmup_steps.

    Args:
        learning_rate: η, above 0.
        schedule: Its name.
        num_steps: Where 'cosine' ends.
        warmup_steps: How many steps the rate takes to come up; 0 for none.
        decay: For 'inverse_time'.
        halve_every: Steps, for 'halving', which wants it.

    Raises:
        ValueError: A number is out of its range, or there is no schedule of that name.
    """
    if not 0 < learning_rate < float("inf"):
        raise ValueError(f"learning_rate: wanted a number above 0, got {learning_rate}")
    if num_steps < 1 or warmup_steps < 0 or not 0 <= decay < float("inf"):
        raise ValueError(
            "schedule: wanted num_steps of 1 or more, warmup_steps and decay of 0 or more, got "
            f"{num_steps}, {warmup_steps} and {decay}"
        )
    plain = _plain_schedule(learning_rate, schedule, num_steps, decay, halve_every)
    if not warmup_steps:
        return plain
    return lambda count: plain(count) * jnp.minimum(1.0, (_real(count) + 1) / warmup_steps)


def _real(count) -> Array:
    return jnp.asarray(count, jnp.float32)


def _plain_schedule(
    rate: float, schedule: Schedule, num_steps: int, decay: float, halve_every: int | None
) -> optax.Schedule:
    if schedule == "constant":
        return optax.constant_schedule(rate)
    if schedule == "cosine":
        return optax.cosine_decay_schedule(rate, num_steps)
    if schedule == "inverse_time":
        return lambda count: rate / (1 + decay * _real(count))
    if schedule == "halving":
        if halve_every is None or halve_every < 1:
            raise ValueError(f"halve_every: 'halving' wants 1 step or more, got {halve_every}")
        return optax.exponential_decay(rate, halve_every, 0.5, staircase=True)
    raise ValueError(
        f"schedule: wanted constant, cosine, inverse_time or halving, got {schedule!r}"
    )


def _note_norm() -> optax.GradientTransformation:
    def init(params):
        del params
        return _NotedNorm(jnp.zeros((), jnp.float32))

    def update(updates, state, params=None):
        del state, params
        return updates, _NotedNorm(optax.tree.norm(updates))

    return optax.GradientTransformation(init, update)


def _label(params, trainable: Trainable):
    if callable(trainable):
        chosen = jax.tree_util.tree_map_with_path(
            lambda path, _: bool(trainable(tuple(_name_of(entry) for entry in path))), params
        )
    else:
        chosen = jax.tree.map(
            lambda choice, below: jax.tree.map(lambda _: bool(choice), below), trainable, params
        )
    if not any(jax.tree.leaves(chosen)):
        raise ValueError("trainable: wanted at least one parameter to train, it leaves all alone")
    return jax.tree.map(lambda choice: "train" if choice else "leave", chosen)


def _name_of(entry) -> str:
    return jax.tree_util.keystr((entry,), simple=True)
