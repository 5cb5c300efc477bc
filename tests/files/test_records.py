import dataclasses
import json
import math
import types
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.files import read_record, write_record


@dataclasses.dataclass(frozen=True)
class Inner:
    layers: tuple[tuple[str, float], ...] = (("relu1_1", 0.5), ("relu4_2", 2.0))


@dataclasses.dataclass(frozen=True)
class Config:
    name: str = "gatys"
    steps: int = 3
    inner: Inner = Inner()
    init: Path | None = None


def strict(text: str):
    """json.loads that knows no NaN, as other languages' readers do not."""

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_a_record_is_plain_json_afterwards(tmp_path):
    path = tmp_path / "record.json"
    record = {
        "command": "nst-jax optimize",
        "config": Config(init=Path("a/b.png")),
        "seconds": types.MappingProxyType({"compile": np.float32(1.5), "run": jnp.float32(2.5)}),
        "steps": [{"step": np.int64(1), "total": np.float64(0.25), "fine": np.bool_(True)}],
        "info": {"history": np.arange(4).reshape(2, 2), "gains": jnp.ones(2), "none": None},
    }
    write_record(path, record)
    expected = {
        "command": "nst-jax optimize",
        "config": {
            "name": "gatys",
            "steps": 3,
            "inner": {"layers": [["relu1_1", 0.5], ["relu4_2", 2.0]]},
            "init": "a/b.png",
        },
        "seconds": {"compile": 1.5, "run": 2.5},
        "steps": [{"step": 1, "total": 0.25, "fine": True}],
        "info": {"history": [[0, 1], [2, 3]], "gains": [1.0, 1.0], "none": None},
    }
    assert strict(path.read_text()) == expected
    assert read_record(path) == expected
    assert path.read_text().startswith('{\n  "command": ')
    assert list(tmp_path.iterdir()) == [path]


def test_a_dataclass_is_a_record(tmp_path):
    write_record(tmp_path / "a.json", Config())
    assert read_record(tmp_path / "a.json")["inner"] == {
        "layers": [["relu1_1", 0.5], ["relu4_2", 2.0]]
    }


def test_numbers_that_json_lacks_become_null_wherever_they_are(tmp_path):
    record = {
        "python": [math.nan, math.inf, -math.inf, 1.0],
        "numpy": np.float32(np.nan),
        "array": np.array([[np.inf, 2.0]]),
        "device": jnp.asarray([jnp.nan, 3.0]),
        "text": "NaN and Infinity",
    }
    write_record(tmp_path / "a.json", record)
    assert strict((tmp_path / "a.json").read_text()) == {
        "python": [None, None, None, 1.0],
        "numpy": None,
        "array": [[None, 2.0]],
        "device": [None, 3.0],
        "text": "NaN and Infinity",
    }


@pytest.mark.parametrize("name", ["Ölgemälde 星月夜.png", "caf\udce9.png", 'a "quoted"\n\\name'])
def test_any_file_name_can_be_recorded(tmp_path, name):
    write_record(tmp_path / "a.json", {"content": name})
    assert read_record(tmp_path / "a.json") == {"content": name}


@pytest.mark.parametrize("bad", [{"f": print}, {("a", 1): 2}, {"deep": [{"x": {1, 2}}]}])
def test_what_is_no_data_is_refused_and_the_old_record_stays(tmp_path, bad):
    write_record(tmp_path / "a.json", {"old": 1})
    with pytest.raises(ValueError, match=r"cannot write .* as JSON|cannot write as JSON") as error:
        write_record(tmp_path / "a.json", bad)
    assert "\n" not in str(error.value)
    assert read_record(tmp_path / "a.json") == {"old": 1}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "Expecting value"),
        (b'{"a": 1', "Expecting"),
        (b'{"a": NaN}', "NaN is not allowed"),
        (b"[1, 2]", "an object was expected, got list"),
        (b'{"a": "\xe9"}', "decode"),
        (b"[" * 100_000, "recursion"),
    ],
)
def test_reading_what_is_no_record_says_why(tmp_path, content, words):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=words) as error:
        read_record(tmp_path / "a.json")
    assert "a.json" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_record_and_a_missing_folder_say_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"cannot read .*a\.json.*No such file"):
        read_record(tmp_path / "a.json")
    with pytest.raises(FileNotFoundError, match=r"cannot write .*a\.json.*its folder must exist"):
        write_record(tmp_path / "missing" / "a.json", {})
