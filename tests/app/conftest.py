"""A running page, for the tests that are marked browser."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """A running nst-jax app."""
    pytest.importorskip("gradio")
    folder = tmp_path_factory.mktemp("app")
    command = [sys.executable, "-m", "nst_jax", "app", "--port", "0"]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(root)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    found = next(filter(None, (re.search(r"http://\S+\d", line) for line in lines)))
    yield found[0]
    process.terminate()
    assert process.wait(30) == 143
    assert not list(folder.glob("nst_jax-app-*")), "what visitors sent goes with the server"
