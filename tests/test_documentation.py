"""The Python in README.md and docs/ runs as it stands, but for sizes and numbers of steps."""

import re
import shutil
from pathlib import Path

import matplotlib as mpl
import pytest

from nst_jax import files

ROOT = Path(__file__).parents[1]
PAGES = [
    page
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if "```python" in page.read_text(encoding="utf-8")
]
PICTURES = {
    "photo.jpg": "content/kitten.jpg",
    "painting.jpg": "style/van_gogh_harvest.jpg",
    "brushwork.jpg": "style/van_gogh_night_cafe.jpg",
    "photos/a.jpg": "content/kitten.jpg",
    "photos/b.jpg": "content/machu_picchu.jpg",
}
# What a page asks of a user's patience, and what is enough to see that it runs.
SMALLER = {
    r'PRESETS\["(default|cpu)"\]': 'PRESETS["smoke"]',
    r"\bsize=(256|512|1024)\b": "size=64",
    r"num_steps=\d+": "num_steps=2",
    r'"num_steps": \d+': '"num_steps": 2',
}


def blocks_of(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.slow
@pytest.mark.usefixtures("lax_promotion")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_python_block_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mpl.use("agg")
    for name, asset in PICTURES.items():
        Path(name).parent.mkdir(exist_ok=True)
        shutil.copy(files.asset_path(asset), name)
    Path("nst_jax").mkdir()  # as from the checkout, whose pictures README names
    shutil.copytree(ROOT / "nst_jax" / "assets", "nst_jax/assets")
    names: dict[str, object] = {}
    for block in blocks_of(page):
        for pattern, smaller in SMALLER.items():
            block = re.sub(pattern, smaller, block)
        exec(compile(block, str(page), "exec"), names)


def test_pages_link_to_what_is_there():
    folders = (ROOT / "docs", ROOT / "experiments")
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    for page in (*pages, *(page for folder in folders for page in sorted(folder.rglob("*.md")))):
        text = page.read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)|src=\"([^\"]+)\"", text):
            link = "".join(link)
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name} links to {link}"
