"""Derivatives in forward mode, in both modes at once, and under vmap, of what is done on the CPU.

Reverse mode is tested with each operation. The oracles here: a bilinear operation's derivative is
two of its values, by NumPy; and XLA's own operations, which accelerators get.
"""

from functools import partial

import convolution_oracle as oracle
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from convolution_oracle import BFLOAT16_ERROR, allowed, made, relative_error

from nst_jax.ops import convolution, winograd
from nst_jax.ops.convolution import convolve, max_pool, relu

FOUR = oracle.winograd_condition(winograd.FOUR)
# Function and oracle, shapes of x and the kernel, and the largest relative error.
CASES = {
    "direct": (
        partial(convolve, padding="reflect"),
        partial(oracle.convolution, padding="reflect"),
        ((2, 7, 6, 3), (3, 3, 3, 4)),
        allowed(36),
    ),
    "blocks": (convolve, oracle.convolution, ((1, 8, 6, 3), (9, 9, 3, 4)), allowed(324)),
    "tiles": (convolve, oracle.convolution, ((1, 17, 16, 4), (3, 3, 4, 256)), allowed(2304) * FOUR),
    "bfloat16": (
        partial(convolve, precision="bfloat16"),
        oracle.convolution,
        ((1, 3, 4, 256), (3, 3, 256, 256)),
        BFLOAT16_ERROR,
    ),
    "stride 2": (
        partial(convolve, stride=2),
        partial(oracle.convolution, stride=2),
        ((2, 7, 6, 3), (3, 3, 3, 4)),
        allowed(36),
    ),
    "transposed": (
        convolution.convolve_transposed,
        oracle.transposed_convolution,
        ((2, 5, 4, 3), (3, 3, 3, 4)),
        allowed(36),
    ),
    "enlarging": (
        convolution.upsample_convolve,
        oracle.enlarging_convolution,
        ((2, 5, 4, 3), (3, 3, 3, 4)),
        allowed(144),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_derivatives_along_a_direction(name):
    function, plain, (x_shape, kernel_shape), bound = CASES[name]
    shapes = (x_shape, kernel_shape, kernel_shape[-1:])
    operands = tuple(made(*shape, seed=i) for i, shape in enumerate(shapes))
    directions = tuple(made(*shape, seed=10 + i) for i, shape in enumerate(shapes))

    @jax.jit
    def program(operands, directions):
        y, dy = jax.jvp(function, operands, directions)
        _, of_x = jax.jvp(lambda x: function(x, *operands[1:]), operands[:1], directions[:1])
        cotangent = made(*y.shape, seed=99)
        pulled_back = jax.vjp(function, *operands)[1](cotangent)
        return dy, of_x, cotangent, pulled_back

    dy, of_x, cotangent, pulled_back = program(operands, directions)
    (x, kernel, _), (dx, dkernel, dbias) = operands, directions
    none = np.zeros(kernel_shape[-1])
    wanted = plain(dx, kernel, none)
    assert relative_error(of_x, wanted) < bound
    assert relative_error(dy, wanted + plain(x, dkernel, dbias)) < bound
    # Forward and reverse mode are each other's transpose.
    dy, cotangent = np.asarray(dy, np.float64).ravel(), np.asarray(cotangent, np.float64).ravel()
    forward, size = dy @ cotangent, np.linalg.norm(dy) * np.linalg.norm(cotangent)
    pairs = zip(jax.tree.map(np.float64, pulled_back), directions, strict=True)
    assert abs(forward - sum((a * np.float64(b)).sum() for a, b in pairs)) < bound * size


SHAPES = {
    "first": (3, 3, 2, 4),
    "halving": (3, 3, 4, 4),
    "doubling": (3, 3, 4, 4),
    "last": (3, 3, 4, 2),
}
WEIGHTS = {name: made(*shape, seed=i) / 3 for i, (name, shape) in enumerate(SHAPES.items())}
PICTURE, DIRECTION = made(1, 8, 12, 2, seed=7), made(1, 8, 12, 2, seed=8)


def network(x, weights):
    """A network of all operations, in small."""
    x = max_pool(relu(convolve(x, weights["first"], padding="reflect")))
    x = relu(convolve(x, weights["halving"], stride=2))
    x = relu(convolution.convolve_transposed(x, weights["doubling"]))
    x = convolution.upsample_convolve(x, weights["last"])
    return convolution.average_pool(x)


def loss(x, weights):
    return jnp.sum(jnp.square(network(x, weights)))


def close(found, wanted):
    for mine, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert relative_error(mine, theirs) < 1e-5


def test_jacobians_by_columns_and_by_rows():
    by_columns = jax.jit(jax.jacfwd(network, argnums=(0, 1)))(PICTURE, WEIGHTS)
    by_rows = jax.jit(jax.jacrev(network, argnums=(0, 1)))(PICTURE, WEIGHTS)
    close(by_columns, by_rows)


def test_linearize_is_the_derivative():
    def function(x):
        return max_pool(relu(convolve(x, WEIGHTS["first"], padding="reflect")))

    y, derivative = jax.linearize(function, PICTURE)
    close((y, derivative(DIRECTION)), jax.jvp(function, (PICTURE,), (DIRECTION,)))


def test_hessian_times_vector_in_every_order_of_modes(monkeypatch):
    directions = DIRECTION, jax.tree.map(lambda each: each[::-1], WEIGHTS)

    def derivative(function, *operands):
        return jax.jvp(function, operands, directions)[1]

    def inner(first, second):
        return sum(jax.tree.leaves(jax.tree.map(jnp.vdot, first, second)))

    def gradient(*operands):
        return jax.grad(loss, argnums=(0, 1))(*operands)

    def forward_over_reverse(*operands):
        return derivative(gradient, *operands)

    def reverse_over_forward(*operands):
        return jax.grad(partial(derivative, loss), argnums=(0, 1))(*operands)

    def reverse_over_reverse(*operands):
        along = lambda *operands: inner(gradient(*operands), directions)  # noqa: E731
        return jax.grad(along, argnums=(0, 1))(*operands)

    orders = (forward_over_reverse, reverse_over_forward, reverse_over_reverse)
    every = jax.jit(lambda *operands: [order(*operands) for order in orders])
    found = every(PICTURE, WEIGHTS)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    wanted = jax.jit(lambda *operands: forward_over_reverse(*operands))(PICTURE, WEIGHTS)
    for each in found:
        close(each, wanted)


@pytest.mark.parametrize("axes", [(0, None), (None, 3), (1, 0)])
def test_vmap_is_a_loop(axes):
    """Value, derivative and gradients, where x, the kernel or both are mapped."""
    shapes = [
        shape if axis is None else (*shape[:axis], 3, *shape[axis:])
        for shape, axis in zip([(1, 6, 4, 2), (3, 3, 2, 4)], axes, strict=True)
    ]
    operands = [made(*shape, seed=i) for i, shape in enumerate(shapes)]
    directions = [made(*shape, seed=10 + i) for i, shape in enumerate(shapes)]
    cotangent = made(3, 1, 3, 2, 4, seed=99)

    def function(x, kernel):
        return max_pool(relu(convolve(x, kernel)))

    def looped(*operands):
        def member(i):
            return [
                each if axis is None else jnp.take(each, i, axis)
                for each, axis in zip(operands, axes, strict=True)
            ]

        return jnp.stack([function(*member(i)) for i in range(3)])

    def both_modes(function):
        def program(operands, directions):
            y, dy = jax.jvp(function, tuple(operands), tuple(directions))
            return y, dy, jax.vjp(function, *operands)[1](cotangent)

        return jax.jit(program)(operands, directions)

    close(both_modes(jax.vmap(function, in_axes=axes)), both_modes(looped))


def test_what_is_not_differentiated_is_not_computed():
    """Pixels' gradient evaluates no kernel's, and their derivative one convolution."""
    kernel = made(3, 3, 2, 4, seed=0)
    function = partial(convolve, kernel=kernel)
    forward = str(jax.make_jaxpr(lambda x: jax.jvp(function, (x,), (x,)))(PICTURE))
    assert forward.count("bilinear[") == 2
    reverse = str(jax.make_jaxpr(jax.grad(lambda x: jnp.sum(function(x))))(PICTURE))
    assert [reverse.count(f"wanted={i}") for i in range(3)] == [1, 0, 1]
