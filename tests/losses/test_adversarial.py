"""Oracle: the formulas written out in NumPy, and PyTorch's own losses."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from nst_jax import losses

FORMULAS = {
    "least_squares": (
        lambda r: (r - 1) ** 2 / 2,
        lambda f: f**2 / 2,
        lambda f: (f - 1) ** 2,
    ),
    "hinge": (
        lambda r: np.maximum(0, 1 - r),
        lambda f: np.maximum(0, 1 + f),
        lambda f: -f,
    ),
    "margin": (
        lambda r: np.maximum(0, 1 - r),
        lambda f: np.maximum(0, 1 + f),
        lambda f: np.maximum(0, 1 - f),
    ),
    "non_saturating": (
        lambda r: -np.log(1 / (1 + np.exp(-r))),
        lambda f: -np.log(1 - 1 / (1 + np.exp(-f))),
        lambda f: -np.log(1 / (1 + np.exp(-f))),
    ),
}
each_loss = pytest.mark.parametrize("name", list(FORMULAS))


def made_logits(*, seed):
    """Two scales of different sizes, on both sides of every margin."""
    rng = np.random.default_rng(seed)
    return tuple(3 * rng.standard_normal((2, side, side + 1, 1), np.float32) for side in (5, 2))


def on_device(maps):
    return tuple(jnp.asarray(logits) for logits in maps)


def mean_of_means(function, maps):
    return np.mean([function(np.float64(logits)).mean() for logits in maps])


@each_loss
def test_losses_are_the_formulas(name):
    real, made = made_logits(seed=0), made_logits(seed=1)
    of_real, of_made, of_generator = FORMULAS[name]
    found = losses.discriminator_loss(name, on_device(real), on_device(made))
    wanted = mean_of_means(of_real, real) + mean_of_means(of_made, made)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    found = losses.generator_loss(name, on_device(made))
    np.testing.assert_allclose(found, mean_of_means(of_generator, made), rtol=1e-5)


@each_loss
def test_accuracy_is_the_share_of_patches_on_the_right_side(name):
    real, made = made_logits(seed=0), made_logits(seed=1)
    boundary = 0.5 if name == "least_squares" else 0
    right = (
        mean_of_means(lambda r: r > boundary, real),
        mean_of_means(lambda f: f < boundary, made),
    )
    found = losses.discriminator_accuracy(name, on_device(real), on_device(made))
    np.testing.assert_allclose(found, np.mean(right), rtol=1e-6)
    same = on_device(real)
    assert float(losses.discriminator_accuracy(name, same, same)) == pytest.approx(0.5)
    between = (jnp.full((1, 2, 2, 1), boundary, jnp.float32),)
    assert float(losses.discriminator_accuracy(name, between, same)) == pytest.approx(
        0.25 + np.mean([(logits < boundary).mean() for logits in real]) / 2
    )


@each_loss
def test_gradients(name):
    real, made = (on_device(made_logits(seed=seed)) for seed in (2, 3))

    def both(real, made):
        return losses.discriminator_loss(name, real, made) + losses.generator_loss(name, made)

    check_grads(jax.jit(both), (real, made), order=1, modes=("rev",), rtol=1e-2, atol=1e-3)
    # Where a discriminator is as sure as can be, exp overflows in the plain formula.
    sure = (jnp.full((1, 1, 1, 1), 300.0),)
    unsure = (-sure[0],)
    for given in ((sure, unsure), (unsure, sure)):
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.grad(both)(*given)))


@pytest.mark.usefixtures("unchecked")
def test_other_names_and_no_maps_are_refused():
    name: Any = "wasserstein"
    with pytest.raises(ValueError, match=r"^adversarial_loss: wanted least_squares, .* got w"):
        losses.generator_loss(name, ())
    with pytest.raises(ValueError, match="logits: wanted at least one map, got none"):
        losses.generator_loss("hinge", ())


@pytest.mark.oracle
@each_loss
def test_losses_equal_pytorch(name):
    torch = pytest.importorskip("torch")
    real, made = made_logits(seed=4), made_logits(seed=5)

    def labelled(maps, label, criterion):
        of_maps = [criterion(torch.tensor(logits), label) for logits in maps]
        return float(sum(of_maps)) / len(maps)

    def squares(x, label):
        return torch.nn.functional.mse_loss(x, torch.full_like(x, label))

    def entropy(x, label):
        wanted = torch.full_like(x, label)
        return torch.nn.functional.binary_cross_entropy_with_logits(x, wanted)

    def margin(x, label):
        zeros, sign = torch.zeros_like(x), torch.full_like(x, 2 * label - 1)
        return torch.nn.functional.margin_ranking_loss(x, zeros, sign, margin=1.0)

    def critic(x, label):
        return -x.mean()

    criterion, of_generator, share = {
        "least_squares": (squares, squares, 0.5),
        "non_saturating": (entropy, entropy, 1.0),
        "margin": (margin, margin, 1.0),
        "hinge": (margin, critic, 1.0),
    }[name]
    found = losses.discriminator_loss(name, on_device(real), on_device(made))
    wanted = share * (labelled(real, 1.0, criterion) + labelled(made, 0.0, criterion))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    found = losses.generator_loss(name, on_device(made))
    np.testing.assert_allclose(found, labelled(made, 1.0, of_generator), rtol=1e-5)
