"""Every experiment explains itself, and experiments depend on each other one way."""

import ast
import importlib
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "experiments").rglob("*.py"))
# Each package's own lies below those that it may import.
PACKAGES = (
    ("common",),
    (
        "any_style",
        "data",
        "gatys_2017",
        "johnson_2016",
        "dumoulin_2017",
        "huang_2017",
        "pytorch",
        "scaling",
        "ruder_2016",
        "style_losses",
        "video",
    ),
    ("gatys_2016", "trainings", "speed"),
    ("reproduce",),
)
NEEDS_TORCH = {"gatys_2016.parity", "speed.adain", "speed.gatys", "speed.networks"}
FIGURES = (
    "any_style",
    "gatys_2016",
    "gatys_2017",
    "johnson_2016",
    "dumoulin_2017",
    "huang_2017",
    "ruder_2016",
    "video",
)


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT / "experiments").with_suffix("").parts
    return ".".join(part for part in parts if part not in ("__main__", "__init__"))


def commands() -> list[str]:
    """The modules that a command starts."""
    ends = 'if __name__ == "__main__":'
    found = [name_of(path) for path in FILES if ends in path.read_text(encoding="utf-8")]
    return [name for name in found if not name.endswith("paint_with_peer")]  # not with python -m


def load(name: str):
    whole = f"experiments.{name}"
    is_package = (ROOT / "experiments" / name / "__main__.py").exists()
    return importlib.import_module(f"{whole}.__main__" if is_package else whole)


def check_help(name: str, monkeypatch, capsys) -> None:
    module = load(name)
    monkeypatch.setattr(sys, "argv", [str(module.__file__), "--help"])
    with pytest.raises(SystemExit) as ended:
        module.main()
    assert not ended.value.code
    told = capsys.readouterr().out
    assert told.startswith(f"usage: python -m experiments.{name} ")
    assert module.__doc__ is not None
    assert module.__doc__.strip() in told
    assert f"python -m experiments.{name}" in module.__doc__


@pytest.mark.parametrize("name", [name for name in commands() if name not in NEEDS_TORCH])
def test_help_tells_the_command_and_what_it_is_for(name, monkeypatch, capsys):
    check_help(name, monkeypatch, capsys)


@pytest.mark.oracle
@pytest.mark.parametrize("name", sorted(NEEDS_TORCH))
def test_help_of_comparisons_with_pytorch_tells_the_same(name, monkeypatch, capsys):
    pytest.importorskip("torch")
    check_help(name, monkeypatch, capsys)


@pytest.mark.parametrize("name", sorted(NEEDS_TORCH))
def test_without_pytorch_one_line_says_what_to_do(name, monkeypatch):
    whole = f"experiments.{name}"
    monkeypatch.delitem(sys.modules, whole, raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(whole, run_name="__main__")
    line = str(ended.value.code)
    assert line.startswith("error: ")
    assert line.endswith("pip install torch==2.13.0")
    assert "\n" not in line


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_described(name):
    module = load(name)
    for figure in module.FIGURES:
        assert figure in module.__doc__, figure


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_packages_import_those_below_them(path):
    package = name_of(path).split(".")[0]
    level = {name: number for number, row in enumerate(PACKAGES) for name in row}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno} imports relatively"
            first, _, rest = (node.module or "").partition(".")
            if first != "experiments":
                continue
            other = rest.split(".")[0] or node.names[0].name
            assert other == package or level[other] < level[package], f"line {node.lineno}"
            assert "__main__" not in (node.module or ""), f"line {node.lineno}"
            assert "__main__" not in [alias.name for alias in node.names], f"line {node.lineno}"
