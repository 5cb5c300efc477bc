"""The options of `nst-jax optimize`, and the configuration that they make with a preset."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import OmitArgPrefixes, Positional, arg

from nst_jax.cli.color_option import ColorOption, WhenOption, choose_color
from nst_jax.cli.masks import MASK_HELP, STYLE_MASK_HELP
from nst_jax.encoders.preprocessing import TORCHVISION, input_gain
from nst_jax.encoders.vgg import Architecture, Pooling, check_layers
from nst_jax.encoders.weights.pretrained import WEIGHT_SETS, verify
from nst_jax.encoders.weights.weight_sets import WeightSet
from nst_jax.losses.styles import StyleLossName
from nst_jax.ops.convolution import Precision
from nst_jax.papers import gatys_2017
from nst_jax.papers.gatys_2016 import PRESETS, Config, with_style_loss
from nst_jax.pixels.transformations import OptimizerName
from nst_jax.regions.guidance import MaskMode

EXAMPLES = """\
Examples:
  nst-jax optimize photo.jpg painting.jpg -o out.png
  nst-jax optimize photo.jpg painting.jpg -o out.png --style-weight 150 --size 768
  nst-jax optimize photo.jpg first.jpg second.jpg -o out.png --style-blend 2 1
  nst-jax optimize photo.jpg sky.jpg land.jpg -o out.png --mask sky_mask.png
  nst-jax optimize photo.jpg painting.jpg -o out.png --style-loss wasserstein
  nst-jax optimize photo.jpg painting.jpg -o out.png --save-every 20
  nst-jax optimize photo.jpg painting.jpg -o out.png --resume

The defaults below are those of --preset default."""


def _default(name: str, *, metavar: str | None = None, shown: str | None = None) -> Any:
    """An option whose help tells what the default preset has for it."""
    value = getattr(PRESETS["default"], name) if shown is None else shown
    return arg(metavar=metavar, help_behavior_hint=f"(default: {value})")


def _column(name: str, place: int) -> str:
    """One side of the default preset's pairs, as a user would type it."""
    return " ".join(f"{pair[place]}" for pair in getattr(PRESETS["default"], name))


_FLAG = arg(help_behavior_hint="")
_PRESET_HELP = (
    f"Where everything you leave out comes from: {', '.join(PRESETS)}. 'smoke' takes seconds, to "
    "try things out. Those after papers want VGG-19; --encoder vgg16 runs them without."
)
_SCALE_HELP = (
    "How large the texture is that --fine-style gives: patterns up to about 3, 10, 24, 60 or 130 "
    "pixels for N from 1 to 5. Larger pictures want more; the paper has 2 at 512 pixels, 4 at 1024."
)
_SCALE = f"(default: {len(gatys_2017.PRESETS['cpu'].style_layers)})"
_FACTORS, _SHARES = _column("scales", 0), _column("scales", 1)
_CONTENT, _CONTENT_WEIGHTS = _column("content_layers", 0), _column("content_layers", 1)
_STYLE, _STYLE_WEIGHTS = _column("style_layers", 0), _column("style_layers", 1)


@dataclass(frozen=True)
class ResultOptions:
    """Its size, how long it is worked on, and where it begins."""

    preset: Annotated[str, arg(metavar="NAME", help=_PRESET_HELP)] = "default"
    size: Annotated[
        int | Literal["original"] | None, _default("size", metavar="{PIXELS,original}")
    ] = None
    """Longer side of the result in pixels. 'original' keeps the photograph's own."""
    style_size: Annotated[
        int | None, _default("style_size", metavar="PIXELS", shown="as --size")
    ] = None
    """Longer side of the paintings. Smaller means finer strokes."""
    num_steps: Annotated[int | None, _default("num_steps", metavar="N")] = None
    """Steps in all, over all sizes of a coarse-to-fine run."""
    init: Annotated[str | None, _default("init", metavar="{content,noise,style,FILE}")] = None
    """The picture to begin with."""
    noise_std: Annotated[float | None, _default("noise_std", metavar="STD", shown="1/255")] = None
    """Standard deviation of the noise of --init noise, where white is 1."""
    seed: Annotated[int | None, _default("seed", metavar="N")] = None
    """Another seed gives other noise."""
    scales: Annotated[
        tuple[float, ...] | None, _default("scales", metavar="F [F ...]", shown=_FACTORS)
    ] = None
    """Run at these parts of the size in turn, coarse to fine; the last is 1."""
    scale_shares: Annotated[
        tuple[float, ...] | None, _default("scales", metavar="S [S ...]", shown=_SHARES)
    ] = None
    """Shares of the steps, one for each of --scales."""


@dataclass(frozen=True)
class BalanceOptions:
    """How much of the photograph stays, and how much of the painting comes."""

    content_weight: Annotated[float | None, _default("content_weight", metavar="W")] = None
    """More keeps more of the photograph."""
    style_weight: Annotated[float | None, _default("style_weight", metavar="W")] = None
    """More paints more boldly; try a third and three times as much."""
    tv_weight: Annotated[float | None, _default("tv_weight", metavar="W")] = None
    """More makes a smoother picture (total variation)."""
    tv_loss: Annotated[Literal["mean", "half_sum"] | None, _default("tv_loss")] = None
    """Which total variation: the mean, or Johnson's half sum, whose weight depends on the size."""
    style_blend: Annotated[
        tuple[float, ...] | None, _default("style_blend", metavar="W [W ...]", shown="equal shares")
    ] = None
    """Shares of several paintings, one for each."""
    style_loss: Annotated[StyleLossName | None, _default("style_loss")] = None
    """What of the painting is matched. One that the preset does not have brings layers and a weight
    of its own; docs/style_losses.md tells them apart."""
    color: ColorOption = None
    color_when: WhenOption = None
    content_layers: Annotated[
        tuple[str, ...] | None,
        _default("content_layers", metavar="NAME [NAME ...]", shown=_CONTENT),
    ] = None
    """Layers of the network in which the photograph's features are kept. Deeper is freer."""
    content_layer_weights: Annotated[
        tuple[float, ...] | None,
        _default("content_layers", metavar="W [W ...]", shown=_CONTENT_WEIGHTS),
    ] = None
    """One weight for each of --content-layers; equal ones that sum to 1 if left out."""
    style_layers: Annotated[
        tuple[str, ...] | None, _default("style_layers", metavar="NAME [NAME ...]", shown=_STYLE)
    ] = None
    """Layers in which the painting's texture is matched. Deeper means larger patterns."""
    style_layer_weights: Annotated[
        tuple[float, ...] | None,
        _default("style_layers", metavar="W [W ...]", shown=_STYLE_WEIGHTS),
    ] = None
    """One weight for each of --style-layers; equal ones that sum to 1 if left out."""


@dataclass(frozen=True)
class RegionOptions:
    """Where in the photograph each painting's style goes, in place of a blend."""

    mask: Annotated[
        tuple[Path, ...], arg(metavar="FILE [FILE ...]", help_behavior_hint="", help=MASK_HELP)
    ] = ()
    style_mask: Annotated[
        tuple[str, ...],
        arg(metavar="FILE [FILE ...]", help_behavior_hint="", help=STYLE_MASK_HELP),
    ] = ()
    mask_mode: Annotated[MaskMode | None, _default("mask_mode")] = None
    """How masks reach the network's layers: simple resamples them; all takes units that see any of
    a region, inside those that see nothing else, so that no style leaks out of its region."""
    mask_growth: Annotated[int | None, _default("mask_growth", metavar="K")] = None
    """Let masks grow by so many units in each layer, or shrink if it is negative."""


@dataclass(frozen=True)
class TextureOptions:
    """The fine texture of another painting on the forms of the first."""

    fine_style: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None
    """A painting whose fine texture, such as brush strokes, STYLE gets before it is used."""
    scale: Annotated[int | None, arg(metavar="N", help=_SCALE_HELP, help_behavior_hint=_SCALE)] = (
        None
    )


@dataclass(frozen=True)
class NetworkOptions:
    """The network that judges, and how it computes."""

    encoder: Annotated[Architecture | None, _default("encoder")] = None
    """VGG-16 comes along; VGG-19 must be fetched once: nst-jax weights fetch vgg19-torchvision."""
    weights: Annotated[
        str | None, _default("weights", metavar="NAME|FILE", shown="the encoder's usual ones")
    ] = None
    """A set from 'nst-jax weights list', or a .safetensors file made by 'nst-jax weights'."""
    pooling: Annotated[Pooling | None, _default("pooling")] = None
    """How the network shrinks its maps. The paper prefers average."""
    precision: Annotated[Precision | None, _default("precision")] = None
    """bfloat16 is faster and almost as exact."""
    remat: Annotated[bool, _FLAG] = False
    """Use less memory and more time, for large pictures."""


@dataclass(frozen=True)
class OptimizerOptions:
    """How the pixels are moved."""

    optimizer: Annotated[OptimizerName | None, _default("optimizer")] = None
    """lbfgs is best; adam is steadier and wants --learning-rate 0.02 or so."""
    learning_rate: Annotated[float | None, _default("learning_rate", metavar="RATE")] = None
    """Length of a step."""
    history: Annotated[int | None, _default("history", metavar="N")] = None
    """Past steps that L-BFGS remembers; each costs two pictures of memory."""


@dataclass(frozen=True)
class FileOptions:
    """What is written besides OUT, and what happens to what is there."""

    record: Annotated[Path | None, arg(metavar="FILE.json", help_behavior_hint="")] = None
    """Also write the settings, versions, times and every step's losses."""
    save_every: Annotated[int, arg(metavar="N")] = 0
    """Save the state to OUT.state/ every N steps; 0 saves on Ctrl-C only."""
    resume: Annotated[bool, _FLAG] = False
    """Go on from OUT.state/. Give the same options as before."""
    overwrite: Annotated[bool, _FLAG] = False
    """Replace OUT and the record if they exist."""
    quiet: Annotated[bool, _FLAG] = False
    """Print nothing but errors."""


@dataclass(frozen=True)
class Optimize:
    """Paint a photograph in the style of a painting by optimising its pixels (Gatys 2016)."""

    content: Annotated[Positional[Path], arg(metavar="CONTENT")]
    """The photograph."""
    style: Annotated[
        Positional[tuple[Path, ...]],
        arg(metavar="STYLE [STYLE ...]", help_behavior_hint="(required)"),
    ]
    """The painting, or several to be blended."""
    out: Annotated[Path, arg(aliases=("-o",), metavar="OUT")]
    """The picture to write: .png, .jpg, .webp, .tif or .bmp."""
    result: OmitArgPrefixes[ResultOptions] = ResultOptions()
    balance: OmitArgPrefixes[BalanceOptions] = BalanceOptions()
    regions: OmitArgPrefixes[RegionOptions] = RegionOptions()
    texture: OmitArgPrefixes[TextureOptions] = TextureOptions()
    network: OmitArgPrefixes[NetworkOptions] = NetworkOptions()
    optimizer: OmitArgPrefixes[OptimizerOptions] = OptimizerOptions()
    files: OmitArgPrefixes[FileOptions] = FileOptions()


def make_config(options: Optimize) -> Config:
    """Return the preset with what the user gave in its place.

    weights stays None where the encoder's usual ones are wanted.

    Raises:
        ValueError: An option has a wrong value, or two do not fit together.
        OSError: A file of weights cannot be read.
    """
    name = options.result.preset
    if name not in PRESETS:
        raise ValueError(f"preset: wanted {', '.join(PRESETS)}, got {name!r}")
    preset, style_loss = PRESETS[name], options.balance.style_loss
    if style_loss not in (None, preset.style_loss):
        preset = with_style_loss(preset, style_loss)
    given = _given_fields(options)
    if given.get("size") == "original":
        given["size"] = None
    result, balance = options.result, options.balance
    for field, names, weights in (
        ("scales", result.scales, result.scale_shares),
        ("content_layers", balance.content_layers, balance.content_layer_weights),
        ("style_layers", balance.style_layers, balance.style_layer_weights),
    ):
        given[field] = _pair(field, names, weights, getattr(preset, field))
    if balance.color is not None or balance.color_when is not None:
        given["color"], given["color_when"] = choose_color(
            balance.color, balance.color_when, default=preset.color_when
        )
    given["encoder"] = _choose_encoder(options.network, preset)
    given["weights"] = _choose_weights(options.network, preset, given["encoder"])
    config = dataclasses.replace(preset, **given)
    used = tuple(layer for layer, _ in config.content_layers + config.style_layers)
    check_layers(used, config.encoder)
    return config


def make_mixing_config(options: Optimize, config: Config) -> gatys_2017.Config:
    """Return how --fine-style is mixed into the paintings: with the run's own network and steps.

    Args:
        options: What the user gave.
        config: The run's configuration.

    Raises:
        ValueError: --scale is out of range, or given without --fine-style.
    """
    texture, mixing = options.texture, gatys_2017.PRESETS["cpu"]
    if texture.fine_style is None and texture.scale is not None:
        raise ValueError(
            f"scale: wanted with --fine-style FILE, whose texture it parts, got {texture.scale} "
            "alone; for sizes from coarse to fine there is --scales"
        )
    if texture.scale is not None:
        mixing = dataclasses.replace(mixing, style_layers=gatys_2017.low_layers(texture.scale))
    return dataclasses.replace(
        mixing,
        encoder=config.encoder,
        weights=config.weights,
        pooling=config.pooling,
        num_steps=config.num_steps,
        optimizer=config.optimizer,
        learning_rate=config.learning_rate,
        history=config.history,
        precision=config.precision,
    )


def _given_fields(options: Optimize) -> dict[str, Any]:
    """The fields of Config that the user gave, by name; the lists are paired up later."""
    known = {field.name for field in dataclasses.fields(Config)}
    groups = (
        options.result,
        options.balance,
        options.regions,
        options.network,
        options.optimizer,
    )
    values = {
        field.name: getattr(group, field.name)
        for group in groups
        for field in dataclasses.fields(group)
    }
    return {name: value for name, value in values.items() if name in known and value is not None}


def _pair(
    field: str, names: tuple | None, weights: tuple[float, ...] | None, preset: tuple
) -> tuple[tuple[Any, float], ...]:
    """The pairs that two lists of equal length make; either may be left out."""
    option, of = {
        "scales": ("scale_shares", "scales"),
        "content_layers": ("content_layer_weights", "content_layers"),
        "style_layers": ("style_layer_weights", "style_layers"),
    }[field]
    if names is None and weights is None:
        return preset
    if names is None:
        names = tuple(name for name, _ in preset)
    if len(set(names)) < len(names):
        raise ValueError(f"{of}: wanted each once, got {' '.join(map(str, names))}")
    if weights is None:
        weights = tuple(1 / len(names) for _ in names)
    if len(weights) != len(names):
        raise ValueError(
            f"{option}: wanted {len(names)}, one for each of {of} "
            f"({' '.join(map(str, names))}), got {len(weights)}"
        )
    return tuple(zip(names, weights, strict=True))


def _choose_encoder(network: NetworkOptions, preset: Config) -> Architecture:
    """The encoder asked for, or the one that the weights asked for are of, or the preset's."""
    if network.encoder is not None:
        return network.encoder
    if network.weights is None:
        return preset.encoder
    known = WEIGHT_SETS.get(network.weights)
    if known is not None:
        return known.architecture
    architecture: Any = verify(network.weights)["architecture"]
    return architecture


def _choose_weights(network: NetworkOptions, preset: Config, encoder: Architecture) -> str | None:
    """The weights asked for, or the preset's, or for another encoder their counterpart."""
    if network.weights is not None or preset.weights is None:
        return network.weights
    if WEIGHT_SETS[preset.weights].architecture == encoder:
        return preset.weights
    # Normalised weights have other activations, and the preset's loss weights are made for them.
    return f"{encoder}-normalized" if preset.weights.endswith("-normalized") else None


def warn_of_scale(options: Optimize, config: Config) -> str | None:
    """Return a line for who runs a preset's loss weights on a network of another scale.

    Caffe's networks have far larger activations than torchvision's, and a style loss goes with
    their fourth power but a content loss with their square: the style would come out faint.
    """
    name, balance = options.result.preset, options.balance
    before, now = (WEIGHT_SETS.get(w or "") for w in (PRESETS[name].weights, config.weights))
    if now is None or balance.style_weight is not None:
        return None
    if config.style_loss != PRESETS[name].style_loss:  # so the weight is not the preset's
        return _warn_of_style_loss(config, now)
    if before is None:
        return None
    gain = input_gain(before.preprocessing) / input_gain(now.preprocessing)
    normalized = [weights.name.endswith("-normalized") for weights in (before, now)]
    if all(normalized) or (not any(normalized) and gain == 1):
        return None
    told = f"note: --preset {name} has loss weights for {before.name}, and {now.name} has "
    if any(normalized):
        return told + "other activations: choose --style-weight anew, see docs/weights.md"
    content, style = config.content_weight * gain**2, config.style_weight * gain**4
    return told + (
        f"activations about {gain:.2g} times smaller: for the same balance try "
        f"--content-weight {content:.2g} --style-weight {style:.2g}, see docs/weights.md"
    )


def _warn_of_style_loss(config: Config, used: WeightSet) -> str | None:
    """A line for who runs another style loss's weight on other networks than it was tried on."""
    tried_on = input_gain(used.preprocessing) == input_gain(TORCHVISION)
    if tried_on and not used.name.endswith("-normalized"):
        return None
    return (
        f"note: the weight that --style-loss {config.style_loss} brings is for torchvision's "
        f"networks, and {used.name} has other activations: choose --style-weight anew"
    )
