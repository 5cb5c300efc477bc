"""A model of AdaIN's architecture with made parameters, for tests of what runs it."""

from typing import Any

import jax
import numpy as np
from network_oracle import made_arrays

from nst_jax.encoders.weights.pretrained import describe_weights, load_encoder
from nst_jax.networks.huang import Decoder
from nst_jax.papers import huang_2017
from nst_jax.stylizers import save_model

CONFIG = huang_2017.PRESETS["cpu"]


def made_decoder_params(seed=0):
    """He's values; the last layer's a tenth of them, so that pictures stay about [0, 1]."""
    decoder, features = Decoder(architecture="vgg16"), jax.ShapeDtypeStruct((1, 2, 2, 512), "f4")
    shapes: Any = jax.eval_shape(decoder.init, jax.random.key(0), features)["params"]
    params = made_arrays(shapes, seed=seed)
    for layer in params.values():
        layer["bias"][:] = 0
    params["conv1_1"]["kernel"] *= 0.1
    params["conv1_1"]["bias"] += 0.5
    return params


def encoder_words():
    described = describe_weights(CONFIG.encoder, weights=CONFIG.weights)
    return {name: described[name] for name in ("weights", "arrays_sha256")}


def made_network():
    """The network and its variables."""
    encoder, encoder_params = load_encoder(CONFIG.encoder, weights=CONFIG.weights)
    network = huang_2017.make_network(CONFIG, encoder)
    kept = {name: arrays for name, arrays in encoder_params["params"].items() if name <= "conv4_1"}
    return network, {"params": {"encoder": kept, "decoder": made_decoder_params()}}


def save_made_model(path, **options):
    network, variables = made_network()
    given = {"styles": (), "card": {"steps": 7}, "encoder": encoder_words(), **options}
    save_model(path, network, variables, **given)
    return network, variables


def made_painting(seed, *, height=48, width=64):
    """Smooth colours with some grain: a tenth of what noise would be to the encoder."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((1, height // 16, width // 16, 3))
    smooth = coarse.repeat(16, 1).repeat(16, 2)
    return (0.9 * smooth + 0.1 * rng.random(smooth.shape)).astype(np.float32)
