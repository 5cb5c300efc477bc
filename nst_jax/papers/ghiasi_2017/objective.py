"""What is trained, and for what: the network, its first variables, and the losses of a batch."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nst_jax import losses, train
from nst_jax.array_types import Features, Image, Params, Scalar
from nst_jax.encoders.vgg import VGG
from nst_jax.networks.ghiasi import GhiasiNetwork
from nst_jax.networks.style_predictors import (
    EMBEDDING_SIZE,
    STATISTICS_LAYERS,
    compute_statistics,
)
from nst_jax.ops.gram import gram_matrix
from nst_jax.papers.ghiasi_2017.config import Config
from nst_jax.train import Pair
from nst_jax.train.perceptual_training import add_consistency, set_encoder

_DISTANCES = {
    "mean": (losses.content_loss, losses.gram_loss),
    "relative": (losses.relative_content_loss, losses.log_relative_gram_loss),
}


def make_objective(
    config: Config, encoder: VGG
) -> Callable[[Image, Pair, Features, Params], tuple[Scalar, dict[str, Scalar]]]:
    """Return objective(stylized, pair, painting_features, encoder_params) -> (total, terms).

    terms holds 'content', 'style', 'tv' and, if wanted, 'color', weighted: total is their sum.

    Args:
        config: Its loss counts.
        encoder: As set_encoder answers it.
    """
    content_distance, style_distance = _DISTANCES[config.distances]
    content_layers, style_layers = (
        tuple(dict(pairs)) for pairs in (config.content_layers, config.style_layers)
    )
    both = tuple(dict.fromkeys((*content_layers, *style_layers)))

    def objective(stylized, pair, painting_features, encoder_params):
        contents = jnp.asarray(pair.content)
        wanted = encoder.apply(encoder_params, contents, layers=content_layers)
        found = encoder.apply(encoder_params, stylized, layers=both)
        grams, target_grams = (
            {layer: gram_matrix(features[layer]) for layer in style_layers}
            for features in (found, painting_features)
        )
        content = losses.sum_over_layers(content_distance, found, wanted, config.content_layers)
        style = losses.sum_over_layers(style_distance, grams, target_grams, config.style_layers)
        terms = {
            "content": config.content_weight * content,
            "style": config.style_weight * style,
            "tv": config.tv_weight * losses.TOTAL_VARIATION_LOSSES[config.tv_loss](stylized),
        }
        if config.color_weight:
            color = losses.log_relative_color_loss(stylized, jnp.asarray(pair.style))
            terms["color"] = config.color_weight * color
        return sum(terms.values(), jnp.zeros((), jnp.float32)), terms

    return objective


def make_loss_fn(config: Config, network: GhiasiNetwork, encoder: VGG) -> train.LossFn:
    """Return loss_fn(key, params, model_state, batch, encoder_params), for make_trainer.

    It is the loss of make_generate, without a discriminator's part.

    Args:
        config: Its loss counts.
        network: What is trained.
        encoder: From load_encoder; config.pooling and config.precision are set on it here.
    """
    return train.loss_of(make_generate(config, network, encoder))


def make_generate(
    config: Config, network: GhiasiNetwork, encoder: VGG
) -> Callable[..., train.Generated]:
    """Return generate(key, params, model_state, batch, encoder_params): a batch and its losses.

    What a discriminator judges are the painted pictures, and what is real the paintings.

    Args:
        config: Its loss counts.
        network: What is trained.
        encoder: From load_encoder; config.pooling and config.precision are set on it here.
    """
    encoder = set_encoder(encoder, config)
    objective = make_objective(config, encoder)

    def generate(key, params, model_state, batch: Pair, encoder_params):
        content, style = map(jnp.asarray, batch)
        after = encoder.apply(encoder_params, style, layers=read_layers(config))
        variables, statistics = {"params": params, **model_state}, compute_statistics(after)
        options = {"mutable": ["batch_stats"], "method": "paint_in_training"}
        stylized, moved = network.apply(variables, content, statistics, **options)
        found = objective(stylized, Pair(content, style), after, encoder_params)
        total, terms = add_consistency(
            *(key, config, found, content, stylized),
            lambda images: network.apply(variables, images, statistics, **options)[0],
        )
        return train.Generated(stylized, style, total, terms, moved)

    return generate


def read_layers(config: Config) -> tuple[str, ...]:
    """Return the layers that are read of paintings, each once."""
    return tuple(dict.fromkeys((*STATISTICS_LAYERS, *dict(config.style_layers))))


def make_network(config: Config) -> GhiasiNetwork:
    """Return the network of a configuration."""
    return GhiasiNetwork(width=config.width, pooling=config.pooling)


def init(
    config: Config, standard: Mapping[str, Float[Array, " statistics"]], encoder_params: Params
) -> Params:
    """Return a network's first variables, with the predictor's encoder in place.

    Args:
        config: Its network and seed count.
        standard: From measure_standard.
        encoder_params: VGG-16's on torchvision's pixels.
    """
    key = jax.random.split(jax.random.key(config.seed))[0]
    inputs = (jnp.zeros(shape, jnp.float32) for shape in ((1, 32, 32, 3), (1, EMBEDDING_SIZE)))
    variables = jax.jit(make_network(config).init)(key, *inputs)
    params, stats = variables["params"], variables["batch_stats"]
    kept = {name: encoder_params["params"][name] for name in params["predictor"]["encoder"]}
    predictor = {**params["predictor"], "encoder": kept}
    return {
        "params": {**params, "predictor": predictor},
        "batch_stats": {**stats, "predictor": {"head": dict(standard)}},
    }
