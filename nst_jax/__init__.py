"""Neural style transfer in JAX: the papers, reproduced, and a command that paints photographs."""

from nst_jax import losses as losses
from nst_jax import papers as papers
from nst_jax.encoders.weights.pretrained import load_encoder as load_encoder
from nst_jax.files import load_image as load_image
from nst_jax.files import save_image as save_image
from nst_jax.ops.feature_transforms import adain as adain
from nst_jax.ops.gram import gram_matrix as gram_matrix
from nst_jax.ops.moments import channel_moments as channel_moments
from nst_jax.stylizers import load_stylizer as load_stylizer

__version__ = "0.1.0"
