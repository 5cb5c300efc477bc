"""The options of `nst-jax train`, and the job that they make with a preset.

The paper and --preset are read first. The rest is parsed with the fields of that preset as
defaults, so that help shows the preset's own.
"""

import dataclasses
import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import OmitArgPrefixes, arg

from nst_jax.cli.train_config import config_groups, make_config
from nst_jax.jobs.training_papers import TRAINING_PAPERS
from nst_jax.jobs.training_pictures import HELD_OUT
from nst_jax.jobs.training_plan import TrainingJob
from nst_jax.train import TrainingPaper
from nst_jax.train.training_paper import Styles

_HELP = """\
usage: nst-jax train PAPER [OPTIONS]

Train a network that paints a photograph in one pass: hours once, then a moment a picture.

{papers}

nst-jax train PAPER --help shows a paper's options.
The same command on the same --workdir goes on where it was stopped or killed."""

_EXAMPLES: dict[Styles, str] = {
    "one": """\
Example:
  nst-jax train {name} --content-dir photos/ --style painting.jpg --workdir run/""",
    "several": """\
Examples:
  nst-jax train {name} --content-dir photos/ --style-dir paintings/ --workdir run/
  nst-jax train {name} --content-dir photos/ --add-style new.jpg
      --model run/model.safetensors --workdir another_run/

A style is called after its painting's file. Where a style is added, --num-steps are its steps, and
{add_style_steps} by default.""",
    "any": """\
Example:
  nst-jax train {name} --content-dir photos/ --style-dir paintings/ --workdir run/

The more paintings, of the more kinds, the better it paints after new ones.""",
    "collection": """\
Example:
  nst-jax train {name} --content-dir photos/ --style-dir van_gogh/ --workdir run/

The style is called after the folder. Some dozens of paintings at least, and of one hand: what they
have in common is learnt. Strokes are as large as in the crops.""",
    "frames": """\
Example:
  nst-jax optimize frames/0001.png painting.jpg -o painted/0001.png --size 512
  nst-jax train {name} --frames frames/ --painted painted/ --workdir run/
  nst-jax video frames/ --model run/model.safetensors --size 512 -o out.mp4

One to three painted frames do. A painted file is called as its frame. Train and paint at the size
of the painted frames: strokes learnt at one size are others at another.""",
}
_RESULT = """\
The network is RUN/model.safetensors in the end, for nst-jax stylize --model; RUN/samples shows how
it comes on, RUN/metrics.jsonl and RUN/tensorboard hold the losses."""

_FOLDERS = "FOLDER [FOLDER ...]"


def _held_out(kind: str) -> Any:
    text = (
        f"{kind} that are not trained on: the first {HELD_OUT} tell losses and are shown in "
        f"samples. (default: the first {HELD_OUT} training pictures, whose losses flatter)"
    )
    return arg(metavar=_FOLDERS, help=text, help_behavior_hint="")


@dataclass(frozen=True)
class DataOptions:
    """The photographs, and the folder of the run."""

    content_dir: Annotated[tuple[Path, ...], arg(metavar=_FOLDERS)]
    """Photographs to train on, in these folders and all below them; many, of many kinds."""
    workdir: Annotated[Path, arg(metavar="RUN")]
    """The run's folder: checkpoints, logs, samples, and in the end model.safetensors."""
    held_out_dir: Annotated[tuple[Path, ...], _held_out("Photographs")] = ()


@dataclass(frozen=True)
class FramesOptions:
    """The clip, what is painted of it, and the folder of the run."""

    frames: Annotated[Path, arg(metavar="FOLDER")]
    """The clip's frames, as picture files."""
    painted: Annotated[Path, arg(metavar="FOLDER")]
    """Some of them painted, by hand or by nst-jax optimize, in files called as the frames."""
    workdir: Annotated[Path, arg(metavar="RUN")]
    """The run's folder: checkpoints, logs, samples, and in the end model.safetensors."""


@dataclass(frozen=True)
class OneStyleOptions:
    """What is painted like."""

    style: Annotated[tuple[Path, ...], arg(metavar="FILE", help_behavior_hint="(required)")]
    """The painting."""


@dataclass(frozen=True)
class SeveralStylesOptions:
    """What is painted like."""

    style: Annotated[tuple[Path, ...], arg(metavar="FILE [FILE ...]", help_behavior_hint="")] = ()
    """The paintings."""
    style_dir: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="")] = None
    """A folder of paintings, instead of --style or besides."""
    add_style: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None
    """Teach --model this painting too, by training nothing but its own arrays: in minutes."""
    model: Annotated[str | None, arg(metavar="NAME|FILE", help_behavior_hint="")] = None
    """The trained network that --add-style begins with; it stays as it is."""


@dataclass(frozen=True)
class AnyStyleOptions:
    """What is painted like."""

    style_dir: Annotated[tuple[Path, ...], arg(metavar=_FOLDERS)]
    """Paintings to train on, in these folders and all below them; many, of many kinds."""
    held_out_style_dir: Annotated[tuple[Path, ...], _held_out("Paintings")] = ()


@dataclass(frozen=True)
class StartOptions:
    """What training begins with, and when it ends."""

    time_limit: Annotated[
        str | None, arg(metavar="TIME", help_behavior_hint="(default: --num-steps decides)")
    ] = None
    """End within this time, 8m or 1h30m or 45s, in place of --num-steps. Their number is planned
    once steps are measured, so that schedules end with the last one."""

    start_from: Annotated[
        str | None, arg(metavar="NAME|FILE", help_behavior_hint="(default: random parameters)")
    ] = None
    """A trained network of the same shape to begin with: a fifth of the steps may do then. Steps
    of a warm start are left out."""


@dataclass(frozen=True)
class ReportOptions:
    """What is written and printed on the way."""

    save_every: Annotated[int, arg(metavar="N")] = 250
    """Save a checkpoint every N steps; 0 saves at the end and on Ctrl-C or SIGTERM only."""
    report_every: Annotated[int, arg(metavar="N")] = 250
    """Measure held-out losses and write samples every N steps; 0 does at the end only."""
    verbose: Annotated[bool, arg(help_behavior_hint="")] = False
    """Print lines of losses on a terminal too, in place of a bar."""
    quiet: Annotated[bool, arg(help_behavior_hint="")] = False
    """Print nothing but warnings and errors."""


# What groups of options, besides the Config's own, name the pictures of a training.
_PICTURES: dict[Styles, dict[str, Any]] = {
    "one": {"data": DataOptions, "styles": OneStyleOptions},
    "several": {"data": DataOptions, "styles": SeveralStylesOptions},
    "any": {"data": DataOptions, "styles": AnyStyleOptions},
    "collection": {"data": DataOptions, "styles": AnyStyleOptions},
    "frames": {"data": FramesOptions},
}
_KIND: dict[Styles, str] = {
    "one": "one style",
    "several": "several styles in one network, and mixtures of them",
    "any": "any style: the painting is given when it paints",
    "collection": "a painter, or another collection of paintings of one kind",
    "frames": "a clip, as a few of its frames are painted",
}


@dataclass(frozen=True)
class Parsed:
    """What the user asks for.

    Attributes:
        paper: How networks of this kind are trained.
        options: Groups of options, as _options_type has them.
        words: The names of the options that the user gave.
    """

    paper: TrainingPaper
    options: Any
    words: frozenset[str]


def parse(arguments: Sequence[str]) -> Parsed | None:
    """Return what the words after `nst-jax train` say, or None where they ask for help on all.

    Raises:
        SystemExit: After a paper's help, or where an option is wrong.
        ValueError: There is no such paper or preset.
    """
    if not arguments or arguments[0] in ("--help", "-h"):
        return None
    paper = TRAINING_PAPERS.get(_checked("paper", arguments[0], TRAINING_PAPERS))
    assert paper is not None
    preset = _checked("preset", _find_preset(arguments), paper.presets)
    config = (tyro.conf.DisallowNone, tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes)
    options = tyro.cli(
        _options_type(paper, preset),
        prog=f"nst-jax train {paper.name}",
        description=_describe(paper, preset),
        args=arguments[1:],
        config=config,
    )
    words = (word.removeprefix("--").partition("=")[0] for word in arguments if word[:2] == "--")
    return Parsed(paper, options, frozenset(word.replace("-", "_") for word in words))


def help_text() -> str:
    """Return the help on all papers."""
    width = max(map(len, TRAINING_PAPERS))
    lines = [
        f"  nst-jax train {name:{width}} --help    {_KIND[paper.styles]}"
        for name, paper in TRAINING_PAPERS.items()
    ]
    return _HELP.format(papers="\n".join(lines))


def make_job(parsed: Parsed, *, command: str) -> TrainingJob:
    """Return the training that options ask for.

    Args:
        parsed: What the user gave.
        command: The whole command, which the network's card repeats.

    Raises:
        ValueError: An option has a wrong value, or two do not fit together.
        OSError: A file of weights cannot be read.
    """
    paper, options = parsed.paper, parsed.options
    report = options.report
    pictures = {
        field.name: getattr(group, field.name)
        for name in _PICTURES[paper.styles]
        for group in [getattr(options, name)]
        for field in dataclasses.fields(group)
    }
    if isinstance(pictures.get("style_dir"), Path):
        pictures["style_dir"] = (pictures["style_dir"],)
    pictures["style_dir"] = pictures.get("style_dir") or ()
    adds_style = pictures.get("add_style") is not None
    config = make_config(paper, options, parsed.words, adds_style=adds_style)
    if adds_style and "width" in parsed.words:
        raise ValueError("width: wanted without --add-style, whose --model has a width already")
    start_from = options.start.start_from
    if start_from is not None and "warm_start_steps" in parsed.words and config.warm_start_steps:
        raise ValueError(
            "warm_start_steps: wanted without --start-from, whose network has had them, got "
            f"{config.warm_start_steps}"
        )
    return TrainingJob(
        paper=paper.name,
        config=config,
        **pictures,
        start_from=start_from,
        time_limit=_seconds(options.start.time_limit, parsed.words),
        save_every=report.save_every,
        report_every=report.report_every,
        origin={"command": command, "preset": options.run.preset},
    )


def _seconds(text: str | None, words: frozenset[str]) -> float | None:
    """How long "1h30m" is."""
    if text is None:
        return None
    if "num_steps" in words:
        raise ValueError("time_limit: wanted in place of --num-steps, got both; leave out one")
    units = {"h": 3600.0, "m": 60.0, "s": 1.0}
    parts = re.findall(r"(\d+(?:\.\d+)?)([hms])", text)
    seconds = sum(float(number) * units[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or not seconds:
        raise ValueError(f"time_limit: wanted a time such as 8m, 1h30m or 45s, got {text!r}")
    return seconds


def _options_type(paper: TrainingPaper, preset: str) -> Any:
    """The dataclass of all options, with the preset's own defaults."""
    groups = {group[0]: group for group in config_groups(paper, preset)}
    return dataclasses.make_dataclass(
        paper.name.capitalize(),
        [
            *((name, OmitArgPrefixes[group]) for name, group in _PICTURES[paper.styles].items()),
            groups["run"],
            ("start", OmitArgPrefixes[StartOptions], StartOptions()),
            groups["balance"],
            groups["network"],
            groups["optimizer"],
            ("report", OmitArgPrefixes[ReportOptions], ReportOptions()),
        ],
        frozen=True,
        kw_only=True,
    )


def _find_preset(arguments: Sequence[str]) -> str:
    """The value of --preset, the last one if there are several, or the usual preset."""
    found = "cpu"
    for place, word in enumerate(arguments):
        if word == "--preset" and place + 1 < len(arguments):
            found = arguments[place + 1]
        elif word.startswith("--preset="):
            found = word.removeprefix("--preset=")
    return found


def _checked(name: Literal["paper", "preset"], given: str, known: Any) -> str:
    """The word, if it is known."""
    if given not in known:
        near = difflib.get_close_matches(given, known, n=1)
        meant = f"; did you mean {near[0]}?" if near else "; see nst-jax train --help"
        raise ValueError(f"{name}: wanted {', '.join(known)}, got {given!r}{meant}")
    return given


def _describe(paper: TrainingPaper, preset: str) -> str:
    config = paper.presets[preset]
    steps = getattr(config, "add_style_steps", None)
    examples = _EXAMPLES[paper.styles].format(name=paper.name, add_style_steps=steps)
    width = max(map(len, paper.presets))
    presets = [
        f"  {name:{width}} {one.num_steps} steps of {one.batch_size} pictures of {one.size} "
        f"pixels, {_describe_network(one)}"
        for name, one in paper.presets.items()
    ]
    lines = "\n".join(["Presets:", *presets])
    default = f"The defaults below are those of --preset {preset}."
    return "\n\n".join([paper.title, examples, lines, default, _RESULT])


def _describe_network(config: Any) -> str:
    if hasattr(config, "width"):
        return f"--width {config.width}"
    words = f"--encoder {config.encoder}"
    steps = getattr(config, "warm_start_steps", None)
    return words if steps is None else f"{words}, --warm-start-steps {steps}"
