"""Ruder, Dosovitskiy and Brox: Artistic Style Transfer for Videos (2016).

A clip is painted by optimising the pixels of each frame, as Gatys et al. do it for a picture. Each
frame begins with the last picture, warped along the motion, and a loss keeps it close to that
wherever the motion is certain.

| hyperparameter | paper | authors' code | authors' multi-pass code | default (ours) |
|---|---|---|---|---|
| encoder | VGG-19 | VGG-19, Caffe | the same | VGG-16, torchvision |
| content layer | relu4_2 | relu4_2 | relu4_2 | relu4_2 |
| style layers | relu1_1 … relu5_1 | relu1_1 … relu5_1 | the same | relu1_1 … relu5_1 |
| content, style, temporal weight | 1, 20, 200 | 5, 100, 1000 | 5, 100, 500 | see PRESETS |
| total variation | none | 1e-3, gradient only | the same | 50, mean |
| first frame begins with | noise | noise of 0.001 | noise of 0.001 | the frame |
| other frames begin with | last picture, warped | the same | noise of 0.001 | the same |
| what comes into the frame | | mean colour of VGG | | the frame |
| at most steps, first frame, others | | 2000, 1000 | 100 a pass | 200, 60 |
| ends below a change of | 0.01 % in 50 steps | the same | never | never |
| frames before | 1, or 1, 2, 4, or 1, 10, 20, 40 | 1 | 1 | 1 |
| shares of frames before | c − Σ nearer c | c − Σ nearer shares | | as the paper |
| passes, with a temporal loss from | | | 15, 8th | 1 |

Losses of content and style are those of jcjohnson/neural-style in both, and pixels count to 256:
the temporal weight is 256² times the published one here. Flow is an argument; the papers' is
DeepFlow, and nst_jax.flow has DIS. Differs: a painting has the frame's longer side, where the
code gives it the frame's area; pictures are clipped to [0, 1] where the code stretches them to it.
"""

from nst_jax.papers.ruder_2016.config import PRESETS, Config, Sharing
from nst_jax.papers.ruder_2016.painting import (
    Neighbour,
    Painter,
    long_term_masks,
    paint_frame,
    prepare,
    stylize,
)
from nst_jax.papers.ruder_2016.turns import Turn, plan_turns

__all__ = [
    "PRESETS",
    "Config",
    "Neighbour",
    "Painter",
    "Sharing",
    "Turn",
    "long_term_masks",
    "paint_frame",
    "plan_turns",
    "prepare",
    "stylize",
]
