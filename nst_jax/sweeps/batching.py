"""Which runs go together: as many as a device's memory holds, one on a CPU.

A CPU works on one run at a time: a picture of 256 pixels keeps its cores busy, and what smaller
ones would gain is not worth losing a whole batch when killed. On an accelerator a batch may fill
three fifths of the memory by a generous estimate, and has 16 runs at most. A device that does not
tell its memory is taken for a small one: one run.
"""

from collections.abc import Callable, Hashable, Sequence

from nst_jax.papers.gatys_2016 import Config, batch_key

_SHARE = 0.6
_MOST_RUNS = 16
# Measured at 1.2 GiB a megapixel on a CPU; convolutions on a GPU want room to work in.
_NETWORK_BYTES = 2 * 1300
_PICTURE_BYTES = 3 * 4
_PICTURES = 8  # the picture, its gradient, the best so far, and what a step makes on the way


def runs_at_once(config: Config, *, pixels: int, platform: str, memory: int) -> int:
    """Return how many runs of this kind a device takes at once.

    Args:
        config: Its optimizer, history and remat count.
        pixels: Of the final picture.
        platform: Of the device, such as 'cpu' or 'gpu'.
        memory: Of the device, in bytes; 0 where it is not known.
    """
    if batch_key(config) is None or platform == "cpu":
        return 1
    pictures = _PICTURES + 2 * config.history
    need = pixels * (_NETWORK_BYTES + pictures * _PICTURE_BYTES)
    return max(1, min(_MOST_RUNS, int(_SHARE * memory / need)))


def make_batches(
    configs: Sequence[Config], *, most: Callable[[Config], int], devices: int
) -> list[list[int]]:
    """Return the runs, by their places in configs, in batches of runs that can go together.

    Runs that share programs follow each other, and no device is left without work that has any.

    Args:
        configs: Of all runs.
        most: How many of a kind may go together.
        devices: How many there are.
    """
    groups: dict[Hashable, list[int]] = {}
    for place, config in enumerate(configs):
        key = batch_key(config)
        # A file to begin with is one picture for the whole batch.
        init = config.init if config.begins_with_file else None
        groups.setdefault(place if key is None else (key, init), []).append(place)
    batches = []
    for places in groups.values():
        share = -(-len(places) // devices)
        count = max(1, min(most(configs[places[0]]), share))
        batches += [places[first : first + count] for first in range(0, len(places), count)]
    return batches
