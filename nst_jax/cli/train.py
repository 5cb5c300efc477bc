"""`nst-jax train`: teach a network to paint in one style, or in several."""

import dataclasses
import json
import math
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import jax
import tyro

from nst_jax import files, stylizers, train
from nst_jax.cli.environment import (
    check_device,
    describe_device,
    keep_compiled_programs,
    versions,
)
from nst_jax.cli.errors import INTERRUPTED
from nst_jax.cli.train_options import HELP, Huang2017, Train, Training
from nst_jax.cli.train_pictures import Pictures, find_pictures, identify, open_stream
from nst_jax.cli.train_plan import MODEL, Plan, make_plan, shapes_of
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.files.disk import quoted, reworded
from nst_jax.networks.dumoulin import is_style_table
from nst_jax.papers.huang_2017 import WARM_START
from nst_jax.progress import describe_losses, follow_training
from nst_jax.runs.compile_time import compile_seconds
from nst_jax.train.checkpoints import saved_steps

_RECORD = "record.json"


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments after `nst-jax train` say and return the exit status."""
    options = tyro.cli(
        Train,
        prog="nst-jax train",
        description=HELP,
        args=arguments or ["--help"],
        config=(tyro.conf.DisallowNone, tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes),
    ).command
    check_device()
    plan = make_plan(options)
    pictures = find_pictures(options, plan)
    workdir = _make_workdir(options.data.workdir)
    data = identify(plan, pictures)
    done = _steps_done(workdir, plan)
    if not options.report.quiet and done < plan.num_steps:
        _tell_plan(options, plan, pictures, done)
    began = time.perf_counter()
    with compile_seconds() as compiling:
        trained = _train(options, plan, pictures, data)
        seconds = {"compile": compiling(), "run": time.perf_counter() - began - compiling()}
    if trained.step < plan.num_steps:
        told = f"stopped after step {trained.step} of {plan.num_steps}; the same command goes on"
        print(told, file=sys.stderr)
        return INTERRUPTED
    card = _make_card(options, plan, trained, data, shlex.join(("nst-jax", "train", *arguments)))
    if done == plan.num_steps and _is_written(workdir, card):
        line = f"{workdir} is finished: nothing to train"
    else:
        _write(workdir, plan, trained, card, seconds)
        line = _describe_result(workdir, trained, card)
    if not options.report.quiet:
        print(f"{line}\nnext: {_next_command(workdir, plan)}")
    return 0


def _make_workdir(workdir: Path) -> Path:
    """Make the folder, and raise now what writing there would raise in hours."""
    try:
        workdir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        way_out = "name a folder that exists or can be made"
        raise reworded(error, f"cannot use workdir {quoted(workdir)}", way_out) from error
    for name in (MODEL, _RECORD):
        files.check_output(workdir / name, overwrite=True, extensions=(Path(name).suffix,))
    return workdir


def _tell_plan(options: Training, plan: Plan, pictures: Pictures, done: int) -> None:
    leaves = jax.tree_util.tree_leaves_with_path(shapes_of(plan))
    sizes = [(math.prod(leaf.shape), is_style_table(path)) for path, leaf in leaves]
    parameters = f"{sum(size for size, _ in sizes):,} parameters"
    if plan.num_new < len(plan.styles):
        own = sum(size for size, is_table in sizes if is_table) // len(plan.styles)
        parameters = f"{own:,} of {parameters}"
    measured = _origin(options.data.held_out_dir)
    if isinstance(options, Huang2017):
        style_origin = _origin(options.held_out_style_dir)
        paintings = "paintings" if style_origin == measured else f"{style_origin} paintings"
        what = (
            f"{len(pictures.content):,} photographs and {len(pictures.paintings):,} paintings to "
            f"paint like any painting; losses of {pictures.num_held_out} pairs of {measured} "
            f"photographs and {paintings} are logged"
        )
    else:
        what = (
            f"{len(pictures.content):,} pictures to paint like {', '.join(plan.paintings)}; "
            f"losses of {pictures.num_held_out} {measured} pictures are logged"
        )
    print(describe_device())
    print(f"training {parameters} on {what}")
    if done:
        print(f"going on after step {done} of {plan.num_steps}")
    sys.stdout.flush()


def _origin(held_out: Sequence[Path]) -> str:
    return "held-out" if held_out else "training"


def _steps_done(workdir: Path, plan: Plan) -> int:
    """How many steps are saved, a warm start's counted too."""
    last, first = (
        max(saved_steps(folder / "checkpoints"), default=0) for folder in _stages(workdir)
    )
    return plan.warm_start_steps + last if last else min(first, plan.warm_start_steps)


def _stages(workdir: Path) -> tuple[Path, Path]:
    """The folder of the run, and of its warm start, where there is one."""
    return workdir, workdir / WARM_START


def _train(
    options: Training, plan: Plan, pictures: Pictures, data: Mapping[str, Any]
) -> train.Trained:
    """Run a paper's fit with its progress shown."""
    keep_compiled_programs()
    config, workdir = plan.config, options.data.workdir
    encoder, encoder_params = load_encoder(config.encoder, weights=config.weights)
    stream, done = open_stream(plan, pictures), _steps_done(workdir, plan)
    progress = follow_training(
        plan.num_steps,
        size=config.size,
        warm_start_steps=plan.warm_start_steps,
        first_step=done,
        quiet=options.report.quiet or done >= plan.num_steps,
    )
    try:
        with closing(stream), progress as on_step:
            return plan.fit(
                stream,
                config,
                encoder,
                encoder_params,
                workdir=str(workdir),
                held_out=pictures.held_out,
                samples=pictures.samples,
                data=data,
                on_step=on_step,
                save_every=options.report.save_every,
                report_every=options.report.report_every,
            )
    except KeyboardInterrupt as error:  # before the first step, or the second one
        done = _steps_done(workdir, plan)
        kept = f"the same command goes on after step {done}" if done else "nothing was saved"
        raise KeyboardInterrupt(f"stopped at once; {kept}") from error


def _describe_result(workdir: Path, trained: train.Trained, card: Mapping[str, Any]) -> str:
    terms = dict(trained.held_out)
    losses = describe_losses(terms.pop("total"), terms)
    took = "" if card["seconds"] is None else f" in {card['seconds']:.0f} s"
    return f"{workdir / MODEL}: {trained.step} steps{took}; on held-out pictures {losses}"


def _make_card(
    options: Training, plan: Plan, trained: train.Trained, data: Mapping[str, Any], command: str
) -> dict[str, Any]:
    """What should be known of the network wherever its file goes."""
    return {
        "paper": plan.paper,
        "command": command,
        "preset": options.run.preset,
        "config": dataclasses.asdict(plan.config),
        "data": data,
        "steps": trained.step,
        "seed": plan.config.seed,
        "seconds": _training_seconds(options.data.workdir, plan),
        "held_out_losses": {
            name: loss if math.isfinite(loss) else None for name, loss in trained.held_out.items()
        },
        "device": jax.devices()[0].device_kind,
        "versions": versions(),
        **({"base": plan.base["card"]} if plan.base else {}),
    }


def _training_seconds(workdir: Path, plan: Plan) -> float | None:
    """How long the training took, interruptions left out, if its logs are as they were written."""
    folders = _stages(workdir) if plan.warm_start_steps else (workdir,)
    try:
        return sum(map(_logged_seconds, folders))
    except (OSError, ValueError, IndexError):
        return None


def _logged_seconds(folder: Path) -> float:
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [entry["seconds"] for entry in map(json.loads, lines) if "seconds" in entry][-1]


def _is_written(workdir: Path, card: Mapping[str, Any]) -> bool:
    """Whether a finished run's results lie there: its process may have been killed before."""
    try:
        found = stylizers.load_model(workdir / MODEL).card
    except (OSError, ValueError):
        return False
    same = all(found.get(name) == json.loads(json.dumps(card[name])) for name in ("config", "data"))
    return same and (workdir / _RECORD).exists()


def _write(
    workdir: Path,
    plan: Plan,
    trained: train.Trained,
    card: Mapping[str, Any],
    seconds: Mapping[str, float],
) -> None:
    stylizers.save_model(
        workdir / MODEL,
        trained.network,
        trained.variables,
        styles=plan.styles,
        card=card,
        encoder=plan.outside,
    )
    fields = ("command", "config", "versions", "device")
    record = {
        **{name: card[name] for name in fields},
        "seconds": seconds,  # of this process; info has those of the whole training
        "steps": [],  # they are in metrics.jsonl
        "info": {
            **{name: entry for name, entry in card.items() if name not in fields},
            "styles": plan.styles,
            "weights": plan.weights,
        },
    }
    files.write_record(workdir / _RECORD, record)


def _next_command(workdir: Path, plan: Plan) -> str:
    styles = {"dumoulin2017": next(iter(plan.paintings), ""), "huang2017": "painting.jpg"}
    style = ("--style", styles[plan.paper]) if plan.paper in styles else ()
    model = ("--model", str(workdir / MODEL))
    words = ("nst-jax", "stylize", "photo.jpg", *style, *model, "-o", "out.png")
    return shlex.join(words)
