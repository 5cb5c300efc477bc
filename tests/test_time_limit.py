"""What the limit lets pass and what it fails, in a pytest of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import time_limit

TESTS = """
import time
import pytest
import time_limit

def work(seconds):
    # Past the limit on a slow processor too, which has it stretched, and on a busy one.
    end = time.process_time() + seconds * time_limit.slowness()
    while time.process_time() < end:
        pass

def test_long(): work(0.6)
def test_quick(): time.sleep(0.3)
@pytest.mark.slow
def test_marked(): work(0.6)
def test_broken():
    work(0.6)
    assert False, "its own complaint"
"""


@pytest.mark.slow
@pytest.mark.parametrize("limit", ["0.2", "0", None])
def test_a_long_test_is_failed_unless_it_is_marked(tmp_path, limit):
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = slow: takes long\n")
    environment = {k: v for k, v in os.environ.items() if k != "NST_JAX_TEST_LIMIT"}
    environment["PYTHONPATH"] = str(Path(time_limit.__file__).parent)
    if limit:
        environment["NST_JAX_TEST_LIMIT"] = limit
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "time_limit", "-p", "no:cacheprovider", "-rA"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    long = "FAILED" if limit == "0.2" else "PASSED"
    assert f"{long} test_it.py::test_long" in told
    assert ("0.2 s are the limit" in told) == (limit == "0.2")
    assert "PASSED test_it.py::test_quick" in told
    assert "PASSED test_it.py::test_marked" in told
    assert "FAILED test_it.py::test_broken - AssertionError: its own complaint" in told


def test_a_slower_or_busier_processor_has_longer(monkeypatch):
    monkeypatch.setattr(time_limit, "_loop", lambda: 3 * time_limit._REFERENCE_SECONDS)
    assert time_limit.slowness.__wrapped__() == pytest.approx(3.0)
    monkeypatch.setattr(time_limit, "_loop", lambda: 0.5 * time_limit._REFERENCE_SECONDS)
    assert time_limit.slowness.__wrapped__() == 1.0
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    for load, wanted in ((0.1, 1.0), (6.0, 1.5), (40.0, 2.0)):
        monkeypatch.setattr(os, "getloadavg", lambda load=load: (load, 0.0, 0.0))
        assert time_limit.busyness() == wanted
