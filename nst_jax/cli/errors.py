"""What a command says when it fails: one line, and an exit status."""

BAD_INPUT = 2
FAILURE = 1
INTERRUPTED = 130
"""Ended by Ctrl-C; the number is the shells' own."""
TERMINATED = 143
"""Ended by SIGTERM; the same."""

# Failures whose own message says all there is to say. By name: importing them imports JAX.
_COMPLETE = frozenset(
    {
        "DivergedError",
        "TrainingDivergedError",
        "HashMismatchError",
        "DownloadError",
        "ConverterMissingError",
        "AppLibraryMissingError",
        "ExportLibraryMissingError",
        "ReportLibraryMissingError",
        "VideoLibraryMissingError",
    }
)


def exit_status(error: Exception) -> int:
    """Return 2 for what the user gave wrongly, 1 for what went wrong."""
    if _is_complete(error) or not isinstance(error, ValueError | OSError):
        return FAILURE
    return BAD_INPUT


def one_line(error: Exception) -> str:
    """Return the error on one line, with a way to learn more where the message may not do."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text:
        return (
            "not enough memory; try a smaller --size or --batch-size, --precision bfloat16, or for "
            "nst-jax optimize --tile 1024, --remat or --history 5"
        )
    if exit_status(error) == BAD_INPUT or _is_complete(error):
        return text
    return f"{text} ({type(error).__name__}; --debug shows the traceback)"


def _is_complete(error: Exception) -> bool:
    return any(
        each.__name__ in _COMPLETE and each.__module__.startswith("nst_jax.")
        for each in type(error).__mro__
    )
