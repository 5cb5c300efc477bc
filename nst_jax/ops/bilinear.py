"""Bilinear operations whose derivatives of every order are programs of our own.

z = b(x, y) belongs to a trilinear form t(x, y, z') = ⟨b(x, y), z'⟩. The gradients of t with respect
to each of its three arguments are bilinear in the other two: b itself, and what reverse mode needs,
x' = to_x(y, z') and y' = to_y(x, z'). Differentiating or transposing one of the three gives one of
the three again. So three functions serve forward mode, reverse mode and every combination of them,
such as Hessian-vector products.

`jax.custom_vjp` refuses forward mode, and JAX transposes what a rule of `jax.custom_jvp` returns by
its own rules. Hence a primitive. `jax.shard_map` takes it with check_vma=False: its values do not
tell over which axes of a mesh they vary.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.custom_derivatives import SymbolicZero
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

# The arguments of the trilinear form.
_X, _Y, _Z = range(3)


@dataclass(frozen=True)
class Bilinear:
    """A bilinear operation."""

    value: Callable[[Any, Any], Any]
    """(x, y) to z."""
    to_x: Callable[[Any, Any, jax.ShapeDtypeStruct], Any]
    """(y, z', what has the shape of x) to x'."""
    to_y: Callable[[Any, Any, jax.ShapeDtypeStruct], Any] | None = None
    """(x, z', what has the shape of y) to y'; None where y is of integers."""

    def __call__(self, x: Any, y: Any) -> Any:
        """Return z; linear in x and in y for all of JAX's transformations."""
        like = _struct(jax.eval_shape(self.value, x, y))
        return _bilinear.bind(x, y, form=self, wanted=_Z, like=like)

    def jvp(self, primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> tuple[Any, Any]:
        """Return z and its derivative: a rule for `jax.custom_jvp` with symbolic zeros."""
        (x, y), (dx, dy) = primals, tangents
        if isinstance(dy, SymbolicZero):
            return self(x, y), self(dx, y)
        if isinstance(dx, SymbolicZero):
            return self(x, y), self(x, dy)
        return self(x, y), self(dx, y) + self(x, dy)

    def evaluate(self, wanted: int, first: Any, second: Any, like: jax.ShapeDtypeStruct) -> Any:
        """Return the argument that is wanted, given the other two in the order of x, y, z."""
        if wanted == _Z:
            return self.value(first, second)
        to_operand = (self.to_x, self.to_y)[wanted]
        assert to_operand is not None
        return to_operand(first, second, like)


@dataclass(frozen=True)
class _Mapped:
    """The sum of a form over a new first axis of two or all three of its arguments."""

    form: "Bilinear | _Mapped"
    mapped: tuple[bool, ...]

    def evaluate(self, wanted: int, first: Any, second: Any, like: jax.ShapeDtypeStruct) -> Any:
        if self.mapped[wanted]:
            like = jax.ShapeDtypeStruct(like.shape[1:], like.dtype)
        axes = tuple(0 if self.mapped[i] else None for i in _others(wanted))
        found = jax.vmap(
            lambda first, second: self.form.evaluate(wanted, first, second, like), in_axes=axes
        )(first, second)
        return found if self.mapped[wanted] else jnp.sum(found, axis=0)


def _struct(like) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(like.shape, like.dtype)


def _others(wanted: int) -> tuple[int, int]:
    return ((_Y, _Z), (_X, _Z), (_X, _Y))[wanted]


def _evaluate(first, second, *, form, wanted, like):
    return form.evaluate(wanted, first, second, like)


def _abstractly(first, second, *, form, wanted, like):
    del first, second, form, wanted
    return ShapedArray(like.shape, like.dtype)


def _transpose(place: int, cotangent, first, second, *, form, wanted, like):
    """Transpose with respect to the first or the second operand."""
    del like
    places = _others(wanted)
    given = {wanted: cotangent, places[0]: first, places[1]: second}
    target = places[place]
    like = _struct(given[target].aval)
    return _bilinear.bind(*(given[i] for i in _others(target)), form=form, wanted=target, like=like)


def _batch(operands, axes, *, form, wanted, like):
    mapped, moved, size = [True] * 3, [], 0
    for i, each, axis in zip(_others(wanted), operands, axes, strict=True):
        mapped[i] = axis is not None
        size = size if axis is None else each.shape[axis]
        moved.append(each if axis is None else jnp.moveaxis(each, axis, 0))
    like = jax.ShapeDtypeStruct((size, *like.shape), like.dtype)
    form = _Mapped(form, tuple(mapped))
    return _bilinear.bind(*moved, form=form, wanted=wanted, like=like), 0


_bilinear = Primitive("bilinear")
_bilinear.def_impl(_evaluate)
_bilinear.def_abstract_eval(_abstractly)
ad.defbilinear(
    _bilinear,
    lambda *args, **params: _transpose(0, *args, **params),
    lambda *args, **params: _transpose(1, *args, **params),
)
batching.primitive_batchers[_bilinear] = _batch
mlir.register_lowering(_bilinear, mlir.lower_fun(_evaluate, multiple_results=False))
