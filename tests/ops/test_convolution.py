"""Oracles: the plain lax operations, NumPy loops, and PyTorch for pooling.

Every test that is given a backend runs twice on the CPU: on the rearrangements that are made for
it, and on the plain branch that GPU and TPU take.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.test_util import check_grads

from nst_jax.ops import convolution, winograd
from nst_jax.ops import convolution_on_cpu as on_cpu

# Frobenius norm of the error over that of the value, for bfloat16 operands.
BFLOAT16_ERROR = 4e-3


@pytest.fixture(params=["cpu", "gpu"])
def backend(request, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: request.param)
    return request.param


def made(*shape, seed):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape, np.float32))


def relative_error(ours, theirs):
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    assert ours.shape == theirs.shape
    return np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)


def value_and_gradients(function, *operands):
    """The value, and the gradients for a made cotangent, which no symmetry lets pass by chance."""

    def program(cotangent, *operands):
        y, pullback = jax.vjp(function, *operands)
        return y, *pullback(cotangent)

    shape = jax.eval_shape(function, *operands).shape
    return jax.jit(program)(made(*shape, seed=99), *operands)


def plain_convolution(x, kernel, bias, *, stride, padding):
    top, left = kernel.shape[0] // 2, kernel.shape[1] // 2
    if padding != "valid":
        mode = {"zero": "constant", "reflect": "reflect"}[padding]
        x = jnp.pad(x, ((0, 0), (top, top), (left, left), (0, 0)), mode=mode)
    dimensions = ("NHWC", "HWIO", "NHWC")
    y = lax.conv_general_dilated(x, kernel, (stride, stride), "VALID", dimension_numbers=dimensions)
    return y + bias.reshape(1, 1, 1, -1)


def ours(
    *, stride=1, padding: convolution.Padding = "zero", precision: convolution.Precision = "float32"
):
    def function(x, kernel, bias):
        return convolution.convolve(
            x, kernel, bias, stride=stride, padding=padding, precision=precision
        )

    return function


def plainly(*, stride=1, padding="zero"):
    def function(x, kernel, bias):
        return plain_convolution(x, kernel, bias, stride=stride, padding=padding)

    return function


# Convolution ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sides", "stride", "padding"),
    [
        *(((3, 3), stride, p) for stride in (1, 2) for p in ("zero", "reflect", "valid")),
        *(((9, 9), 1, p) for p in ("zero", "reflect", "valid")),
        ((9, 9), 2, "reflect"),
        ((1, 1), 1, "zero"),
        ((1, 1), 2, "valid"),
        ((3, 5), 1, "reflect"),
    ],
)
def test_convolve_is_the_plain_operation(backend, sides, stride, padding):
    x, kernel, bias = made(2, 11, 14, 5, seed=0), made(*sides, 5, 7, seed=1), made(7, seed=2)
    found = value_and_gradients(ours(stride=stride, padding=padding), x, kernel, bias)
    wanted = value_and_gradients(plainly(stride=stride, padding=padding), x, kernel, bias)
    for name, mine, plain in zip(("y", "dx", "dk", "db"), found, wanted, strict=True):
        assert relative_error(mine, plain) < 1e-5, name


@pytest.mark.parametrize(
    ("channels", "padding"),
    [((256, 256), "zero"), ((256, 512), "zero"), ((512, 256), "zero"), ((256, 256), "reflect")],
)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_wide_layers(backend, precision, channels, padding):
    x, kernel = made(2, 5, 8, channels[0], seed=0), made(3, 3, *channels, seed=1)
    bias = made(channels[1], seed=2)
    found = value_and_gradients(ours(padding=padding, precision=precision), x, kernel, bias)
    wanted = value_and_gradients(plainly(padding=padding), x, kernel, bias)
    for name, mine, plain in zip(("y", "dx", "dk", "db"), found, wanted, strict=True):
        assert mine.dtype == jnp.float32
        error = relative_error(mine, plain)
        exact = name == "db" or (name == "dk" and backend == "cpu")
        if precision == "float32" or exact:
            assert error < 1e-5, name
        else:
            assert 1e-4 < error < BFLOAT16_ERROR, name  # below, nothing would be rounded


def check_against_the_plain_operation(shape, channels, padding):
    x, kernel = made(*shape, channels[0], seed=0), made(3, 3, *channels, seed=1)
    bias = made(channels[1], seed=2)
    found = value_and_gradients(ours(padding=padding), x, kernel, bias)
    wanted = value_and_gradients(plainly(padding=padding), x, kernel, bias)
    for name, mine, plain in zip(("y", "dx", "dk", "db"), found, wanted, strict=True):
        assert relative_error(mine, plain) < 1e-5, name
    # Where nothing is differentiated the tiles may be larger.
    alone = jax.jit(ours(padding=padding))(x, kernel, bias)
    assert relative_error(alone, wanted[0]) < 1e-5


@pytest.fixture
def tiled(monkeypatch):
    """What was done in tiles: by which function, the side of the tiles, and whether flipped.

    So few at once that some of the tests' maps are done in parts.
    """
    done = []
    for name in ("TWO", "FOUR"):
        few = dataclasses.replace(getattr(winograd, name), at_once=2**15)
        monkeypatch.setattr(winograd, name, few)
    for function in (winograd.convolve, winograd.correlate):

        def noted(x, other, tiling, *, by=function, **options):
            done.append((by.__name__, tiling.side, options.get("flipped", False)))
            return by(x, other, tiling, **options)

        monkeypatch.setattr(winograd, function.__name__, noted)
    return done


@pytest.mark.parametrize(
    ("shape", "channels"),
    [
        ((2, 17, 19), (5, 256)),
        ((1, 16, 16), (256, 12)),
        ((1, 18, 33), (128, 128)),
        ((3, 67, 34), (4, 256)),  # more tiles than are done at once
    ],
)
@pytest.mark.parametrize("padding", ["zero", "reflect"])
def test_maps_that_are_done_in_tiles(tiled, shape, channels, padding):
    check_against_the_plain_operation(shape, channels, padding)
    # The gradient in tiles whose rounding two programs share, and so the value with it.
    convolutions = [done[1:] for done in tiled if done[0] == "convolve"]
    assert convolutions[-3:] == [(2, False), (2, True), (4, False)]


@pytest.mark.parametrize("shape", [(1, 70, 68), (2, 15, 142)])
def test_large_tiles_also_serve_maps_that_small_ones_do_not(monkeypatch, tiled, shape):
    monkeypatch.setattr(on_cpu, "_WINOGRAD_MOST_NARROW", 100)
    check_against_the_plain_operation(shape, (128, 130), "zero")
    assert {done[1] for done in tiled} == {4}


@pytest.mark.parametrize(
    ("positions", "channels", "small", "large"),
    [
        (255, (512, 512), False, False),
        (256, (4, 256), True, True),
        (256, (3, 256), False, False),
        (10**6, (4, 256), True, True),
        (12_800, (4, 128), True, True),
        (20_000, (4, 128), False, True),
        (20_001, (63, 128), False, False),
        (20_001, (128, 64), False, True),
        (256, (127, 127), False, False),
    ],
)
def test_which_layers_are_done_in_tiles(positions, channels, small, large):
    x, kernel = jnp.empty((1, positions, 1, channels[0])), jnp.empty((3, 3, *channels))
    assert on_cpu._suits_small_tiles(x, kernel) is small
    assert on_cpu._suits_large_tiles(x, kernel) is large


@pytest.mark.parametrize(
    ("shape", "channels"),
    [
        ((2, 17, 19), (32, 40)),
        ((3, 131, 130), (32, 32)),  # more tiles than are done at once
    ],
)
@pytest.mark.parametrize("padding", ["zero", "reflect"])
def test_gradients_of_kernels_that_are_done_in_tiles(tiled, shape, channels, padding):
    check_against_the_plain_operation(shape, channels, padding)
    assert tiled == [("correlate", 4, False)]


@pytest.mark.parametrize(("tiling", "further"), [(winograd.TWO, 0), (winograd.FOUR, 2)])
@pytest.mark.parametrize("place", [(8, 8), (5, 10), (7, 7)])
def test_nan_spreads_at_most_so_far_in_tiles(tiling, further, place):
    x = jnp.zeros((1, 16, 16, 4)).at[0, *place, 1].set(jnp.nan)
    y = winograd.convolve(x, made(3, 3, 4, 4, seed=0), tiling)
    reached = np.argwhere(np.isnan(np.asarray(y[0])).any(-1)) - place
    assert len(reached) >= 9
    assert np.abs(reached).max() <= 1 + further


@pytest.mark.parametrize("tiling", [winograd.TWO, winograd.FOUR], ids=["two", "four"])
def test_tiles_agree_with_numbers_of_twice_the_digits(tiling):
    """What is lost against float64 is no more than twice what a plain convolution loses."""
    x, kernel = made(1, 32, 32, 256, seed=0), made(3, 3, 256, 128, seed=1)
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(np.asarray(x[0], np.float64), ((1, 1), (1, 1), (0, 0))), (3, 3), axis=(0, 1)
    )
    wanted = np.einsum("hwcij,ijcd->hwd", windows, np.asarray(kernel, np.float64), optimize=True)
    ours_ = winograd.convolve(x, kernel, tiling)
    plain = plain_convolution(x, kernel, jnp.zeros(128), stride=1, padding="zero")
    assert relative_error(ours_[0], wanted) < 2 * relative_error(plain[0], wanted) < 2e-6
    dy = np.asarray(made(1, 32, 32, 128, seed=2), np.float64)
    wanted = np.einsum("hwcij,hwd->ijcd", windows, dy[0], optimize=True)
    assert (
        relative_error(winograd.correlate(x, jnp.asarray(dy, jnp.float32), tiling), wanted) < 2e-6
    )


@pytest.mark.parametrize("sides", [(3, 3), (1, 1), (9, 9)])
@pytest.mark.parametrize("stride", [1, 2])
def test_narrow_layers_keep_the_stated_error_too(backend, sides, stride):
    x, kernel, bias = made(1, 11, 12, 8, seed=0), made(*sides, 8, 16, seed=1), made(16, seed=2)
    found = value_and_gradients(ours(stride=stride, precision="bfloat16"), x, kernel, bias)
    wanted = value_and_gradients(plainly(stride=stride), x, kernel, bias)
    for name, mine, plain in zip(("y", "dx", "dk", "db"), found, wanted, strict=True):
        assert mine.dtype == jnp.float32
        assert relative_error(mine, plain) < BFLOAT16_ERROR, name


@pytest.mark.parametrize("size", [(8, 12), (9, 12), (10, 7)])  # blocks of 2 x 2 want even sides
@pytest.mark.parametrize(
    ("sides", "channels"),
    [((9, 9), (3, 8)), ((9, 9), (8, 3)), ((7, 5), (1, 2)), ((5, 5), (3, 3)), ((9, 9), (32, 3))],
)
@pytest.mark.parametrize("padding", ["zero", "reflect"])
def test_large_kernels_on_few_channels(backend, size, sides, channels, padding):
    x, kernel = made(2, *size, channels[0], seed=0), made(*sides, *channels, seed=1)
    bias = made(channels[1], seed=2)
    found = value_and_gradients(ours(padding=padding), x, kernel, bias)
    wanted = value_and_gradients(plainly(padding=padding), x, kernel, bias)
    for name, mine, plain in zip(("y", "dx", "dk", "db"), found, wanted, strict=True):
        assert relative_error(mine, plain) < 1e-5, name


@pytest.mark.parametrize("size", [(8, 12), (9, 7), (1, 2)])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_convolve_transposed_is_the_plain_operation(backend, size, precision):
    x, kernel, bias = made(2, *size, 5, seed=0), made(3, 3, 5, 7, seed=1), made(7, seed=2)

    def wanted_function(x, kernel, bias):
        # The gradient of a convolution of stride 2 with respect to its input.
        def halve(y):
            return lax.conv_general_dilated(
                y,
                kernel.swapaxes(2, 3),
                (2, 2),
                ((1, 1), (1, 1)),
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )

        shape = jax.ShapeDtypeStruct((2, 2 * size[0], 2 * size[1], 7), jnp.float32)
        (y,) = jax.linear_transpose(halve, shape)(x)
        return y + bias.reshape(1, 1, 1, -1)

    def function(x, kernel, bias):
        return convolution.convolve_transposed(x, kernel, bias, precision=precision)

    found = value_and_gradients(function, x, kernel, bias)
    wanted = value_and_gradients(wanted_function, x, kernel, bias)
    limit = 1e-5 if precision == "float32" or backend == "cpu" else BFLOAT16_ERROR
    for name, mine, plain in zip(("y", "dx", "dk", "db"), found, wanted, strict=True):
        assert relative_error(mine, plain) < limit, name


@pytest.mark.parametrize(
    ("padding", "size"),
    [
        ("reflect", (6, 5)),
        ("reflect", (2, 1)),
        ("zero", (6, 5)),
        ("zero", (1, 1)),
        ("valid", (3, 2)),
    ],
)
def test_upsample_convolve_is_what_it_joins(backend, padding, size):
    x, kernel, bias = made(2, *size, 5, seed=0), made(3, 3, 5, 7, seed=1), made(7, seed=2)

    def function(x, kernel, bias):
        return convolution.upsample_convolve(x, kernel, bias, padding=padding)

    def joined(x, kernel, bias):
        enlarged = jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
        return plain_convolution(enlarged, kernel, bias, stride=1, padding=padding)

    found = value_and_gradients(function, x, kernel, bias)
    wanted = value_and_gradients(joined, x, kernel, bias)
    for name, mine, plain in zip(("y", "dx", "dk", "db"), found, wanted, strict=True):
        assert relative_error(mine, plain) < 1e-5, name


@pytest.mark.oracle
def test_convolve_transposed_equals_pytorch():
    torch = pytest.importorskip("torch")
    x, kernel, bias = made(2, 5, 7, 4, seed=0), made(3, 3, 4, 6, seed=1), made(6, seed=2)
    theirs = torch.nn.functional.conv_transpose2d(
        torch.tensor(np.asarray(x)).permute(0, 3, 1, 2),
        torch.tensor(np.asarray(kernel)).permute(2, 3, 0, 1),
        torch.tensor(np.asarray(bias)),
        stride=2,
        padding=1,
        output_padding=1,
    )
    found = convolution.convolve_transposed(x, kernel, bias)
    assert relative_error(found, theirs.permute(0, 2, 3, 1).numpy()) < 1e-5


def test_convolve_equals_a_numpy_loop(backend):
    x, kernel, bias = made(1, 6, 5, 2, seed=0), made(3, 3, 2, 4, seed=1), made(4, seed=2)
    padded = np.pad(np.asarray(x, np.float64)[0], ((1, 1), (1, 1), (0, 0)))
    wanted = np.zeros((3, 3, 4)) + np.asarray(bias)
    for row in range(3):
        for column in range(3):
            for u in range(3):
                for v in range(3):
                    pixel = padded[2 * row + u, 2 * column + v]
                    wanted[row, column] += pixel @ np.asarray(kernel)[u, v]
    found = convolution.convolve(x, kernel, bias, stride=2)
    np.testing.assert_allclose(found[0], wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("padding", ["zero", "reflect", "valid"])
def test_convolve_is_differentiable(backend, padding):
    x, kernel, bias = made(1, 5, 6, 2, seed=0), made(3, 3, 2, 3, seed=1), made(3, seed=2)
    check_grads(
        jax.jit(ours(padding=padding)), (x, kernel, bias), order=1, modes=["rev"], rtol=1e-2
    )


def test_convolve_without_a_bias(backend):
    x, kernel = made(1, 5, 6, 2, seed=0), made(3, 3, 2, 3, seed=1)
    found = convolution.convolve(x, kernel)
    np.testing.assert_array_equal(found, convolution.convolve(x, kernel, jnp.zeros(3)))


def test_an_even_kernel_is_welcome_without_padding(backend):
    x, kernel, bias = made(1, 6, 7, 3, seed=0), made(2, 4, 3, 5, seed=1), made(5, seed=2)
    found = value_and_gradients(ours(padding="valid"), x, kernel, bias)
    dimensions = ("NHWC", "HWIO", "NHWC")

    def plain(x, kernel, bias):
        y = lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=dimensions)
        return y + bias.reshape(1, 1, 1, -1)

    for mine, wanted in zip(found, value_and_gradients(plain, x, kernel, bias), strict=True):
        assert relative_error(mine, wanted) < 1e-5


@pytest.mark.parametrize("padding", ["zero", "reflect"])
def test_an_even_kernel_with_padding_is_refused(padding):
    with pytest.raises(ValueError, match=r"kernel: padding .* wants odd sides, got 2 by 3; use"):
        convolution.convolve(jnp.ones((1, 8, 8, 1)), jnp.ones((2, 3, 1, 1)), padding=padding)


def test_a_reflection_wider_than_the_picture_is_refused():
    with pytest.raises(ValueError, match="x: 4 by 9 positions are too few to reflect 4 by 4; use"):
        convolution.convolve(jnp.ones((1, 4, 9, 1)), jnp.ones((9, 9, 1, 1)), padding="reflect")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_nan_spreads_as_far_as_the_kernel_reaches(backend, precision):
    x = jnp.zeros((1, 7, 7, 256)).at[0, 3, 3, 5].set(jnp.nan)
    y = convolution.convolve(x, made(3, 3, 256, 256, seed=0), precision=precision)
    wanted = np.zeros((7, 7), bool)
    wanted[2:5, 2:5] = True
    np.testing.assert_array_equal(np.isnan(np.asarray(y[0])).all(-1), wanted)
    np.testing.assert_array_equal(np.isnan(np.asarray(y[0])).any(-1), wanted)


# ReLU -----------------------------------------------------------------------------------------


def test_relu_and_its_gradient(backend):
    x = jnp.array([-2.0, -0.0, 0.0, 1e-30, 3.0, jnp.inf]).reshape(1, 2, 3, 1)
    y, dx = value_and_gradients(convolution.relu, x)
    np.testing.assert_array_equal(y.ravel(), np.array([0, 0, 0, 1e-30, 3, np.inf], np.float32))
    cotangent = np.asarray(made(1, 2, 3, 1, seed=99)).ravel()
    np.testing.assert_array_equal(dx.ravel(), cotangent * [0, 0, 0, 1, 1, 1])


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


# Pooling --------------------------------------------------------------------------------------


def picture(kind, *shape):
    rng = np.random.default_rng(3)
    return jnp.asarray(
        {
            "all different": rng.permutation(np.prod(shape)).reshape(shape),
            "constant": np.full(shape, 0.3),
            "many ties": rng.integers(0, 3, shape),
            "below zero": -1 - rng.integers(0, 3, shape),
        }[kind].astype(np.float32)
    )


KINDS = ("all different", "constant", "many ties", "below zero")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(2, 6, 8, 3), (1, 7, 5, 3)])
def test_max_pool_is_reduce_window(backend, kind, shape):
    x = picture(kind, *shape)

    def plain(x):
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

    for mine, wanted in zip(
        value_and_gradients(convolution.max_pool, x), value_and_gradients(plain, x), strict=True
    ):
        np.testing.assert_array_equal(mine, wanted)


def pool_by_loops(x, cotangent, *, pooling, ceil_mode):
    """Value and gradient of 2 × 2 pooling: the first maximum, or the mean of what lies inside."""
    x = np.asarray(x, np.float64)
    batch, height, width, channels = x.shape
    sides = [-(-side // 2) if ceil_mode else side // 2 for side in (height, width)]
    y, dx = np.zeros((batch, *sides, channels)), np.zeros_like(x)
    for b, i, j, c in np.ndindex(*y.shape):
        window = x[b, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c]
        into = dx[b, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c]
        if pooling == "max":
            y[b, i, j, c] = window.max()
            into[np.unravel_index(window.argmax(), window.shape)] = cotangent[b, i, j, c]
        else:
            y[b, i, j, c] = window.mean()
            into[:] = cotangent[b, i, j, c] / window.size
    return y, dx


POOLS = {"max": convolution.max_pool, "average": convolution.average_pool}


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("shape", [(2, 6, 4, 2), (1, 7, 6, 2), (1, 4, 5, 2), (2, 5, 7, 2)])
def test_pooling_equals_loops(backend, shape, pooling, ceil_mode):
    for kind in KINDS:
        x = picture(kind, *shape)
        y, dx = value_and_gradients(lambda x: POOLS[pooling](x, ceil_mode=ceil_mode), x)
        cotangent = np.asarray(made(*y.shape, seed=99))
        wanted = pool_by_loops(x, cotangent, pooling=pooling, ceil_mode=ceil_mode)
        np.testing.assert_allclose(y, wanted[0], rtol=1e-6, err_msg=kind)
        np.testing.assert_allclose(dx, wanted[1], rtol=1e-6, err_msg=kind)


@pytest.mark.oracle
@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("pooling", ["max", "average"])
def test_pooling_is_torchs(backend, pooling, ceil_mode):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    for shape in [(2, 6, 8, 3), (1, 7, 5, 3), (1, 9, 4, 2)]:
        for kind in KINDS:
            x = picture(kind, *shape)
            y, dx = value_and_gradients(lambda x: POOLS[pooling](x, ceil_mode=ceil_mode), x)
            leaf = torch.from_numpy(np.asarray(x).transpose(0, 3, 1, 2).copy()).requires_grad_()
            if pooling == "max":
                theirs = functional.max_pool2d(leaf, 2, 2, ceil_mode=ceil_mode)
            else:
                theirs = functional.avg_pool2d(
                    leaf, 2, 2, ceil_mode=ceil_mode, count_include_pad=False
                )
            cotangent = np.asarray(made(*y.shape, seed=99)).transpose(0, 3, 1, 2).copy()
            theirs.backward(torch.from_numpy(cotangent))
            np.testing.assert_allclose(
                y, theirs.detach().numpy().transpose(0, 2, 3, 1), rtol=1e-6, err_msg=kind
            )
            np.testing.assert_allclose(
                dx, leaf.grad.numpy().transpose(0, 2, 3, 1), rtol=1e-6, err_msg=kind
            )


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("place", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_pooling_lets_nan_through(backend, place, pooling, ceil_mode):
    x = jnp.ones((1, 5, 5, 1)).at[0, 2 + place[0], 2 + place[1], 0].set(jnp.nan)
    y = POOLS[pooling](x, ceil_mode=ceil_mode)
    assert np.argwhere(np.isnan(np.asarray(y))).tolist() == [[0, 1, 1, 0]]


# Upsampling, and all of them ------------------------------------------------------------------


@pytest.mark.parametrize("factor", [2, 3])
def test_upsampling_repeats(factor):
    x = made(2, 3, 4, 2, seed=0)
    y, dx = value_and_gradients(lambda x: convolution.upsample_nearest(x, factor), x)
    np.testing.assert_array_equal(y, np.asarray(x).repeat(factor, 1).repeat(factor, 2))
    cotangent = np.asarray(made(*y.shape, seed=99), np.float64)
    blocks = cotangent.reshape(2, 3, factor, 4, factor, 2)
    np.testing.assert_allclose(dx, blocks.sum((2, 4)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: convolution.convolve(x, made(3, 3, 2, 3, seed=1), padding="reflect"),
        convolution.max_pool,
        lambda x: convolution.average_pool(x, ceil_mode=True),
        convolution.upsample_nearest,
        convolution.relu,
    ],
    ids=["convolve", "max_pool", "average_pool", "upsample_nearest", "relu"],
)
def test_jit_equals_eager(backend, function):
    x = made(1, 7, 6, 2, seed=0)
    np.testing.assert_allclose(jax.jit(function)(x), function(x), rtol=1e-6, atol=1e-6)
