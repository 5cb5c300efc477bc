"""What figures of the papers found, as facts of a smaller figure's record that hold or do not."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.gatys_2016 import reconstructions
from nst_jax import files


class Fact(NamedTuple):
    """One thing that a finding says, the numbers it was looked up in, and whether it holds."""

    text: str
    numbers: str
    holds: bool


Check = Callable[[Mapping[str, Any], Path], Iterator[Fact]]
"""(the figure's record, its folder) to what the finding says."""


@dataclass(frozen=True)
class Claim:
    """A figure at a smaller size, and what it is to show.

    Attributes:
        finding: The paper's, or ours, in a sentence.
        module: Of experiments, which makes the figure.
        figure: Its name there, and its folder.
        words: Further words of the command: the smaller size.
        minutes: What it takes on two idle cores, about.
        wants_data: Whether it wants the papers' inputs (--data).
        check: Looks the finding up.
    """

    finding: str
    module: str
    figure: str
    words: tuple[str, ...]
    minutes: float
    wants_data: bool
    check: Check

    @property
    def name(self) -> str:
        """What the command line calls it."""
        return f"{self.module}/{self.figure}"


def _listed(values: Sequence[float]) -> str:
    return " ".join(f"{value:.3g}" for value in values)


def _is_falling(values: Sequence[float]) -> bool:
    return all(a > b for a, b in itertools.pairwise(values))


def _ratios(record: Mapping[str, Any], folder: Path) -> Iterator[Fact]:
    del folder
    losses = [record["losses"][key] for key in sorted(record["losses"], key=float)]
    content, style = ([each[term] for each in losses] for term in ("content", "style"))
    yield Fact("content loss falls as alpha/beta rises", _listed(content), _is_falling(content))
    rising = _is_falling(style[::-1])
    yield Fact("style loss rises as alpha/beta rises", _listed(style), rising)


def _grid(record: Mapping[str, Any], folder: Path) -> Iterator[Fact]:
    del folder
    for layers, row in record["losses"].items():
        content = [row[key]["content"] for key in sorted(row, key=float)]
        text = f"{layers}: content loss falls as alpha/beta rises"
        yield Fact(text, _listed(content), _is_falling(content))


def _initialisations(record: Mapping[str, Any], folder: Path) -> Iterator[Fact]:
    del folder
    noise = record["noise"]
    apart = noise["root_mean_square_between_pictures"]
    yield Fact("other noise gives another picture (RMS above 0.05)", f"{apart:.3f}", apart > 0.05)
    share = noise["deviation_of_total"] / noise["mean_total"]
    yield Fact("of much the same loss (within 10 %)", f"{100 * share:.1f} %", share < 0.1)


def _reconstructions(record: Mapping[str, Any], folder: Path) -> Iterator[Fact]:
    size = next(iter(record["runs"].values()))["config"]["size"]
    photograph = files.load_pixels(files.asset_path(reconstructions.CONTENT), size=size)
    layers = [layer for layer in reconstructions.CONTENT_LAYERS if layer in record["runs"]]
    distances = [
        float(np.sqrt(np.square(files.load_pixels(folder / f"{layer}.jpg") - photograph).mean()))
        for layer in layers
    ]
    text = f"{layers[0]} keeps pixels (RMS below 0.08), {layers[-1]} does not (above 0.15)"
    yield Fact(text, _listed(distances), distances[0] < 0.08 and distances[-1] > 0.15)
    rising = _is_falling(distances[::-1])
    yield Fact("each deeper layer is farther from the pixels", _listed(distances), rising)


def _alpha(record: Mapping[str, Any], folder: Path) -> Iterator[Fact]:
    del folder
    for row in record["rows"]:
        pair = " after ".join(Path(name).stem for name in row["pair"])
        style, content = row["style_distance"], row["lpips_to_content"]
        text = f"{pair}: nearer to the style as alpha rises"
        yield Fact(text, _listed(style), _is_falling(style))
        text = f"{pair}: farther from the photograph"
        yield Fact(text, _listed(content), _is_falling(content[::-1]))


def _colors_kept(record: Mapping[str, Any], folder: Path) -> Iterator[Fact]:
    del folder
    shares = []
    for row in record["rows"]:
        pair = " after ".join(Path(name).stem for name in row["pair"])
        plain, kept = (row[key]["color_shift"] for key in ("plain", "colours kept"))
        shares.append(kept / plain)
        text = f"{pair}: the mean colour moves less far"
        yield Fact(text, _listed((plain, kept)), kept < plain)
    mean = float(np.mean(shares))
    yield Fact("on average at most half as far", f"{mean:.2f}", mean <= 0.5)


def _losses_fall(record: Mapping[str, Any], folder: Path) -> Iterator[Fact]:
    del folder
    for name, run in record["runs"].items():
        first, last = (run["steps"][place]["style"] for place in (0, -1))
        text = f"{name}: the style loss falls by a third or more"
        yield Fact(text, _listed((first, last)), last < 2 / 3 * first)


def _worth_steps(record: Mapping[str, Any], folder: Path) -> Iterator[Fact]:
    del folder
    for name, run in record["runs"].items():
        worth = run["summary"]["noise"]["steps"]["mean"]
        text = f"{name}: one pass is worth 20 steps of L-BFGS from noise or more"
        yield Fact(text, f"{worth:.0f}", worth >= 20)


def _steady(record: Mapping[str, Any], folder: Path) -> Iterator[Fact]:
    del folder
    for clip, networks in record["runs"].items():
        for network, modes in networks.items():
            excess = modes["blend"]["short"]["excess_over_off"]
            text = f"{clip}, {network}: blend leaves at most .3 of the excess warping error"
            yield Fact(text, f"{excess:.2f}", excess <= 0.3)
            sharpness = modes["blend"]["sharpness_over_off"]
            text = f"{clip}, {network}: at .9 of the sharpness or more"
            yield Fact(text, f"{sharpness:.2f}", sharpness >= 0.9)


_SMALL = ("--size", "128", "--num-steps", "100")

CLAIMS = (
    Claim(
        "Gatys 2016, fig. 1: low layers keep a photograph's pixels, high ones its objects.",
        "gatys_2016",
        "content_reconstructions",
        ("--size", "128", "--num-steps", "150"),
        2,
        False,
        _reconstructions,
    ),
    Claim(
        "Gatys 2016, fig. 4: alpha/beta goes from the painting's shapes to the photograph.",
        "gatys_2016",
        "ratios",
        _SMALL,
        2,
        True,
        _ratios,
    ),
    Claim(
        "Gatys 2016, fig. 6: other noise gives another picture of much the same loss.",
        "gatys_2016",
        "initialisations",
        _SMALL,
        2,
        True,
        _initialisations,
    ),
    Claim(
        "Gatys 2015, fig. 3: at every depth of style, alpha/beta trades style for content.",
        "gatys_2016",
        "grid",
        ("--size", "96", "--num-steps", "60"),
        4,
        True,
        _grid,
    ),
    Claim(
        "Huang 2017, fig. 7: alpha goes from the photograph to the style.",
        "huang_2017",
        "alpha",
        ("--size", "256"),
        1,
        True,
        _alpha,
    ),
    Claim(
        "Huang 2017, fig. 9: a recoloured painting leaves the photograph its colours.",
        "huang_2017",
        "color",
        ("--size", "256"),
        1,
        True,
        _colors_kept,
    ),
    Claim(
        "Johnson 2016, fig. 5: one pass of a network is worth tens of steps of L-BFGS.",
        "johnson_2016",
        "objective",
        ("--sizes", "128", "--count", "2", "--least-steps", "40"),
        2,
        True,
        _worth_steps,
    ),
    Claim(
        "Ours: each style loss can be lowered from the photograph.",
        "style_losses",
        "sheet",
        ("--size", "128", "--num-steps", "40"),
        3,
        False,
        _losses_fall,
    ),
    Claim(
        "Ours: the blend along the motion removes most of the flicker and keeps sharpness.",
        "video",
        "modes",
        ("--count", "10"),
        3,
        True,
        _steady,
    ),
)
"""What can be reproduced."""
