"""Optimisers whose vectors lie on the host, in memory or on a disk, for very large pictures.

They are L-BFGS of pixels/lbfgs.py and optax's Adam, written in NumPy and in place: no array of the
picture's size is made in a step. Their states have the same names and shapes, so that a run which
was saved by one goes on with the other.
"""

from collections.abc import Callable, Iterator
from typing import Any, cast

import jax
import numpy as np
import optax

from nst_jax.pixels.lbfgs import LEAST_CURVATURE, LbfgsState
from nst_jax.pixels.step import Metrics, Optimizer, State
from nst_jax.pixels.tiles import NewArray
from nst_jax.pixels.transformations import OptimizerName

ValueAndGradientInto = Callable[..., tuple[Any, Any]]
"""(image, *args, out) -> (total, terms); the gradient is put into out, an array on the host."""

_CHUNK, _SMALL = 1 << 22, 1 << 16  # numbers worked on at once, and hardly worth a file
# The same records, whose arrays are the host's here.
_state, _memory = cast(Any, State), cast(Any, LbfgsState)
_ADAM = {"b1": 0.9, "b2": 0.999, "eps": 1e-8}  # optax.adam's own


def make_host_optimizer(
    value_and_gradient: ValueAndGradientInto,
    name: OptimizerName,
    *,
    learning_rate: float,
    history: int,
    longest_step: float,
    new_array: NewArray,
) -> Optimizer:
    """Return init, step and evaluate of pictures on the host.

    Args:
        value_and_gradient: The objective.
        name: 'lbfgs' or 'adam'.
        learning_rate: As of transformations.make_transformation.
        history: The same.
        longest_step: The same.
        new_array: Makes every array of the picture's size.

    Raises:
        ValueError: The optimiser has a line search.
    """
    rules = {
        "lbfgs": (
            lambda image: _start_lbfgs(image, history, longest_step, new_array),
            lambda state: _step_lbfgs(state, learning_rate),
        ),
        "adam": (
            lambda image: _start_adam(image, new_array),
            lambda state: _step_adam(state, learning_rate),
        ),
    }
    if name not in rules:
        raise ValueError(f"tile: wanted optimizer lbfgs or adam, got {name}; leave tile out")
    start, move = rules[name]

    def owned(values: Any) -> np.ndarray:
        made = new_array(tuple(values.shape))
        made[...] = np.asarray(values)
        return made

    def init(image: Any, *args: Any) -> tuple[State, Metrics]:
        own, grads = owned(image), new_array(tuple(image.shape))
        total, terms = value_and_gradient(own, *args, grads)
        return _state(own, grads, total, start(own), owned(own), total), Metrics(total, terms)

    def step(state: Any, *args: Any) -> tuple[State, Metrics]:
        opt_state, free = move(state)
        image, best_image, best_total = state.image, state.best_image, state.best_total
        total, terms = value_and_gradient(image, *args, free)
        if float(total) < float(best_total):
            best_image[...], best_total = image, total
        return _state(image, free, total, opt_state, best_image, best_total), Metrics(total, terms)

    def evaluate(image: Any, *args: Any) -> Metrics:
        grads = new_array(tuple(image.shape))
        return Metrics(*value_and_gradient(np.asarray(image), *args, grads))

    def from_whole(state: State, *args: Any) -> State:
        del args
        return jax.tree.map(
            lambda leaf: np.array(leaf) if np.size(leaf) < _SMALL else owned(leaf), state
        )

    return Optimizer(init, step, evaluate, from_whole=from_whole)


def _start_lbfgs(image: Any, history: int, longest_step: float, new_array: NewArray) -> Any:
    rows = (history, image.size)
    return _memory(
        count=np.zeros((), np.int32),
        longest=np.full((), longest_step, np.float32),
        num_pairs=np.zeros((), np.int32),
        steps=new_array(rows),
        differences=new_array(rows),
        curvatures=np.ones(history, np.float32),
        scale=np.ones((), np.float32),
        previous_grads=new_array((image.size,)),
        previous_updates=new_array((image.size,)),
    )


def _step_lbfgs(state: Any, learning_rate: float) -> tuple[Any, np.ndarray]:
    """Move the picture by what lbfgs.lbfgs's update returns; the array that is free afterwards."""
    memory: Any = state.opt_state
    image, gradient = _flat(state.image), _flat(state.grads)
    step, before = _flat(memory.previous_updates), _flat(memory.previous_grads)
    history, count = len(memory.curvatures), int(memory.count)
    num_pairs, scale, curvatures = int(memory.num_pairs), float(memory.scale), memory.curvatures
    if count:
        for part in _chunks(before):
            before[part] = gradient[part] - before[part]  # the difference y
        curvature = _dot(before, step)
        if curvature > LEAST_CURVATURE:
            slot = num_pairs % history
            for part in _chunks(before):
                memory.steps[slot, part] = step[part]
                memory.differences[slot, part] = before[part]
            curvatures[slot] = curvature
            scale = curvature / _dot(before, before)
            num_pairs += 1
    q = step  # the last step is remembered where it is needed: its room is free
    for part in _chunks(q):
        q[part] = -gradient[part]
    slots = [(num_pairs - 1 - i) % history for i in range(min(num_pairs, history))]
    alphas = {}
    for slot in slots:
        alphas[slot] = _dot(memory.steps[slot], q) / float(curvatures[slot])
        _add(q, -alphas[slot], memory.differences[slot])
    _scale(q, scale)
    for slot in reversed(slots):
        beta = _dot(memory.differences[slot], q) / float(curvatures[slot])
        _add(q, alphas[slot] - beta, memory.steps[slot])
    if count == 0:
        norm = sum(float(np.abs(gradient[part]).sum(dtype=np.float64)) for part in _chunks(q))
        learning_rate = learning_rate * min(1.0, 1.0 / norm if norm else 1.0)
    squares = sum(float(np.square(q[part], dtype=np.float64).sum()) for part in _chunks(q))
    length = learning_rate * (squares / q.size) ** 0.5
    longest = float(memory.longest)
    _scale(q, learning_rate * (longest / length if length > longest else 1.0))
    _add(image, 1.0, q)
    shape = state.image.shape
    return (
        memory._replace(
            count=np.asarray(count + 1, np.int32),
            num_pairs=np.asarray(num_pairs, np.int32),
            scale=np.asarray(scale, np.float32),
            previous_grads=gradient,
            previous_updates=q,
        ),
        before.reshape(shape),
    )


def _start_adam(image: Any, new_array: NewArray) -> Any:
    shape = tuple(image.shape)
    moments = optax.ScaleByAdamState(
        count=np.zeros((), np.int32), mu=new_array(shape), nu=new_array(shape)
    )
    return moments, optax.EmptyState()


def _step_adam(state: Any, learning_rate: float) -> tuple[Any, np.ndarray]:
    moments, *rest = state.opt_state
    count = int(moments.count) + 1
    image, gradient = _flat(state.image), _flat(state.grads)
    mean, square = _flat(moments.mu), _flat(moments.nu)
    b1, b2, eps = _ADAM["b1"], _ADAM["b2"], _ADAM["eps"]
    # In float32 as optax has it: 1 − 0.999 has three digits fewer there.
    by_mean, by_square = (np.float32(1) - np.float32(b) ** np.float32(count) for b in (b1, b2))
    for part in _chunks(image):
        mean[part] = b1 * mean[part] + (1 - b1) * gradient[part]
        square[part] = b2 * square[part] + (1 - b2) * np.square(gradient[part])
        root = np.sqrt(square[part] / by_square) + np.float32(eps)
        image[part] -= np.float32(learning_rate) * (mean[part] / by_mean) / root
    moved = moments._replace(count=np.asarray(count, np.int32))
    return (moved, *rest), state.grads


def _flat(values: Any) -> np.ndarray:
    """The array as a vector, without a copy."""
    flat = values.reshape(-1)
    assert np.shares_memory(flat, values)
    return flat


def _chunks(vector: np.ndarray) -> Iterator[slice]:
    for begin in range(0, vector.size, _CHUNK):
        yield slice(begin, min(begin + _CHUNK, vector.size))


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    return float(sum(float(np.dot(a[part], b[part])) for part in _chunks(a)))


def _add(y: np.ndarray, factor: float, x: np.ndarray) -> None:
    for part in _chunks(y):
        y[part] += np.float32(factor) * x[part]


def _scale(y: np.ndarray, factor: float) -> None:
    for part in _chunks(y):
        y[part] *= np.float32(factor)
