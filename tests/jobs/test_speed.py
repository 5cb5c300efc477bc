"""What cannot be measured is told before anything is loaded."""

import pytest

from nst_jax.jobs.speed import measure_all


@pytest.mark.parametrize(
    ("sizes", "precisions", "repeats", "told"),
    [
        ((), ("float32",), 1, "sizes: wanted at least one, got none"),
        ((64, 15), ("float32",), 1, "sizes: wanted 16 to 16384 pixels, got 15"),
        ((10**23,), ("float32",), 1, "sizes: wanted 16 to 16384 pixels, got 10"),
        ((64,), (), 1, "precisions: wanted at least one, got none"),
        ((64,), ("float32",), 0, "repeats: wanted 1 to 10000, got 0"),
        ((64,), ("float32",), 10**23, "repeats: wanted 1 to 10000, got 10"),
    ],
)
def test_what_cannot_be_measured_is_told(monkeypatch, sizes, precisions, repeats, told):
    monkeypatch.setattr("nst_jax.jobs.speed.load_encoder", None)
    with pytest.raises(ValueError, match=f"^{told}"):
        measure_all(sizes, precisions, repeats=repeats)
