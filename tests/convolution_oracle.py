"""Convolutions and their gradients as loops over the kernel's positions, in NumPy and float64.

And how far float32 may be from them on any processor.
"""

import jax
import jax.numpy as jnp
import numpy as np

# All three roundings to bfloat16, of two operands and of what comes out, at their largest.
BFLOAT16_ERROR = 3**0.5 * 2**-9
# What any convolution may lose, whichever way it takes: the networks' tests are made for it.
LARGEST_ERROR = 1e-5


def allowed(terms, *, condition=1.0):
    """The largest relative error, in Frobenius norm, of sums of so many float32 products.

    Each rounding is off by at most u = 2⁻²⁴ of its value, and roundings are taken for independent
    and without bias (Higham and Mary 2019, "A new approach to probabilistic rounding error
    analysis"). A sum of n independent numbers has partial sums of at most its own mean square,
    whatever the order, so that n roundings add up to √n u. A fused multiplication and addition
    rounds less, and so do several sums side by side, as wider vectors have them: the bound holds
    for every processor.

    condition is what an algorithm multiplies that by, whose terms are larger than what they add up
    to. 40 more roundings are for padding, transforms and biases; twice all that, because the mean
    over few values may be above what is expected.
    """
    return 2 * 2**-24 * (terms + 40) ** 0.5 * condition


def winograd_condition(tiling):
    """How much larger the error in tiles is than that of a plain sum, for independent numbers.

    Along an axis, with d, k of unit variance, value v of the transforms has variances b_v = Σ_j B²
    and g_v = Σ_j G², their product b_v g_v. Relative roundings of these products reach output i
    with variance Σ_v A_iv² b_v g_v, where the output itself has variance 3, the kernel's taps. The
    mean over i of their quotient is the square of an axis's condition, so for two axes it is the
    condition. The kernel's gradient has the same one: Σ_v G_vt² b_v a_v / m with a_v = Σ_i A_iv²
    is the same sum.
    """
    b, g = (np.square(matrix).sum(1) for matrix in (tiling.inputs, tiling.kernels))
    return float((np.square(tiling.outputs) @ (b * g)).mean() / 3)


def made(*shape, seed):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape, np.float32))


def relative_error(ours, theirs):
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    assert ours.shape == theirs.shape
    return np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)


def evaluated(function, *operands):
    """Its value alone, and its value and gradients for a cotangent that is returned last.

    The cotangent is made: no symmetry lets a gradient pass by chance.
    """
    y, pullback = jax.vjp(function, *operands)
    cotangent = made(*y.shape, seed=99)
    return function(*operands), y, *pullback(cotangent), cotangent


def convolution(x, kernel, bias, cotangent=None, *, stride=1, padding="zero"):
    """The value, and given a cotangent the gradients with respect to all operands."""
    x, kernel, bias = (np.asarray(each, np.float64) for each in (x, kernel, bias))
    rows, columns = kernel.shape[:2]
    top, left = (0, 0) if padding == "valid" else (rows // 2, columns // 2)
    down, across = (
        padding_matrix(side, around, padding)
        for side, around in zip(x.shape[1:3], (top, left), strict=True)
    )
    padded = np.einsum("pi,qj,bijc->bpqc", down, across, x, optimize=True)
    height = (padded.shape[1] - rows) // stride + 1
    width = (padded.shape[2] - columns) // stride + 1
    taps = [
        ((u, v), np.s_[:, u : u + stride * height : stride, v : v + stride * width : stride])
        for u, v in np.ndindex(rows, columns)
    ]
    y = sum(rows_of(padded[seen]) @ kernel[tap] for tap, seen in taps) + bias
    y = y.reshape(len(x), height, width, -1)
    if cotangent is None:
        return y
    dy = rows_of(np.asarray(cotangent, np.float64))
    dkernel, dpadded = np.zeros_like(kernel), np.zeros_like(padded)
    for tap, seen in taps:
        dkernel[tap] = rows_of(padded[seen]).T @ dy
        dpadded[seen] += (dy @ kernel[tap].T).reshape(dpadded[seen].shape)
    dx = np.einsum("pi,qj,bpqc->bijc", down, across, dpadded, optimize=True)
    return y, dx, dkernel, dy.sum(0)


def padding_matrix(side, around, padding):
    """Which position along an axis each padded position shows; none beyond a zero-padded edge."""
    reflected = np.pad(np.arange(side), around, "reflect")
    shown = np.arange(-around, side + around) if padding == "zero" else reflected
    return np.float64(shown[:, None] == np.arange(side))


def rows_of(maps):
    """A row a position: stacks of matrices would not reach the fast product."""
    return maps.reshape(-1, maps.shape[-1])


def transposed_convolution(x, kernel, bias, cotangent=None):
    """y[2i + u − 1, 2j + v − 1] += x[i, j] kernel[u, v]; as convolution otherwise."""
    x, kernel, bias = (np.asarray(each, np.float64) for each in (x, kernel, bias))
    batch, height, width, _ = x.shape
    side = kernel.shape[0]
    taps = [
        ((u, v), np.s_[:, u : u + 2 * height : 2, v : v + 2 * width : 2])
        for u, v in np.ndindex(side, side)
    ]
    around = np.zeros((batch, 2 * height + side - 2, 2 * width + side - 2, kernel.shape[-1]))
    for tap, seen in taps:
        around[seen] += x @ kernel[tap]
    inner = np.s_[:, 1 : 2 * height + 1, 1 : 2 * width + 1]
    y = around[inner] + bias
    if cotangent is None:
        return y
    dy = np.asarray(cotangent, np.float64)
    around[:] = 0
    around[inner] = dy
    dx = sum(around[seen] @ kernel[tap].T for tap, seen in taps)
    dkernel = np.array([rows_of(x).T @ rows_of(around[seen]) for _, seen in taps])
    return y, dx, dkernel.reshape(kernel.shape), dy.sum((0, 1, 2))


def enlarging_convolution(x, kernel, bias, cotangent=None, *, padding="reflect"):
    """The convolution of x with each position repeated, as convolution otherwise."""
    enlarged = np.asarray(x).repeat(2, axis=1).repeat(2, axis=2)
    found = convolution(enlarged, kernel, bias, cotangent, padding=padding)
    if cotangent is None:
        return found
    y, dx, dkernel, dbias = found
    batch, height, width, channels = x.shape
    dx = dx.reshape(batch, height, 2, width, 2, channels).sum((2, 4))
    return y, dx, dkernel, dbias


def check(found, oracle, *operands, bound=None, condition=1.0):
    """That what evaluated gave is what the oracle says; bound by name in place of allowed."""
    alone, *found, cotangent = found
    kernel, dy = operands[1], np.asarray(cotangent)
    taps = kernel.shape[0] * kernel.shape[1]
    # An enlarged map's gradient adds up four of them.
    terms: dict[str, int] = {"y": taps * kernel.shape[2], "dx": 4 * taps * kernel.shape[3]}
    terms |= dict.fromkeys(("dk", "db"), dy[..., 0].size)
    wanted: dict[str, np.ndarray] = dict(
        zip(("y", "dx", "dk", "db"), oracle(*operands, cotangent), strict=True)
    )
    for name, mine in (("y", alone), *zip(wanted, found, strict=True)):
        assert mine.dtype == jnp.float32
        rounding = min(allowed(terms[name], condition=condition), LARGEST_ERROR)
        least, most = (bound or {}).get(name, (0, rounding))
        assert least <= relative_error(mine, wanted[name]) < most, name
