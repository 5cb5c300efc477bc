"""What a training writes and reports on the way: where to, how often, and what may stop it."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from nst_jax.files.disk import FilePath
from nst_jax.runs.report import Report
from nst_jax.train.time_limit import TimeLimit


class Reporting(NamedTuple):
    """Where a run leaves what it finds, how often it does, and what may end it early.

    Attributes:
        workdir: The run's folder, made if missing. See train.fit for what it receives.
        data: What identifies the data, as what JSON can hold. A run is not resumed on other data.
        on_step: Called once for every step, in order, up to two steps late.
        save_every: Steps between checkpoints; 0 saves the last step alone.
        report_every: Steps between held-out losses and between sheets; 0 makes both at the end
            alone.
        log_every: Steps between lines of metrics.jsonl; the last step has one in any case.
        keep: How many of the newest checkpoints stay.
        interrupted: Asked before every step whether to stop, from any source. None stops at Ctrl-C
            and SIGTERM, from the beginning of the training on; a function takes the place of both.
        best_by: A held-out loss by its name: the checkpoint with the least one is kept besides, in
            the workdir's best/. None keeps the newest ones alone.
        time_limit: How long the run may take, in place of a number of steps. Once steps are
            measured their number is planned, with which schedules end; a run that goes on from a
            checkpoint keeps the plan.
    """

    workdir: FilePath
    data: Mapping[str, Any] = {}
    on_step: Callable[[Report], None] | None = None
    save_every: int = 250
    report_every: int = 250
    log_every: int = 10
    keep: int = 2
    interrupted: Callable[[], bool] | None = None
    time_limit: TimeLimit | None = None
    best_by: str | None = None

    def count_from(self, done: int) -> "Reporting":
        """Return the same, told of steps whose numbers go on from those of a stage before.

        Args:
            done: How many steps that stage had.
        """
        on_step, limit = self.on_step, self.time_limit
        counted = self
        if on_step is not None:
            counted = counted._replace(
                on_step=lambda report: on_step(report._replace(step=done + report.step))
            )
        if limit is not None and limit.on_plan is not None:
            on_plan = limit.on_plan
            limit = limit._replace(on_plan=lambda last: on_plan(done + last))
        return counted._replace(time_limit=limit)

    def length(self, num_steps: int) -> int | None:
        """Return the length of a run, as make_network_trainer wants it: None to plan it in time."""
        return num_steps if self.time_limit is None else None

    def check(self) -> None:
        """Refuse counts that no run can have.

        Raises:
            ValueError: One line that names the field.
        """
        for name, least in (("save_every", 0), ("report_every", 0), ("log_every", 1), ("keep", 1)):
            count = getattr(self, name)
            if count < least:
                raise ValueError(f"{name}: wanted {least} or more, got {count}")
