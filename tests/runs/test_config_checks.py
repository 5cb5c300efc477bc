"""Every field of a configuration against its own type, and what a record says of them."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.runs.config_checks import check_types
from nst_jax.runs.record import describe_config, make_record, name_devices


class Own:
    """Something that JSON has no type for."""

    def __str__(self):
        return "my own"


@dataclass(frozen=True)
class Settings:
    count: int = 1
    share: float = 0.5
    sparing: bool = False
    mode: Literal["a", "b"] = "a"
    size: int | None = None
    loss: Literal["x"] | Own = "x"
    pairs: tuple[tuple[str, float], ...] = (("u", 1.0),)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"share": 1, "size": 3, "mode": "b", "pairs": ()},
        {"count": np.int64(2), "share": np.float32(0.5), "loss": Own()},
    ],
)
def test_values_of_their_types_pass(change):
    check_types(dataclasses.replace(Settings(), **change))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"count": 1.5}, "count: wanted a whole number, got 1.5"),
        ({"count": "80"}, "count: wanted a whole number, got 80"),
        ({"count": True}, "count: wanted a whole number, got True"),
        ({"share": "much"}, "share: wanted a number, got much"),
        ({"sparing": 1}, "sparing: wanted True or False, got 1"),
        ({"mode": "c"}, "mode: wanted a, b, got c"),
        ({"mode": None}, "mode: wanted a, b, got None"),
        ({"size": "big"}, "size: wanted a whole number or None, got big"),
        ({"loss": "y"}, "loss: wanted x or a Own, got y"),
        ({"pairs": [("u", 1.0)]}, r"pairs: wanted a tuple of \(text, a number\) each, got \[\('u'"),
        ({"pairs": (("u",),)}, r"pairs: wanted a tuple of \(text, a number\) each, got \(\('u',"),
    ],
)
def test_a_value_of_another_type_is_refused_by_its_fields_name(change, told):
    with pytest.raises(ValueError, match=f"^{told}") as caught:
        check_types(dataclasses.replace(Settings(), **change))
    assert "\n" not in str(caught.value)


def test_a_record_has_plain_values_and_the_devices_of_its_arrays():
    scalars: dict[str, Any] = {"count": np.int64(2), "share": np.float32(0.5)}
    config = Settings(**scalars, loss=Own())
    described: Any = describe_config(config)
    assert described["loss"] == "my own"
    assert json.loads(json.dumps(described))["share"] == 0.5
    assert described["pairs"] == (("u", 1.0),)
    picture = jnp.zeros((1, 2, 2, 3))
    (device,) = picture.devices()
    record = make_record(config, made=picture, seconds={}, steps=[], info={})
    assert record["device"] == name_devices({"a": [picture, np.zeros(3)]}) == device.device_kind
    assert record["config"] == described
