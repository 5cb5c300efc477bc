"""Distances that style transfer minimises, and the conversion of published weights to them."""

from nst_jax.losses.basic import TOTAL_VARIATION_LOSSES as TOTAL_VARIATION_LOSSES
from nst_jax.losses.basic import Grams as Grams
from nst_jax.losses.basic import GuidedGrams as GuidedGrams
from nst_jax.losses.basic import LayerWeights as LayerWeights
from nst_jax.losses.basic import Moments as Moments
from nst_jax.losses.basic import TracedLayerWeights as TracedLayerWeights
from nst_jax.losses.basic import content_loss as content_loss
from nst_jax.losses.basic import feature_loss as feature_loss
from nst_jax.losses.basic import gram_loss as gram_loss
from nst_jax.losses.basic import guided_gram_loss as guided_gram_loss
from nst_jax.losses.basic import guided_style_loss as guided_style_loss
from nst_jax.losses.basic import half_sum_total_variation_loss as half_sum_total_variation_loss
from nst_jax.losses.basic import moment_loss as moment_loss
from nst_jax.losses.basic import moments_loss as moments_loss
from nst_jax.losses.basic import sum_over_layers as sum_over_layers
from nst_jax.losses.basic import total_variation_loss as total_variation_loss
from nst_jax.losses.published import CONTENT_NORMALIZATIONS as CONTENT_NORMALIZATIONS
from nst_jax.losses.published import GRAM_NORMALIZATIONS as GRAM_NORMALIZATIONS
from nst_jax.losses.published import MOMENT_NORMALIZATIONS as MOMENT_NORMALIZATIONS
from nst_jax.losses.published import Normalization as Normalization
from nst_jax.losses.published import convert_content_weight as convert_content_weight
from nst_jax.losses.published import convert_gram_weight as convert_gram_weight
from nst_jax.losses.published import convert_moment_weight as convert_moment_weight
