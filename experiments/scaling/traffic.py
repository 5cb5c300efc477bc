"""How many bytes a compiled program sends between devices, read from its text."""

import re
from collections.abc import Iterator
from typing import NamedTuple

_BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "f32": 4}
_LINE = re.compile(
    r"= (?P<made>.+?) (?P<kind>all-reduce|all-gather|reduce-scatter|collective-permute|all-to-all)"
    r"(?:-start)?\("
)
_ARRAY = re.compile(r"(?P<type>[a-z]+[0-9]*)\[(?P<shape>[0-9,]*)\]")


class Exchange(NamedTuple):
    """One exchange between devices: its kind, and the bytes of what it makes on each."""

    kind: str
    size: int


def find_exchanges(program: str) -> Iterator[Exchange]:
    """Yield every exchange of a program that is compiled for several devices.

    Args:
        program: The text of its optimised HLO, from compiled.as_text().
    """
    for line in program.splitlines():
        found = _LINE.search(line)
        if found is None:
            continue
        arrays = _ARRAY.findall(found["made"])
        yield Exchange(found["kind"], sum(_size_of(*array) for array in arrays))


def _size_of(kind: str, shape: str) -> int:
    size = _BYTES[kind]
    for side in filter(None, shape.split(",")):
        size *= int(side)
    return size


def sent_by_a_device(exchanges: list[Exchange], devices: int) -> dict[str, float]:
    """Return the bytes that a device sends, by kind, for each run of a program.

    A sum of n devices' arrays around a ring sends 2 (n − 1) / n of an array. A gathering sends
    (n − 1) / n of what is made, and a permutation the array itself.

    Args:
        exchanges: From find_exchanges.
        devices: How many take part.
    """
    ring = (devices - 1) / devices
    factors = {"all-reduce": 2 * ring, "all-gather": ring, "all-to-all": ring}
    sent: dict[str, float] = {}
    for kind, size in exchanges:
        sent[kind] = sent.get(kind, 0.0) + factors.get(kind, 1.0) * size
    return sent
