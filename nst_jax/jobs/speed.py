"""How fast this machine paints by optimising pixels."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax

from nst_jax import files
from nst_jax.array_types import Image, Params
from nst_jax.encoders.vgg import VGG, Architecture
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.jobs.pictures import check_size
from nst_jax.losses import perceptual
from nst_jax.ops.convolution import Precision
from nst_jax.ops.resizing import resize
from nst_jax.papers.gatys_2016 import PRESETS
from nst_jax.pixels.step import make_optimizer
from nst_jax.pixels.transformations import make_transformation
from nst_jax.runs.compile_time import compile_seconds
from nst_jax.runs.interrupts import Cancel

_MOST_REPEATS = 10_000


class Row(NamedTuple):
    """What was measured of one size and precision.

    Attributes:
        size: Side of the square picture in pixels.
        precision: Of the convolutions.
        gradient_ms: Milliseconds of the loss and its gradient, once.
        step_ms: Milliseconds of a whole step of L-BFGS.
        compile_seconds: How long compiling took.
        gradient_mebibytes: The gradient's working memory, where the backend tells.
    """

    size: int
    precision: Precision
    gradient_ms: float
    step_ms: float
    compile_seconds: float
    gradient_mebibytes: float | None


def measure_all(
    sizes: Sequence[int],
    precisions: Sequence[Precision],
    *,
    encoder: Architecture = "vgg16",
    repeats: int = 5,
    on_progress: Callable[[int, int | None], None] | None = None,
    cancel: Cancel | None = None,
) -> list[Row]:
    """Return a row for each size and precision, of bundled pictures by the preset default.

    Args:
        sizes: Sides of the square pictures in pixels.
        precisions: Of the convolutions.
        encoder: The network that judges.
        repeats: Each time is the median of so many, after one that does not count.
        on_progress: Called with how many rows are measured, and of how many.
        cancel: A flag that any thread may set; the rows until then are returned.

    Raises:
        ValueError: There is nothing to measure, or a size or repeats is out of range.
    """
    for name, given in (("sizes", sizes), ("precisions", precisions)):
        if not given:
            raise ValueError(f"{name}: wanted at least one, got none")
    for size in sizes:
        check_size("sizes", size)
    if not 1 <= repeats <= _MOST_REPEATS:
        raise ValueError(f"repeats: wanted 1 to {_MOST_REPEATS}, got {repeats}")
    network, params = load_encoder(encoder)
    content = files.load_image(files.asset_path("content/neuschwanstein_castle.jpg"))
    style = files.load_image(files.asset_path("style/van_gogh_church_at_auvers.jpg"))
    rows: list[Row] = []
    cells = [(size, precision) for size in sizes for precision in precisions]
    for size, precision in _until(cells, cancel):
        if on_progress is not None:
            on_progress(len(rows), len(cells))
        measured = measure(
            resize(content, height=size, width=size),
            resize(style, height=size, width=size),
            dataclasses.replace(network, precision=precision),
            params,
            repeats=repeats,
        )
        rows.append(Row(size, precision, **measured))
    if on_progress is not None:
        on_progress(len(rows), len(cells))
    return rows


def measure(
    content: Image, style: Image, encoder: VGG, encoder_params: Params, *, repeats: int
) -> dict[str, Any]:
    """Return the milliseconds of a value-and-gradient and of an L-BFGS step, and what else it took.

    Args:
        content: The picture that is moved and whose features are kept.
        style: The painting.
        encoder: The network that judges.
        encoder_params: Its parameters.
        repeats: Times that each is measured; the median counts.
    """
    config = PRESETS["default"]
    weights = perceptual.Weights(dict(config.content_layers), dict(config.style_layers))
    targets = perceptual.compute_targets(
        encoder, encoder_params, content, [style], weights=weights, style_blend=[1.0]
    )
    objective = partial(perceptual.objective, encoder, weights=weights)
    with compile_seconds() as compiling:
        program = (
            jax.jit(jax.value_and_grad(objective, has_aux=True))
            .lower(content, targets, encoder_params)
            .compile()
        )
        tx = make_transformation("lbfgs", learning_rate=1.0, history=config.history)
        optimizer = make_optimizer(program, tx)
        state, _ = optimizer.init(content, targets, encoder_params)

        def step() -> Any:
            nonlocal state
            state, metrics = optimizer.step(state, targets, encoder_params)
            return metrics

        gradient_ms = _median_ms(lambda: program(content, targets, encoder_params), repeats)
        step_ms = _median_ms(step, repeats)
        seconds_compiling = compiling()
    return {
        "gradient_ms": gradient_ms,
        "step_ms": step_ms,
        "compile_seconds": seconds_compiling,
        "gradient_mebibytes": _mebibytes(program),
    }


def _until(cells: Sequence[Any], cancel: Cancel | None) -> Iterator[Any]:
    for cell in cells:
        if cancel is not None and cancel.is_set():
            return
        yield cell


def _median_ms(work: Callable[[], Any], repeats: int) -> float:
    jax.block_until_ready(work())
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        jax.block_until_ready(work())
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def _mebibytes(program: Any) -> float | None:
    """What the compiled value-and-gradient needs besides its arguments, where the backend tells."""
    analysis = program.memory_analysis()
    return None if analysis is None else analysis.temp_size_in_bytes / 2**20
