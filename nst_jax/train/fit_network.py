"""Training as the papers need it: a network that paints, with held-out losses and sheets."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from nst_jax.array_types import ImageOfAnySize, Params, PRNGKey, Scalar
from nst_jax.files.disk import FilePath
from nst_jax.runs.report import Report
from nst_jax.train.config import TrainingConfig
from nst_jax.train.datasets import Stream
from nst_jax.train.fitting import fit
from nst_jax.train.trainer import LossFn, State, Terms, averaged_params, make_trainer
from nst_jax.train.transformations import Trainable, make_transformation


class Trained(NamedTuple):
    """A network and the variables that it is applied with.

    Attributes:
        network: The linen module.
        variables: Its variables: the moving average of parameters where there is one.
        step: How many steps are done: fewer than wanted after Ctrl-C.
        held_out: Held-out losses by term, and their total; empty after Ctrl-C.
    """

    network: Any
    variables: Params
    step: int
    held_out: Mapping[str, float]


def fit_network(
    key: PRNGKey,
    network: Any,
    variables: Params,
    loss_fn: LossFn,
    stream: Stream,
    *args: Any,
    config: TrainingConfig,
    num_steps: int,
    paint: Callable[[Params], ImageOfAnySize],
    measure: Callable[[Params], tuple[Scalar, Terms]],
    workdir: FilePath,
    description: Mapping[str, Any],
    report_every: int,
    save_every: int,
    on_step: Callable[[Report], None] | None,
    trainable: Trainable | None = None,
    interrupted: Callable[[], bool] | None = None,
) -> Trained:
    """Train a network by `fit` with the optimiser that config names, and return it.

    Args:
        key: Decides what the loss draws.
        network: The linen module.
        variables: What it begins with.
        loss_fn: Its loss, as make_trainer wants it.
        stream: Training data.
        *args: The loss's further arguments.
        config: Its optimiser counts.
        num_steps: Length of the run.
        paint: The pictures of a sheet, given the network's variables.
        measure: The held-out losses, total and terms, given the network's variables.
        workdir: The run's folder.
        description: What a run has in common with the one that it goes on from.
        report_every: Steps between held-out losses, and between sheets.
        save_every: Steps between checkpoints.
        on_step: Called with every step's losses.
        trainable: Which parameters are trained; None trains all.
        interrupted: As for fit.

    Raises:
        ValueError, OSError, TrainingDivergedError: As fit.
    """
    tx = make_transformation(
        optimizer=config.optimizer,
        learning_rate=config.learning_rate,
        schedule=config.schedule,
        num_steps=num_steps,
        decay=config.decay,
        halve_every=config.halve_every,
        clip_norm=config.clip_norm,
        trainable=trainable,
    )
    trainer = make_trainer(loss_fn, tx, average_decay=config.average_decay)
    model_state = {name: found for name, found in variables.items() if name != "params"}
    measured: dict[int, dict[str, float]] = {}

    def evaluate(state: State) -> Mapping[str, float]:
        total, terms = jax.device_get(measure(_variables(state)))
        losses = {"total": float(total), **{name: float(term) for name, term in terms.items()}}
        measured.clear()
        measured[int(state.step)] = losses
        return losses

    state = fit(
        trainer,
        trainer.init(key, variables["params"], model_state),
        stream,
        *args,
        num_steps=num_steps,
        workdir=workdir,
        description=description,
        sample=lambda state: paint(_variables(state)).clip(0, 1),
        sample_every=report_every,
        evaluate=evaluate,
        evaluate_every=report_every,
        save_every=save_every,
        on_step=on_step,
        interrupted=interrupted,
    )
    step = int(state.step)
    # After Ctrl-C a measurement would be compiled while the user waits.
    held_out = {} if step < num_steps else measured.get(step) or evaluate(state)
    return Trained(network, _variables(state), step, held_out)


def _variables(state: State) -> Params:
    return {"params": averaged_params(state), **state.model_state}
