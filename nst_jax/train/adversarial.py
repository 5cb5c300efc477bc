"""Training a network against a discriminator: a turn of both is one compiled step of the engine.

The trainer is one like make_trainer's, so that `fit` runs it: stream, checkpoints, resumption to
the bit, logs, devices. The discriminator and all that belongs to it are a part of the state.

What goes wrong in such trainings is that the discriminator wins: it tells real from made patches
without fail, and what it says ceases to be of use. Its accuracy is logged each step, and a run that
it has won for long ends with a line that says what to try.

- Zhu et al. 2017 (CycleGAN): the optimisers, and the pool of old pictures, which is Shrivastava
  et al.'s (2017).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from nst_jax.array_types import Params, PRNGKey, Scalar
from nst_jax.losses import (
    AdversarialLossName,
    discriminator_accuracy,
    discriminator_loss,
    generator_loss,
)
from nst_jax.losses.adversarial import LogitMaps
from nst_jax.runs.config_checks import check, check_types
from nst_jax.train.trainer import (
    Fault,
    LossFn,
    Metrics,
    ModelState,
    State,
    Terms,
    Trainer,
    compile_trainer,
    draw_step,
    gradient_norm,
    move_average,
)

_OF_POOL = 0x706F6F6C  # sets what the pool draws apart from what the generator draws
_MEMORY = 0.9  # of the moving average of the accuracy, a step

Judged = Float[Array, "_batch ..."]
"""What a discriminator judges: pictures, or an encoder's features of them, in any number."""


class Generated(NamedTuple):
    """What a generator made of a batch.

    Attributes:
        made: What the discriminator is to tell from real.
        real: Examples of what is real.
        total: The generator's own loss, without the discriminator's part.
        terms: Its weighted parts by name.
        model_state: The generator's variables that are not trained, after the batch.
        others: What is not real besides, for trainers that say so.
    """

    made: Judged
    real: Judged
    total: Scalar
    terms: Terms
    model_state: ModelState
    others: Judged | None = None


Generate = Callable[..., Generated]
"""(key, params, model_state, batch, *args) -> Generated, traceable by JAX."""


def loss_of(generate: Generate) -> LossFn:
    """Return the loss_fn of a generator's own loss, for trainings without a discriminator.

    Args:
        generate: Makes something of a batch.
    """

    def loss_fn(key, params, model_state, batch, *args):
        found = generate(key, params, model_state, batch, *args)
        return found.total, (found.terms, found.model_state)

    return loss_fn


Discriminate = Callable[..., tuple[LogitMaps, ModelState]]
"""(params, model_state, judged) -> (maps of logits, model_state), traceable by JAX."""


def discriminate_by(network: Any) -> Discriminate:
    """Return how a linen network judges, which moves its vectors of spectral normalisation.

    Args:
        network: Such as those of networks.discriminators.
    """

    def discriminate(params, model_state, judged):
        variables = {"params": params, **model_state}
        logits, moved = network.apply(variables, judged, mutable=["spectral"])
        return logits, dict(moved)

    return discriminate


class Pool(NamedTuple):
    """What was made before, and how many places are filled."""

    kept: Judged
    count: Int[Array, ""]


class Adversary(NamedTuple):
    """The discriminator's part of a state."""

    params: Params
    model_state: ModelState
    opt_state: Any
    pool: Pool | None
    accuracy: Float[Array, ""]
    """The moving average of the share of patches about which it is right."""
    wins: Int[Array, ""]
    """For how many steps on end that has been above won_accuracy."""


@dataclass(frozen=True, kw_only=True)
class JudgeConfig:
    """How a discriminator learns, how much what it says counts, and when it has won.

    Attributes:
        loss: A name in losses.ADVERSARIAL_LOSSES.
        weight: Of the generator's adversarial loss.
        learning_rate: Of the discriminator's Adam.
        momentum: β₁ of it; β₂ is 0.999.
        won_accuracy: Above which mean accuracy the discriminator has won a step.
        patience: For how many such steps on end a run goes on.
    """

    loss: AdversarialLossName = "least_squares"  # Zhu et al. 2017, §4
    weight: float = 1.0
    learning_rate: float = 2e-4  # Zhu et al. 2017, §4
    momentum: float = 0.5  # CycleGAN's code: beta1
    won_accuracy: float = 0.95  # ours
    patience: int = 500  # ours

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            ValueError: One line that names the field.
        """
        check_types(self)
        check(self.patience >= 1, "patience", "1 or more", self.patience)
        check(0 <= self.weight < float("inf"), "weight", "a finite number, 0 or more", self.weight)
        positive = 0 < self.learning_rate < float("inf")
        check(positive, "learning_rate", "a finite number above 0", self.learning_rate)
        check(0 <= self.momentum < 1, "momentum", "a share from 0 to below 1", self.momentum)
        share = self.won_accuracy
        check(0.5 <= share < 1, "won_accuracy", "a share from 0.5 to below 1", share)

    def find_win(self, watched: Mapping[str, float]) -> Fault | None:
        """Return why a run must end whose discriminator has won for long, or None.

        Args:
            watched: A step's numbers; "wins" counts.
        """
        if watched["wins"] < self.patience:
            return None
        return Fault(
            f"The discriminator was right about more than {100 * self.won_accuracy:.3g} % of "
            f"patches for {self.patience} steps, and has nothing more to teach, at",
            f"a lower learning rate of the discriminator than {self.learning_rate:g}, a larger "
            "weight of the generator's own loss, spectral normalisation, or more steps of the "
            "generator a turn",
        )


@dataclass(frozen=True, kw_only=True)
class AdversarialConfig(JudgeConfig):
    """How a discriminator learns that takes turns with a generator.

    Attributes:
        discriminator_steps: Updates of the discriminator each turn, which come first. All see the
            turn's batch.
        generator_steps: Updates of the generator each turn, likewise.
        pool_size: How many things made before are kept. Once so many are, half of what is shown to
            the discriminator as made is old, so that it does not forget what it has learnt. 0
            shows what is made now.
    """

    discriminator_steps: int = 1
    generator_steps: int = 1
    pool_size: int = 0  # Zhu et al. 2017, §4: 50

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            ValueError: One line that names the field.
        """
        super().__post_init__()
        for name, least in (("discriminator_steps", 1), ("generator_steps", 1), ("pool_size", 0)):
            value = getattr(self, name)
            check(value >= least, name, f"{least} or more", value)


def make_adversarial_trainer(
    generate: Generate,
    discriminate: Discriminate,
    variables: Params,
    tx: optax.GradientTransformation,
    config: AdversarialConfig,
    *,
    made_shape: tuple[int, ...] = (),
    average_decay: float | None = None,
) -> Trainer:
    """Return a trainer of a generator and a discriminator, whose step is a turn of both.

    In a turn, with Adam for D and tx for G, and pictures made by the G that the turn begins with:

        D lowers  discriminator_loss(D(real), D(made or from the pool)), discriminator_steps times,
        G lowers  its own total + weight · generator_loss(D(made)), generator_steps times.

    Metrics are the turn's first: total and terms, which hold "adversarial", by the G that it begins
    with and the D that it ends with; watched are the discriminator's "discriminator_loss", its
    "accuracy" before it learns, and "wins". The gradient's norm is the last one of G.

    The state's adversary holds all of the discriminator. Its averaged_params are the generator's.

    Args:
        generate: Makes something of a batch, with the generator's own loss.
        discriminate: Judges what is made and what is real. It is shown no others.
        variables: The discriminator's first ones, {"params": ..., ...}.
        tx: The generator's optimiser.
        config: The discriminator's part.
        made_shape: Of one of the things made, without the batch; wanted with a pool.
        average_decay: Of the generator's moving average; see make_trainer.

    Raises:
        ValueError: average_decay is not between 0 and 1, or there is a pool and no made_shape.
    """
    if config.pool_size and not made_shape:
        raise ValueError("made_shape: wanted the shape of what is made, for pool_size above 0")
    own_tx = optax.adam(config.learning_rate, b1=config.momentum)

    def advance(state: State, batch: Any, args: tuple[Any, ...]) -> tuple[State, Metrics]:
        key, batch = draw_step(state, batch)

        def make(params):
            found = generate(key, params, state.model_state, batch, *args)
            return (found.made, found.total), found

        def fooled(made, adversary):
            return config.weight * generator_loss(config.loss, judge(adversary, made))

        def judge(adversary, judged):
            return discriminate(adversary.params, adversary.model_state, judged)[0]

        adversary, params, opt_state = state.adversary, state.params, state.opt_state
        begun = watched = None
        for _ in range(config.generator_steps):
            (made, _), pull_back, found = jax.vjp(make, params, has_aux=True)
            if watched is None:
                pool_key = jax.random.fold_in(key, _OF_POOL)
                shown = (found.real, made)
                adversary, watched = _teach(
                    pool_key, adversary, *shown, discriminate, own_tx, config
                )
            adversarial, slope = jax.value_and_grad(fooled)(made, adversary)
            begun = begun or (found, adversarial)
            (grads,) = pull_back((slope, jnp.ones_like(found.total)))
            updates, opt_state = tx.update(grads, opt_state, params)
            params = optax.apply_updates(params, updates)
        assert begun is not None
        assert watched is not None
        first, adversarial = begun
        average = move_average(state.average, params, state.step, average_decay)
        after = State(
            state.step + 1, params, found.model_state, opt_state, average, state.key, adversary
        )
        terms = {**first.terms, "adversarial": adversarial}
        norm = gradient_norm(grads, opt_state)
        return after, Metrics(first.total + adversarial, terms, norm, watched)

    model_state = {name: found for name, found in variables.items() if name != "params"}
    pool = None
    if config.pool_size:
        kept = jnp.zeros((config.pool_size, *made_shape), jnp.float32)
        pool = Pool(kept, jnp.zeros((), jnp.int32))
    params = variables["params"]
    accuracy, wins = jnp.full((), 0.5, jnp.float32), jnp.zeros((), jnp.int32)
    adversary = Adversary(params, model_state, own_tx.init(params), pool, accuracy, wins)
    return compile_trainer(
        advance,
        tx,
        average_decay=average_decay,
        adversary=adversary,
        fault=config.find_win,
    )


def draw_from_pool(key: PRNGKey, pool: Pool, made: Judged) -> tuple[Pool, Judged]:
    """Return the pool after a batch, and what of it and of the batch is to be shown as made.

    Each of the batch in turn, while the pool has room, is kept and shown. Then by chance, one time
    in two, it takes the place of an old one, which is shown; otherwise it is shown itself.

    Args:
        key: Decides what is exchanged.
        pool: What was kept before.
        made: What is made now.

    Reference: Shrivastava et al. 2017, section 2.3, by CycleGAN's code.
    """
    kept, count = pool
    size, shown = kept.shape[0], []
    for place in range(made.shape[0]):
        slot_key, chance_key = jax.random.split(jax.random.fold_in(key, place))
        has_room = count < size
        slot = jnp.where(has_room, count, jax.random.randint(slot_key, (), 0, size))
        takes_place = has_room | jax.random.bernoulli(chance_key)
        new, old = made[place], kept[slot]
        shown.append(jnp.where(takes_place & ~has_room, old, new))
        kept = kept.at[slot].set(jnp.where(takes_place, new, old))
        count = jnp.minimum(count + 1, size)
    return Pool(kept, count), jnp.stack(shown)


def _teach(
    key: PRNGKey,
    adversary: Adversary,
    real: Judged,
    made: Judged,
    discriminate: Discriminate,
    tx: optax.GradientTransformation,
    config: AdversarialConfig,
) -> tuple[Adversary, Terms]:
    """The discriminator after its steps of a turn, and what is watched of it."""
    first = None
    params, model_state, opt_state, pool, mean_accuracy, wins = adversary
    for turn in range(config.discriminator_steps):
        shown = made
        if pool is not None:
            pool, shown = draw_from_pool(jax.random.fold_in(key, turn), pool, made)

        def mistaken(params, model_state=model_state, shown=shown):
            on_real, model_state = discriminate(params, model_state, real)
            on_made, model_state = discriminate(params, model_state, shown)
            total = discriminator_loss(config.loss, on_real, on_made)
            return total, (discriminator_accuracy(config.loss, on_real, on_made), model_state)

        (total, (accuracy, model_state)), grads = jax.value_and_grad(mistaken, has_aux=True)(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
        first = first or (total, accuracy)
    assert first is not None
    total, accuracy = first
    mean_accuracy = _MEMORY * mean_accuracy + (1 - _MEMORY) * accuracy
    wins = jnp.where(mean_accuracy > config.won_accuracy, wins + 1, 0)
    after = Adversary(params, model_state, opt_state, pool, mean_accuracy, wins)
    watched = {
        "discriminator_loss": total,
        "accuracy": accuracy,
        "mean_accuracy": mean_accuracy,
        "wins": wins.astype(jnp.float32),
    }
    return after, watched
