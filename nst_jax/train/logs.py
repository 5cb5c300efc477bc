"""What a run writes for people: metrics.jsonl, TensorBoard's event files and sample sheets."""

import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from nst_jax.array_types import Image, ImageOfAnySize
from nst_jax.files import replacing, save_image
from nst_jax.files.disk import FilePath, quoted, reworded, unwritable
from nst_jax.files.records import to_json

_GAP = 2  # white pixels between the pictures of a sheet


class Logs:
    """The open logs of a run in its folder; a context, at whose end they are closed.

    Every step is logged once: what a killed run logged after the checkpoint from which it goes on
    is cut off, and hidden in TensorBoard.
    """

    def __init__(self, workdir: FilePath, *, after: int):
        """Open them to go on after that step."""
        self._folder = Path(workdir)
        metrics = self._folder / "metrics.jsonl"
        _cut(metrics, after)
        with self._writing():
            (self._folder / "samples").mkdir(exist_ok=True)
            self._board = _Board(self._folder / "tensorboard", after=after)
            # Unbuffered: what the disk refuses is not tried again when the file is closed.
            self._metrics = metrics.open("ab", buffering=0)

    def __enter__(self) -> "Logs":
        return self

    def __exit__(self, *exception: object) -> None:
        with self._writing():
            self._metrics.close()
            self._board.close()

    def write_training(
        self,
        step: int,
        *,
        total: float,
        terms: Mapping[str, float],
        grad_norm: float,
        watched: Mapping[str, float],
        seconds: float,
    ) -> None:
        """Log the losses of a training step, and what else is watched."""
        losses = {"total": total, **terms, "grad_norm": grad_norm, **watched}
        self._write_line({"step": step, **losses, "seconds": round(seconds, 3)})
        self._write_scalars("train", losses, step)

    def write_held_out(self, step: int, losses: Mapping[str, float]) -> None:
        """Log losses on data that is not trained on."""
        losses = {name: float(value) for name, value in losses.items()}
        self._write_line({"step": step, "held_out": losses})
        self._write_scalars("held_out", losses, step)

    def write_sample(self, step: int, images: Image) -> None:
        """Save the pictures as one sheet, samples/step_000500.jpg."""
        sheet = contact_sheet(images)
        save_image(self._folder / "samples" / f"step_{step:06d}.jpg", sheet)
        with self._writing():
            self._board.write_picture(step, "samples", np.clip(np.asarray(sheet[0]), 0, 1))

    def flush(self) -> None:
        """Hand all that is logged to the operating system."""
        with self._writing():
            self._board.flush()

    def _write_line(self, entry: Mapping[str, Any]) -> None:
        finite = json.loads(to_json(entry), parse_constant=lambda _: None)
        with self._writing():
            self._metrics.write(f"{json.dumps(finite, allow_nan=False)}\n".encode())

    def _write_scalars(self, group: str, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            if math.isfinite(value):  # the library prints a warning for others
                with self._writing():
                    self._board.write_scalar(step, f"{group}/{name}", value)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Word what the disk refuses."""
        try:
            yield
        except OSError as error:
            raise unwritable(error, self._folder) from error


class _Board:
    """An event file of TensorBoard's, which hides what an earlier one holds from `after` on.

    Written at once by the library's record writer: its SummaryWriter passes events through a queue
    and threads, which lose them when the process is killed and outlive close().
    """

    def __init__(self, folder: Path, *, after: int):
        import tensorboardX.summary  # here: it takes long to load
        from tensorboardX.proto import event_pb2

        folder.mkdir(exist_ok=True)
        self._summary: Any = tensorboardX.summary
        self._protocol: Any = event_pb2
        # TensorBoard reads the files in the order of their names.
        path = folder.resolve() / f"events.out.tfevents.{time.time_ns()}"
        self._file = tensorboardX.RecordWriter(str(path))
        start = self._protocol.SessionLog(status=self._protocol.SessionLog.START)
        self._write(file_version="brain.Event:2")
        self._write(step=after + 1, session_log=start)

    def write_scalar(self, step: int, tag: str, value: float) -> None:
        self._write(step=step, summary=self._summary.scalar(tag, value))

    def write_picture(self, step: int, tag: str, picture: np.ndarray) -> None:
        self._write(step=step, summary=self._summary.image(tag, picture, dataformats="HWC"))

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def _write(self, **event: Any) -> None:
        record = self._protocol.Event(wall_time=time.time(), **event)
        self._file.write(record.SerializeToString())


def contact_sheet(images: Image) -> ImageOfAnySize:
    """Return the pictures side by side as one, in rows of ⌈√n⌉ with white between them."""
    pictures = np.asarray(images, np.float32)
    count, height, width, channels = pictures.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    cells = np.ones((rows * columns, height + _GAP, width + _GAP, channels), np.float32)
    cells[:count, :height, :width] = pictures
    grid = cells.reshape(rows, columns, height + _GAP, width + _GAP, channels)
    sheet = grid.transpose(0, 2, 1, 3, 4).reshape(1, rows * (height + _GAP), -1, channels)
    return jnp.asarray(sheet[:, :-_GAP, :-_GAP])


def _cut(path: Path, after: int) -> None:
    """Keep the lines up to that step; a line that a killed run left unfinished goes too."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return
    except OSError as error:
        way_out = "delete it or choose another workdir"
        raise reworded(error, f"cannot read {quoted(path)}", way_out) from error
    kept = [line for line in lines if _step_of(line) <= after]
    with replacing(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8", newline="\n")


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf
