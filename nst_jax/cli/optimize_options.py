"""The options of `nst-jax optimize`, and the job that they make with a preset."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from tyro.conf import OmitArgPrefixes, Positional, arg

from nst_jax.cli.config_options import Chosen, choose_preset, config_groups, make_config
from nst_jax.cli.shared_options import (
    FLAG,
    MASK_HELP,
    STYLE_MASK_HELP,
    JsonOption,
    parse,
    words_given,
)
from nst_jax.encoders.preprocessing import TORCHVISION, input_gain
from nst_jax.encoders.weights.pretrained import WEIGHT_SETS
from nst_jax.encoders.weights.weight_sets import WeightSet
from nst_jax.jobs.paint import PaintJob, mixing_config
from nst_jax.papers import gatys_2017
from nst_jax.papers.gatys_2016 import PRESETS, Config

DESCRIPTION = """\
Paint a photograph in the style of a painting by optimising its pixels (Gatys et al. 2016).

Examples:
  nst-jax optimize photo.jpg painting.jpg -o out.png
  nst-jax optimize photo.jpg painting.jpg -o out.png --style-weight 150 --size 768
  nst-jax optimize photo.jpg first.jpg second.jpg -o out.png --style-blend 2 1
  nst-jax optimize photo.jpg sky.jpg land.jpg -o out.png --mask sky_mask.png
  nst-jax optimize photo.jpg painting.jpg -o out.png --style-loss wasserstein
  nst-jax optimize photo.jpg painting.jpg -o out.png --save-every 20
  nst-jax optimize photo.jpg painting.jpg -o out.png --resume
  nst-jax optimize photo.jpg painting.jpg -o out.png --size 8192 --style-size 1024 --tile 1024
  nst-jax optimize - painting.jpg -o - < photo.jpg > out.png

The defaults below are those of --preset {preset}."""

_SCALE_HELP = (
    "How large the texture is that --fine-style gives: patterns up to about 3, 10, 24, 60 or 130 "
    "pixels for N from 1 to 5. Larger pictures want more; the paper has 2 at 512 pixels, 4 at 1024."
)
_SCALE = f"(default: {len(gatys_2017.PRESETS['cpu'].style_layers)})"

PICTURES: list[tuple[str, Any]] = [
    (
        "content",
        Annotated[
            Positional[Path],
            arg(metavar="CONTENT", help="The photograph; - is standard input."),
        ],
    ),
    (
        "style",
        Annotated[
            Positional[tuple[Path, ...]],
            arg(
                metavar="STYLE [STYLE ...]",
                help="The painting, or several to be blended.",
                help_behavior_hint="(required)",
            ),
        ],
    ),
]
"""The arguments that are no options, as dataclasses.make_dataclass wants them."""


@dataclass(frozen=True)
class MaskOptions:
    """Pictures of where in the photograph each painting's style goes."""

    mask: Annotated[
        tuple[Path, ...], arg(metavar="FILE [FILE ...]", help_behavior_hint="", help=MASK_HELP)
    ] = ()
    style_mask: Annotated[
        tuple[str, ...],
        arg(metavar="FILE [FILE ...]", help_behavior_hint="", help=STYLE_MASK_HELP),
    ] = ()


@dataclass(frozen=True)
class TextureOptions:
    """The fine texture of another painting on the forms of the first."""

    fine_style: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None
    """A painting whose fine texture, such as brush strokes, STYLE gets before it is used."""
    scale: Annotated[int | None, arg(metavar="N", help=_SCALE_HELP, help_behavior_hint=_SCALE)] = (
        None
    )


@dataclass(frozen=True)
class LayoutOptions:
    """Many devices, and pictures that memory cannot hold. The result stays the same."""

    devices: Annotated[int, arg(metavar="N")] = 1
    """Part the picture's rows over N devices of this machine."""
    tile: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: no tiles)")] = None
    """Compute tiles of N pixels a side, one at a time: memory depends on N alone, but for the
    picture itself and what the optimizer remembers. 1024 suits most machines."""
    scratch: Annotated[
        Path | None, arg(metavar="FOLDER", help_behavior_hint="(default: in memory)")
    ] = None
    """With --tile, keep what the optimizer remembers in this folder while the run lasts."""


@dataclass(frozen=True)
class FileOptions:
    """What is written besides OUT, and what happens to what is there."""

    record: Annotated[Path | None, arg(metavar="FILE.json", help_behavior_hint="")] = None
    """Also write the settings, versions, times and every step's losses."""
    save_every: Annotated[int, arg(metavar="N")] = 0
    """Save the state to OUT.state/ every N steps; 0 saves on Ctrl-C and SIGTERM only."""
    resume: Annotated[bool, FLAG] = False
    """Go on from OUT.state/. Give the same options as before."""
    overwrite: Annotated[bool, FLAG] = False
    """Replace OUT and the record if they exist."""
    json: JsonOption = False
    verbose: Annotated[bool, FLAG] = False
    """Print lines of losses on a terminal too, in place of a bar."""
    quiet: Annotated[bool, FLAG] = False
    """Print nothing but errors."""


class Parsed(NamedTuple):
    """What the user asks for.

    Attributes:
        job: What is painted.
        out: The picture to write.
        files: What else is written.
        preset: The name of the preset.
        warning: A line on weights that do not fit the network; None where they do.
    """

    job: PaintJob
    out: str
    files: FileOptions
    preset: str
    warning: str | None


def parse_options(arguments: Sequence[str]) -> Parsed:
    """Return what the words after `nst-jax optimize` ask for.

    Raises:
        SystemExit: After help, or where an option is wrong.
        ValueError: An option has a wrong value, or two do not fit together.
        OSError: A file of weights cannot be read.
    """
    chosen = choose_preset(arguments)
    options = parse(
        options_type(chosen),
        arguments,
        command="optimize",
        description=DESCRIPTION.format(preset=chosen.preset),
    )
    config = make_config(chosen, options, arguments)
    texture = options.texture
    if texture.fine_style is None and texture.scale is not None:
        raise ValueError(
            f"scale: wanted with --fine-style FILE, whose texture it parts, got {texture.scale} "
            "alone; for sizes from coarse to fine there is --scales"
        )
    mixing_config(config, scale=texture.scale)  # for its errors
    job = PaintJob(
        content=options.content,
        styles=options.style,
        config=config,
        masks=options.masks.mask,
        style_masks=options.masks.style_mask,
        fine_style=texture.fine_style,
        scale=texture.scale,
        devices=options.layout.devices,
        tile=options.layout.tile,
        scratch=options.layout.scratch,
    )
    warning = warn_of_scale(chosen, config, words_given(arguments))
    return Parsed(job, options.out, options.files, chosen.preset, warning)


def options_type(chosen: Chosen) -> Any:
    """Return the dataclass of all options, with the preset's own defaults.

    Args:
        chosen: The preset.
    """
    groups = {group[0]: group for group in config_groups(chosen)}
    out = Annotated[
        str,
        arg(
            aliases=("-o",),
            metavar="OUT",
            help="The picture to write: .png, .jpg, .webp, .tif or .bmp; or a folder; - is "
            "standard output, which gets a PNG.",
        ),
    ]
    return dataclasses.make_dataclass(
        "Optimize",
        [
            *PICTURES,
            ("out", out),
            groups["result"],
            groups["balance"],
            ("masks", OmitArgPrefixes[MaskOptions], MaskOptions()),
            groups["regions"],
            ("texture", OmitArgPrefixes[TextureOptions], TextureOptions()),
            groups["network"],
            groups["optimizer"],
            ("layout", OmitArgPrefixes[LayoutOptions], LayoutOptions()),
            ("files", OmitArgPrefixes[FileOptions], FileOptions()),
        ],
        frozen=True,
    )


def warn_of_scale(chosen: Chosen, config: Config, given: frozenset[str]) -> str | None:
    """Return a line for who runs a preset's loss weights on a network of another scale.

    Caffe's networks have far larger activations than torchvision's, and a style loss goes with
    their fourth power but a content loss with their square: the style would come out faint.

    Args:
        chosen: The preset.
        config: What runs.
        given: The names of the options that the user gave.
    """
    preset = PRESETS[chosen.preset]
    used = config.weights or ("vgg16-lpips" if config.encoder == "vgg16" else "vgg19-torchvision")
    before, now = (WEIGHT_SETS.get(name) for name in (preset.weights or "", used))
    if now is None or "style_weight" in given:
        return None
    if config.style_loss != preset.style_loss:  # so the weight is not the preset's
        return _warn_of_style_loss(config, now)
    if before is None:
        return None
    gain = input_gain(before.preprocessing) / input_gain(now.preprocessing)
    normalized = [weights.name.endswith("-normalized") for weights in (before, now)]
    if all(normalized) or (not any(normalized) and gain == 1):
        return None
    told = f"note: --preset {chosen.preset} has loss weights for {before.name}, and {now.name} has "
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
