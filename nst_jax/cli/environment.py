"""What a command does to JAX before it computes, and what can be said about the machine."""

import os
import shutil

import jax

from nst_jax import files


def check_device() -> None:
    """Start JAX's backend, so that one that cannot start is told before any work.

    Raises:
        ValueError: The environment asks for a platform that this JAX does not have.
    """
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        wanted = os.environ.get("JAX_PLATFORMS")
        if not wanted:
            raise
        raise ValueError(
            f"JAX_PLATFORMS: wanted platforms that this JAX can use, got {wanted!r}; unset it, or "
            "install what it needs (for NVIDIA GPUs: pip install 'jax[cuda12]')"
        ) from error


def keep_compiled_programs() -> None:
    """Switch on JAX's cache of compiled programs, unless the user's environment says where it is.

    A second run then starts in a second or two. Without a folder for it runs merely start slower.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    try:
        folder = files.cache_dir() / "xla"
    except ValueError:
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # The many small programs too: together they take most of a second.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def describe_device() -> str:
    """Return in plain words what JAX computes on, and what to install if that is a pity."""
    devices = jax.devices()
    kind, platform = devices[0].device_kind, devices[0].platform
    if platform != "cpu":
        return f"running on {platform.upper()}: {len(devices)} x {kind}"
    where = f"running on CPU with {os.cpu_count()} cores"
    if shutil.which("nvidia-smi"):
        return f"{where}, though there is an NVIDIA GPU: pip install 'jax[cuda12]' to use it"
    return f"{where}; a GPU or TPU would be many times faster"
