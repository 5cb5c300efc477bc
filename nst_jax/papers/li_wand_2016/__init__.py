"""Li and Wand: Precomputed Real-Time Texture Synthesis with Markovian GANs (2016): MDAN and MGAN.

MDAN: a picture is optimised against a discriminator, which learns meanwhile to tell its patches, as
an encoder's features, from a painting's. MGAN: a decoder of an encoder's features learns from such
pictures to paint in one pass, against a discriminator too.

MDAN (Config, stylize):

| hyperparameter | authors' code | cpu (ours) |
|---|---|---|
| encoder | VGG-19, Caffe | VGG-16, torchvision |
| its input | RGB from -1 to 1, no mean subtracted | what its weights want |
| discriminator on | relu3_1, patches of 8, stride 4 | the same |
| its optimiser | Adam 0.02, momentum 0.5 | Adam 5e-4, momentum 0.5 |
| adversarial loss | hinge on both sides | the same |
| content layer | relu5_1, mean dF^2 | relu4_2, mean dF^2 |
| content, adversarial weight | 1/2, 1 (see below) | 1, 1 |
| total variation | 1e-4, gradient only | 300, mean |
| optimiser of pixels | Adam 0.02 on -1 to 1 | Adam 0.008 on 0 to 1 |
| steps | 125 | 100 |
| size of picture and painting | longer side 384 | longer side 256 |
| painting is turned, scaled, mirrored | by 10 degrees, 1.1, yes | the same |
| contrast | cut at 2 deviations, stretched | clipped |

The code is chuanli11/MGANs, MDAN_wrapper.lua and train.lua at 22b3131. It halves the content's
weight and not the adversarial one, and divides the gradient that a position has from patches by
their number, 4 but at the edges: the preset's 1/4. Total variation counts twice, since its layer is
part of two networks.

MGAN (MganConfig, fit):

| hyperparameter | authors' code | cpu (ours) |
|---|---|---|
| photographs that MDAN paints first | 100 of 384 pixels | 16 of 192 pixels |
| steps for each | 125 | 100, four photographs together |
| encoder, layer that is decoded | VGG-19, Caffe, relu4_1 | VGG-16, torchvision, relu4_1 |
| decoder's maps | 512, 256, 128 | 256, 128, 64 |
| squares | 64 of 128 pixels | 4 of 96 pixels |
| pixels, mean square on -1 to 1 | 1 / 1.01 | the same |
| discriminator on | relu3_1, two convolutions of 4 x 4 | the same, half the maps |
| adversarial weight | 0.01 / 1.01, borders count as won | the same |
| Adam of the decoder | 0.02, momentum 0.5 | 2e-3, momentum 0.5 |
| Adam of the discriminator | 0.02, momentum 0.5 | 5e-4, momentum 0.5 |
| steps | 5 epochs | 4,000 |

That is MGAN_wrapper.lua and AG_wrapper.lua of the same code. There are no presets after the paper's
text.

Why MDAN is no style loss of nst_jax.pixels: there a loss is a fixed function of the picture, which
L-BFGS needs, and the best picture is that of the least total. A discriminator changes at every
step and is saved with the run. So this is a training, of one picture, by nst_jax.train.
"""

from nst_jax.papers.li_wand_2016.config import PRESETS as PRESETS
from nst_jax.papers.li_wand_2016.config import Config as Config
from nst_jax.papers.li_wand_2016.mgan import TRAINING as TRAINING
from nst_jax.papers.li_wand_2016.mgan import fit as fit
from nst_jax.papers.li_wand_2016.mgan import make_decoder_generate as make_decoder_generate
from nst_jax.papers.li_wand_2016.mgan import make_network as make_network
from nst_jax.papers.li_wand_2016.mgan import paint_teachers as paint_teachers
from nst_jax.papers.li_wand_2016.mgan_config import MGAN_PRESETS as MGAN_PRESETS
from nst_jax.papers.li_wand_2016.mgan_config import MganConfig as MganConfig
from nst_jax.papers.li_wand_2016.painting import Painted as Painted
from nst_jax.papers.li_wand_2016.painting import make_generate as make_generate
from nst_jax.papers.li_wand_2016.painting import set_encoder as set_encoder
from nst_jax.papers.li_wand_2016.painting import stylize as stylize
from nst_jax.papers.li_wand_2016.pieces import finish as finish
from nst_jax.papers.li_wand_2016.pieces import piece_side as piece_side
from nst_jax.papers.li_wand_2016.pieces import random_piece as random_piece
