"""Painted clips: how consistent, how sharp and how much in style, by what is done against flicker.

    python -m experiments.video --data FOLDER [--figures modes sampling] [--size 256] [--count 48]

FOLDER has video/sintel_cave50 and video/bigbuckbunny.mp4 (both free, CC BY). Each is painted by a
network of one style, of many styles and of any style.

modes     every --temporal: warping error of frames 1 and 10 apart and e_stab (metrics.py), each
          beside the clip's own; sharpness; the distance of style to the painting over every eighth
          frame. Strips of consecutive frames, and x-t slices: one row of pixels, time downwards,
          where flicker shows as horizontal stripes.
sampling  the blend alone, by how the last picture is read between its pixels, with and without the
          gain of details.

excess_over_off is the error beyond the clip's own over that of frames painted one by one. Targets:
at most 0.3 for short, at a sharpness of at least 0.9 of these.

Results: results/video/FIGURE.
"""

import argparse
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from experiments.common import command, network_figures, provenance
from experiments.common.contact_sheet import Cell, save_sheet, slice_over_time
from experiments.common.data_folder import add_data_option, find_style, require_data
from experiments.common.distances import Distances
from nst_jax import files, metrics
from nst_jax.files.videos import Selection, read_frames
from nst_jax.flow import Flows, estimate_flows
from nst_jax.stylizers import SAMPLE_EVERY, Blend, Stylizer, VideoStylizer, load_stylizer

CLIPS = {"cave": "video/sintel_cave50", "bunny": "video/bigbuckbunny.mp4"}
CREDITS = "Sintel and Big Buck Bunny, (c) Blender Foundation, CC BY 3.0"
PAINTING = "style/van_gogh_church_at_auvers.jpg"
NETWORKS = {
    "one style": ("johnson2016-starry_night", None),
    "many styles": ("dumoulin2017", "wave"),
    "any style": ("huang2017", PAINTING),
}
MODES: Mapping[str, dict[str, Any]] = {
    name: {"temporal": name} for name in ("off", "statistics", "blend", "all")
}
SAMPLINGS: Mapping[str, dict[str, Any]] = {"off": {"temporal": "off"}} | {
    f"{sampling}, {name}": {
        "temporal": "blend",
        "blend": Blend(sampling=sampling, most_gain=gain),
    }
    for sampling in ("nearest", "bilinear", "cubic", "lanczos")
    for name, gain in (("plain", 1.0), ("gain", Blend().most_gain))
}
LONG = 10  # frames
_STRIP = 5  # frames of a strip


class Played(NamedTuple):
    """A clip with the flows that it is measured and painted by."""

    frames: list[np.ndarray]
    short: list[Flows]
    long: list[Flows]


def play(data: Path, file: str, options: argparse.Namespace) -> Played:
    """Read a clip and find its flows, from each frame to the one 1 and 10 later."""
    found = read_frames(data / file, selection=Selection(size=options.size))
    frames = [frame.pixels for frame in itertools.islice(found, options.count)]
    gaps = [
        [estimate_flows(*pair) for pair in zip(frames, frames[gap:], strict=False)]
        for gap in (1, LONG)
    ]
    return Played(frames, *gaps)


def paint(clip: Played, stylizer: Stylizer, style: Any, way: Mapping[str, Any]) -> list[np.ndarray]:
    """Paint a clip."""
    video = VideoStylizer(stylizer, style, **way)
    state, pictures = video.init(clip.frames[::SAMPLE_EVERY]), []
    before = [None, *(Flows(flows.opposite, flows.flow) for flows in clip.short)]
    for frame, flows in zip(clip.frames, before, strict=True):
        state, picture = video.step(state, jnp.asarray(frame[None]), flows)
        pictures.append(np.asarray(picture[0]))
    return pictures


def measure(
    clip: Played, pictures: Sequence[np.ndarray], painting: Any, distances: Distances
) -> dict[str, Any]:
    """What the record says of a painted clip."""
    sampled = [jnp.asarray(each[None]) for each in pictures[::SAMPLE_EVERY]]
    sharpness = [float(metrics.sharpness(jnp.asarray(each[None]))[0]) for each in pictures]
    distance = [distances.style_distance(each, painting) for each in sampled]
    found: dict[str, Any] = {
        "sharpness": float(np.mean(sharpness)),
        "style_distance": float(np.mean(distance)),
    }
    for name, gap, flows in (("short", 1, clip.short), ("long", LONG, clip.long)):
        consistency = metrics.measure_consistency(_pairs(clip.frames, pictures, flows, gap))
        found[name] = {**consistency._asdict(), "excess": consistency.excess}
    return found


def _pairs(
    frames: Sequence[np.ndarray], pictures: Sequence[np.ndarray], flows: Sequence[Flows], gap: int
) -> Iterator[metrics.FramePair]:
    def pair(of: Sequence[np.ndarray], t: int):
        return jnp.asarray(of[t][None]), jnp.asarray(of[t + gap][None])

    for t, (flow, opposite) in enumerate(flows):
        arrays = (jnp.asarray(each[None]) for each in (flow, opposite))
        yield metrics.FramePair(pair(pictures, t), pair(frames, t), *arrays)


def compare(options: argparse.Namespace, out: Path, ways: Mapping[str, dict[str, Any]]) -> None:
    """Paint the clips in several ways, and write the pictures and the record."""
    distances, runs = Distances(), {}
    for clip_name, file in CLIPS.items():
        clip = play(options.data, file, options)
        for kind, (model, style_name) in NETWORKS.items():
            stylizer = load_stylizer(model)
            style, painting = _style(options.data, stylizer, style_name)
            strips: list[list[Cell]] = [_strip(clip.frames, "clip")]
            slices: list[list[Cell]] = [[(slice_over_time(clip.frames), "clip")]]
            found: dict[str, Any] = {}
            for name, way in ways.items():
                pictures = paint(clip, stylizer, style, way)
                entry = measure(clip, pictures, painting, distances)
                base = found.get("off", entry)
                for term in ("short", "long"):
                    entry[term]["excess_over_off"] = entry[term]["excess"] / base[term]["excess"]
                for term in ("sharpness", "style_distance"):
                    entry[f"{term}_over_off"] = entry[term] / base[term]
                found[name] = entry
                strips.append(_strip(pictures, name))
                slices.append([(slice_over_time(pictures), name)])
                print(_line(clip_name, kind, name, entry), flush=True)
            label = f"{clip_name}_{kind.replace(' ', '_')}"
            save_sheet(out / f"{label}_strip.jpg", strips, side=options.size)
            save_sheet(out / f"{label}_slice.jpg", slices, side=2 * options.size)
            runs.setdefault(clip_name, {})[kind] = found
    record = {**provenance.describe_run(), "credits": CREDITS, "runs": runs}
    files.write_record(out / "record.json", record)


def _style(data: Path, stylizer: Stylizer, name: str | None) -> tuple[Any, Any]:
    """What the stylizer is told, and the painting that distances are measured to."""
    if name == PAINTING:
        painting = files.load_image(files.asset_path(PAINTING), size=512)
        return painting, painting
    return name, files.load_image(find_style(data, name or stylizer.styles[0]), size=512)


def _strip(pictures: Sequence[np.ndarray], name: str) -> list[Cell]:
    middle = max(0, len(pictures) // 2 - _STRIP // 2)
    return [
        (each, f"{name}, frame {middle + number + 1}")
        for number, each in enumerate(pictures[middle : middle + _STRIP])
    ]


def _line(clip: str, kind: str, name: str, entry: Mapping[str, Any]) -> str:
    short, long = entry["short"], entry["long"]
    return (
        f"{clip}, {kind}, {name}: short {short['error']:.5f} (clip {short['input_error']:.5f}, "
        f"excess {short['excess_over_off']:.2f} of off), long {long['error']:.5f} "
        f"({long['excess_over_off']:.2f}), sharpness {entry['sharpness_over_off']:.2f}, style "
        f"{entry['style_distance_over_off']:.2f}"
    )


def modes(options: argparse.Namespace, out: Path) -> None:
    """Make the table of --temporal."""
    compare(options, out, MODES)


def sampling(options: argparse.Namespace, out: Path) -> None:
    """Make the table of samplings."""
    compare(options, out, SAMPLINGS)


FIGURES = {"modes": modes, "sampling": sampling}


def main() -> None:
    """Make the figures."""
    parser = command.make_parser(__doc__)
    add_data_option(parser)
    parser.add_argument("--figures", nargs="+", choices=FIGURES, default=list(FIGURES))
    parser.add_argument("--size", type=int, default=256, help="longer side in pixels")
    parser.add_argument("--count", type=int, default=48, help="frames of each clip")
    command.add_out_option(parser, "results/video")
    options = command.parse(parser)
    options.data = require_data(parser, options)
    for name in options.figures:
        network_figures.make_once(
            FIGURES[name],
            parser,
            options,
            options.out / name,
            networks=[str(model) for model, _ in NETWORKS.values()],
        )


if __name__ == "__main__":
    command.run(main)
