"""What the experiments' tests share: starting an experiment, and made pictures and networks."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import made_data
import pytest
import short_trainings

from experiments.common import command, network_figures


@pytest.fixture
def start(monkeypatch) -> Callable[..., None]:
    """start(MODULE, OPTION...) does what python -m MODULE OPTION... would, and knows no folder."""
    monkeypatch.delenv("NST_JAX_DATA", raising=False)

    def start(module: ModuleType, *options: Any) -> None:
        monkeypatch.setattr(sys, "argv", [str(module.__file__), *map(str, options)])
        command.run(module.main)

    return start


@pytest.fixture
def small_sheets(monkeypatch) -> None:
    """Pictures that networks paint for sheets have few pixels."""
    monkeypatch.setattr(network_figures, "SMALL", 64)
    monkeypatch.setattr(network_figures, "LARGE", 96)


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """A folder of made pictures of every tier."""
    return made_data.write_data(tmp_path_factory.mktemp("data"), made_data.TIERS)


@pytest.fixture(scope="session")
def training_data(tmp_path_factory) -> Path:
    """A folder of what short trainings want."""
    return made_data.write_data(tmp_path_factory.mktemp("data"), short_trainings.TIERS)


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> SimpleNamespace:
    """A network of the style strokes, `one`, and one of strokes, waves and dots, `many`."""
    return made_data.save_models(tmp_path_factory.mktemp("models"))
