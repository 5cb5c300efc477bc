"""Oracles: runs that never stopped, closed forms of a toy's loss, and files read back plainly.

The toy is a noisy linear map, so that the random key, the position in the data, the running mean
and the optimiser all show in the parameters.
"""

import contextlib
import json
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import PIL.Image
import pytest
from google.protobuf.message_factory import GetMessageClass
from tensorboardX.proto import event_pb2

from nst_jax import train
from nst_jax.runs.interrupts import cancelled_by
from nst_jax.train import TrainingDivergedError, datasets
from nst_jax.train.checkpoints import save_checkpoint

pytestmark = pytest.mark.usefixtures("lax_promotion")

ROOT = Path(__file__).parents[2]
DESCRIPTION = {"config": {"learning_rate": 0.05, "layers": ("a", "b")}, "data": "f00d"}
TARGET = jnp.asarray([0.2, -0.4], jnp.float32)
NUM_STEPS = 8
Event: Any = GetMessageClass(event_pb2.DESCRIPTOR.message_types_by_name["Event"])


def loss_fn(key, params, model_state, batch, target):
    mean = batch.mean((0, 1, 2))
    seen = 0.9 * model_state["mean"] + 0.1 * mean
    noise = 0.1 * jax.random.normal(key, (2,))
    match = jnp.square((mean - seen) @ params["kernel"] + noise - target).mean()
    size = 0.01 * jnp.square(params["kernel"]).mean()
    return match + size, ({"match": match, "size": size}, {"mean": seen})


class Pictures:
    """Batches that depend on the seed and the position alone."""

    def __init__(self, *, pause=0.0, fail_at=None):
        self.position, self.pause, self.fail_at = 0, pause, fail_at

    def __iter__(self):
        return self

    def __next__(self):
        if self.position == self.fail_at:
            raise ConnectionError("gone")
        time.sleep(self.pause)
        self.position += 1
        rng = np.random.default_rng([7, self.position])
        return rng.random((2, 4, 4, 3), np.float32)

    def get_state(self):
        return {"position": self.position}

    def set_state(self, state):
        self.position = state["position"]


def make(loss=loss_fn, *, learning_rate=0.05):
    tx = train.make_transformation(
        learning_rate=learning_rate, schedule="cosine", num_steps=NUM_STEPS
    )
    return train.make_trainer(loss, tx, average_decay=0.9)


@pytest.fixture(scope="module")
def trainer():
    return make()


def start(trainer):
    params = {"kernel": jnp.linspace(-1, 1, 6, dtype=jnp.float32).reshape(3, 2)}
    return trainer.init(jax.random.key(3), params, {"mean": jnp.zeros(3)})


def fit(trainer, workdir, stream=None, *, num_steps=NUM_STEPS, **options):
    views = {name: options.pop(name) for name in ("sample", "evaluate") if name in options}
    return train.fit(
        trainer,
        start(trainer),
        stream or Pictures(),
        TARGET,
        num_steps=num_steps,
        description=options.pop("description", DESCRIPTION),
        reporting=train.Reporting(workdir, **{"save_every": 3, "log_every": 2, **options}),
        **views,
    )


def numbers(state):
    """The leaves by path, the key as numbers."""
    state = state._replace(key=jax.random.key_data(state.key))
    return {
        jax.tree_util.keystr(path): np.asarray(leaf)
        for path, leaf in jax.tree_util.tree_flatten_with_path(state)[0]
    }


def assert_same(found, wanted):
    found, wanted = numbers(found), numbers(wanted)
    assert found.keys() == wanted.keys()
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)


def logged(workdir):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def events(workdir):
    """All that the event files hold, by TensorFlow's record format."""
    found = []
    for path in sorted((workdir / "tensorboard").iterdir()):
        content, at = path.read_bytes(), 0
        while at < len(content):
            (length,) = struct.unpack_from("<Q", content, at)
            found.append(Event.FromString(content[at + 12 : at + 12 + length]))
            at += 16 + length
    return found


def summaries(workdir):
    return [(event.step, value) for event in events(workdir) for value in event.summary.value]


# Going on -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unbroken(trainer, tmp_path_factory):
    """The state and the folder of a run that never stopped."""
    workdir = tmp_path_factory.mktemp("unbroken")
    with jax.numpy_dtype_promotion("standard"):
        return fit(trainer, workdir), workdir


def test_a_run_is_a_plain_loop_of_steps(trainer, unbroken):
    state, stream = start(trainer), Pictures()
    for _ in range(NUM_STEPS):
        state, _ = trainer.step(state, next(stream), TARGET)
    assert_same(unbroken[0], state)
    assert int(state.step) == NUM_STEPS


@pytest.mark.parametrize("position", [1, 3, 5, 7])
def test_a_run_that_broke_goes_on_as_if_it_had_not(trainer, unbroken, tmp_path, position):
    with pytest.raises(ConnectionError):
        fit(trainer, tmp_path, Pictures(fail_at=position))
    seen = []
    state = fit(trainer, tmp_path, on_step=lambda report: seen.append(report.step))
    assert seen[0] == position // 3 * 3 + 1  # from the last checkpoint, not from the beginning
    assert_same(state, unbroken[0])
    starts = [event.step for event in events(tmp_path) if event.HasField("session_log")]
    assert starts == [1, seen[0]]  # from which TensorBoard hides what the first one wrote
    without_time = [
        [{k: v for k, v in line.items() if k != "seconds"} for line in logged(folder)]
        for folder in (tmp_path, unbroken[1])
    ]
    assert without_time[0] == without_time[1]


def child(workdir):
    """What the process does that is to be killed, which it awaits after the fourth step."""

    def tell(report):
        print(report.step, flush=True)
        if report.step == 4:
            time.sleep(60)

    fit(make(), workdir, Pictures(pause=0.3), on_step=tell)


@pytest.mark.slow
def test_a_killed_process_goes_on_as_if_it_had_not_been(trainer, unbroken, tmp_path):
    code = f"import test_fitting as t; t.child({str(tmp_path)!r})"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(
            [str(ROOT), str(ROOT / "tests" / "train"), str(ROOT / "tests")]
        ),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout as output:
        for line in output:
            if int(line) == 4:  # a checkpoint of step 3 is there, and one of step 6 is not yet
                process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=30) == -signal.SIGKILL
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step_000003"]
    assert_same(fit(trainer, tmp_path), unbroken[0])
    assert [line["step"] for line in logged(tmp_path)] == [2, 4, 6, 8]


def test_a_finished_run_is_returned_as_it_is(trainer, unbroken):
    def never(report):
        raise AssertionError(f"{report} of a run that is done")

    files = sorted(unbroken[1].rglob("*"))
    state = fit(trainer, unbroken[1], on_step=never)
    assert_same(state, unbroken[0])
    assert sorted(unbroken[1].rglob("*")) == files
    assert [line["step"] for line in logged(unbroken[1])] == [2, 4, 6, 8]


def test_a_run_is_made_longer(trainer, unbroken, tmp_path):
    assert int(fit(trainer, tmp_path, num_steps=5).step) == 5
    assert_same(fit(trainer, tmp_path), unbroken[0])


def test_a_step_is_compiled_once_however_a_run_began(tmp_path):
    traces = []

    def counted(*args):
        traces.append(args)
        return loss_fn(*args)

    trainer = make(counted)
    fit(trainer, tmp_path, num_steps=3)
    fit(trainer, tmp_path)
    assert len(traces) == 1


def test_keys_of_the_old_kind_and_parameters_left_alone_go_on_too(tmp_path):
    tx = train.make_transformation(
        learning_rate=0.05, num_steps=4, trainable=lambda path: path == ("kernel",)
    )
    trainer = train.make_trainer(
        lambda key, params, *args: loss_fn(key, {"kernel": params["kernel"] + 0.0}, *args), tx
    )

    def run(folder, num_steps):
        params = {"kernel": jnp.ones((3, 2)), "left": jnp.ones(2)}
        state = trainer.init(jax.random.PRNGKey(3), params, {"mean": jnp.zeros(3)})
        return train.fit(
            trainer,
            state,
            Pictures(),
            TARGET,
            num_steps=num_steps,
            description={},
            reporting=train.Reporting(folder),
        )

    run(tmp_path / "broken", 2)
    found, wanted = run(tmp_path / "broken", 4), run(tmp_path / "whole", 4)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("description", "complaint"),
    [
        (
            {**DESCRIPTION, "config": {"learning_rate": 0.1, "layers": ["a", "b"]}},
            r"config\.learning_rate 0\.05, this one has 0\.1;",
        ),
        ({**DESCRIPTION, "data": "beef"}, 'data "f00d", this one has "beef";'),
        ({"config": DESCRIPTION["config"]}, 'data "f00d", this one has unset;'),
        ({**DESCRIPTION, "preset": None}, "preset unset, this one has null;"),
    ],
)
def test_another_runs_workdir_is_refused(trainer, unbroken, description, complaint):
    with pytest.raises(ValueError, match=complaint) as caught:
        fit(trainer, unbroken[1], description=description)
    assert str(caught.value).startswith(f"workdir: '{unbroken[1]}' holds a run with ")
    assert "\n" not in str(caught.value)


def test_a_weight_that_an_older_version_did_not_have_is_0(trainer, unbroken):
    config = {**DESCRIPTION["config"], "temporal_weight": 0.0}
    fit(trainer, unbroken[1], description={**DESCRIPTION, "config": config})
    config["temporal_weight"] = 2.0
    with pytest.raises(ValueError, match=r"config\.temporal_weight unset, this one has 2\.0;"):
        fit(trainer, unbroken[1], description={**DESCRIPTION, "config": config})


def test_another_networks_workdir_is_refused(trainer, unbroken):
    state = trainer.init(jax.random.key(3), {"kernel": jnp.ones((3, 4))}, {"mean": jnp.zeros(3)})
    options = {"num_steps": NUM_STEPS, "description": DESCRIPTION}
    options["reporting"] = train.Reporting(unbroken[1])
    with pytest.raises(ValueError, match=r'params.kernel \["float32", \[3, 2\]\], .* \[3, 4\]\]'):
        train.fit(trainer, state, Pictures(), TARGET, **options)


def test_a_stream_of_pictures_that_is_decoded_ahead_goes_on_too(trainer, tmp_path):
    rng = np.random.default_rng(2)
    paths = [tmp_path / f"{number}.npy" for number in range(5)]
    for path in paths:
        np.save(path, rng.random((20, 24, 3), np.float32))

    def run(folder, num_steps):
        stream = datasets.picture_stream(
            paths,
            load=np.load,
            transform=datasets.random_crop(8, shorter_side=16),
            batch_size=2,
            seed=1,
        )
        with contextlib.closing(stream):
            return fit(trainer, tmp_path / folder, stream, num_steps=num_steps)

    whole = run("whole", NUM_STEPS)
    for num_steps in (1, 4, NUM_STEPS):
        broken = run("broken", num_steps)
    assert_same(broken, whole)


# Checkpoints ----------------------------------------------------------------------------------


def checkpoint_names(workdir):
    return sorted(path.name for path in (workdir / "checkpoints").iterdir())


def test_so_many_of_the_newest_checkpoints_are_kept(trainer, unbroken, tmp_path):
    assert checkpoint_names(unbroken[1]) == ["step_000006", "step_000008"]
    fit(trainer, tmp_path, save_every=2, keep=3)
    assert checkpoint_names(tmp_path) == ["step_000004", "step_000006", "step_000008"]


def test_what_a_killed_process_left_half_written_is_removed(trainer, unbroken, tmp_path):
    fit(trainer, tmp_path, num_steps=6)
    half = tmp_path / "checkpoints" / ".nst_jax-00ff.tmp"
    (tmp_path / "checkpoints" / "step_000006").rename(half)
    (half / "run.json").unlink()
    assert_same(fit(trainer, tmp_path), unbroken[0])
    assert checkpoint_names(tmp_path) == ["step_000006", "step_000008"]


def test_any_damage_is_noticed_and_can_be_got_over(trainer, unbroken, tmp_path, capfd):
    fit(trainer, tmp_path, num_steps=6)
    newest = tmp_path / "checkpoints" / "step_000006"
    files = [path for path in newest.rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        whole = path.read_bytes()
        another = bytes([whole[-9] ^ 1])
        for damaged in (whole[: len(whole) // 2], whole[:-9] + another + whole[-8:], None):
            path.unlink() if damaged is None else path.write_bytes(damaged)
            with pytest.raises(ValueError, match="step_000006' is damaged") as caught:
                fit(trainer, tmp_path)
            assert "\n" not in str(caught.value)
            assert str(caught.value).endswith("; delete it to go on from step 3")
        path.write_bytes(whole)
    assert capfd.readouterr() == ("", "")
    newest.rename(tmp_path / "elsewhere")
    assert_same(fit(trainer, tmp_path), unbroken[0])


def test_the_only_checkpoint_is_damaged(trainer, tmp_path):
    fit(trainer, tmp_path, num_steps=3)
    (tmp_path / "checkpoints" / "step_000003" / "run.json").write_text("{}")
    with pytest.raises(ValueError, match=r"run\.json lacks entries.*; delete it to start afresh"):
        fit(trainer, tmp_path)


@pytest.mark.parametrize("below", ["", "run"])
def test_a_file_is_no_workdir(trainer, tmp_path, below):
    taken = tmp_path / "taken"
    taken.write_text("a letter")
    with pytest.raises(
        OSError, match=r"^cannot use workdir '.*taken.*: .*; name a folder"
    ) as caught:
        fit(trainer, taken / below)
    assert "\n" not in str(caught.value)
    assert taken.read_text() == "a letter"


@pytest.mark.parametrize("name", ["checkpoints", "samples", "tensorboard", "metrics.jsonl"])
def test_a_workdir_that_cannot_be_written_to(trainer, tmp_path, name):
    if name == "metrics.jsonl":
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_text("in the way")
    with pytest.raises(OSError, match=r"^cannot (write|read) '.*'") as caught:
        fit(trainer, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.fixture
def small_files():
    """Files of at most a number of bytes, which stands for a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_logs_on_a_disk_that_fills_up(trainer, tmp_path, small_files):
    small_files(400)
    with pytest.raises(OSError, match=f"^cannot write '{tmp_path}': File too large; its") as caught:
        fit(trainer, tmp_path, log_every=1)
    small_files(-1)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_on_a_disk_that_fills_up(tmp_path, small_files):
    params = {"kernel": jnp.asarray(np.random.default_rng(0).random(9000, np.float32))}
    state = train.make_trainer(loss_fn, optax.sgd(0.1)).init(jax.random.key(0), params, {})
    options = {"description": {}, "extra": {}, "keep": 1}
    small_files(20_000)
    with pytest.raises(OSError, match=r"^cannot write '.*step_000000': .*; its folder") as caught:
        save_checkpoint(tmp_path, state, **options)
    small_files(-1)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    save_checkpoint(tmp_path, state, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["step_000000"]


def test_a_full_disk_is_noticed_before_writing(trainer, tmp_path, monkeypatch):
    full = shutil.disk_usage(tmp_path)._replace(free=50)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(OSError, match=r"^cannot write '.*step_000003': No space left on device;"):
        fit(trainer, tmp_path)
    assert checkpoint_names(tmp_path) == []


# Logs -----------------------------------------------------------------------------------------


def test_losses_are_logged_and_reported_as_a_plain_loop_finds_them(trainer, unbroken, tmp_path):
    reports = []
    fit(trainer, tmp_path, num_steps=7, log_every=3, on_step=reports.append)
    lines = {line["step"]: line for line in logged(tmp_path)}
    assert list(lines) == [3, 6, 7]  # the last, though no multiple
    state, stream = start(trainer), Pictures()
    for step in range(1, 8):
        state, metrics = trainer.step(state, next(stream), TARGET)
        terms = {name: float(term) for name, term in metrics.terms.items()}
        assert reports[step - 1] == (step, float(metrics.total), terms)
        if step in lines:
            assert lines[step].pop("seconds") > 0
            grad_norm = float(metrics.grad_norm)
            wanted = {"step": step, "total": float(metrics.total), **terms, "grad_norm": grad_norm}
            assert lines[step] == wanted
    scalars = {(step, v.tag): v.simple_value for step, v in summaries(tmp_path)}
    assert sorted({tag for _, tag in scalars}) == [
        "train/grad_norm",
        "train/match",
        "train/size",
        "train/total",
    ]
    assert scalars[7, "train/match"] == pytest.approx(lines[7]["match"])


def test_the_clock_goes_on(trainer, tmp_path):
    with pytest.raises(ConnectionError):
        fit(trainer, tmp_path, Pictures(pause=0.1, fail_at=6), log_every=1)
    fit(trainer, tmp_path, log_every=1)
    seconds = [line["seconds"] for line in logged(tmp_path)]
    assert seconds == sorted(seconds)
    assert seconds[-1] > 0.6  # though the second half took no time


def test_a_line_that_was_being_written_goes(trainer, unbroken, tmp_path):
    fit(trainer, tmp_path, num_steps=6)
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        stream.write('{"step": 6, "to')
    fit(trainer, tmp_path)
    assert [line["step"] for line in logged(tmp_path)] == [2, 4, 6, 8]


def test_samples_and_held_out_losses_come_on_time_and_at_the_end(trainer, tmp_path, caplog):
    def sample(state):
        shades = jnp.asarray([1.0, 0.5, float(state.step) / 10], jnp.float32)
        return jnp.broadcast_to(shades.reshape(3, 1, 1, 1), (3, 16, 24, 3))

    def evaluate(state):
        return {"match": float(state.step) / 2, "worst": float("inf")}

    fit(trainer, tmp_path, sample=sample, evaluate=evaluate, report_every=5)

    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == [
        "step_000005.jpg",
        "step_000008.jpg",
    ]
    assert caplog.messages == []
    held_out = [(line["step"], line["held_out"]) for line in logged(tmp_path) if "held_out" in line]
    assert held_out == [(5, {"match": 2.5, "worst": None}), (8, {"match": 4.0, "worst": None})]
    board = [(step, value.tag) for step, value in summaries(tmp_path)]
    assert [step for step, tag in board if tag == "samples"] == [5, 8]
    assert [step for step, tag in board if tag == "held_out/match"] == [5, 8]
    with PIL.Image.open(tmp_path / "samples" / "step_000008.jpg") as picture:
        sheet = np.asarray(picture) / 255
    assert sheet.shape == (16 + 2 + 16, 24 + 2 + 24, 3)
    middles = [sheet[8, 12], sheet[8, 38], sheet[26, 12], sheet[26, 38]]
    np.testing.assert_allclose(np.mean(middles, 1), [1.0, 0.5, 0.8, 1.0], atol=0.02)


def test_nothing_is_printed_and_no_thread_stays(trainer, tmp_path, capfd):
    before = threading.enumerate()
    fit(trainer, tmp_path, num_steps=4)
    fit(trainer, tmp_path)
    assert threading.enumerate() == before
    assert capfd.readouterr() == ("", "")


# What stops a run -----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_ctrl_c_and_sigterm_end_with_a_checkpoint(trainer, unbroken, tmp_path, number):
    def press(report):
        if report.step == 2:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    state = fit(trainer, tmp_path, on_step=press, save_every=0)
    assert 2 <= int(state.step) <= 4  # reports come up to two steps late
    assert checkpoint_names(tmp_path) == [f"step_{int(state.step):06d}"]
    assert signal.getsignal(number) is before
    assert_same(fit(trainer, tmp_path), unbroken[0])
    assert [line["step"] for line in logged(tmp_path)] == [2, 4, 6, 8]


def test_who_asks_may_stop_a_run(trainer, tmp_path):
    asked = iter([False, False, False, True])
    state = fit(trainer, tmp_path, interrupted=lambda: next(asked))
    assert int(state.step) == 3
    assert checkpoint_names(tmp_path) == ["step_000003"]


def test_a_flag_of_another_thread_stops_a_run(trainer, unbroken, tmp_path):
    flag = threading.Event()

    def ask(report):
        if report.step == 2:
            thread = threading.Thread(target=flag.set)
            thread.start()
            thread.join()

    with cancelled_by(flag):
        state = fit(trainer, tmp_path, on_step=ask, save_every=0)
    assert 2 <= int(state.step) <= 4
    assert_same(fit(trainer, tmp_path), unbroken[0])


def test_a_rate_far_too_high_is_told_at_its_first_step(tmp_path):
    with pytest.raises(TrainingDivergedError, match=r"^A parameter became 1e\+12 at step 1\. "):
        fit(make(learning_rate=1e12), tmp_path)
    assert not (tmp_path / "checkpoints").exists()


def test_one_training_at_a_time_in_a_workdir(trainer, unbroken, tmp_path):
    complaints = []

    def begin_another(report):
        if report.step == 2:
            with pytest.raises(ValueError, match="is in use") as caught:
                fit(trainer, tmp_path)
            complaints.append(str(caught.value))

    state = fit(trainer, tmp_path, on_step=begin_another)
    assert complaints == [
        f"workdir: '{tmp_path}' is in use by another process; wait until it ends, or choose "
        "another folder"
    ]
    assert_same(state, unbroken[0])
    fit(trainer, tmp_path)  # the lock has gone with the run


def test_a_workdir_whose_name_is_not_utf_8_is_refused_at_once(trainer, tmp_path):
    workdir = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    with pytest.raises(ValueError, match=r"^workdir: wanted a path in UTF-8, got '.*caf") as caught:
        fit(trainer, workdir)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def spoilt(what, step):
    """The toy with something wrong at that step; the batches' positions tell it from others."""
    marker = Pictures()
    marker.position = step - 1
    mark = next(marker)[0, 0, 0, 0]

    def loss(key, params, model_state, batch, target):
        total, (terms, seen) = loss_fn(key, params, model_state, batch, target)
        now = batch[0, 0, 0, 0] == mark
        if what == "loss":
            total = jnp.where(now, jnp.nan, total)
        elif what == "gradient":  # that of a square root at 0; the loss is as it was
            total = total + jnp.sqrt(jnp.where(now, 0.0, 1.0) * params["kernel"][0, 0] ** 2)
        elif what == "blow-up":
            total = jnp.where(now, 1e5, 1.0) * total
        elif what == "state":
            seen = {"mean": jnp.where(now, jnp.inf, seen["mean"])}
        return total, (terms, seen)

    return make(loss)


@pytest.mark.parametrize(
    ("what", "step", "message"),
    [
        ("loss", 5, "The loss became nan at step 5"),
        ("gradient", 5, "The gradient's norm became nan at step 5"),
        ("blow-up", 4, r"The loss became \S+ \(first \S+\) at step 4"),
        ("state", 6, "model_state.mean became NaN or infinite at step 6"),
    ],
)
def test_a_diverging_run_stops_and_keeps_a_sound_checkpoint(tmp_path, what, step, message):
    trainer, reports = spoilt(what, step), []
    for _ in range(2):  # and does again from the checkpoint, whose first losses are the run's
        with pytest.raises(TrainingDivergedError, match=message) as caught:
            fit(trainer, tmp_path, on_step=reports.append, log_every=1)
        kept = tmp_path / "checkpoints" / "step_000003"
        assert str(caught.value).endswith(
            f"The checkpoint '{kept}' stays; try a lower learning rate or gradient clipping, in "
            "another workdir."
        )
        assert "\n" not in str(caught.value)
        assert (caught.value.step, caught.value.checkpoint) == (step, kept)
        assert checkpoint_names(tmp_path) == ["step_000003"]
    assert max(report.step for report in reports) == (step if what == "state" else step - 1)
    assert all(np.isfinite(line["total"]) for line in logged(tmp_path))


def test_divergence_before_any_checkpoint(tmp_path):
    with pytest.raises(TrainingDivergedError, match="There is no checkpoint yet; try") as caught:
        fit(spoilt("loss", 2), tmp_path)
    assert caught.value.checkpoint is None


def test_a_stream_that_ends_is_an_error(trainer, tmp_path):
    class Short(Pictures):
        def __next__(self):
            if self.position == 2:
                raise StopIteration
            return super().__next__()

    with pytest.raises(ValueError, match="stream: wanted batches without end, it ended after 2;"):
        fit(trainer, tmp_path, Short())


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"num_steps": -1}, "num_steps: wanted 0 or more, got -1"),
        ({"keep": 0}, "keep: wanted 1 or more, got 0"),
        ({"log_every": 0}, "log_every: wanted 1 or more, got 0"),
        ({"save_every": -5}, "save_every: wanted 0 or more, got -5"),
    ],
)
def test_useless_counts_are_refused(trainer, tmp_path, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        fit(trainer, tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()
