"""The options of `nst-jax train`, and the configurations that they make with a preset."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import OmitArgPrefixes, OmitSubcommandPrefixes, arg, subcommand

from nst_jax.encoders.vgg import Architecture
from nst_jax.encoders.weights.pretrained import WEIGHT_SETS, verify
from nst_jax.jobs.training_papers import TRAINING_PAPERS
from nst_jax.jobs.training_pictures import HELD_OUT
from nst_jax.jobs.training_plan import TrainingJob, check_weights_name
from nst_jax.ops.convolution import Precision
from nst_jax.train import TrainingPaper

HELP = """\
Train a network that paints a photograph in one pass: hours once, then a moment a picture.

  nst-jax train johnson2016 --help     one style
  nst-jax train dumoulin2017 --help    several styles in one network, and mixtures of them
  nst-jax train huang2017 --help       any style: the painting is given when it paints

The same command on the same --workdir goes on where it was stopped or killed."""

_FLAG = arg(help_behavior_hint="")


def _preset(metavar: str | None = None) -> Any:
    return arg(metavar=metavar, help_behavior_hint="(default: the preset's)")


def _describe_presets(presets: Mapping[str, Any], describe_rest: Callable[[Any], str]) -> str:
    longest = max(map(len, presets))
    lines = [
        f"  {name:{longest}} {config.num_steps} steps of {config.batch_size} pictures of "
        f"{config.size} pixels, {describe_rest(config)}"
        for name, config in presets.items()
    ]
    return "\n".join(["Presets:", *lines])


def _describe_width(config: Any) -> str:
    return f"--width {config.width}"


def _describe_encoder(config: Any) -> str:
    return f"--encoder {config.encoder}, --warm-start-steps {config.warm_start_steps}"


_JOHNSON_HELP = f"""\
Train a network to paint in one style (Johnson et al. 2016).

Example:
  nst-jax train johnson2016 --content-dir photos/ --style painting.jpg --workdir run/

{_describe_presets(TRAINING_PAPERS["johnson2016"].presets, _describe_width)}

The network is RUN/model.safetensors in the end, for nst-jax stylize --model; RUN/samples shows how
it comes on, RUN/metrics.jsonl and RUN/tensorboard hold the losses."""

_DUMOULIN_HELP = f"""\
Train a network to paint in several styles, or teach it one more (Dumoulin et al. 2017).

Examples:
  nst-jax train dumoulin2017 --content-dir photos/ --style-dir paintings/ --workdir run/
  nst-jax train dumoulin2017 --content-dir photos/ --add-style new.jpg
      --model run/model.safetensors --workdir another_run/

A style is called after its painting's file.

{_describe_presets(TRAINING_PAPERS["dumoulin2017"].presets, _describe_width)}

The network is RUN/model.safetensors in the end, for nst-jax stylize --model; RUN/samples shows how
it comes on, RUN/metrics.jsonl and RUN/tensorboard hold the losses."""

_HUANG_HELP = f"""\
Train a network to paint after any painting (Huang and Belongie 2017).

Example:
  nst-jax train huang2017 --content-dir photos/ --style-dir paintings/ --workdir run/

The more paintings, of the more kinds, the better it paints after new ones. They are contents too,
of half of each batch, so that the network learns their colours.

{_describe_presets(TRAINING_PAPERS["huang2017"].presets, _describe_encoder)}

The network is RUN/model.safetensors in the end, for nst-jax stylize --model; RUN/samples shows how
it comes on, RUN/metrics.jsonl and RUN/tensorboard hold the losses; RUN/warm_start has the same of
the first stage."""


def _held_out(kind: str) -> Any:
    text = (
        f"{kind} that are not trained on: the first {HELD_OUT} tell losses and are shown in "
        f"samples. (default: the first {HELD_OUT} training pictures, whose losses flatter)"
    )
    return arg(metavar="FOLDER [FOLDER ...]", help=text, help_behavior_hint="")


@dataclass(frozen=True)
class DataOptions:
    """The photographs, and the folder of the run."""

    content_dir: Annotated[tuple[Path, ...], arg(metavar="FOLDER [FOLDER ...]")]
    """Photographs to train on, in these folders and all below them; many, of many kinds."""
    workdir: Annotated[Path, arg(metavar="RUN")]
    """The run's folder: checkpoints, logs, samples, and in the end model.safetensors."""
    held_out_dir: Annotated[tuple[Path, ...], _held_out("Photographs")] = ()


@dataclass(frozen=True)
class RunOptions:
    """How large, how long, and where chance begins."""

    preset: Annotated[str, arg(metavar="NAME")] = "cpu"
    """Where everything you leave out comes from. 'smoke' takes seconds, to try things out."""
    num_steps: Annotated[int | None, _preset("N")] = None
    """Steps in all."""
    size: Annotated[int | None, _preset("PIXELS")] = None
    """Side of the training pictures, a multiple of 4; what they are cut from is scaled along."""
    batch_size: Annotated[int | None, _preset("N")] = None
    """Pictures a step."""
    seed: Annotated[int | None, _preset("N")] = None
    """Decides the first parameters, and the order of the pictures."""
    start_from: Annotated[
        str | None, arg(metavar="NAME|FILE", help_behavior_hint="(default: random parameters)")
    ] = None
    """A trained network of the same shape to begin with: a quarter of the steps may do then."""


@dataclass(frozen=True)
class FixedStylesRunOptions(RunOptions):
    """How large, how long, and where chance begins."""

    width: Annotated[int | None, _preset("N")] = None
    """Maps of the first convolution. Half of them: a quarter of the parameters."""
    style_size: Annotated[int | None, _preset("PIXELS")] = None
    """Longer side of the paintings. Smaller means finer strokes."""


@dataclass(frozen=True)
class AnyStyleRunOptions(RunOptions):
    """How large, how long, and where chance begins."""

    num_steps: Annotated[int | None, _preset("N")] = None
    """Steps in all, but for those of --warm-start-steps."""
    warm_start_steps: Annotated[
        int | None,
        arg(metavar="N", help_behavior_hint="(default: the preset's; 0 with --start-from)"),
    ] = None
    """Steps before those of --num-steps, in which the decoder's parts learn to invert VGG's."""
    size: Annotated[int | None, _preset("PIXELS")] = None
    """Side of the training pictures, a multiple of 8; what they are cut from is scaled along."""


@dataclass(frozen=True)
class BalanceOptions:
    """How much of the photograph stays, and how much of the painting comes."""

    content_weight: Annotated[float | None, _preset("W")] = None
    """More keeps more of the photograph."""
    style_weight: Annotated[float | None, _preset("W")] = None
    """More paints more boldly; try a third and three times as much."""


@dataclass(frozen=True)
class FixedStylesBalanceOptions(BalanceOptions):
    """How much of the photograph stays, and how much of the painting comes."""

    tv_weight: Annotated[float | None, _preset("W")] = None
    """More makes a smoother picture (total variation)."""


@dataclass(frozen=True)
class NetworkOptions:
    """The network that judges, and how it computes."""

    encoder: Annotated[Architecture | None, _preset()] = None
    """VGG-16 comes along; VGG-19 must be fetched once: nst-jax weights fetch vgg19-torchvision."""
    weights: Annotated[
        str | None, arg(metavar="NAME|FILE", help_behavior_hint="(default: the usual ones)")
    ] = None
    """A set from 'nst-jax weights list', or a .safetensors file made by 'nst-jax weights'."""
    precision: Annotated[Precision | None, _preset()] = None
    """bfloat16 is faster and almost as exact."""


@dataclass(frozen=True)
class AnyStyleNetworkOptions(NetworkOptions):
    """The network that judges and that painting begins with, and how it computes."""

    encoder: Annotated[Architecture | None, _preset()] = None
    """VGG-16 comes along; VGG-19 must be fetched once: nst-jax weights fetch vgg19-adain."""
    weights: Annotated[
        str | None, arg(metavar="NAME", help_behavior_hint="(default: normalised ones)")
    ] = None
    """A set from 'nst-jax weights list', which painting wants too: the model's file names it."""


@dataclass(frozen=True)
class OptimizerOptions:
    """How the parameters are moved."""

    learning_rate: Annotated[float | None, _preset("RATE")] = None
    """Length of a step, of the first ones where the preset lets it fall."""
    clip_norm: Annotated[
        float | None, arg(metavar="NORM", help_behavior_hint="(default: none)")
    ] = None
    """Shorten gradients above this norm, for a run that diverges."""


@dataclass(frozen=True)
class ReportOptions:
    """What is written and printed on the way."""

    save_every: Annotated[int, arg(metavar="N")] = 250
    """Save a checkpoint every N steps; 0 saves at the end and on Ctrl-C only."""
    report_every: Annotated[int, arg(metavar="N")] = 250
    """Measure held-out losses and write samples every N steps; 0 does at the end only."""
    quiet: Annotated[bool, _FLAG] = False
    """Print nothing but warnings and errors."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """What the papers' trainings have in common."""

    data: OmitArgPrefixes[DataOptions]
    run: OmitArgPrefixes[RunOptions] = RunOptions()
    balance: OmitArgPrefixes[BalanceOptions] = BalanceOptions()
    network: OmitArgPrefixes[NetworkOptions] = NetworkOptions()
    optimizer: OmitArgPrefixes[OptimizerOptions] = OptimizerOptions()
    report: OmitArgPrefixes[ReportOptions] = ReportOptions()


@dataclass(frozen=True, kw_only=True)
class FixedStyles(Training):
    """What the trainings on styles that are chosen beforehand have in common."""

    run: OmitArgPrefixes[FixedStylesRunOptions] = FixedStylesRunOptions()
    balance: OmitArgPrefixes[FixedStylesBalanceOptions] = FixedStylesBalanceOptions()


@dataclass(frozen=True, kw_only=True)
class Johnson2016(FixedStyles):
    """Train a network to paint in one style (Johnson et al. 2016)."""

    style: Annotated[tuple[Path, ...], arg(metavar="FILE", help_behavior_hint="(required)")]
    """The painting."""


@dataclass(frozen=True, kw_only=True)
class Dumoulin2017(FixedStyles):
    """Train a network to paint in several styles, or teach it one more (Dumoulin et al. 2017)."""

    style: Annotated[tuple[Path, ...], arg(metavar="FILE [FILE ...]", help_behavior_hint="")] = ()
    """The paintings."""
    style_dir: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="")] = None
    """A folder of paintings, instead of --style or besides."""
    add_style: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None
    """Teach --model this painting too, by training nothing but its own arrays: in minutes."""
    model: Annotated[str | None, arg(metavar="NAME|FILE", help_behavior_hint="")] = None
    """The trained network that --add-style begins with; it stays as it is."""


@dataclass(frozen=True, kw_only=True)
class Huang2017(Training):
    """Train a network to paint after any painting (Huang and Belongie 2017)."""

    style_dir: Annotated[tuple[Path, ...], arg(metavar="FOLDER [FOLDER ...]")]
    """Paintings to train on, in these folders and all below them; many, of many kinds."""
    held_out_style_dir: Annotated[tuple[Path, ...], _held_out("Paintings")] = ()
    run: OmitArgPrefixes[AnyStyleRunOptions] = AnyStyleRunOptions()
    network: OmitArgPrefixes[AnyStyleNetworkOptions] = AnyStyleNetworkOptions()


@dataclass(frozen=True)
class Train:
    """Train a network that paints a photograph in one pass."""

    command: OmitSubcommandPrefixes[
        Annotated[Johnson2016, subcommand("johnson2016", description=_JOHNSON_HELP)]
        | Annotated[Dumoulin2017, subcommand("dumoulin2017", description=_DUMOULIN_HELP)]
        | Annotated[Huang2017, subcommand("huang2017", description=_HUANG_HELP)]
    ]


def make_job(options: Training, *, command: str) -> TrainingJob:
    """Return the training that options ask for.

    Args:
        options: What the user gave.
        command: The whole command, which the network's card repeats.

    Raises:
        ValueError: An option has a wrong value, or two do not fit together.
        OSError: A file of weights cannot be read.
    """
    paper = paper_of(options)
    run: Any = options.run
    if run.start_from and getattr(run, "warm_start_steps", None):
        raise ValueError(
            "warm_start_steps: wanted without --start-from, whose network has had them, got "
            f"{run.warm_start_steps}"
        )
    if getattr(options, "add_style", None) is not None and run.width is not None:
        raise ValueError("width: wanted without --add-style, whose --model has a width already")
    data, report = options.data, options.report
    style_dir = getattr(options, "style_dir", None) or ()
    return TrainingJob(
        paper=paper.name,
        config=make_config(options),
        workdir=data.workdir,
        content_dir=data.content_dir,
        held_out_dir=data.held_out_dir,
        style=getattr(options, "style", ()),
        style_dir=style_dir if isinstance(style_dir, tuple) else (style_dir,),
        held_out_style_dir=getattr(options, "held_out_style_dir", ()),
        add_style=getattr(options, "add_style", None),
        model=getattr(options, "model", None),
        start_from=options.run.start_from,
        save_every=report.save_every,
        report_every=report.report_every,
        origin={"command": command, "preset": options.run.preset},
    )


def paper_of(options: Training) -> TrainingPaper:
    """Return the paper whose training the options are for."""
    return TRAINING_PAPERS[type(options).__name__.lower()]


def make_config(options: Training) -> Any:
    """Return the preset with what the user gave in its place.

    The weights are, where the user names none, those of the presets with the same encoder; None
    stands for its usual ones.

    Raises:
        ValueError: An option has a wrong value.
        OSError: A file of weights cannot be read.
    """
    presets, name = paper_of(options).presets, options.run.preset
    if name not in presets:
        raise ValueError(f"preset: wanted {', '.join(presets)}, got {name!r}")
    preset, given = presets[name], _given_fields(options)
    check_weights_name(paper_of(options), given.get("weights"))
    given["encoder"] = encoder = _choose_encoder(options.network, preset.encoder)
    if encoder != preset.encoder and "weights" not in given:
        usual = {config.encoder: config.weights for config in presets.values()}
        given["weights"] = usual.get(encoder)
    if getattr(options, "add_style", None) and "num_steps" in given:
        given["add_style_steps"] = given.pop("num_steps")
    return preset.vary(given)


def _given_fields(options: Training) -> dict[str, Any]:
    """The fields of Config that the user gave, by name."""
    groups = (options.run, options.balance, options.network, options.optimizer)
    values = {
        field.name: getattr(group, field.name)
        for group in groups
        for field in dataclasses.fields(group)
        if field.name not in ("preset", "start_from")
    }
    return {name: value for name, value in values.items() if value is not None}


def _choose_encoder(network: NetworkOptions, usual: Architecture) -> Architecture:
    """The encoder asked for, or the one that the weights asked for are of, or the usual one."""
    if network.encoder is not None or network.weights is None:
        return network.encoder or usual
    if network.weights in WEIGHT_SETS:
        return WEIGHT_SETS[network.weights].architecture
    architecture: Any = verify(network.weights)["architecture"]
    return architecture
