"""Lay the site's pages out in build/website, as they lie in the repository.

`make site` and `make docs` run this before MkDocs. Pages are copied, so that links between them
hold; notebooks become pages with their outputs; a paper's page gets its module's documentation; and
a page for each public module is made.
"""

import importlib
import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from browser_page import fetch_engine, write_page
from latex2mathml.converter import convert
from nbconvert import MarkdownExporter

ROOT = Path(__file__).parents[1]
OUT = ROOT / "build" / "website"

PAGES = ("CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "NOTICE", "CITATION.cff")
FOLDERS = ("docs", "results")
SHOWN = {".md", ".jpg", ".png", ".json", ".csv", ".gif", ".webp"}
MODULES = (
    "nst_jax",
    "nst_jax.losses",
    "nst_jax.ops",
    "nst_jax.encoders",
    "nst_jax.regions",
    "nst_jax.networks",
    "nst_jax.pixels",
    "nst_jax.train",
    "nst_jax.stylizers",
    "nst_jax.metrics",
    "nst_jax.flow",
    "nst_jax.sweeps",
    "nst_jax.jobs",
    "nst_jax.files",
    "nst_jax.runs",
)
"""The modules that have a page; papers have their own."""

_FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+(?:\n[^$\n]+)?)\$", flags=re.DOTALL)
_LINK = re.compile(r"(?<=\]\()([^)#:]+)(?=[)#])")


def main() -> None:
    """Write all of the site's sources."""
    shutil.rmtree(OUT, ignore_errors=True)
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and path.suffix in SHOWN:
                _copy(path, OUT / path.relative_to(ROOT))
    for name in PAGES:
        _copy(ROOT / name, OUT / name)
    _copy(ROOT / "README.md", OUT / "index.md")
    shutil.copy(ROOT / "website" / "website.css", OUT / "website.css")
    _copy(ROOT / "website" / "browser.md", OUT / "browser.md")
    try:
        write_page(OUT / "browser", fetch_engine(ROOT / "build" / "npm"))
    except (RuntimeError, subprocess.SubprocessError) as error:  # such as no network
        print(f"the page that paints in the browser will not work here: {error}", file=sys.stderr)
    _write_notebooks()
    _write_modules()
    for page in sorted((OUT / "docs" / "papers").glob("*.md")):
        _draw_formulas(page)
        figures = _figures(page.read_text(encoding="utf-8"))
        with page.open("a", encoding="utf-8") as file:
            file.write(figures + _module(f"nst_jax.papers.{page.stem}", title="## In code"))
    for page in sorted(OUT.rglob("*.md")):
        _adopt_links(page)


def _copy(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, to)


def _write_notebooks() -> None:
    folder = OUT / "notebooks"
    folder.mkdir(parents=True)
    lines = ["# Notebooks", "", "Each opens in Jupyter from the repository's folder notebooks.", ""]
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        body, resources = MarkdownExporter().from_notebook_node(
            notebook, {"output_files_dir": f"{path.stem}_files", "unique_key": path.stem}
        )
        (folder / f"{path.stem}.md").write_text(body, encoding="utf-8")
        for name, content in resources["outputs"].items():
            _make(folder / name, content)
        title = re.search(r"^# (.+)$", body, flags=re.MULTILINE)
        lines.append(f"- [{title[1] if title else path.stem}]({path.stem}.md)")
    (folder / "index.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _make(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _write_modules() -> None:
    folder = OUT / "api"
    folder.mkdir(parents=True)
    lines = ["# In Python", ""]
    for name in MODULES:
        (folder / f"{name}.md").write_text(_module(name, title=f"# {name}"), encoding="utf-8")
        summary = (importlib.import_module(name).__doc__ or "").partition("\n")[0]
        lines.append(f"- [`{name}`]({name}.md): {summary}")
    (folder / "index.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _module(name: str, *, title: str) -> str:
    """A module's own text, and an entry for each public function and class of it."""
    module = importlib.import_module(name)
    lines = ["", title, "", inspect.cleandoc(module.__doc__ or ""), ""]
    members = getattr(module, "__all__", None) or vars(module)
    is_package = hasattr(module, "__path__")
    for member in sorted(members, key=str.swapcase):  # functions before classes
        value = getattr(module, member)
        home = getattr(value, "__module__", "")
        is_shown = inspect.isfunction(value) or inspect.isclass(value)
        is_own = home.startswith("nst_jax") if is_package else home == name
        if is_shown and is_own and not member.startswith("_"):
            lines += [f"::: {home}.{value.__name__}", ""]
    return "\n".join(lines)


def _figures(page: str) -> str:
    """What the results say of the paper whose page links to a part of them, before the details."""
    link = re.search(r"results/README\.md#([a-z0-9-]+)", page)
    if not link:
        return ""
    results = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    for part in results.split("\n## ")[1:]:
        title, _, text = part.partition("\n")
        if re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") == link[1]:
            before = text.partition("\n### ")[0]
            before = before.replace("](#", "](../../results/README.md#")
            before = before.replace('src="', 'src="../../results/')
            before = re.sub(r"\]\((?![./#]|https?:)", "](../../results/", before)
            before = before.replace("](../experiments", "](../../experiments")
            return f"\n## Figures\n{before}\n"
    raise ValueError(f"results/README.md has no part {link[1]}, which a paper's page names")


def _draw_formulas(page: Path) -> None:
    """Turn LaTeX between dollar signs into MathML, which browsers draw without a script."""

    def draw(found: re.Match[str]) -> str:
        block, inline = found.groups()
        return convert(block or inline, display="block" if block else "inline")

    text = page.read_text(encoding="utf-8")
    page.write_text(_FORMULA.sub(draw, text), encoding="utf-8")


def _adopt_links(page: Path) -> None:
    """Let links to notebooks, to folders and to source files lead to what the site has."""
    text = page.read_text(encoding="utf-8")
    here = page.relative_to(OUT).parent

    def adopt(found: re.Match[str]) -> str:
        link = found[1]
        source = (ROOT / here / link).resolve()
        if link.endswith(".ipynb"):
            return link.removesuffix(".ipynb") + ".md"
        if link.endswith("README.md") and source == ROOT / "README.md":
            return link.removesuffix("README.md") + "index.md"
        if source.is_dir() and source.is_relative_to(ROOT):
            return link.rstrip("/") + "/index.md"
        target = OUT / source.relative_to(ROOT) if source.is_relative_to(ROOT) else None
        if target is not None and source.is_file() and not target.exists():
            _copy(source, target)
        return link

    text = _LINK.sub(adopt, text)
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
