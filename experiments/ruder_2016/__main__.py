"""Ruder, Dosovitskiy and Brox 2016: what each part of the method is worth.

    python -m experiments.ruder_2016 --data FOLDER [--figures consistency comes_back]
        [--size 256] [--count 10] [--num-steps 200 60]

FOLDER has video/sintel_cave50 (free, CC BY).

consistency  a clip by each part of the method. alone: every frame by itself, with the same start
             and as many steps. warped start: each begins with the last picture, without a loss.
             short-term, long-term: with the temporal loss, for one frame before or for 1, 2 and 4.
             Warping error beside the clip's own, sharpness, the distance of style, x-t slices.
             Target: short-term at most half of alone. The paper's table 1 has the same rows.
comes_back   a still photograph, before which another one passes: the motion is exact. By how much
             what was covered differs when it comes back, as a mean square. Target: long-term below
             short-term.

Results: results/ruder_2016/FIGURE. Hours on two CPU cores; a trial: --size 128 --num-steps 60 30.
"""

import argparse
import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from experiments.common import command, network_figures, provenance
from experiments.common.contact_sheet import Cell, save_sheet, slice_over_time
from experiments.common.data_folder import add_data_option, require_data
from experiments.common.distances import Distances
from nst_jax import files, load_encoder, metrics
from nst_jax.array_types import Image
from nst_jax.files.videos import Selection, read_frames
from nst_jax.flow import Flows, estimate_flows
from nst_jax.papers import ruder_2016

CLIP = "video/sintel_cave50"
CREDIT = "Sintel, (c) Blender Foundation, CC BY 3.0"
PAINTING = "style/van_gogh_church_at_auvers.jpg"
PHOTOGRAPHS = ("content/neuschwanstein_castle.jpg", "content/kitten.jpg")
WAYS: Mapping[str, Mapping[str, Any]] = {
    "alone": {"start": "own", "temporal_weight": 0.0},
    "warped start": {"temporal_weight": 0.0},
    "short-term": {},
    "long-term": {"distances": (1, 2, 4)},
}
_PART = 4  # what passes has a side of a fourth of the photograph's

FindFlows = Callable[[int, int], Flows]


def make_config(options: argparse.Namespace, way: Mapping[str, Any]) -> ruder_2016.Config:
    """The library's preset, with the options' steps and a way's changes."""
    preset = ruder_2016.PRESETS[options.preset]
    first, others = options.num_steps
    picture = dataclasses.replace(preset.picture, num_steps=first)
    # A frame alone has nothing but its own steps to become a painting.
    others = first if way.get("start") == "own" else others
    return dataclasses.replace(preset, picture=picture, num_steps=others, **way)


def paint(
    frames: Sequence[np.ndarray],
    find_flows: FindFlows,
    options: argparse.Namespace,
    way: Mapping[str, Any],
) -> list[np.ndarray]:
    """Paint frames in one way."""
    config = make_config(options, way)
    painting = files.load_image(files.asset_path(PAINTING), size=options.size)
    network = load_encoder(config.picture.encoder, weights=config.picture.weights)
    images = [jnp.asarray(frame[None]) for frame in frames]
    painted = ruder_2016.stylize(images, painting, config, *network, find_flows=find_flows)
    return [np.asarray(picture[0]) for picture in painted]


def consistency(options: argparse.Namespace, out: Path) -> None:
    """Make the table of the method's parts."""
    found = read_frames(options.data / CLIP, selection=Selection(size=options.size))
    frames = [frame.pixels for frame in itertools.islice(found, options.count)]

    def find_flows(i: int, j: int) -> Flows:
        return estimate_flows(frames[i], frames[j])

    painting = files.load_image(files.asset_path(PAINTING), size=512)
    distances, runs = Distances(), {}
    slices: list[list[Cell]] = [[(slice_over_time(frames), "clip")]]
    for name, way in WAYS.items():
        pictures = paint(frames, find_flows, options, way)
        measured = metrics.measure_consistency(
            [_pair(frames, pictures, i, find_flows(i, i + 1)) for i in range(len(frames) - 1)]
        )
        runs[name] = {
            **measured._asdict(),
            "excess": measured.excess,
            "sharpness": _mean(metrics.sharpness(_batch(each))[0] for each in pictures),
            "style_distance": _mean(
                distances.style_distance(_batch(each), painting) for each in pictures[::3]
            ),
        }
        runs[name]["error_over_alone"] = measured.error / runs["alone"]["error"]
        slices.append([(slice_over_time(pictures), name)])
        print(f"{name}: {runs[name]}", flush=True)
    save_sheet(out / "slices.jpg", slices, side=2 * options.size)
    record = {**provenance.describe_run(), "credit": CREDIT, "runs": runs}
    files.write_record(out / "record.json", record)


def comes_back(options: argparse.Namespace, out: Path) -> None:
    """Measure what was covered, and comes back."""
    frames, covered = make_passing(options.size, options.count)
    find_flows = exact_flows(covered)
    hidden = covered.any(0) & ~covered[0] & ~covered[-1]
    runs, rows = {}, [[(frames[0], "first frame"), (frames[len(frames) // 2], "middle")]]
    for name in ("short-term", "long-term"):
        pictures = paint(frames, find_flows, options, WAYS[name])
        change = np.square(pictures[-1] - pictures[0]).mean(-1)
        runs[name] = {
            "covered": float(change[hidden].mean()),
            "never_covered": float(change[~covered.any(0)].mean()),
        }
        rows.append([(pictures[0], name), (pictures[-1], f"{name}, last frame")])
        print(f"{name}: {runs[name]}", flush=True)
    save_sheet(out / "pictures.jpg", rows, side=options.size)
    files.write_record(out / "record.json", {**provenance.describe_run(), "runs": runs})


def make_passing(size: int, count: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Return frames of a photograph before which a part of another passes, and where that is.

    It moves by whole pixels, covers the middle in the middle of the clip, and neither the first nor
    the last frame has it there.
    """
    still, passing = (
        np.asarray(files.load_image(files.asset_path(name), size=size))[0] for name in PHOTOGRAPHS
    )
    height, width = still.shape[:2]
    side = min(height, width) // _PART
    step = (width - side) // (count - 1)
    top = (height - side) // 2
    frames, covered = [], np.zeros((count, height, width), bool)
    for number in range(count):
        place = (slice(top, top + side), slice(number * step, number * step + side))
        frame = still.copy()
        frame[place] = passing[:side, :side]
        frames.append(frame)
        covered[number][place] = True
    return frames, covered


def exact_flows(covered: np.ndarray) -> FindFlows:
    """Return the flows of make_passing's frames, given where the part is that moves."""
    starts = [np.argwhere(mask)[0, 1] for mask in covered]

    def flow(i: int, j: int) -> np.ndarray:
        found = np.zeros((*covered.shape[1:], 2), np.float32)
        found[covered[i], 0] = starts[j] - starts[i]
        return found

    return lambda i, j: Flows(flow(i, j), flow(j, i))


def _pair(
    frames: Sequence[np.ndarray], pictures: Sequence[np.ndarray], i: int, flows: Flows
) -> metrics.FramePair:
    painted, own = ((_batch(of[i]), _batch(of[i + 1])) for of in (pictures, frames))
    return metrics.FramePair(painted, own, *(jnp.asarray(each[None]) for each in flows))


def _batch(pixels: np.ndarray) -> Image:
    return jnp.asarray(pixels[None])


def _mean(values: Any) -> float:
    return float(np.mean([float(value) for value in values]))


FIGURES = {"consistency": consistency, "comes_back": comes_back}


def main() -> None:
    """Make the figures."""
    parser = command.make_parser(__doc__)
    add_data_option(parser)
    parser.add_argument("--figures", nargs="+", choices=FIGURES, default=list(FIGURES))
    parser.add_argument("--preset", choices=ruder_2016.PRESETS, default="default")
    parser.add_argument("--size", type=int, default=256, help="longer side in pixels")
    parser.add_argument("--count", type=int, default=10, help="frames")
    parser.add_argument(
        "--num-steps", type=int, nargs=2, default=[200, 60], help="of the first frame, and others"
    )
    command.add_out_option(parser, "results/ruder_2016")
    options = command.parse(parser)
    options.data = require_data(parser, options)
    for name in options.figures:
        network_figures.make_once(FIGURES[name], parser, options, options.out / name)


if __name__ == "__main__":
    command.run(main)
