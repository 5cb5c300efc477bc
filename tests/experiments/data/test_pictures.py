"""The tables of the papers' inputs and of held-out pictures; what is told of a folder of them."""

import hashlib
import os
import re
from pathlib import Path

import pytest

from experiments.common import data_folder
from experiments.data import __main__ as check_data

ROOT = Path(__file__).parents[3]
DATA = os.environ.get("NST_JAX_DATA")


def test_every_input_that_a_script_names_is_listed():
    listed = {line["file"] for line in check_data.read_table(check_data.INPUTS)}
    scripts = [path.read_text(encoding="utf-8") for path in (ROOT / "experiments").rglob("*.py")]
    pattern = r'"((?:papers|content|style)/(?:content|style|train|heldout)/[^"]+\.jpg)"'
    named = {file for text in scripts for file in re.findall(pattern, text)}
    assert len(named) > 10
    assert named == listed


def read_both() -> list[dict[str, str]]:
    return [
        line
        for table in (check_data.INPUTS, check_data.HELD_OUT)
        for line in check_data.read_table(table)
    ]


def test_no_picture_is_listed_twice():
    listed = [line["file"] for line in read_both()]
    assert len(set(listed)) == len(listed)
    assert sum("/heldout/" in file for file in listed) > 200


def test_every_held_out_picture_that_a_record_names_is_listed():
    listed = {line["file"] for line in read_both()}
    records = [path.read_text(encoding="utf-8") for path in (ROOT / "results").rglob("record.json")]
    pattern = r"(?:content|style)/heldout/[\w.-]+\.jpg"
    named = {file for text in records for file in re.findall(pattern, text)}
    assert len(named) > 40
    assert named <= listed


def test_every_line_says_whose_a_picture_is_and_where_to_get_it():
    for line in read_both():
        assert re.fullmatch("[0-9a-f]{64}", line["sha256"]), line
        assert re.fullmatch("([0-9a-f]{64})?", line["source_sha256"]), line
        assert line["tier"] in ("A", "S", "B", "C")
        assert all(line[name] for name in ("source", "author_title", "licence", "width", "height"))


def test_files_are_told_apart_by_their_hashes(tmp_path):
    def line(file: str) -> dict[str, str]:
        hashes = {
            name: hashlib.sha256(name.encode()).hexdigest() for name in ("sha256", "source_sha256")
        }
        return {"file": file, **hashes}

    for name, content in {"used.jpg": "sha256", "source.jpg": "source_sha256", "o.jpg": ""}.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    names = ("used.jpg", "source.jpg", "o.jpg", "none.jpg")
    assert check_data.check(tmp_path, [line(name) for name in names]) == {
        "used.jpg": "as in results",
        "source.jpg": "as at its source",
        "o.jpg": "another file",
        "none.jpg": "missing",
    }


def test_what_is_missing_is_told_with_its_source(start, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        start(check_data, "--data", tmp_path)
    assert ended.value.code == 1
    told = capsys.readouterr().out
    assert "papers/content/tubingen.jpg: to be had from https://" in told
    number = len(check_data.read_table(check_data.HELD_OUT))
    assert f"{number} of {number} held-out pictures: missing" in told
    assert "held_out.csv says where they can be had" in told


def test_held_out_pictures_that_are_missing_are_named(start, tmp_path, capsys):
    there, lacking, *_ = check_data.read_table(check_data.HELD_OUT)
    (tmp_path / there["file"]).parent.mkdir(parents=True)
    (tmp_path / there["file"]).write_bytes(b"a picture")
    with pytest.raises(SystemExit):
        start(check_data, "--data", tmp_path)
    told = capsys.readouterr().out
    assert "1 of 207 held-out pictures: another file" in told
    assert f"{lacking['file']}: to be had from {lacking['source']}" in told
    assert f"{there['file']}: to be had" not in told


def test_the_tables_are_a_manifest(tmp_path):
    inputs, held_out = (
        table.read_text(encoding="utf-8").splitlines()
        for table in (check_data.INPUTS, check_data.HELD_OUT)
    )
    assert inputs[0] == held_out[0]
    manifest = "\n".join([*inputs, *held_out[1:]])
    (tmp_path / "manifest.csv").write_text(manifest, encoding="utf-8")
    for part in ("papers/style", "content/heldout", "style/heldout"):
        found = [picture.file for picture in data_folder.pictures_in(tmp_path, part)]
        wanted = [line["file"] for line in read_both() if line["file"].startswith(part)]
        assert found == sorted(wanted)


@pytest.mark.skipif(DATA is None, reason="wants NST_JAX_DATA")
def test_the_data_is_what_results_were_made_from():
    found = check_data.check(Path(str(DATA)), read_both())
    assert set(found.values()) <= {"as in results", "as at its source"}
