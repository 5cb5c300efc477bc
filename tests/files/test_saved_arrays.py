import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy

from nst_jax.files import (
    load_arrays,
    load_state,
    load_strings,
    remove_state,
    save_arrays,
    save_state,
)

TYPES = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
TYPES += ["float16", "float32", "float64"]


def made_arrays() -> dict[str, np.ndarray]:
    base = np.arange(24).reshape(2, 3, 4)
    arrays = {name: (base % 2 if name == "bool" else base).astype(name) for name in TYPES}
    return arrays | {
        "transposed": base.astype(np.float32).T,
        "strided": base.astype(np.int16)[:, ::2, 1:],
        "big endian": base.astype(">f4"),
        "scalar": np.array(2.5, np.float32),
        "empty": np.zeros((0, 3), np.float32),
        "not finite": np.array([np.nan, np.inf, -0.0]),
    }


def assert_same(got: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert got.keys() == wanted.keys()
    for name, array in wanted.items():
        assert got[name].dtype == array.dtype.newbyteorder("="), name
        np.testing.assert_array_equal(got[name], array, err_msg=name, strict=False)
        assert got[name].shape == array.shape, name


def test_every_kind_of_array_returns_through_us_and_through_the_library(tmp_path):
    path = tmp_path / "a.safetensors"
    save_arrays(path, made_arrays(), {"origin": "made", "naïve": 'a "quoted"\nline'})
    arrays, metadata = load_arrays(path)
    assert_same(arrays, made_arrays())
    assert metadata == {"origin": "made", "naïve": 'a "quoted"\nline'}
    assert_same(safetensors.numpy.load_file(path), made_arrays())
    arrays["float32"][0] = 0  # neither read-only nor tied to the file
    assert_same(load_arrays(path)[0], made_arrays())


def test_strings_are_read_without_the_arrays(tmp_path):
    path = tmp_path / "a.safetensors"
    save_arrays(path, {"a": np.arange(3000.0)}, {"styles": "waves"})
    assert load_strings(path) == {"styles": "waves"}
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"cannot read '.*a\.safetensors': damaged"):
        load_strings(path)


@pytest.mark.parametrize("length", range(8))
def test_arrays_are_aligned_whatever_the_header(tmp_path, length):
    save_arrays(tmp_path / "a", {"a": np.arange(3.0)}, {"text": "x" * length})
    content = (tmp_path / "a").read_bytes()
    assert content.endswith(np.arange(3.0).tobytes())
    assert len(content) % 8 == 0


def test_files_of_the_library_can_be_read(tmp_path):
    arrays = {"a": np.arange(3, dtype=np.float32), "b": np.ones((2, 2), np.int8)}
    safetensors.numpy.save_file(arrays, tmp_path / "a.safetensors")
    got, metadata = load_arrays(tmp_path / "a.safetensors")
    assert_same(got, arrays)
    assert metadata == {}


def test_equal_content_gives_equal_bytes_in_any_order(tmp_path):
    arrays, metadata = made_arrays(), {str(number): "x" for number in range(9)}
    save_arrays(tmp_path / "a", arrays, metadata)
    save_arrays(tmp_path / "b", dict(reversed(arrays.items())), dict(reversed(metadata.items())))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_cannot_be_stored_is_refused_and_the_old_file_stays(tmp_path):
    path = tmp_path / "a.safetensors"
    save_arrays(path, {"a": np.zeros(2)}, {})
    for arrays in [
        {"c": np.zeros(2, np.complex64)},
        {"o": np.array([None])},
        {"__metadata__": np.zeros(2)},
    ]:
        with pytest.raises(ValueError, match="cannot write array") as error:
            save_arrays(path, arrays, {})
        assert "\n" not in str(error.value)
    assert_same(load_arrays(path)[0], {"a": np.zeros(2)})
    assert list(tmp_path.iterdir()) == [path]


def test_max_bytes_bounds_the_file(tmp_path):
    path = tmp_path / "a.safetensors"
    save_arrays(path, {"a": np.zeros(100)}, {})
    length = path.stat().st_size
    assert_same(load_arrays(path, max_bytes=length)[0], {"a": np.zeros(100)})
    with pytest.raises(ValueError, match=f"it has {length} bytes, more than") as error:
        load_arrays(path, max_bytes=length - 1)
    assert "a.safetensors" in str(error.value)


def damages(whole: bytes) -> dict[str, bytes]:
    return {
        "empty": b"",
        "cut in the header": whole[:20],
        "cut in the data": whole[:-1],
        "too long": whole + b"\0",
        "text": b"This is a letter, not a state, and long enough to be one." * 9,
        "header of exabytes": b"\xff" * 100,
    }


def test_a_damaged_file_is_one_line_with_the_way_out(tmp_path):
    path, folder = tmp_path / "a.safetensors", tmp_path / "out.png.state"
    save_arrays(path, {"a": np.zeros(9)}, {})
    save_state(folder, {"a": np.zeros(9)}, {})
    for content in damages(path.read_bytes()).values():
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.safetensors.*delete it and make or") as error:
            load_arrays(path)
        assert "\n" not in str(error.value)
    for content in damages((folder / "state.safetensors").read_bytes()).values():
        (folder / "state.safetensors").write_bytes(content)
        with pytest.raises(ValueError, match=r"state\.safetensors.*delete the folder") as error:
            load_state(folder)
        assert "\n" not in str(error.value)
    save_arrays(folder / "state.safetensors", {"a": np.zeros(9)}, {"other": "program"})
    with pytest.raises(ValueError, match="not a state that nst_jax wrote; delete the folder"):
        load_state(folder)


def test_missing_files_say_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"cannot read .*No such file"):
        load_arrays(tmp_path / "a.safetensors")
    with pytest.raises(FileNotFoundError, match=r"cannot write .*its folder must exist"):
        save_arrays(tmp_path / "missing" / "a.safetensors", {}, {})
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot write .*file'") as error:
        save_state(tmp_path / "file", {}, {})
    assert "\n" not in str(error.value)


def test_a_state_returns_as_it_was_saved_last(tmp_path):
    folder = tmp_path / "deep" / "out.png.state"
    assert load_state(folder) is None
    save_state(folder, {"image": np.zeros(3)}, {"step": 1})
    save_state(
        folder,
        made_arrays(),
        {"step": np.int64(2), "best": float("inf"), "config": {"sizes": (256, 512), "init": None}},
    )
    state = load_state(folder)
    assert state is not None
    assert_same(state[0], made_arrays())
    assert state[1] == {
        "step": 2,
        "best": float("inf"),
        "config": {"sizes": [256, 512], "init": None},
    }
    assert os.listdir(folder) == ["state.safetensors"]


def test_remove_state_takes_its_own_files_and_no_others(tmp_path):
    folder = tmp_path / "out.png.state"
    remove_state(folder)
    save_state(folder, {"a": np.zeros(3)}, {})
    (folder / ".nst_jax-0123456789abcdef.tmp").touch()  # as a killed process leaves it
    remove_state(folder)
    assert not folder.exists()
    save_state(folder, {"a": np.zeros(3)}, {})
    (folder / "notes.txt").write_text("mine")
    (folder / "inner").mkdir()
    remove_state(folder)
    assert sorted(os.listdir(folder)) == ["inner", "notes.txt"]


def test_saving_sweeps_up_after_killed_processes(tmp_path):
    (tmp_path / ".nst_jax-0123456789abcdef.tmp").write_bytes(b"half a state")
    save_state(tmp_path, {}, {})
    assert os.listdir(tmp_path) == ["state.safetensors"]


# Saves without end in a child of its own, kills the child at some moment, and looks.
KILLER = """
import os, random, signal, sys, time
import numpy as np
from nst_jax.files.saved_arrays import load_state, save_state

folder = sys.argv[1]
seen, strays = set(), 0
for trial in range(12):
    child = os.fork()
    if child == 0:
        step = 1000 * trial
        while True:
            step += 1
            save_state(folder, {"image": np.full(1_000_000, step, np.int32)}, {"step": step})
    while load_state(folder) is None or load_state(folder)[1]["step"] <= 1000 * trial:
        time.sleep(0.001)
    time.sleep(random.Random(trial).uniform(0, 0.03))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    arrays, metadata = load_state(folder)
    assert (arrays["image"] == metadata["step"]).all()
    strays += len(os.listdir(folder)) > 1
    assert len(os.listdir(folder)) <= 2, os.listdir(folder)
    seen.add(metadata["step"])
assert len(seen) == 12
print("killed while writing:", strays)
"""


@pytest.mark.slow
def test_a_state_survives_sigkill_at_any_time(tmp_path):
    folder = tmp_path / "state"
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLER, str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parents[2],
    )
    assert result.returncode == 0, result.stderr
    strays = int(result.stdout.split(":")[1])
    assert strays >= 1, "no kill fell into a writing: the test looked at nothing"
    remove_state(folder)
    assert not folder.exists()
