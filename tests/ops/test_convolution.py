"""Convolutions and upsampling against NumPy in float64, on the CPU and as accelerators do them.

Accelerators get XLA's own operations. Which ones those are is tested here, and that they are right
where they run on a CPU.
"""

import dataclasses
from functools import partial

import convolution_oracle as oracle
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from convolution_oracle import BFLOAT16_ERROR, check, evaluated, made, relative_error
from jax.test_util import check_grads

from nst_jax.ops import convolution, winograd
from nst_jax.ops import convolution_on_cpu as on_cpu

PADDINGS = ("zero", "reflect")


@pytest.fixture
def accelerator(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")


@pytest.fixture(params=["cpu", "gpu"])
def backend(request, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: request.param)
    return request.param


def operands_of(x_shape, kernel_shape):
    return made(*x_shape, seed=0), made(*kernel_shape, seed=1), made(kernel_shape[-1], seed=2)


def convolved(operands, cases):
    """What evaluated gives for each case of options, all compiled as one program."""

    @jax.jit
    def program(*operands):
        def found(options):
            return evaluated(partial(convolution.convolve, **options), *operands)

        return [found(options) for options in cases]

    return zip(cases, program(*operands), strict=True)


def check_convolutions(operands, cases, **limits):
    for options, found in convolved(operands, cases):
        kind = {name: options[name] for name in ("stride", "padding") if name in options}
        check(found, partial(oracle.convolution, **kind), *operands, **limits)


# Which operation ------------------------------------------------------------------------------

X, KERNEL = jnp.ones((1, 8, 8, 2)), jnp.ones((3, 3, 2, 2))
OPERATIONS = {
    "convolve": lambda x: convolution.convolve(x, KERNEL),
    "of stride 2": lambda x: convolution.convolve(x, KERNEL, stride=2),
    "transposed": lambda x: convolution.convolve_transposed(x, KERNEL),
    "enlarging": lambda x: convolution.upsample_convolve(x, KERNEL),
    "max_pool": convolution.max_pool,
    "relu": convolution.relu,
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_accelerators_get_xlas_own_operations(backend, name):
    """On a CPU each is a bilinear operation of ours, whose derivative in x is one too."""
    program = jax.make_jaxpr(lambda x: jax.jvp(OPERATIONS[name], (x,), (x,)))(X)
    ours, theirs = str(program).count("bilinear["), str(program).count("conv_general_dilated[")
    if backend == "cpu":
        assert (ours > 0, theirs) == (True, 0)
        return
    # The value, and its derivative.
    assert (ours, theirs) == (0, 0 if name in {"max_pool", "relu"} else 2)
    assert str(program).count("precision=(Precision.HIGHEST, Precision.HIGHEST)") == theirs


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
    ("size", "sides", "channels", "in_blocks"),
    [
        ((8, 12), (9, 9), (3, 8), True),
        ((8, 12), (5, 5), (16, 4), True),
        ((8, 12), (5, 5), (17, 4), False),
        ((8, 12), (5, 5), (5, 5), False),
        ((8, 12), (3, 5), (3, 8), False),
        ((9, 12), (9, 9), (3, 8), False),
        ((10, 7), (9, 9), (3, 8), False),
    ],
)
def test_which_layers_are_done_in_blocks(size, sides, channels, in_blocks):
    x, kernel = jnp.empty((1, *size, channels[0])), jnp.empty((*sides, *channels))
    assert (on_cpu._arrangement(x, kernel) is on_cpu._convolve_in_blocks) is in_blocks


# Convolution ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sides", "cases"),
    [
        ((3, 3), [(stride, p) for stride in (1, 2) for p in ("zero", "reflect", "valid")]),
        ((9, 9), [(1, "zero"), (1, "reflect"), (1, "valid"), (2, "reflect")]),
        ((1, 1), [(1, "zero"), (2, "valid")]),
        ((3, 5), [(1, "reflect")]),
        ((2, 4), [(1, "valid")]),  # even sides are welcome without padding
    ],
)
def test_convolve(sides, cases):
    operands = operands_of((2, 11, 14, 5), (*sides, 5, 7))
    check_convolutions(operands, [{"stride": stride, "padding": p} for stride, p in cases])


def test_convolve_on_accelerators(accelerator):
    operands = operands_of((2, 11, 14, 5), (3, 5, 5, 7))
    cases = [(1, "zero"), (1, "reflect"), (2, "zero"), (2, "valid")]
    check_convolutions(operands, [{"stride": stride, "padding": p} for stride, p in cases])


def test_bfloat16_on_accelerators(accelerator):
    bound = dict.fromkeys(("y", "dx", "dk"), (1e-4, BFLOAT16_ERROR))  # below, nothing is rounded
    operands = operands_of((2, 5, 8, 16), (3, 3, 16, 24))
    check_convolutions(operands, [{"precision": "bfloat16", "stride": 2}], bound=bound)


@pytest.mark.parametrize("channels", [(256, 256), (256, 264), (264, 256)])
def test_wide_layers(channels):
    operands = operands_of((2, 5, 8, channels[0]), (3, 3, *channels))
    paddings = PADDINGS if channels == (256, 256) else ("zero",)
    check_convolutions(operands, [{"padding": padding} for padding in paddings])
    # The kernel's gradient is in float32 always.
    bound = dict.fromkeys(("y", "dx"), (1e-4, BFLOAT16_ERROR))
    rounded = [{"padding": padding, "precision": "bfloat16"} for padding in paddings]
    check_convolutions(operands, rounded, bound=bound)


@pytest.mark.parametrize("sides", [(3, 3), (1, 1), (9, 9)])
def test_narrow_layers_are_not_rounded(sides):
    operands = operands_of((1, 11, 12, 8), (*sides, 8, 16))
    check_convolutions(operands, [{"precision": "bfloat16"}])
    # Strides are XLA's own operation for all but 3×3 kernels.
    rounded = dict.fromkeys(("y", "dx", "dk"), (1e-4, BFLOAT16_ERROR))
    bound = None if sides == (3, 3) else rounded
    check_convolutions(operands, [{"precision": "bfloat16", "stride": 2}], bound=bound)


@pytest.mark.parametrize(
    ("sides", "channels"),
    [((9, 9), (3, 8)), ((9, 9), (8, 3)), ((7, 5), (1, 2)), ((5, 5), (3, 3)), ((9, 9), (32, 3))],
)
def test_large_kernels_on_few_channels(sides, channels):
    operands = operands_of((2, 8, 12, channels[0]), (*sides, *channels))
    check_convolutions(operands, [{"padding": padding} for padding in PADDINGS])


@pytest.mark.parametrize("size", [(9, 12), (10, 7)])
@pytest.mark.parametrize(("sides", "channels"), [((7, 5), (1, 2)), ((9, 9), (8, 3))])
def test_large_kernels_on_odd_sides(size, sides, channels):
    operands = operands_of((2, *size, channels[0]), (*sides, *channels))
    check_convolutions(operands, [{"padding": padding} for padding in PADDINGS])


@pytest.fixture
def tiled(monkeypatch):
    """What was done in tiles: by which function, the side of the tiles, and whether flipped.

    So few at once that most of the tests' maps are done in parts.
    """
    done = set()
    for name in ("TWO", "FOUR"):
        few = dataclasses.replace(getattr(winograd, name), at_once=2**13)
        monkeypatch.setattr(winograd, name, few)
    for function in (winograd.convolve, winograd.correlate):

        def noted(x, other, tiling, *, by=function, **options):
            done.add((by.__name__, tiling.side, options.get("flipped", False)))
            return by(x, other, tiling, **options)

        monkeypatch.setattr(winograd, function.__name__, noted)
    return done


IN_TILES = {"condition": oracle.winograd_condition(winograd.FOUR)}
LARGE_GRADIENT = ("correlate", 4, False)


@pytest.mark.parametrize(
    ("shape", "channels"),
    [
        ((2, 9, 15), (5, 256)),
        ((1, 16, 16), (256, 12)),
        ((1, 18, 33), (128, 128)),
    ],
)
def test_maps_that_are_done_in_tiles(tiled, shape, channels):
    operands = operands_of((*shape, channels[0]), (3, 3, *channels))
    check_convolutions(operands, [{"padding": padding} for padding in PADDINGS], **IN_TILES)
    # What is differentiated goes by the tiles whose rounding two programs share, values alone by
    # the larger ones.
    gradient = {LARGE_GRADIENT} if min(channels) >= 32 else set()
    assert tiled - gradient == {
        ("convolve", 2, False),
        ("convolve", 2, True),
        ("convolve", 4, False),
    }


@pytest.mark.parametrize("shape", [(1, 22, 20), (2, 15, 70)])
def test_large_tiles_also_serve_maps_that_small_ones_do_not(monkeypatch, tiled, shape):
    monkeypatch.setattr(on_cpu, "_WINOGRAD_MOST_NARROW", 100)
    operands = operands_of((*shape, 128), (3, 3, 128, 130))
    check_convolutions(operands, [{"padding": "zero"}], **IN_TILES)
    assert tiled == {("convolve", 4, False), LARGE_GRADIENT}


@pytest.mark.parametrize(
    ("shape", "channels"),
    [
        ((2, 17, 19), (32, 40)),
        ((2, 33, 66), (32, 32)),  # more tiles than are done at once
    ],
)
def test_gradients_of_kernels_that_are_done_in_tiles(tiled, shape, channels):
    operands = operands_of((*shape, channels[0]), (3, 3, *channels))
    check_convolutions(operands, [{"padding": padding} for padding in PADDINGS], **IN_TILES)
    assert tiled == {LARGE_GRADIENT}


def test_convolve_equals_a_numpy_loop(backend):
    """Which also is a check of the oracle's loops over the kernel alone."""
    x, kernel, bias = operands_of((1, 6, 5, 2), (3, 3, 2, 4))
    padded = np.pad(np.asarray(x, np.float64)[0], ((1, 1), (1, 1), (0, 0)))
    wanted = np.zeros((3, 3, 4)) + np.asarray(bias)
    for row, column, u, v in np.ndindex(3, 3, 3, 3):
        pixel = padded[2 * row + u, 2 * column + v]
        wanted[row, column] += pixel @ np.asarray(kernel)[u, v]
    found = convolution.convolve(x, kernel, bias, stride=2)
    np.testing.assert_allclose(found[0], wanted, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(oracle.convolution(x, kernel, bias, stride=2)[0], wanted)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_depthwise_convolution_equals_a_numpy_loop(stride):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, 7, 8, 5)), rng.normal(size=(3, 3, 5))
    height, width = (5, 6) if stride == 1 else (3, 3)
    wanted = np.zeros((2, height, width, 5))
    for row, column, u, v in np.ndindex(height, width, 3, 3):
        wanted[:, row, column] += x[:, stride * row + u, stride * column + v] * kernel[u, v]
    found = convolution.convolve_depthwise(
        jnp.asarray(x, jnp.float32), jnp.asarray(kernel, jnp.float32), stride=stride
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("padding", ["zero", "reflect", "valid"])
def test_convolve_is_differentiable(padding):
    """Against finite differences, in both modes, as the oracle's gradients are not."""
    operands = operands_of((1, 5, 6, 2), (3, 3, 2, 3))
    function = jax.jit(partial(convolution.convolve, padding=padding))
    check_grads(function, operands, order=1, modes=["fwd", "rev"], rtol=1e-2)


def test_convolve_without_a_bias(backend):
    x, kernel, _ = operands_of((1, 5, 6, 2), (3, 3, 2, 3))
    found = convolution.convolve(x, kernel)
    np.testing.assert_array_equal(found, convolution.convolve(x, kernel, jnp.zeros(3)))


@pytest.mark.parametrize("padding", PADDINGS)
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


# To twice the size ----------------------------------------------------------------------------


def check_transposed_convolutions(cases, *, side=3, **limits):
    every = [operands_of((2, *size, 5), (side, side, 5, 7)) for size, _ in cases]

    @jax.jit
    def program(every):
        return [
            evaluated(partial(convolution.convolve_transposed, precision=precision), *operands)
            for operands, (_, precision) in zip(every, cases, strict=True)
        ]

    for operands, found in zip(every, program(every), strict=True):
        check(found, oracle.transposed_convolution, *operands, **limits)


@pytest.mark.parametrize("side", [3, 4])
def test_convolve_transposed(side):
    sizes = ((8, 12), (9, 7), (1, 2))
    # On a CPU none of them is rounded.
    precisions = ("float32", "bfloat16")
    check_transposed_convolutions([(size, p) for size in sizes for p in precisions], side=side)


@pytest.mark.parametrize("side", [3, 4])
def test_convolve_transposed_on_accelerators(accelerator, side):
    check_transposed_convolutions([((9, 7), "float32"), ((1, 2), "float32")], side=side)
    bound = dict.fromkeys(("y", "dx", "dk"), (1e-4, BFLOAT16_ERROR))
    check_transposed_convolutions([((9, 7), "bfloat16")], side=side, bound=bound)


def test_kernels_that_would_not_double_the_sides_are_refused():
    with pytest.raises(ValueError, match="kernel: wanted 3 by 3 or 4 by 4 to double the sides, go"):
        convolution.convolve_transposed(X, jnp.ones((5, 5, 2, 2)))


def test_upsample_convolve(backend):
    cases: list[tuple[convolution.Padding, tuple[int, int]]] = [
        ("reflect", (6, 5)),
        ("reflect", (2, 1)),
        ("zero", (6, 5)),
        ("zero", (1, 1)),
        ("valid", (3, 2)),
    ]
    every = [operands_of((2, *size, 5), (3, 3, 5, 7)) for _, size in cases]

    @jax.jit
    def program(every):
        return [
            evaluated(partial(convolution.upsample_convolve, padding=padding), *operands)
            for operands, (padding, _) in zip(every, cases, strict=True)
        ]

    for (padding, _), operands, found in zip(cases, every, program(every), strict=True):
        check(found, partial(oracle.enlarging_convolution, padding=padding), *operands)


@pytest.mark.oracle
@pytest.mark.parametrize("side", [3, 4])
def test_convolve_transposed_equals_pytorch(side):
    torch = pytest.importorskip("torch")
    x, kernel, bias = operands_of((2, 5, 7, 4), (side, side, 4, 6))
    theirs = torch.nn.functional.conv_transpose2d(
        torch.tensor(np.asarray(x)).permute(0, 3, 1, 2),
        torch.tensor(np.asarray(kernel)).permute(2, 3, 0, 1),
        torch.tensor(np.asarray(bias)),
        stride=2,
        padding=1,
        output_padding=4 - side,
    )
    found = convolution.convolve_transposed(x, kernel, bias)
    assert relative_error(found, theirs.permute(0, 2, 3, 1).numpy()) < 1e-5


@pytest.mark.parametrize("factor", [2, 3])
def test_upsampling_repeats(factor):
    x = made(2, 3, 4, 2, seed=0)
    function = partial(convolution.upsample_nearest, factor=factor)
    _, y, dx, cotangent = jax.jit(partial(evaluated, function))(x)
    np.testing.assert_array_equal(y, np.asarray(x).repeat(factor, 1).repeat(factor, 2))
    blocks = np.asarray(cotangent, np.float64).reshape(2, 3, factor, 4, factor, 2)
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
