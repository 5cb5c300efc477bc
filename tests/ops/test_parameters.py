"""Parameters of layers, beside linen's own."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.errors import ScopeParamNotFoundError

from nst_jax.ops.parameters import parameter


class Ours(nn.Module):
    width: int = 4

    @nn.compact
    def __call__(self, x):
        return x @ parameter(self, "kernel", nn.initializers.he_normal(), (x.shape[-1], self.width))


class Linens(nn.Module):
    width: int = 4

    @nn.compact
    def __call__(self, x):
        shape = (x.shape[-1], self.width)
        return x @ self.param("kernel", nn.initializers.he_normal(), shape, jnp.float32)


def test_first_values_and_answers_are_those_of_linen():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3)), jnp.float32)
    ours, linens = (module.init(jax.random.key(5), x) for module in (Ours(), Linens()))
    np.testing.assert_array_equal(ours["params"]["kernel"], linens["params"]["kernel"])
    np.testing.assert_array_equal(Ours().apply(ours, x), Linens().apply(linens, x))


def test_another_shape_is_refused_by_name():
    variables = {"params": {"kernel": jnp.ones((3, 5))}}
    with pytest.raises(ValueError, match=r"kernel of shape \(3, 4\), got \(3, 5\)"):
        Ours().apply(variables, jnp.ones((2, 3)))


def test_a_missing_one_is_missed():
    with pytest.raises(ScopeParamNotFoundError, match="kernel"):
        Ours().apply({"params": {"other": jnp.ones(())}}, jnp.ones((2, 3)))
