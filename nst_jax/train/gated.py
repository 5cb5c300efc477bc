"""Training against a discriminator, where at each step one of the two learns: who is behind.

The discriminator learns while it is right too seldom, the generator while it is right often enough.
Neither runs away from the other.

Reference: Sanakoyeu et al. 2018, by their code (adaptive-style-transfer, model.py).
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax

from nst_jax.array_types import Params
from nst_jax.losses.adversarial import (
    discriminator_loss,
    generator_loss,
    made_loss,
    taken_for_real,
)
from nst_jax.runs.config_checks import check
from nst_jax.train.adversarial import Adversary, Discriminate, Generate, Generated, JudgeConfig
from nst_jax.train.trainer import (
    Metrics,
    State,
    Trainer,
    compile_trainer,
    draw_step,
    gradient_norm,
    move_average,
)


@dataclass(frozen=True, kw_only=True)
class GatedConfig(JudgeConfig):
    """How a discriminator learns that a gate decides about.

    Attributes:
        success_rate: The mean accuracy from which on the generator learns; a run begins with it.
        memory: Of the mean, a step.
    """

    success_rate: float = 0.8  # main.py: discr_success_rate
    memory: float = 0.95  # model.py: alpha 0.05

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            ValueError: One line that names the field.
        """
        super().__post_init__()
        share = self.success_rate
        inside = 0.5 <= share < self.won_accuracy
        wanted = f"a share from 0.5 to below won_accuracy, {self.won_accuracy:g}"
        check(inside, "success_rate", wanted, share)
        check(0 <= self.memory < 1, "memory", "a share from 0 to below 1", self.memory)


def make_gated_trainer(
    generate: Generate,
    discriminate: Discriminate,
    variables: Params,
    tx: optax.GradientTransformation,
    config: GatedConfig,
    *,
    average_decay: float | None = None,
) -> Trainer:
    """Return a trainer of a generator and a discriminator, of which each step moves one.

    With s the mean accuracy before the step, real pictures r, made ones m and others o:

        s ≥ success_rate:  G lowers its own total + weight · generator_loss(D(m)),
                           and a = 1 − (the share of m that D takes for real);
        otherwise:         D lowers discriminator_loss(D(r), D(m)) + made_loss(D(o)),
                           and a is the mean of the shares of r, m and o that D is right about;
        s ← memory · s + (1 − memory) · a.

    Metrics are those before the update; the gradient's norm is 0 where D learns. Watched are a as
    "accuracy", s after the step as "mean_accuracy", "wins", and "generator_learns", 1 or 0.

    Args:
        generate: Makes something of a batch, with the generator's own loss; others may be None.
        discriminate: Judges what is made, what is real and others.
        variables: The discriminator's first ones, {"params": ..., ...}.
        tx: The generator's optimiser, whose schedule counts the generator's own steps.
        config: The discriminator's part.
        average_decay: Of the generator's moving average; see make_trainer.

    Raises:
        ValueError: average_decay is not between 0 and 1.
    """
    own_tx = optax.adam(config.learning_rate, b1=config.momentum)

    def judge(adversary, judged):
        return discriminate(adversary.params, adversary.model_state, judged)[0]

    def advance(state: State, batch: Any, args: tuple[Any, ...]) -> tuple[State, Metrics]:
        key, batch = draw_step(state, batch)

        def make(params) -> Generated:
            return generate(key, params, state.model_state, batch, *args)

        def learn_to_make(state):
            def mistaken(params):
                found = make(params)
                logits = judge(state.adversary, found.made)
                adversarial = config.weight * generator_loss(config.loss, logits)
                return found.total + adversarial, (found, adversarial, logits)

            evaluate = jax.value_and_grad(mistaken, has_aux=True)
            (_, (found, adversarial, logits)), grads = evaluate(state.params)
            updates, opt_state = tx.update(grads, state.opt_state, state.params)
            params = optax.apply_updates(state.params, updates)
            after = state._replace(
                params=params,
                model_state=found.model_state,
                opt_state=opt_state,
                average=move_average(state.average, params, state.step, average_decay),
            )
            accuracy = 1 - taken_for_real(config.loss, logits)
            norm = gradient_norm(grads, opt_state)
            return after, _describe(found, adversarial), norm, accuracy

        def learn_to_judge(state):
            found = make(state.params)
            adversary = state.adversary

            def mistaken(params):
                shown = found.real, found.made, found.others
                judged, model_state = [], adversary.model_state
                for each in shown:
                    if each is not None:
                        logits, model_state = discriminate(params, model_state, each)
                        judged.append(logits)
                real, made, *others = judged
                total = discriminator_loss(config.loss, real, made)
                total = total + sum(made_loss(config.loss, logits) for logits in others)
                shares = [1 - taken_for_real(config.loss, logits) for logits in (made, *others)]
                shares = [taken_for_real(config.loss, real), *shares]
                return total, (sum(shares) / len(shares), made, model_state)

            evaluate = jax.value_and_grad(mistaken, has_aux=True)
            (_, (accuracy, made, model_state)), grads = evaluate(adversary.params)
            updates, opt_state = own_tx.update(grads, adversary.opt_state, adversary.params)
            adversary = adversary._replace(
                params=optax.apply_updates(adversary.params, updates),
                model_state=model_state,
                opt_state=opt_state,
            )
            adversarial = config.weight * generator_loss(config.loss, made)
            after = state._replace(adversary=adversary)
            return after, _describe(found, adversarial), jnp.zeros((), jnp.float32), accuracy

        generator_learns = state.adversary.accuracy >= config.success_rate
        after, terms, norm, accuracy = lax.cond(
            generator_learns, learn_to_make, learn_to_judge, state
        )
        before = state.adversary
        mean = config.memory * before.accuracy + (1 - config.memory) * accuracy
        wins = jnp.where(mean > config.won_accuracy, before.wins + 1, 0)
        adversary = after.adversary._replace(accuracy=mean, wins=wins)
        watched = {
            "accuracy": accuracy,
            "mean_accuracy": mean,
            "wins": wins.astype(jnp.float32),
            "generator_learns": generator_learns.astype(jnp.float32),
        }
        total = sum(terms.values(), jnp.zeros((), jnp.float32))
        after = after._replace(step=state.step + 1, adversary=adversary)
        return after, Metrics(total, terms, norm, watched)

    model_state = {name: found for name, found in variables.items() if name != "params"}
    params = variables["params"]
    success = jnp.full((), config.success_rate, jnp.float32)
    wins = jnp.zeros((), jnp.int32)
    adversary = Adversary(params, model_state, own_tx.init(params), None, success, wins)
    return compile_trainer(
        advance, tx, average_decay=average_decay, adversary=adversary, fault=config.find_win
    )


def _describe(found: Generated, adversarial) -> dict[str, Any]:
    """The parts of the total, those of the generator's own loss first."""
    return {**found.terms, "adversarial": adversarial}
