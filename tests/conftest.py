"""What every test shares: how JAX runs, the files' order, and two made pictures nobody confuses."""

import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

# Before JAX starts. Set in the environment so that commands that tests start inherit it.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".jax_cache"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
# Most of the tests' time is compiling, which takes half as long without XLA's costlier passes.
# `make oracle`, the notebooks and the demo compile as users do.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
# XLA's new emitters of fused loops take most of what is left, three times as long as the old ones
# for a network's gradient. Small programs gain nothing from being parted for several threads, which
# costs a sixth of compiling. XLA stops at a flag that it does not know, so only where it is known.
if os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] == "1" and version("jaxlib").startswith("0.10."):
    flags = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = (
        f"{flags} --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
    ).strip()
# JAX writes cache entries in place: a reader beside the writer, or after a killed one, may find
# half an entry, compiles again and warns. pyproject.toml ignores that warning in tests, this line
# in the commands they start.
os.environ.setdefault(
    "PYTHONWARNINGS", "ignore:Error reading persistent compilation cache entry:UserWarning"
)
# XLA sizes its thread pools by NPROC: xdist's workers share the cores instead of each taking all.
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
os.environ.setdefault("NPROC", str(max(1, (os.cpu_count() or 1) // _WORKERS)))

import jax  # reads the variables above when imported
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from jaxtyping import Array, Float
from time_limit import pytest_runtest_call as pytest_runtest_call

# Tracing makes millions of small objects that stay: looking for rubbish among them at Python's
# default of every 700 takes a tenth of the tests' time.
gc.set_threshold(100_000, 20, 20)

# An unstated change of type or a forgotten axis is an error here, not a slow or wrong answer.
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


# The files that take longest, by docs/development/test_durations.md. Each goes whole to one worker:
# begun last, one of them would keep a single worker busy at the end.
SLOWEST_FILES = (
    "papers/test_gatys_2016.py",
    "cli/test_train.py",
    "cli/test_main.py",
    "cli/test_stylize.py",
    "stylizers/test_stylizers.py",
    "losses/test_perceptual.py",
    "ops/test_convolution.py",
    "stylizers/test_transformed.py",
    "stylizers/test_video.py",
    "test_metrics.py",
    "jobs/test_video.py",
    "pixels/test_lbfgs.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slowest files first and leave the others in their order."""

    def place(item: pytest.Item) -> int:
        name = Path(os.path.relpath(item.path, Path(__file__).parent)).as_posix()
        return SLOWEST_FILES.index(name) if name in SLOWEST_FILES else len(SLOWEST_FILES)

    items.sort(key=place)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run as users do, without the type checks that stand before our own messages in tests."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


# Programs are forgotten when a process has grown by so many bytes since they were forgotten last:
# the system counts what was given back as held, until it is used again.
_MOST_GROWTH = 600_000_000
_memory_before = 0


def _memory() -> int:
    """Return the bytes that this process holds, 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="module", autouse=True)
def _forgotten_programs() -> Iterator[None]:
    """Forget programs after a file where they have come to much: all together are gigabytes.

    What another file compiles again is read from the cache on disk.
    """
    global _memory_before
    yield
    if not _memory() or _memory() > _memory_before + _MOST_GROWTH:
        jax.clear_caches()
        gc.collect()
        _memory_before = _memory()


@pytest.fixture
def lax_promotion() -> Iterator[None]:
    """JAX as users have it: optax's Adam and the scripts mix integers and floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture
def press_ctrl_c() -> Iterator[Callable[[], None]]:
    """Presses Ctrl-C from any thread, and waits until the main thread has heard it."""
    heard, before = threading.Event(), signal.getsignal(signal.SIGINT)

    def hear(number, frame):
        heard.set()
        raise KeyboardInterrupt

    def press() -> None:
        signal.raise_signal(signal.SIGINT)
        assert heard.wait(timeout=60)

    signal.signal(signal.SIGINT, hear)
    yield press
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def photograph() -> Float[Array, "1 48 64 3"]:
    """A landscape: fading sky, flat ground, a hill and a sun; smooth or flat nearly all over."""
    y, x = np.mgrid[0:48, 0:64].astype(np.float32)
    picture = np.empty((48, 64, 3), np.float32)
    picture[:] = np.stack([0.4 + y / 160, 0.6 + y / 240, 0.95 - y / 480], -1)
    picture[28:] = (0.55, 0.6, 0.45)
    picture[y > 36 - 12 * np.sin(x / 64 * np.pi)] = (0.2, 0.4, 0.15)
    picture[(y - 10) ** 2 + (x - 48) ** 2 < 36] = (1.0, 0.9, 0.5)
    return jnp.asarray(picture[None])


@pytest.fixture
def painting() -> Float[Array, "1 40 56 3"]:
    """Curved strokes of blue and ochre, busy all over; of another size than the photograph."""
    y, x = np.mgrid[0:40, 0:56].astype(np.float32)
    phase = np.hypot(y - 14, x - 20) * 1.1 + 0.6 * np.sin(x / 5)
    stroke = 0.5 + 0.5 * np.sin(phase)[..., None]
    blue, ochre = np.array([[0.1, 0.2, 0.55], [0.9, 0.75, 0.2]], np.float32)
    grain = 0.06 * np.sin(2.1 * y + 1.3 * x)[..., None]
    return jnp.asarray(np.clip(stroke * ochre + (1 - stroke) * blue + grain, 0, 1)[None])
