"""A folder that one process holds."""

import subprocess
import sys

import pytest

from nst_jax.files import locked

HOLD = """
import sys
from nst_jax.files import locked
with locked(sys.argv[1], name="workdir"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_held_until_the_block_ends(tmp_path):
    with locked(tmp_path, name="workdir"):
        with (
            pytest.raises(ValueError, match=f"^workdir: '{tmp_path}' is in use by another"),
            locked(tmp_path, name="workdir"),
        ):
            raise AssertionError("held twice")
        assert list(tmp_path.iterdir()) == []
    with locked(tmp_path, name="workdir"):
        pass


@pytest.mark.slow
def test_a_lock_dies_with_its_process(tmp_path):
    words = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(ValueError, match="in use by another process"),
            locked(tmp_path, name="workdir"),
        ):
            raise AssertionError("held twice")
        holder.kill()
    with locked(tmp_path, name="workdir"):
        pass
