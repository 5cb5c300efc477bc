"""Trainings of two steps that figures compare: shared by the tests of such figures."""

from pathlib import Path
from typing import Any

from nst_jax import files

SIZE = 16
TIERS = {
    "content/train/a_hill.jpg": "A free",
    "content/train/b_lake.jpg": "B research-only",
    "content/heldout/c_tree.jpg": "S share-alike",
    "content/heldout/d_bridge.jpg": "A free",  # one more than there are paintings
    "style/train/waves.jpg": "A free",
    "style/heldout/strokes.jpg": "A free",
}


def options_for(data: Path, tmp_path: Path, figure: str) -> tuple[Any, ...]:
    """The options by which a figure trains for two steps, of one seed."""
    few = ("--train-steps", 2, "--train-size", SIZE, "--batch-size", 2, "--seeds", 7, "--every", 1)
    folders = ("--workdir", tmp_path / "work", "--out", tmp_path / "out", "--data", data)
    return ("--figures", figure, *few, *folders)


def read_finished(tmp_path: Path, figure: str) -> dict[str, Any]:
    """The record of a figure whose trainings took two steps each, with its pictures there."""
    out = tmp_path / "out" / figure
    assert {"sheet.jpg", "content.png", "style.png"} <= {path.name for path in out.iterdir()}
    record = files.read_record(out / "record.json")
    for runs in record["trainings"].values():
        (run,) = runs
        assert [point["step"] for point in run["curve"]] == [1, 2]
        assert run["settings"]["config"]["seed"] == 7
    return record
