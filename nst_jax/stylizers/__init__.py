"""Trained networks at work: their files, and running them on pictures of any size.

Training is in nst_jax.train and nst_jax.papers.
"""

from nst_jax.stylizers.any_style import AnyStyleStylizer as AnyStyleStylizer
from nst_jax.stylizers.any_style import Mixture as Mixture
from nst_jax.stylizers.any_style import Style as Style
from nst_jax.stylizers.architectures import MEDIAN_FILTER as MEDIAN_FILTER
from nst_jax.stylizers.blending import Blend as Blend
from nst_jax.stylizers.following import FollowingStylizer as FollowingStylizer
from nst_jax.stylizers.loading import DECODING_MODEL as DECODING_MODEL
from nst_jax.stylizers.loading import DEFAULT_MODEL as DEFAULT_MODEL
from nst_jax.stylizers.loading import list_models as list_models
from nst_jax.stylizers.loading import load_stylizer as load_stylizer
from nst_jax.stylizers.loading import model_path as model_path
from nst_jax.stylizers.magenta import INSTALL as INSTALL
from nst_jax.stylizers.magenta import describe_published as describe_published
from nst_jax.stylizers.magenta import is_installed as is_installed
from nst_jax.stylizers.magenta import list_published as list_published
from nst_jax.stylizers.magenta import published_sha256 as published_sha256
from nst_jax.stylizers.many_styles import ManyStylesStylizer as ManyStylesStylizer
from nst_jax.stylizers.many_styles import StyleRegions as StyleRegions
from nst_jax.stylizers.model_files import Model as Model
from nst_jax.stylizers.model_files import check_model as check_model
from nst_jax.stylizers.model_files import load_model as load_model
from nst_jax.stylizers.model_files import read_styles as read_styles
from nst_jax.stylizers.model_files import save_model as save_model
from nst_jax.stylizers.one_style import OneStyleStylizer as OneStyleStylizer
from nst_jax.stylizers.painting import BUCKET as BUCKET
from nst_jax.stylizers.painting import MAX_PIXELS as MAX_PIXELS
from nst_jax.stylizers.painting import fit_size as fit_size
from nst_jax.stylizers.predicted_style import Embedding as Embedding
from nst_jax.stylizers.predicted_style import EmbeddingMixture as EmbeddingMixture
from nst_jax.stylizers.predicted_style import PredictedStyleStylizer as PredictedStyleStylizer
from nst_jax.stylizers.style_over_time import StyleOverTime as StyleOverTime
from nst_jax.stylizers.stylizer import Stylizer as Stylizer
from nst_jax.stylizers.transformed import FeatureTransformStylizer as FeatureTransformStylizer
from nst_jax.stylizers.transformed import Transform as Transform
from nst_jax.stylizers.video import SAMPLE_EVERY as SAMPLE_EVERY
from nst_jax.stylizers.video import Temporal as Temporal
from nst_jax.stylizers.video import VideoState as VideoState
from nst_jax.stylizers.video import VideoStylizer as VideoStylizer
