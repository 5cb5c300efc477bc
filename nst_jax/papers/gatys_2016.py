"""Gatys, Ecker and Bethge: A Neural Algorithm of Artistic Style (2015), and its CVPR 2016 form.

A picture is optimised until an encoder sees the content image's features in one layer and the
style image's feature correlations in several.

| hyperparameter | paper (CVPR) | authors' notebook | jcjohnson/neural-style | default |
|---|---|---|---|---|
| encoder | VGG-19, normalised | VGG-19, Caffe | VGG-19, Caffe | VGG-16, torchvision |
| pooling | average | max | max | max |
| content layer | conv4_2 | relu4_2 | relu4_2 | relu4_2 |
| style layers | conv1_1 … conv5_1 | relu1_1 … relu5_1 | relu1_1 … relu5_1 | relu1_1 … relu5_1 |
| content loss | ½ Σ ΔF² | mean ΔF² | mean ΔF² | mean ΔF² |
| style loss, D = ΔFᵀF | Σ D² / (4 N² M²) | mean (D / M)² | mean (D / (N M))² | mean (D / M)² |
| content weight | 1e-3 (fig. 3 B) | 1 | 5 | 1 |
| style weight a layer | 1/5 | 1e3 / N² | 100 | 10 |
| total variation | none | none | 1e-3, gradient only | 50, mean |
| initial picture | white noise (ours: 0.5) | content | noise of 0.001 | content |
| optimiser | L-BFGS | L-BFGS, 100 pairs | L-BFGS, 100 pairs | L-BFGS, 20 pairs |
| steps | | 500 | 1000 | 200, coarse to fine |
| size | about 512 x 512 | shorter side 512 | longer side 512 | longer side 512 |

The paper's formulas taken to the letter make the content term a sum over two million entries;
its ratios are reproduced by means on the normalised network, as the authors' own notebook for
that network has it (content 1e6, style 1e9 / 5 a layer). The preset `paper` follows that.

Pictures may have regions, each painted after a style of its own: the spatial control of Gatys et
al. 2017, whose notebook has mask_mode simple for two styles, and inside with growth 3 for one.

With config.color the content image's colours are kept: the colour control of Gatys et al. 2017.
With config.style_loss something else than Gram matrices is compared; with_style_loss sets it.
"""

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nst_jax import losses
from nst_jax.array_types import Image, ImageOfAnySize, Params
from nst_jax.encoders.vgg import VGG, Architecture, Pooling, channels_of
from nst_jax.losses import LayerWeights, perceptual
from nst_jax.losses.styles import POSITION_LOSSES, UNWEIGHTED_LOSSES, StyleLossName
from nst_jax.ops import color
from nst_jax.ops.color import Color, When
from nst_jax.ops.convolution import Precision
from nst_jax.ops.resizing import fit_longer_side, resize, resize_longer_side
from nst_jax.pixels import programs
from nst_jax.pixels.batch import OnStep, optimize_levels_together
from nst_jax.pixels.levels import Level, Problem, describe_levels, optimize_levels, plan_levels
from nst_jax.pixels.pictures import RunPictures, check_pictures, size_of
from nst_jax.pixels.programs import LossWeights, Program
from nst_jax.pixels.saved_state import Save, SavedRun
from nst_jax.pixels.transformations import OptimizerName
from nst_jax.regions.guidance import Guides, MaskMode
from nst_jax.regions.run_regions import check_presence, check_regions
from nst_jax.runs.compile_time import compile_seconds
from nst_jax.runs.record import Record, make_record
from nst_jax.runs.report import DivergedError, Report

Record = Record

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")  # §2.2; fig. 3 caption
# ImageNet's mean colour, the picture that VGG's preprocessing maps to zero.
_MEAN_COLOR = (0.485, 0.456, 0.406)
_EQUAL_LAYERS: LayerWeights = tuple((layer, 0.2) for layer in STYLE_LAYERS)  # §2.2: w_l = 1/5


def _published(weight: float, source: str) -> LayerWeights:
    """The same weight on every layer in a codebase's convention, in units of our gram_loss."""
    return tuple(
        (layer, losses.convert_gram_weight(weight, source=source, channels=channels_of(layer)))
        for layer in STYLE_LAYERS
    )


@dataclass(frozen=True)
class Config:
    """How a picture is optimised. Weights are in units of content_loss and the style's distance.

    total = content_weight · Σ_l c_l · content_loss_l + style_weight · Σ_l s_l · distance_l
    + tv_weight · (the total variation), with c and s the layers' own weights and the distance that
    style_loss names: gram_loss, or another of losses.styles.STYLE_LOSSES.
    """

    encoder: Architecture = "vgg16"  # ours: its weights come with the package
    weights: str | None = None  # the encoder's usual set
    pooling: Pooling = "max"  # as VGG was trained
    size: int | None = 512  # §4: about 512 x 512; None keeps the content image's size
    style_size: int | None = None  # §2.3: as the content image
    num_steps: int = 200  # ours: two minutes on two CPU cores
    scales: tuple[tuple[float, float], ...] = ((0.5, 0.65), (1.0, 0.35))  # ours
    init: str = "content"  # the authors' notebook; or noise, style, or a picture file's path
    noise_std: float = 1 / 255  # the authors' notebook: 1 in pixels of 0 to 255
    seed: int = 0
    content_layers: LayerWeights = (("relu4_2", 1.0),)  # §2.1, fig. 3 caption
    style_layers: LayerWeights = _EQUAL_LAYERS  # §2.2
    style_loss: StyleLossName = "gram"  # §2.2; the others are later papers'
    style_blend: tuple[float, ...] | None = None  # equal shares
    color: Color = "style"  # the others are those of Gatys et al. 2017, §5
    color_when: When = "before"  # Gatys et al. 2017, §5: what goes in is changed
    mask_mode: MaskMode = "simple"  # SpatialControl.ipynb, the example of two styles
    mask_growth: int = 0  # the same: k, in units of each layer
    content_weight: float = 1.0  # ours
    style_weight: float = 50.0  # ours
    tv_weight: float = 50.0  # ours: takes out noise of one pixel
    tv_loss: Literal["mean", "half_sum"] = "mean"  # losses.TOTAL_VARIATION_LOSSES
    optimizer: OptimizerName = "lbfgs"  # §2.3
    learning_rate: float = 1.0  # the authors' notebook
    history: int = 20  # ours: a fifth of Torch's 100 in memory, no visible difference
    precision: Precision = "float32"
    remat: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            ValueError: One line that names the field.
        """
        _check(self.num_steps >= 0, "num_steps", "0 or more", self.num_steps)
        _check(self.size is None or self.size >= 16, "size", "16 pixels or more", self.size)
        style_size = self.style_size
        _check(style_size is None or style_size >= 16, "style_size", "16 or more", style_size)
        for name in ("content_weight", "style_weight", "tv_weight", "noise_std"):
            value = getattr(self, name)
            _check(0 <= value < float("inf"), name, "a finite number, 0 or more", value)
        shares = {
            name: [share for _, share in getattr(self, name)]
            for name in ("scales", "content_layers", "style_layers")
        }
        for name, values in {**shares, "style_blend": list(self.style_blend or ())}.items():
            finite = all(0 <= value < float("inf") for value in values)
            _check(finite, name, "finite weights, 0 or more", values)
        for name, choices in (
            ("style_loss", get_args(StyleLossName)),
            ("color", get_args(Color)),
            ("color_when", get_args(When)),
        ):
            _check(getattr(self, name) in choices, name, ", ".join(choices), getattr(self, name))
        modes = get_args(MaskMode)
        _check(self.mask_mode in modes, "mask_mode", ", ".join(modes), self.mask_mode)
        _check(abs(self.mask_growth) <= 64, "mask_growth", "-64 to 64", self.mask_growth)
        _check(0 <= self.seed < 2**32, "seed", "0 to 4294967295", self.seed)
        _check(self.history >= 1, "history", "1 or more", self.history)
        _check(self.learning_rate > 0, "learning_rate", "a number above 0", self.learning_rate)
        plan_levels(16, 16, scales=self.scales, num_steps=self.num_steps)
        _check(
            self.content_layers != () or self.style_layers != (),
            "style_layers",
            "at least one layer of content or style",
            "none",
        )
        _check(
            self.style_loss not in UNWEIGHTED_LOSSES or len(set(self.style_blend or ())) < 2,
            "style_blend",
            f"equal shares with style_loss {self.style_loss}, which takes the nearest of any style",
            self.style_blend,
        )
        _check(
            not (self.remat and self.optimizer == "lbfgs_zoom"),
            "remat",
            "optimizer lbfgs or adam, since a line search evaluates inside one program",
            self.optimizer,
        )


def _check(true: bool, name: str, wanted: str, got: object) -> None:
    if not true:
        raise ValueError(f"{name}: wanted {wanted}, got {got}")


_AUTHORS = Config(
    encoder="vgg19",
    weights="vgg19-keras",  # the same Caffe weights as the notebook's vgg_conv.pth
    size=512,  # notebook: img_size, there of the shorter side
    num_steps=500,  # notebook: max_iter
    scales=((1.0, 1.0),),
    init="content",  # notebook, cell 7; the line with noise is commented out
    content_layers=(("relu4_2", 1.0),),  # notebook: r42
    style_layers=tuple((layer, channels_of(layer) ** -2.0) for layer in STYLE_LAYERS),  # 1e3/n**2
    content_weight=1.0,  # notebook: 1e0
    style_weight=1e3,  # notebook: 1e3/n**2
    tv_weight=0.0,  # notebook: none
    history=100,  # torch.optim.LBFGS
)

PRESETS: Mapping[str, Config] = {
    "default": Config(),
    "paper": Config(
        encoder="vgg19",
        weights="vgg19-normalized",  # §2: scaled so that each filter's mean activation is 1
        pooling="average",  # §2
        size=512,  # §4
        num_steps=500,  # the authors' code for the paper; the paper gives none
        scales=((1.0, 1.0),),
        init="noise",  # §2.3
        # Ours: the paper says white noise and not how strong. From a faint one, 1/255, the first
        # pair of L-BFGS has negative curvature on most pictures and the second step overflows.
        noise_std=0.5,
        content_layers=(("conv4_2", 1.0),),  # fig. 3 caption
        style_layers=tuple((layer.replace("relu", "conv"), 0.2) for layer in STYLE_LAYERS),
        content_weight=1e6,  # alpha/beta = 1e-3, fig. 3 B; NeuralImageSynthesis, cell 8
        style_weight=1e9,
        tv_weight=0.0,  # §2.3: none
        history=100,  # Torch7's optim.lbfgs
    ),
    "authors": _AUTHORS,
    # The notebook's second pass: 800 pixels from the enlarged result, 200 iterations more.
    "authors_high_resolution": dataclasses.replace(
        _AUTHORS, size=800, num_steps=700, scales=((0.64, 500 / 700), (1.0, 200 / 700))
    ),
    # Gatys et al. 2017, §6: about 500 pixels first, and 2.5 times fewer iterations at full size.
    "gatys_2017_high_resolution": dataclasses.replace(
        _AUTHORS,
        size=1024,  # BasicStyleTransfer.ipynb: img_size_hr
        num_steps=700,
        scales=((0.5, 500 / 700), (1.0, 200 / 700)),
    ),
    "johnson_neural_style": Config(
        encoder="vgg19",
        weights="vgg19-keras",  # neural_style.lua: Caffe's VGG-19
        size=512,  # -image_size, the longer side
        num_steps=1000,  # -num_iterations
        scales=((1.0, 1.0),),
        init="noise",  # -init random
        noise_std=0.001 / 256,  # 0.001 in pixels of 0 to 256
        content_layers=(("relu4_2", 1.0),),  # -content_layers
        style_layers=_published(1.0, "neural_style"),  # -style_layers
        content_weight=5.0,  # -content_weight
        style_weight=100.0,  # -style_weight
        tv_weight=1e-3 * 256**2,  # -tv_weight 1e-3 on pixels of 0 to 256
        tv_loss="half_sum",
        history=100,  # optim.lbfgs
    ),
    "smoke": Config(
        size=64,
        num_steps=4,
        scales=((0.5, 0.5), (1.0, 0.5)),
        style_layers=(("relu1_1", 0.5), ("relu2_1", 0.5)),
        content_layers=(("relu2_2", 1.0),),
        style_weight=2.0,  # four steps of L-BFGS overshoot with much more
    ),
}
"""Ready configurations by name; vary one with dataclasses.replace."""


# Tried on the bundled pictures with the preset default, whose Gram matrices have weight 50.
_STYLE_LOSS_WEIGHTS: Mapping[StyleLossName, float] = {
    "gram": 50.0,
    "moments": 150.0,
    "wasserstein": 25.0,
    "histogram": 120.0,
    "sliced_wasserstein": 250.0,
    "mrf": 6.0,
    "relaxed_transport": 600.0,
}
_STYLE_LOSS_LAYERS: Mapping[StyleLossName, LayerWeights] = {
    "mrf": (("relu3_1", 0.5), ("relu4_1", 0.5)),  # Li and Wand 2016
    # Kolkin et al. 2019 take layers of all blocks. Of large pictures the first two would be thinned
    # so far that pixels are in no point's receptive field.
    "relaxed_transport": tuple((layer, 1 / 3) for layer in STYLE_LAYERS[2:]),
}


def with_style_loss(config: Config, style_loss: StyleLossName) -> Config:
    """Return config with another way to compare styles, in layers and with a weight that suit it.

    Style losses have other units each, so one weight does not do for all. These, in parts of the
    content weight, paint about as boldly as the preset default on torchvision's networks; on others
    they are where to begin.

    Args:
        config: Keeps all but style_loss, style_layers and style_weight.
        style_loss: A name in losses.styles.STYLE_LOSSES.

    Raises:
        ValueError: There is no such style loss.
    """
    names = get_args(StyleLossName)
    _check(style_loss in names, "style_loss", ", ".join(names), style_loss)
    return dataclasses.replace(
        config,
        style_loss=style_loss,
        style_layers=_STYLE_LOSS_LAYERS.get(style_loss, _EQUAL_LAYERS),
        style_weight=_STYLE_LOSS_WEIGHTS[style_loss] * (config.content_weight or 1.0),
    )


def stylize(
    content: ImageOfAnySize,
    style: ImageOfAnySize | Sequence[ImageOfAnySize],
    config: Config,
    encoder: VGG,
    encoder_params: Params,
    *,
    initial_image: ImageOfAnySize | None = None,
    masks: Float[Array, "_ _ _"] | Float[np.ndarray, "_ _ _"] | None = None,
    style_masks: Sequence[Float[Array, "_ _"] | Float[np.ndarray, "_ _"] | None] | None = None,
    on_step: Callable[[Report], None] | None = None,
    on_preview: Callable[[np.ndarray, int], None] | None = None,
    save: Save | None = None,
    save_every: int = 0,
    resume: SavedRun | None = None,
) -> tuple[ImageOfAnySize, Record]:
    """Return the content image painted in the style, and a record of the run.

    x* = argmin_x content_weight · L_content(x) + style_weight · L_style(x) + tv_weight · TV(x).

    Ctrl-C ends the run early with the picture as it stands; record["info"]["interrupted"] is then
    true, and save has been called.

    Args:
        content: One picture, resized to config.size if that is given.
        style: One painting, or several to be blended by config.style_blend.
        config: One of PRESETS, or a variation by dataclasses.replace.
        encoder: From load_encoder; config.pooling and config.precision are set on it here.
        encoder_params: Its parameters.
        initial_image: Where to begin if config.init is a file's path.
        masks: Where in the content image each style goes, instead of a blend: (styles, height,
            width) from 0 to 1, scaled to the picture; with one less the last style gets what is
            left. What is in none takes no style; where they overlap, styles share.
        style_masks: Which part of each style counts: (height, width), or None for all of it.
        on_step: Called with every step's losses.
        on_preview: Called with the picture (a NumPy array) and the step whenever save is.
        save: Called every save_every steps and on Ctrl-C with what resume wants back.
        save_every: Steps between saves; 0 for none.
        resume: What save was given by a run with the same pictures and config.

    Returns:
        The picture, clipped to [0, 1], and the record: config, versions, device, seconds, steps
        (one entry a step, the last one the returned picture's, before its colours are changed where
        config.color asks for that), info.

    Raises:
        ValueError: The pictures or config do not fit together, or resume is another run's.
        DivergedError: The loss ceased to be a sensible number; it carries the best picture.

    Reference: Gatys et al. 2016, eq. (7).
    """
    pictures = _check_all(
        content, style, initial_image, config, masks=masks, style_masks=style_masks
    )
    encoder = dataclasses.replace(encoder, pooling=config.pooling, precision=config.precision)
    fingerprint = pictures.fingerprint()
    if resume is not None:
        _check_same_run(config, fingerprint, resume[1])
    pictures, finish = _recolored(pictures, config), partial(_finish, config, pictures.content)

    def preview(picture: np.ndarray, step: int) -> None:
        if on_preview is not None:
            on_preview(np.asarray(finish(jnp.asarray(picture))), step)

    started = time.perf_counter()
    with compile_seconds() as compiling:

        def seconds() -> dict[str, float]:
            before = resume[1]["seconds"] if resume else {"compile": 0.0, "run": 0.0}
            run = time.perf_counter() - started - compiling()
            return {"compile": before["compile"] + compiling(), "run": before["run"] + run}

        def save_all(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> None:
            if save is not None:
                own = {"config": dataclasses.asdict(config), "fingerprint": fingerprint}
                save(arrays, {**metadata, **own, "seconds": seconds()})

        levels = plan(pictures.content, config)
        guides = _plan_guides(pictures, config, encoder, levels)
        result = optimize_levels(
            _problem(pictures, config, encoder, encoder_params, levels[-1], guides),
            levels,
            on_step=on_step,
            on_preview=preview,
            save=save_all,
            save_every=save_every,
            resume=resume,
        )
        image = jax.block_until_ready(finish(result.image))
        info = describe_levels(encoder.architecture, levels, result)
        record = make_record(config, seconds=seconds(), steps=result.steps, info=info)
        if pictures.regions is not None:
            record["info"]["guidance"] = pictures.regions.describe(guides)
    return image, record


def stylize_together(
    content: ImageOfAnySize,
    style: ImageOfAnySize | Sequence[ImageOfAnySize],
    configs: Sequence[Config],
    encoder: VGG,
    encoder_params: Params,
    *,
    initial_image: ImageOfAnySize | None = None,
    on_step: OnStep | None = None,
) -> list[tuple[ImageOfAnySize, Record] | DivergedError]:
    """Return what stylize returns or raises for each config, from runs that are steps of one batch.

    Faster than one after another on an accelerator that one picture does not fill; there it takes
    the memory of all. Seconds in a record are the batch's, divided by the number of runs.

    Args:
        content: One picture, resized to the configs' size if that is given.
        style: One painting, or several to be blended by style_blend.
        configs: They may differ in weights, seed, noise_std, init, style_size and style_blend,
            and have optimizer 'lbfgs' and no remat: those of one batch_key. Of the style losses
            in losses.styles.POSITION_LOSSES style_size may not differ either.
        encoder: From load_encoder; pooling and precision are set on it here.
        encoder_params: Its parameters.
        initial_image: Where to begin if an init is a file's path.
        on_step: Called with every step's losses, a report a run.

    Raises:
        ValueError: The configs cannot share a batch, or do not fit the pictures.
    """
    keys = {batch_key(config) for config in configs}
    if len(keys) != 1 or None in keys:
        raise ValueError(
            "configs: wanted some that differ in weights, seed, noise_std, init, style_size and "
            "style_blend alone, with optimizer lbfgs and no remat; run the others by stylize"
        )
    started, first = time.perf_counter(), configs[0]
    given = [_check_all(content, style, initial_image, own) for own in configs]
    pictures = [_recolored(own, config) for own, config in zip(given, configs, strict=True)]
    encoder = dataclasses.replace(encoder, pooling=first.pooling, precision=first.precision)
    levels = plan(pictures[0].content, first)
    problems = [
        _problem(pictures, config, encoder, encoder_params, levels[-1], {})
        for pictures, config in zip(pictures, configs, strict=True)
    ]

    def args_at(level: Level) -> tuple[perceptual.Targets, Params, LossWeights]:
        targets, _, weights = zip(*(problem.args_at(level) for problem in problems), strict=True)
        return _stack(targets), encoder_params, _stack(weights)

    def initial_at(level: Level) -> Any:
        return _stack([problem.initial_at(level) for problem in problems])

    with compile_seconds() as compiling:
        optimizer = programs.make_batch_optimizer(_program_of(first, encoder))
        problem = Problem(optimizer, args_at, initial_at)
        results = optimize_levels_together(problem, levels, on_step=on_step)
        run = time.perf_counter() - started - compiling()
        seconds = {"compile": compiling() / len(configs), "run": run / len(configs)}
    return [
        result
        if isinstance(result, DivergedError)
        else (
            _finish(config, own.content, result.image),
            make_record(
                config,
                seconds=seconds,
                steps=result.steps,
                info=describe_levels(encoder.architecture, levels, result),
            ),
        )
        for own, config, result in zip(given, configs, results, strict=True)
    ]


def batch_key(config: Config) -> Config | None:
    """Return what configs that stylize_together takes have in common; None if it takes none."""
    if config.optimizer != "lbfgs" or config.remat:
        return None
    data = set(_DATA_FIELDS)
    if config.style_loss in POSITION_LOSSES:  # what is kept of a style has the style's size
        data.remove("style_size")
    return dataclasses.replace(
        config,
        content_layers=tuple((layer, 1.0) for layer, _ in config.content_layers),
        style_layers=tuple((layer, 1.0) for layer, _ in config.style_layers),
        **{name: getattr(_PLAIN, name) for name in sorted(data)},
    )


# What a compiled program takes as data, besides the layers' weights.
_DATA_FIELDS = (
    *("content_weight", "style_weight", "tv_weight"),
    *("seed", "noise_std", "init", "style_size", "style_blend"),
)
_PLAIN = Config()


def _stack(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def initial_picture(
    config: Config,
    content: ImageOfAnySize,
    style: ImageOfAnySize,
    *,
    height: int,
    width: int,
    initial: ImageOfAnySize | None = None,
) -> ImageOfAnySize:
    """Return the picture that a run of this size begins with.

    config.init says which: the content image, the style image, noise around ImageNet's mean
    colour, x = μ + noise_std · n with n ~ N(0, 1) from config.seed, or else the given one.

    Args:
        config: Its init, noise_std and seed count.
        content: The content image.
        style: The first style image.
        height: In pixels.
        width: In pixels.
        initial: The picture for an init that is a file's path; without one, the content image.
    """
    if config.init == "noise":
        noise = jax.random.normal(jax.random.key(config.seed), (1, height, width, 3))
        return jnp.asarray(_MEAN_COLOR).reshape(1, 1, 1, 3) + config.noise_std * noise
    own = content if initial is None else initial
    picture = {"content": content, "style": style}.get(config.init, own)
    return resize(picture, height=height, width=width)


def _check_all(
    content, style, initial_image, config: Config, *, masks=None, style_masks=None
) -> RunPictures:
    styles = check_pictures(content, style)
    if config.init not in ("content", "noise", "style") and initial_image is None:
        raise ValueError(
            f"init: {config.init!r} is not content, noise or style; "
            "for a picture of your own give it as initial_image"
        )
    if masks is not None and config.style_blend is not None:
        raise ValueError("masks: wanted without style_blend, which mixes styles everywhere")
    some_masks = masks is not None or any(mask is not None for mask in style_masks or ())
    if some_masks and config.style_loss != "gram":
        raise ValueError(
            f"style_loss: wanted gram where there are masks, got {config.style_loss}; only "
            "Gram matrices are compared region by region"
        )
    regions = check_regions(
        masks,
        style_masks,
        size=size_of(content),
        style_sizes=[size_of(style) for style in styles],
        mode=config.mask_mode,
        growth=config.mask_growth,
    )
    return RunPictures(content, styles, initial_image, regions)


def _recolored(pictures: RunPictures, config: Config) -> RunPictures:
    return pictures.recolored(color=config.color, when=config.color_when)


def _finish(config: Config, content: ImageOfAnySize, image: Image) -> Image:
    """A result with the colours that config asks for."""
    content = resize(content, height=image.shape[1], width=image.shape[2])
    return color.finish(image, content, color=config.color, when=config.color_when)


def plan(content: ImageOfAnySize, config: Config) -> list[Level]:
    """Return the sizes at which stylize runs, and the number of each one's last step.

    Args:
        content: The content image.
        config: Its size, scales and num_steps count.
    """
    height, width = content.shape[1:3]
    if config.size is not None:
        height, width = fit_longer_side(height, width, config.size)
    return plan_levels(height, width, scales=config.scales, num_steps=config.num_steps)


def _plan_guides(
    pictures: RunPictures, config: Config, encoder: VGG, levels: Sequence[Level]
) -> dict[tuple[int, int], Guides]:
    """The guidance channels at each size of a run; none where there are no masks."""
    layers, final = tuple(layer for layer, _ in config.style_layers), levels[-1]
    if pictures.regions is None or not layers:
        return {}
    guides = {}
    for level in levels:
        size = _style_size(config, level, final)
        guides[level.height, level.width] = pictures.regions.guides_at(
            (level.height, level.width),
            [fit_longer_side(*size_of(style), size) for style in pictures.styles],
            encoder,
            layers,
        )
    check_presence(guides[final.height, final.width], layers)
    return guides


def _problem(
    pictures: RunPictures,
    config: Config,
    encoder: VGG,
    encoder_params: Params,
    final: Level,
    guides: Mapping[tuple[int, int], Guides],
) -> Problem:
    weights = perceptual.Weights(
        tuple((layer, config.content_weight * w) for layer, w in config.content_layers),
        tuple((layer, config.style_weight * w) for layer, w in config.style_layers),
    )
    by_region = pictures.regions is not None and pictures.regions.content is not None
    loss_weights = LossWeights(
        tuple(np.float32(weight) for _, weight in weights.content),
        tuple(np.float32(weight) for _, weight in weights.style),
        np.float32(config.tv_weight),
    )

    def args_at(level: Level) -> tuple[perceptual.Targets, Params, LossWeights]:
        size = _style_size(config, level, final)
        given = (
            encoder,
            encoder_params,
            resize(pictures.content, height=level.height, width=level.width),
            [resize_longer_side(style, size) for style in pictures.styles],
        )
        at_level = guides.get((level.height, level.width))
        if by_region and at_level is not None:
            targets = perceptual.compute_guided_targets(*given, weights=weights, guides=at_level)
        else:
            targets = perceptual.compute_targets(
                *given,
                weights=weights,
                style_blend=config.style_blend or (1.0,) * len(pictures.styles),
                style_guides=None if at_level is None else at_level.styles,
                style_loss=config.style_loss,
            )
        return targets, encoder_params, loss_weights

    def initial_at(level: Level) -> Image:
        size = {"height": level.height, "width": level.width}
        return initial_picture(
            config, pictures.content, pictures.styles[0], initial=pictures.initial, **size
        )

    program = _program_of(config, encoder)
    if config.remat:
        optimizer = programs.make_sparing_optimizer(program, loss_weights)
    else:
        optimizer = programs.make_optimizer(program)
    return Problem(optimizer, args_at, initial_at)


def _style_size(config: Config, level: Level, final: Level) -> int:
    """The longer side of the styles at a level, in pixels."""
    style_size = config.style_size or max(final.height, final.width)
    return max(16, round(style_size * level.scale))


def _program_of(config: Config, encoder: VGG) -> Program:
    return Program(
        encoder,
        tuple(layer for layer, _ in config.content_layers),
        tuple(layer for layer, _ in config.style_layers),
        config.style_loss,
        config.tv_loss,
        config.optimizer,
        config.learning_rate,
        config.history,
    )


def _check_same_run(config: Config, fingerprint: str, metadata: Mapping[str, Any]) -> None:
    # As JSON, since that is how the saved config has travelled.
    now = json.loads(json.dumps(dataclasses.asdict(config)))
    # A run that an older version saved lacks what has come since, and had it as it is by default.
    before = json.loads(json.dumps({**dataclasses.asdict(Config()), **metadata["config"]}))
    for name in now:
        if now[name] != before.get(name):
            raise ValueError(
                f"resume: the saved run had {name} {before.get(name)}, this one has {now[name]}; "
                "give the same settings or start afresh"
            )
    if metadata["fingerprint"] != fingerprint:
        raise ValueError(
            "resume: the saved run had other pictures or masks; give the same ones or start afresh"
        )
