"""One picture optimised on many devices: each has its rows of everything that grows with it.

The picture, its gradient, what the optimiser remembers and the features are parted by rows. The
devices exchange single rows of feature maps, Gram matrices and scalars (encoders/parted.py).
"""

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple, cast

import jax
import numpy as np
import optax
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from nst_jax.array_types import Features, Image, ImageOfAnySize, Params, Scalar
from nst_jax.encoders.parted import PartedVGG, place_by_rows
from nst_jax.encoders.vgg import VGG
from nst_jax.encoders.windows import stride_of
from nst_jax.losses import perceptual, sums
from nst_jax.losses.perceptual import Targets, Terms, Weights
from nst_jax.losses.styles import StyleLoss
from nst_jax.losses.sums import Sums, positions
from nst_jax.pixels import step
from nst_jax.pixels.programs import Program
from nst_jax.pixels.step import Metrics, Optimizer, State

_WHOLE = slice(None), slice(None)


class Rows(NamedTuple):
    """The height of a picture, and that to which it is lengthened on the devices."""

    height: int
    padded: int


def make_parted_optimizer(program: Program, mesh: Mesh) -> Optimizer:
    """Return an optimiser like programs.make_optimizer's whose last argument is a Rows.

    Its steps are those of one device but for rounding. Pictures that are given to init and evaluate
    have their own height.

    Args:
        program: Its encoder must be one that windows.require_vgg takes.
        mesh: From encoders.parted.make_mesh.
    """

    def init(image: Any, *args: Any) -> tuple[State, Metrics]:
        return _optimizer(program, mesh, args[-1]).init(
            _lengthen(image, mesh, args[-1]), *args[:-1]
        )

    def evaluate(image: Any, *args: Any) -> Metrics:
        inner = _optimizer(program, mesh, args[-1])
        return inner.evaluate(_lengthen(image, mesh, args[-1]), *args[:-1])

    def take_step(state: State, *args: Any) -> tuple[State, Metrics]:
        return _optimizer(program, mesh, args[-1]).step(state, *args[:-1])

    def to_whole(state: State, *args: Any) -> State:
        return jax.tree.map(partial(_cut, shape=state.image.shape, rows=args[-1]), state)

    def from_whole(state: State, *args: Any) -> State:
        rows: Rows = args[-1]
        _, _, width, channels = state.image.shape
        shapes = [(1, height, width, channels) for height in rows]
        return jax.tree.map(partial(_part, mesh=mesh, shape=shapes[0], padded=shapes[1]), state)

    return Optimizer(init, take_step, evaluate, to_whole, from_whole)


def compile_gradient(program: Program, mesh: Mesh, rows: Rows, width: int, *args: Any) -> Any:
    """Return the compiled value and gradient of a size, to look at its memory and its exchanges.

    Args:
        program: As for make_parted_optimizer.
        mesh: The same.
        rows: The picture's height.
        width: Its width.
        *args: The objective's further arguments but for the Rows.
    """
    shape = (1, rows.padded, width, 3)
    image = jax.ShapeDtypeStruct(shape, np.float32)
    image = image.update(sharding=place_by_rows(mesh, image, shape=shape))
    return _value_and_gradient(program, mesh, rows).lower(image, *args).compile()


@lru_cache(maxsize=16)
def _value_and_gradient(program: Program, mesh: Mesh, rows: Rows) -> Any:
    evaluate = jax.value_and_grad(partial(_objective, program, mesh, rows), has_aux=True)

    def value_and_gradient(image: Any, *args: Any) -> Any:
        found, grads = evaluate(image, *args)
        return found, _keep(grads, mesh, shape=image.shape)

    return jax.jit(value_and_gradient)


@lru_cache(maxsize=16)
def _optimizer(program: Program, mesh: Mesh, rows: Rows) -> Optimizer:
    """The optimiser of lengthened pictures of one height."""
    # The root mean square of a step is taken over the lengthened picture too.
    longest = program.style_loss.longest_step * (rows.height / rows.padded) ** 0.5
    tx = _keep_parted(program.transformation(longest_step=longest), mesh)
    return step.make_optimizer(_value_and_gradient(program, mesh, rows), tx)


def _objective(
    program: Program,
    mesh: Mesh,
    rows: Rows,
    image: Image,
    targets: Targets,
    encoder_params: Params,
    weights: Weights,
) -> tuple[Scalar, Terms]:
    """What perceptual.objective returns of the picture's own rows."""
    encoder, loss = PartedVGG(cast(VGG, program.encoder), mesh), program.style_loss
    if not _adds_up(loss, targets, rows):
        return perceptual.objective(
            *(encoder, image[:, : rows.height], targets, encoder_params, weights),
            style_loss=loss,
            tv_loss=program.tv_loss,
        )
    size = rows.height, image.shape[2]
    features = encoder.encode_padded(
        encoder_params, image, height=rows.height, layers=weights.layers
    )
    found = Sums(
        sums.sum_grams(features, tuple(weights.style)),
        sums.sum_content(features, targets.content),
        sums.sum_variation(
            image, tv_loss=program.tv_loss, rows=None, columns=None, own=_WHOLE, size=size
        ),
    )
    return sums.objective_of_sums(found, targets.style, weights, loss=loss, size=size)


def _adds_up(loss: StyleLoss, targets: Targets, rows: Rows) -> bool:
    """Whether the objective is a function of sums over rows, and targets are lengthened for it."""
    return (
        loss.of_gram is not None
        and targets.guides is None
        and all(
            features.shape[1] == rows.padded // stride_of((layer,))
            for layer, features in targets.content.items()
        )
    )


def compute_parted_targets(
    encoder: PartedVGG,
    encoder_params: Params,
    content_image: ImageOfAnySize,
    style_images: Sequence[ImageOfAnySize],
    *,
    weights: Weights,
    style_blend: Sequence[float],
    style_loss: StyleLoss,
) -> Targets:
    """Return what perceptual.compute_targets returns, computed and kept in parts.

    Features of the content image are lengthened, and 0 beyond its own rows.

    Args:
        encoder: The network over the devices.
        encoder_params: Its parameters, whole on every device.
        content_image: Of the size of the picture to come.
        style_images: One or more.
        weights: Which layers are wanted.
        style_blend: One non-negative weight for each style.
        style_loss: From sums.require_sums.
    """
    layers = tuple(weights.style)
    total = sum(style_blend)
    grams = [
        _measure_grams(
            encoder, encoder_params, _lengthen_for(encoder, image, layers), layers, image.shape[1]
        )
        for image in style_images
        if layers
    ]
    shares = [share / total for share in style_blend]
    styles = {
        layer: style_loss.blend([found[layer] for found in grams], shares) for layer in layers
    }
    content: Features = {}
    if weights.content:
        # Lengthened as the picture to come is, whose layers may lie deeper.
        image = _lengthen_for(encoder, content_image, weights.layers)
        content = _encode(
            encoder, encoder_params, image, tuple(weights.content), content_image.shape[1]
        )
    return Targets(content, styles)


@jax.jit(static_argnums=(0, 3, 4))
def _measure_grams(
    encoder: PartedVGG, encoder_params: Params, image: Any, layers: tuple[str, ...], height: int
) -> dict[str, Any]:
    features = encoder.encode_padded(encoder_params, image, height=height, layers=layers)
    found = sums.sum_grams(features, layers)
    return {
        layer: gram / positions(layer, (height, image.shape[2])) for layer, gram in found.items()
    }


@jax.jit(static_argnums=(0, 3, 4))
def _encode(
    encoder: PartedVGG, encoder_params: Params, image: Any, layers: tuple[str, ...], height: int
) -> Features:
    return encoder.encode_padded(encoder_params, image, height=height, layers=layers)


def put_whole(tree: Any, mesh: Mesh) -> Any:
    """Return the pytree of arrays with a whole copy on every device of a mesh."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def _lengthen_for(encoder: PartedVGG, image: Any, layers: tuple[str, ...]) -> Any:
    height = image.shape[1]
    return _lengthen(image, encoder.mesh, Rows(height, encoder.padded(height, layers)))


def _lengthen(image: Any, mesh: Mesh, rows: Rows) -> Any:
    """A picture of its own height, or one that was lengthened before, in parts on the devices."""
    shape = tuple(image.shape)
    padded = (shape[0], rows.padded, *shape[2:])
    return _part(image, mesh=mesh, shape=(shape[0], rows.height, *shape[2:]), padded=padded)


def _part(leaf: Any, *, mesh: Mesh, shape: tuple[int, ...], padded: tuple[int, ...]) -> Any:
    """An array of pictures, or of pictures as vectors, lengthened and in parts on the devices."""
    found = np.asarray(leaf) if shape != padded else leaf
    if shape != padded and found.shape[-len(shape) :] == shape:
        axis, more = found.ndim - len(shape) + 1, padded[1] - shape[1]
        found = np.pad(found, [(0, more if each == axis else 0) for each in range(found.ndim)])
    elif shape != padded and found.ndim and found.shape[-1] == int(np.prod(shape)):
        more = int(np.prod(padded) - np.prod(shape))
        found = np.pad(found, [*((0, 0),) * (found.ndim - 1), (0, more)])
    return jax.device_put(found, place_by_rows(mesh, found, shape=padded))


def _cut(leaf: Any, *, shape: tuple[int, ...], rows: Rows) -> np.ndarray:
    """An array of lengthened pictures, or of such pictures as vectors, in its own length."""
    found = np.asarray(leaf)
    if found.shape[-len(shape) :] == shape:
        return found[..., : rows.height, :, :]
    if found.ndim and found.shape[-1] == int(np.prod(shape)):
        return found[..., : int(np.prod(shape)) // shape[1] * rows.height]
    return found


def _keep(tree: Any, mesh: Mesh, *, shape: tuple[int, ...]) -> Any:
    """Arrays of a traced program that stay in parts."""
    return jax.tree.map(
        lambda leaf: lax.with_sharding_constraint(leaf, place_by_rows(mesh, leaf, shape=shape)),
        tree,
    )


def _keep_parted(tx: optax.GradientTransformation, mesh: Mesh) -> optax.GradientTransformation:
    """A transformation whose state and updates stay in parts; XLA might gather them else."""

    def init(params: Any) -> Any:
        return _keep(tx.init(params), mesh, shape=params.shape)

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        assert params is not None
        updates, state = tx.update(updates, state, params)
        return _keep(updates, mesh, shape=params.shape), _keep(state, mesh, shape=params.shape)

    return optax.GradientTransformation(init, update)
