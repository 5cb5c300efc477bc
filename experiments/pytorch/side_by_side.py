"""Timing ours and PyTorch's in turn, in one process: what the benchmarks share.

Machines are noisy, and more so from one minute to the next than within one. So every side does its
work once a turn, and what is compared is the ratio within a turn, of which the median counts.
PyTorch runs in both of its memory formats, and the faster one is what the others are compared with.
It computes where JAX does, in whole float32 as ours: on a GPU its usual convolutions round to TF32.
"""

import os
import platform
import statistics
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import torch

from experiments.common import provenance
from experiments.common.turns import Work
from nst_jax.files import asset_path, load_image
from nst_jax.ops.resizing import resize
from nst_jax.pixels.step import make_optimizer
from nst_jax.pixels.transformations import make_transformation

FORMATS = {"torch": torch.contiguous_format, "torch channels_last": torch.channels_last}
BFLOAT16 = "torch bfloat16"  # for information: autocast rounds activations too
TORCH_DEVICE = {"cpu": "cpu", "gpu": "cuda"}.get(jax.default_backend(), "")
if not TORCH_DEVICE or (TORCH_DEVICE == "cuda" and not torch.cuda.is_available()):
    sys.exit(
        f"error: JAX computes on {jax.default_backend()}, where this PyTorch cannot; install one "
        "that can, or set JAX_PLATFORMS=cpu"
    )

# Importing this module places PyTorch, since every tensor that the comparisons make must follow.
torch.set_default_device(TORCH_DEVICE)
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
torch.backends.cudnn.benchmark = True  # the fastest algorithm for each shape, as XLA looks for


def _knows_bfloat16() -> bool:
    """Whether the device multiplies in bfloat16; a CPU without takes PyTorch ten times as long."""
    if TORCH_DEVICE != "cpu":
        return True
    told = Path("/proc/cpuinfo")
    return not told.exists() or "bf16" in told.read_text(encoding="utf-8")


RIVALS = (*FORMATS, BFLOAT16) if _knows_bfloat16() else tuple(FORMATS)
"""PyTorch's sides that are timed."""


def autocast(side: str) -> Any:
    """Run PyTorch in bfloat16 if that is the side's way."""
    return torch.autocast(TORCH_DEVICE, torch.bfloat16, enabled=side == BFLOAT16)


def until_done(work: Work) -> Work:
    """Return work of PyTorch's that waits for its end; on a GPU a call only asks for it."""

    def wait() -> Any:
        answer = work()
        if TORCH_DEVICE == "cuda":
            torch.cuda.synchronize()
        return answer

    return wait


def load_squares(names: list[str], size: int) -> list[Any]:
    """Bundled pictures, squeezed into squares."""
    return [resize(load_image(asset_path(name)), height=size, width=size) for name in names]


def find_best(seconds: Mapping[str, list[float]]) -> str:
    """PyTorch's faster memory format."""
    medians = {side: statistics.median(seconds[side]) for side in FORMATS}
    return min(medians, key=lambda side: medians[side])


def make_lbfgs_step(evaluate: Callable[..., Any], image: Any, *args: Any, history: int) -> Work:
    """One step of our L-BFGS, whose first call fills the whole history beforehand.

    evaluate is (image, *args) -> ((total, terms), gradient).
    """
    tx = make_transformation("lbfgs", learning_rate=1.0, history=history)
    objectives = [_cheap] * (history + 2)

    def evaluate_in_turn(image, *args):
        return (objectives.pop() if objectives else evaluate)(image, *args)

    optimizer = make_optimizer(evaluate_in_turn, tx)
    state = None

    def step() -> Any:
        nonlocal state
        if state is None:
            state, _ = optimizer.init(jnp.copy(image), *args)
            while objectives:
                state, _ = optimizer.step(state, *args)
        state, metrics = optimizer.step(state, *args)
        return jax.block_until_ready(metrics)

    return step


@jax.jit
def _cheap(image, *args):
    """A curved loss without a network, to fill the history of L-BFGS in no time."""
    del args
    curvatures = jnp.linspace(1.0, 2.0, image.size).reshape(image.shape)
    terms = dict.fromkeys(("content", "style", "tv"), jnp.zeros(()))
    return ((curvatures * image**2).sum() / 2, terms), curvatures * image


def describe_machine() -> dict[str, Any]:
    """What a benchmark's record says of where it was measured."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "torch_device": TORCH_DEVICE,
        "system": platform.system(),
    }


def describe_run() -> dict[str, Any]:
    """What a record says of where its numbers come from, with the machine and PyTorch."""
    told = provenance.describe_run()
    versions = {**told["versions"], "torch": version("torch")}
    return {**told, "versions": versions, "machine": describe_machine()}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), "")
