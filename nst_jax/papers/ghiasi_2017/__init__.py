"""Ghiasi et al.: Exploring the Structure of a Real-time, Arbitrary Neural Artistic Stylization
Network (2017).

A transformer paints photographs; the scales and biases of its instance normalisations are linear
in an embedding of a painting. Whoever has a painting's embedding can paint after it, mix it with
others, or move from the photograph's own embedding towards it.

| hyperparameter | paper | authors' code | mobile | cpu (ours) |
|---|---|---|---|---|
| first convolution | 32 maps | 32 maps | 8 maps | 16 maps |
| painting's features | Inception-v3, Mixed_6e | the same | MobileNet-v2 | VGG-16's moments |
| bottleneck | 100 | 100 | 100 | 100 |
| loss network | VGG-16 | VGG-16, average pooling | the same | VGG-16, torchvision |
| content layer | | relu3_3 | the same | relu3_3, relu4_2 |
| style layers | | relu1_2, 2_2, 3_3, 4_3 | the same | relu1_1, 2_1, 3_1, 4_1, 5_1 |
| content loss | Σ ΔF² / U | mean ΔF² | the same | Σ ΔF² / Σ F² |
| style loss, D = ΔG | Σ D² / U | mean D² | the same | log(1 + Σ D² / Σ G²) |
| content weight | | 1 | 1 | 1 |
| style weight a layer | | 5e-4 | 5e-4 | 11 × (0.5, 0.4, 0.25, 0.3, 0.15) |
| color weight | none | none | none | 4.4 |
| total variation, mean ΔI² | none | 5e3 | 5e3 | 2 |
| photographs | ImageNet, 256 x 256 | the same | the same | random crops of 128 |
| paintings | random crops | 256 x 256 | the same | crops of 256 from 256 to 384 |
| batch, steps | 8, 4,000,000 | 8, 8,000,000 | 8, 8,000,000 | 4, 20,000 |
| Adam's rate | 1e-5 | 1e-5 | 1e-5 | 1e-3, cosine to 0 |

Where the paper's column is empty, `paper` has the code's value. Inception-v3 and MobileNet-v2 are
not at hand: in every preset the predictor reads the means and deviations of VGG-16's relu1_1,
relu2_1 and relu3_1, and only the layers after them are trained. The content and style weights of
`paper`, `authors` and `mobile` are multiplied by the gain between the inputs of VGG-16 on pixels of
0 to 255 and of torchvision's: squared for content, to the fourth power for style.
"""

from nst_jax.networks.ghiasi import is_trained as is_trained
from nst_jax.papers.ghiasi_2017.config import PRESETS as PRESETS
from nst_jax.papers.ghiasi_2017.config import STYLE_LAYERS as STYLE_LAYERS
from nst_jax.papers.ghiasi_2017.config import Config as Config
from nst_jax.papers.ghiasi_2017.objective import init as init
from nst_jax.papers.ghiasi_2017.objective import make_generate as make_generate
from nst_jax.papers.ghiasi_2017.objective import make_loss_fn as make_loss_fn
from nst_jax.papers.ghiasi_2017.objective import make_network as make_network
from nst_jax.papers.ghiasi_2017.objective import make_objective as make_objective
from nst_jax.papers.ghiasi_2017.training import TRAINING as TRAINING
from nst_jax.papers.ghiasi_2017.training import fit as fit
from nst_jax.train.perceptual_training import set_encoder as set_encoder
