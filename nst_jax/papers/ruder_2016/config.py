"""How clips are painted by optimisation: every setting, its default and where that comes from."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from nst_jax import losses
from nst_jax.encoders.preprocessing import CAFFE_GAIN
from nst_jax.encoders.vgg import channels_of
from nst_jax.ops.occlusion import MaskConvention
from nst_jax.pixels.config import Config as PictureConfig
from nst_jax.runs.config_checks import check, check_types

Start = Literal["warped", "last", "own"]
"""What later frames begin with: the last picture, warped or not, or what the first one does."""

Fill = Literal["mean", "frame"]
"""What a warped picture has where the motion leads out of it: VGG's mean colour, or the frame."""

Sharing = Literal["paper", "code"]
"""How the frames before share a pixel: see long_term_masks."""


_MOST = 10_000  # above which a number is a slip, and a run would not end


@dataclass(frozen=True)
class Config:
    """How a clip is painted. A temporal loss is a mean over pixels from 0 to 1; see temporal_loss.

    Attributes:
        picture: The losses and the optimiser, and the steps, sizes and start of a scene's first
            frame.
        num_steps: Steps of every other frame.
        start: What other frames begin with.
        fill: What a warped picture has where the motion leads out of it.
        temporal_weight: More keeps frames closer to those before them.
        distances: Which frames before are kept close to: so many back, nearest first.
        sharing: How they share a pixel.
        mask: Whose mask says where another frame can be had; see ops.occlusion.
        tolerance: A frame is done once its loss has changed by less than this part; 0 is never.
        tolerance_every: The steps between two losses that are compared for that.
        passes: How often the clip is gone through, forwards and backwards in turn; 1 takes a frame
            after the other until it is done.
        pass_steps: Steps of a frame in each of several passes.
        temporal_from_pass: The first of several passes with a temporal loss.
        blend_weight: Of the neighbour with which a frame is mixed before each of several passes.
    """

    picture: PictureConfig
    num_steps: int = 1000  # artistic_video.lua: -num_iterations 2000,1000
    start: Start = "warped"  # §4.1; -init random,prevWarped
    fill: Fill = "mean"  # artistic_video.lua: warpImage
    temporal_weight: float = 200.0 * 256**2  # §5: γ = 200
    distances: tuple[int, ...] = (1,)  # §4.2; -flow_relative_indices 1
    sharing: Sharing = "paper"
    mask: MaskConvention = "ruder2016"  # eqs. (5) and (6); consistencyChecker.cpp
    tolerance: float = 1e-4  # §5; -tol_loss_relative
    tolerance_every: int = 50  # §5; -tol_loss_relative_interval
    passes: int = 1
    pass_steps: int = 100  # artistic_video_multiPass.lua: -num_iterations
    temporal_from_pass: int = 8  # -use_temporalLoss_after
    blend_weight: float = 1.0  # -blendWeight

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            ValueError: One line that names the field.
        """
        check_types(self)
        for name in ("num_steps", "tolerance_every", "passes", "pass_steps", "temporal_from_pass"):
            value = getattr(self, name)
            check(1 <= value < _MOST, name, f"1 to {_MOST - 1}", value)
        for name in ("temporal_weight", "tolerance", "blend_weight"):
            value = getattr(self, name)
            check(0 <= value < float("inf"), name, "a finite number, 0 or more", value)
        rising = bool(self.distances) and list(self.distances) == sorted({*self.distances})
        fits = rising and self.distances[0] >= 1 and self.distances[-1] < _MOST
        wanted = f"whole numbers from 1 to {_MOST - 1} that rise"
        check(fits, "distances", wanted, self.distances)
        one = self.passes == 1 or self.distances == (1,)
        check(one, "distances", "1 alone where there are several passes", self.distances)
        check(not self.picture.remat, "remat", "False for a clip", True)
        own = not self.picture.begins_with_file
        check(own, "init", "content, noise or style", self.picture.init)


def _published(style_weight: float, content_weight: float, **changes: Any) -> PictureConfig:
    """Both versions' picture: the losses of neural-style on Caffe's VGG-19."""
    layers = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    shares = [
        losses.convert_gram_weight(1.0, source="neural_style", channels=channels_of(layer))
        for layer in layers
    ]
    picture = PictureConfig(
        encoder="vgg19",
        weights="vgg19-keras",  # artistic_video.lua: Caffe's VGG-19
        size=None,  # a clip's own
        num_steps=2000,  # -num_iterations 2000,1000
        scales=((1.0, 1.0),),
        init="noise",  # -init random
        noise_std=0.001 / 256,  # 0.001 in pixels of 0 to 256
        content_layers=(("relu4_2", 1.0),),  # -content_layers
        style_layers=tuple(zip(layers, shares, strict=True)),  # -style_layers
        content_weight=content_weight,
        style_weight=style_weight,
        tv_weight=0.0,
        history=100,  # lbfgs.lua
    )
    return dataclasses.replace(picture, **changes)


_PAPER = Config(picture=_published(20.0, 1.0))  # §5: α = 1, β = 20, γ = 200
_TV = {"tv_weight": 1e-3 * 256**2, "tv_loss": "half_sum"}  # -tv_weight 1e-3 on pixels of 0 to 256
_AUTHORS = Config(
    picture=_published(100.0, 5.0, **_TV),  # -style_weight, -content_weight
    temporal_weight=1000.0 * 256**2,  # -temporal_weight
    sharing="code",  # -combine_flowWeights_method closestFirst
)
_DEFAULT = Config(
    picture=PictureConfig(size=None),
    num_steps=60,  # ours
    fill="frame",  # ours: few steps do not repaint a grey band
    # The published 200 for a content weight of 1, in units of torchvision's networks.
    temporal_weight=200.0 * 256**2 / CAFFE_GAIN**2,
    tolerance=0.0,
)

PRESETS: Mapping[str, Config] = {
    "default": _DEFAULT,
    "paper": _PAPER,
    "paper_long_term": dataclasses.replace(_PAPER, distances=(1, 2, 4)),  # §4.3
    "authors": _AUTHORS,
    "authors_multi_pass": dataclasses.replace(
        _AUTHORS,
        temporal_weight=500.0 * 256**2,  # artistic_video_multiPass.lua: -temporal_weight
        tolerance=0.0,  # -tol_loss_relative
        passes=15,  # -num_passes
    ),
    "smoke": dataclasses.replace(
        _DEFAULT,
        picture=PictureConfig(
            size=None,
            num_steps=6,
            scales=((1.0, 1.0),),
            style_layers=(("relu1_1", 0.5), ("relu2_1", 0.5)),
            content_layers=(("relu2_2", 1.0),),
            style_weight=2.0,
        ),
        num_steps=4,
    ),
}
"""Ready configurations by name; vary one with dataclasses.replace."""
