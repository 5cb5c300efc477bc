"""ReLU and pooling against loops and PyTorch, on the CPU and as accelerators do them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from convolution_oracle import evaluated, made

from nst_jax.ops import convolution

POOLS = {"max": convolution.max_pool, "average": convolution.average_pool}
MODES = [(pooling, ceil_mode) for pooling in POOLS for ceil_mode in (False, True)]
SHAPES = [(2, 6, 4, 2), (1, 7, 6, 2), (1, 4, 5, 2), (2, 5, 7, 2)]


@pytest.fixture(params=["cpu", "gpu"])
def backend(request, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: request.param)
    return request.param


def pictures(*shape):
    """One after another: all different, constant, with many ties, and below zero."""
    rng = np.random.default_rng(3)
    kinds = [
        rng.permutation(np.prod(shape)).reshape(shape),
        np.full(shape, 0.3),
        rng.integers(0, 3, shape),
        -1 - rng.integers(0, 3, shape),
    ]
    return jnp.asarray(np.concatenate(kinds).astype(np.float32))


def pooled(x):
    """What evaluated gives for each mode, and the derivative along a made direction."""
    direction = made(*x.shape, seed=98)

    @jax.jit
    def program(x):
        def found(pooling, ceil_mode):
            function = partial(POOLS[pooling], ceil_mode=ceil_mode)
            return *evaluated(function, x), jax.jvp(function, (x,), (direction,))[1]

        return [found(*mode) for mode in MODES]

    return direction, zip(MODES, program(x), strict=True)


def pool_by_loops(x, cotangent, direction, *, pooling, ceil_mode):
    """Value, gradient and derivative of 2 × 2 pooling: of the first maximum, or of the mean."""
    x, cotangent, direction = (np.asarray(each, np.float64) for each in (x, cotangent, direction))
    y, dx, dy = np.zeros_like(cotangent), np.zeros_like(x), np.zeros_like(cotangent)
    sides = [-(-side // 2) if ceil_mode else side // 2 for side in x.shape[1:3]]
    assert list(y.shape) == [x.shape[0], *sides, x.shape[3]]
    for b, i, j, c in np.ndindex(*y.shape):
        window = np.s_[b, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c]
        share = np.full(x[window].shape, 1 / x[window].size)
        if pooling == "max":
            share = np.zeros_like(share)
            share[np.unravel_index(x[window].argmax(), share.shape)] = 1
        y[b, i, j, c] = (share * x[window]).sum()
        dx[window] = share * cotangent[b, i, j, c]
        dy[b, i, j, c] = (share * direction[window]).sum()
    return y, dx, dy


@pytest.mark.parametrize("shape", SHAPES)
def test_pooling_equals_loops(backend, shape):
    x = pictures(*shape)
    direction, found = pooled(x)
    for (pooling, ceil_mode), (alone, y, dx, cotangent, dy) in found:
        wanted = pool_by_loops(x, cotangent, direction, pooling=pooling, ceil_mode=ceil_mode)
        np.testing.assert_array_equal(alone, y)
        for mine, theirs in zip((y, dx), wanted[:2], strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-6, err_msg=pooling)
        np.testing.assert_allclose(dy, wanted[2], rtol=1e-6, atol=1e-6, err_msg=pooling)


@pytest.mark.parametrize("shape", [(2, 6, 8, 3), (1, 7, 5, 3)])
def test_max_pool_is_to_the_bit_what_accelerators_get(monkeypatch, shape):
    x = pictures(*shape)
    mine = jax.jit(partial(evaluated, convolution.max_pool))(x)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    wanted = jax.jit(partial(evaluated, lambda x: convolution.max_pool(x)))(x)
    for ours, plain in zip(mine, wanted, strict=True):
        np.testing.assert_array_equal(ours, plain)


@pytest.mark.oracle
@pytest.mark.parametrize("shape", [(2, 6, 8, 3), (1, 7, 5, 3), (1, 9, 4, 2)])
def test_pooling_is_torchs(backend, shape):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    x = pictures(*shape)
    for (pooling, ceil_mode), (_, y, dx, cotangent, _) in pooled(x)[1]:
        leaf = torch.from_numpy(np.asarray(x).transpose(0, 3, 1, 2).copy()).requires_grad_()
        if pooling == "max":
            theirs = functional.max_pool2d(leaf, 2, 2, ceil_mode=ceil_mode)
        else:
            theirs = functional.avg_pool2d(leaf, 2, 2, ceil_mode=ceil_mode, count_include_pad=False)
        theirs.backward(torch.from_numpy(np.asarray(cotangent).transpose(0, 3, 1, 2).copy()))
        for mine, wanted in ((y, theirs.detach()), (dx, leaf.grad)):
            np.testing.assert_allclose(
                mine, wanted.numpy().transpose(0, 2, 3, 1), rtol=1e-6, err_msg=pooling
            )


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("pooling", POOLS)
def test_pooling_lets_nan_through(backend, pooling, ceil_mode):
    x = jnp.ones((4, 5, 5, 1))
    for picture, (i, j) in enumerate(np.ndindex(2, 2)):
        x = x.at[picture, 2 + i, 2 + j, 0].set(jnp.nan)
    y = np.asarray(POOLS[pooling](x, ceil_mode=ceil_mode))
    for each in y:
        assert np.argwhere(np.isnan(each)).tolist() == [[1, 1, 0]]


def test_relu_and_its_derivatives(backend):
    x = jnp.array([-2.0, -0.0, 0.0, 1e-30, 3.0, jnp.inf]).reshape(1, 2, 3, 1)
    alone, y, dx, cotangent = jax.jit(partial(evaluated, convolution.relu))(x)
    for value in (alone, y):
        wanted = np.array([0, 0, 0, 1e-30, 3, np.inf], np.float32)
        np.testing.assert_array_equal(value.ravel(), wanted)
    kept = np.array([0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(dx.ravel(), np.asarray(cotangent).ravel() * kept)
    direction = made(*x.shape, seed=98)
    _, dy = jax.jit(lambda x: jax.jvp(convolution.relu, (x,), (direction,)))(x)
    np.testing.assert_array_equal(dy.ravel(), np.asarray(direction).ravel() * kept)


def test_relu_lets_nan_through(backend):
    x = jnp.array([jnp.nan, -1.0, jnp.nan, 1.0])
    y = convolution.relu(x.reshape(1, 2, 2, 1))
    np.testing.assert_array_equal(y.ravel(), np.array([np.nan, 0, np.nan, 1]))


def test_what_the_backward_pass_keeps_is_a_byte_a_value():
    """Read off the pullback, which is a pytree of what it holds."""
    x = made(1, 8, 6, 4, seed=0)
    for function, kept in ((convolution.relu, x.size), (convolution.max_pool, x.size // 4)):
        _, pullback = jax.vjp(function, x)
        assert sum(leaf.nbytes for leaf in jax.tree.leaves(pullback)) == kept
