"""Where JAX would make 64 bits of what names no type, networks stay at 32."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax import train
from nst_jax.encoders.preprocessing import TORCHVISION
from nst_jax.encoders.vgg import VGG
from nst_jax.networks.dumoulin import DumoulinNetwork
from nst_jax.networks.ghiasi import GhiasiTransformer, MobileGhiasiNetwork
from nst_jax.networks.huang import Decoder
from nst_jax.networks.johnson import JohnsonNetwork
from nst_jax.networks.mobilenet import MobilePredictor
from nst_jax.networks.style_predictors import StylePredictor

PICTURE = (1, 48, 48, 3)
NETWORKS = {
    "johnson, batch": (JohnsonNetwork(width=4, normalization="batch"), [PICTURE]),
    "johnson, instance": (JohnsonNetwork(width=4, normalization="instance"), [PICTURE]),
    "dumoulin": (DumoulinNetwork(num_styles=2, width=4), [PICTURE, (1, 2)]),
    "ghiasi": (GhiasiTransformer(width=2), [(1, 16, 16, 3), (1, 6)]),
    "ghiasi, predictor": (StylePredictor(), [PICTURE]),
    "ghiasi, mobile": (MobileGhiasiNetwork(width=2), [(1, 16, 16, 3), (1, 100)]),
    "ghiasi, mobile predictor": (MobilePredictor(), [(1, 32, 32, 3)]),
    "huang": (Decoder(architecture="vgg16"), [(1, 6, 6, 512)]),
    "vgg": (VGG("vgg16", TORCHVISION), [PICTURE]),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_and_answers_have_32_bits(name):
    network, shapes = NETWORKS[name]
    inputs = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    options = {"layers": ("relu2_2",)} if name == "vgg" else {}
    with jax.enable_x64(True):
        init = functools.partial(network.init, **options)
        variables = jax.eval_shape(init, jax.random.key(0), *inputs)
        apply = functools.partial(network.apply, **options)
        answer = jax.eval_shape(apply, variables, *inputs)
    assert {leaf.dtype for leaf in jax.tree.leaves((variables, answer))} == {np.dtype(np.float32)}


@pytest.mark.usefixtures("lax_promotion")
def test_a_step_of_training_keeps_its_types():
    def loss_fn(key, params, model_state, batch):
        del key
        return jnp.square(batch.mean((0, 1, 2)) - params["x"]).mean(), ({}, model_state)

    for num_steps in (4, None):
        with jax.enable_x64(True):
            tx = train.make_transformation(
                learning_rate=0.1, schedule="cosine", num_steps=num_steps, clip_norm=1.0
            )
            trainer = train.make_trainer(loss_fn, tx, average_decay=0.9)
            state = trainer.init(jax.random.key(0), {"x": jnp.zeros(3, jnp.float32)}, {})
            before = [leaf.dtype for leaf in jax.tree.leaves(state)]
            state, metrics = trainer.step(state, np.ones((2, 4, 4, 3), np.float32))
            after = [leaf.dtype for leaf in jax.tree.leaves(state)]
        assert before == after
        assert metrics.total.dtype == metrics.grad_norm.dtype == np.float32
        assert not {np.dtype(np.float64), np.dtype(np.int64)} & set(after)
