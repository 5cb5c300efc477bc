"""Training as the papers need it: a network that paints, with held-out losses and sheets."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import optax

from nst_jax.array_types import ImageOfAnySize, Params, PRNGKey, Scalar
from nst_jax.runs.record import describe_config
from nst_jax.train.checkpoints import load_best
from nst_jax.train.config import TrainingConfig
from nst_jax.train.datasets import Stream
from nst_jax.train.fitting import fit
from nst_jax.train.reporting import Reporting
from nst_jax.train.trainer import LossFn, State, Terms, Trainer, averaged_params, make_trainer
from nst_jax.train.transformations import Trainable, make_transformation, planned_steps


class Trained(NamedTuple):
    """A network and the variables that it is applied with.

    Attributes:
        network: The linen module.
        variables: Its variables: the moving average of parameters where there is one. Those with
            the least held-out loss where reporting.best_by names it and the run is finished.
        step: How many steps are done: fewer than wanted where the run was interrupted.
        held_out: Held-out losses by term, and their total; empty after an interruption.
        num_steps: How many steps there were to be: as wanted, or as planned in time.
    """

    network: Any
    variables: Params
    step: int
    held_out: Mapping[str, float]
    num_steps: int = 0


class Subject(NamedTuple):
    """The network that is trained, and how its progress is looked at.

    Attributes:
        network: The linen module.
        variables: What it begins with.
        paint: Returns the pictures of a sheet, given the network's variables.
        measure: Returns the held-out losses, total and terms, given the network's variables.
    """

    network: Any
    variables: Params
    paint: Callable[[Params], ImageOfAnySize]
    measure: Callable[[Params], tuple[Scalar, Terms]]


def make_network_trainer(
    loss_fn: LossFn,
    config: TrainingConfig,
    *,
    num_steps: int | None,
    trainable: Trainable | None = None,
) -> Trainer:
    """Return a trainer with the one optimiser that config describes.

    Args:
        loss_fn: The network's loss, as make_trainer wants it.
        config: Its optimiser counts.
        num_steps: Length of the run, where schedules end; None for one with a time limit.
        trainable: Which parameters are trained; None trains all.
    """
    tx = make_network_transformation(config, num_steps=num_steps, trainable=trainable)
    return make_trainer(loss_fn, tx, average_decay=config.average_decay)


def make_network_transformation(
    config: TrainingConfig,
    *,
    num_steps: int | None,
    trainable: Trainable | None = None,
    momentum: float = 0.9,
) -> optax.GradientTransformation:
    """Return the one optimiser that config describes.

    Args:
        config: Its optimiser counts.
        num_steps: As for make_network_trainer.
        trainable: The same.
        momentum: β₁ of Adam.
    """
    return make_transformation(
        optimizer=config.optimizer,
        learning_rate=config.learning_rate,
        schedule=config.schedule,
        num_steps=num_steps,
        decay=config.decay,
        halve_every=config.halve_every,
        clip_norm=config.clip_norm,
        trainable=trainable,
        momentum=momentum,
    )


def fit_network(
    key: PRNGKey,
    trainer: Trainer,
    subject: Subject,
    stream: Stream,
    *args: Any,
    config: Any,
    num_steps: int | None,
    reporting: Reporting,
) -> Trained:
    """Train a network by `fit` and return it.

    Args:
        key: Decides what the loss draws.
        trainer: Any whose state holds the network's parameters and its variables that are not
            trained, such as make_network_trainer's.
        subject: The network, and how it is looked at.
        stream: Training data.
        *args: The loss's further arguments.
        config: A dataclass of all settings: a run does not go on with others.
        num_steps: Length of the run; None for one with a time limit.
        reporting: Where and how often the run reports.

    Raises:
        ValueError, OSError, TrainingDivergedError: As fit.
    """
    params = subject.variables["params"]
    model_state = {name: found for name, found in subject.variables.items() if name != "params"}
    measured: dict[int, dict[str, float]] = {}

    def evaluate(state: State) -> Mapping[str, float]:
        total, terms = jax.device_get(subject.measure(_variables(state)))
        losses = {"total": float(total), **{name: float(term) for name, term in terms.items()}}
        measured.clear()
        measured[int(state.step)] = losses
        return losses

    description = {"config": describe_config(config), "data": reporting.data}
    state = fit(
        trainer,
        trainer.init(key, params, model_state),
        stream,
        *args,
        num_steps=num_steps,
        description=description,
        reporting=reporting,
        sample=lambda state: subject.paint(_variables(state)).clip(0, 1),
        evaluate=evaluate,
    )
    step = int(state.step)
    num_steps = planned_steps(state.opt_state) if num_steps is None else num_steps
    if reporting.best_by is not None and step == num_steps:
        best = load_best(reporting.workdir, like=state, description=description)
        state = state if best is None else best
    # After an interruption a measurement would be compiled while the user waits.
    held_out = {} if step < num_steps else measured.get(int(state.step)) or evaluate(state)
    return Trained(subject.network, _variables(state), step, held_out, num_steps)


def _variables(state: State) -> Params:
    return {"params": averaged_params(state), **state.model_state}
