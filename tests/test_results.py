"""The gallery can be trusted: records tell how they were made, and README.md shows them all."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

RESULTS = Path(__file__).parents[1] / "results"
RECORDS = sorted(RESULTS.rglob("record.json"))
MOST_BYTES = 30e6
# Records that are older than the packages of experiments/ name its scripts.
COMMAND = re.compile(r"python (-m experiments(\.\w+)+|experiments/\w+\.py)( |$)")
PICTURES = {".jpg", ".png"}


def values_of(key: str, part: Any) -> Iterator[Any]:
    """What a key is given anywhere in a record."""
    if isinstance(part, dict):
        if key in part:
            yield part[key]
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from values_of(key, each)


@pytest.mark.parametrize(
    "path", RECORDS, ids=[str(path.parent.relative_to(RESULTS)) for path in RECORDS]
)
def test_a_record_tells_the_command_commit_and_device(path):
    record = json.loads(path.read_text(encoding="utf-8"))
    commands, commits, devices = (
        set(values_of(key, record)) for key in ("command", "commit", "device")
    )
    assert commands
    assert all(COMMAND.match(command) for command in commands)
    assert commits
    assert all(re.fullmatch(r"[0-9a-f]{40}", commit) for commit in commits)
    assert devices
    assert all(devices)


def test_every_folder_of_pictures_has_a_record():
    folders = {path.parent for path in RESULTS.rglob("*") if path.suffix in PICTURES}
    assert folders
    assert folders == {path.parent for path in RECORDS if path.parent in folders}


def test_the_readme_links_to_what_is_there_and_leaves_no_folder_out():
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", (RESULTS / "README.md").read_text(encoding="utf-8"))
    targets = {(RESULTS / link).resolve() for link in links if "://" not in link}
    missing = [str(target) for target in targets if not target.exists()]
    assert not missing
    linked = {target.parent for target in targets}
    assert {path.parent for path in RECORDS} <= linked


def test_the_gallery_is_small():
    assert sum(path.stat().st_size for path in RESULTS.rglob("*") if path.is_file()) < MOST_BYTES
