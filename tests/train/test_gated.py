"""Oracle: the gate and both sides' updates written out in NumPy."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nst_jax import train

pytestmark = pytest.mark.usefixtures("lax_promotion")


def shifted(key, params, model_state, batch):
    """Makes the same of all: the shift. Its own loss is its square; others are what is opposite."""
    del key
    made = jnp.broadcast_to(params["shift"], batch.shape)
    own = 0.1 * jnp.square(params["shift"]).sum()
    return train.Generated(made, batch, own, {"own": own}, model_state, -batch)


def linear(params, model_state, judged):
    return ((judged @ params["w"])[..., None],), model_state


class Adam:
    def __init__(self, rate, momentum):
        self.rate, self.momentum, self.count = rate, momentum, 0
        self.mean, self.square = np.zeros(2), np.zeros(2)

    def move(self, gradient):
        self.count += 1
        self.mean = self.momentum * self.mean + (1 - self.momentum) * gradient
        self.square = 0.999 * self.square + 0.001 * gradient**2
        mean = self.mean / (1 - self.momentum**self.count)
        return -self.rate * mean / (np.sqrt(self.square / (1 - 0.999**self.count)) + 1e-8)


def test_who_is_behind_learns_and_the_other_waits():
    config = train.GatedConfig(
        weight=0.5, learning_rate=0.2, momentum=0.9, success_rate=0.7, memory=0.6
    )
    w, shift = np.asarray([0.0, 0.6]), np.asarray([-1.0, 2.0])
    trainer = train.make_gated_trainer(
        shifted,
        linear,
        {"params": {"w": jnp.asarray(w, jnp.float32)}},
        optax.sgd(0.1),
        config,
    )
    params = {"shift": jnp.asarray(shift, jnp.float32)}
    state = trainer.init(jax.random.key(0), params, {})
    adam, success, learnt = Adam(0.2, 0.9), 0.7, []
    rng = np.random.default_rng(1)
    for _ in range(16):
        batch = 1 + np.float32(0.3) * rng.standard_normal((4, 1, 1, 2), np.float32)
        real = np.float64(batch.reshape(4, 2))
        state, metrics = trainer.step(state, batch)

        terms = {"own": 0.1 * shift @ shift, "adversarial": 0.5 * (shift @ w - 1) ** 2}
        generator_learns = success >= 0.7 - 1e-7
        learnt.append(generator_learns)
        norm = 0.0
        if generator_learns:
            accuracy = float(shift @ w < 0.5)
            gradient = 0.2 * shift + 0.5 * 2 * (shift @ w - 1) * w
            norm = np.linalg.norm(gradient)
            shift = shift - 0.1 * gradient
        else:
            shares = [(real @ w > 0.5).mean(), shift @ w < 0.5, (-real @ w < 0.5).mean()]
            accuracy = np.mean(shares)
            gradient = ((real @ w - 1)[:, None] * real).mean(0) + (shift @ w) * shift
            gradient = gradient + ((real @ w)[:, None] * real).mean(0)
            w = w + adam.move(gradient)
        success = 0.6 * success + 0.4 * accuracy

        assert metrics.terms == pytest.approx(terms, rel=1e-3)
        assert float(metrics.total) == pytest.approx(sum(terms.values()), rel=1e-3)
        assert float(metrics.grad_norm) == pytest.approx(norm, rel=1e-3)
        assert float(metrics.watched["generator_learns"]) == generator_learns
        assert float(metrics.watched["accuracy"]) == pytest.approx(accuracy, rel=1e-5)
        assert float(metrics.watched["mean_accuracy"]) == pytest.approx(success, rel=1e-4)
        np.testing.assert_allclose(state.params["shift"], shift, rtol=1e-3)
        np.testing.assert_allclose(state.adversary.params["w"], w, rtol=1e-3)
    assert int(state.step) == 16
    assert 3 < sum(learnt) < 14


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            {"success_rate": 0.96},
            "success_rate: wanted a share from 0.5 to below won_accuracy, 0.9",
        ),
        ({"success_rate": 0.4}, "success_rate: wanted a share from 0.5 to below won_accuracy"),
        ({"memory": 1.0}, "memory: wanted a share from 0 to below 1, got 1.0"),
        ({"patience": 0}, "patience: wanted 1 or more, got 0"),
    ],
)
def test_useless_numbers_are_refused(options: Any, complaint):
    with pytest.raises(ValueError, match=complaint) as caught:
        train.GatedConfig(**options)
    assert "\n" not in str(caught.value)
