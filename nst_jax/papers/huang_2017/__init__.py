"""Huang and Belongie: Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization.

A decoder learns to turn the encoder's features back into pictures, and to make of features whose
channels have a painting's means and deviations (AdaIN) a picture that has them too. It then paints
any photograph after any painting in one pass.

| hyperparameter | paper | authors' code | pytorch-AdaIN | cpu (ours) |
|---|---|---|---|---|
| encoder | VGG-19, normalised | the same | the same | VGG-16, normalised |
| padding | reflection | reflection | reflection | reflection |
| layer of AdaIN and of content | relu4_1 | relu4_1 | relu4_1 | relu4_1 |
| style layers | relu1_1, 2_1, 3_1, 4_1 | the same | the same | the same |
| content loss | ‖·‖₂ | mean of squares | mean of squares | mean of squares |
| style loss, means and deviations | ‖·‖₂ | Σ of squares | mean of squares | mean of squares |
| content weight | 1 | 1 | 1 | 1 |
| style weight | | 1e-2 | 10 | (8, 5, 3, 1) |
| identity pairs a batch, their weight | none | none | none | 2, 300 |
| their features' weights, relu1_1 to 3_1 | none | none | none | (4, 4, 1) |
| training pictures | crops of 256 from 512 | the same | from 512 x 512 | crops of 128 |
| batch, steps | 8, 160,000 | 8, 160,000 | 8, 160,000 | 4, 6,000 |
| optimiser | Adam | Adam | Adam | Muon |
| its rate | 1e-4 / (1 + 5e-5 t) | the same | the same | 1e-4, cosine to 0 |
| steps before AdaIN, part by part | none | none | none | 300, rate 5e-4 |

The paper's Euclidean norms are the squares' in all code, and its style weight, unpublished, is the
code's: 1e-1 made the decoder of the paper's pictures, by the README; 1e-2, the script's default,
keeps more of the photograph. The authors scale the shorter side to 512; pytorch-AdaIN both sides,
which a preset cannot say here: its pictures keep their aspect.
"""

from nst_jax.papers.huang_2017.config import PRESETS, STYLE_LAYERS, WARM_START, Config
from nst_jax.papers.huang_2017.objective import (
    Targets,
    compute_targets,
    loss_layers,
    make_decoder,
    make_loss_fn,
    make_warm_start_loss_fn,
    set_encoder,
    sum_terms,
)
from nst_jax.papers.huang_2017.training import TRAINING, fit, make_network
from nst_jax.train import Pair

__all__ = [
    "PRESETS",
    "STYLE_LAYERS",
    "TRAINING",
    "WARM_START",
    "Config",
    "Pair",
    "Targets",
    "compute_targets",
    "fit",
    "loss_layers",
    "make_decoder",
    "make_loss_fn",
    "make_network",
    "make_warm_start_loss_fn",
    "set_encoder",
    "sum_terms",
]
