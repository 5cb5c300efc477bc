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
from collections.abc import Mapping

from nst_jax import losses
from nst_jax.encoders.vgg import FIRST_LAYERS, channels_of
from nst_jax.losses import LayerWeights
from nst_jax.pixels.config import Config as Config
from nst_jax.pixels.config import batch_key as batch_key
from nst_jax.pixels.config import with_style_loss as with_style_loss
from nst_jax.pixels.problem import initial_picture as initial_picture
from nst_jax.pixels.problem import plan as plan
from nst_jax.pixels.stylize import stylize as stylize
from nst_jax.pixels.stylize import stylize_together as stylize_together
from nst_jax.runs.record import Record as Record

STYLE_LAYERS = FIRST_LAYERS  # §2.2; fig. 3 caption


def _published(weight: float, source: str) -> LayerWeights:
    """The same weight on every layer in a codebase's convention, in units of our gram_loss."""
    return tuple(
        (layer, losses.convert_gram_weight(weight, source=source, channels=channels_of(layer)))
        for layer in STYLE_LAYERS
    )


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
