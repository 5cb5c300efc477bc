"""The files of the page that paints in the browser: the engine, the network, samples, scripts.

The engine is ONNX Runtime Web, from npm's package, whose hash is checked. A worker runs the default
network, exported with 8 bits a weight. All together are some 6 MB.
"""

import gzip
import hashlib
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import PIL.Image

from nst_jax import files
from nst_jax.jobs.exporting import export_model
from nst_jax.stylizers import DEFAULT_MODEL

PACKAGE = "onnxruntime-web@1.30.0"
SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
"""Of npm's archive of that version."""

SAMPLES = {
    "content/neuschwanstein_castle.jpg": "photo",
    "content/ring_tailed_lemur.jpg": "photo",
    "content/kitten.jpg": "photo",
    "style/van_gogh_church_at_auvers.jpg": "painting",
    "style/van_gogh_langlois_bridge.jpg": "painting",
    "style/van_gogh_night_cafe.jpg": "painting",
}
"""Bundled pictures that the page offers."""

_SAMPLE_SIZE = 512  # pixels of the longer side
_ENGINE = "package/dist/ort-wasm-simd-threaded.wasm"
_LOADER = "package/dist/ort.wasm.bundle.min.mjs"


def fetch_engine(folder: Path) -> Path:
    """Return npm's archive of the engine, fetched into a folder unless it is there.

    Args:
        folder: Where it is kept.

    Raises:
        RuntimeError: npm is missing, or the archive is another one.
        subprocess.SubprocessError: npm fails, or has not answered after three minutes.
    """
    archive = folder / f"{PACKAGE.replace('@', '-')}.tgz"
    folder.mkdir(parents=True, exist_ok=True)
    if not archive.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise RuntimeError(f"npm: wanted to fetch {PACKAGE}; install Node.js, which has it")
        subprocess.run([npm, "pack", "--silent", PACKAGE], cwd=folder, check=True, timeout=180)
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != SHA256:
        raise RuntimeError(f"{archive.name}: wanted SHA-256 {SHA256}, got {found}; remove it")
    return archive


def write_page(folder: Path, archive: Path) -> None:
    """Write the page's files into a folder of their own.

    Args:
        folder: Where to.
        archive: The engine, from fetch_engine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for script in (Path(__file__).parent / "browser").glob("*.mjs"):
        shutil.copy(script, folder)
    with tarfile.open(archive) as package:
        loader, engine = (package.extractfile(name) for name in (_LOADER, _ENGINE))
        assert loader is not None
        assert engine is not None
        (folder / "ort.mjs").write_bytes(loader.read())
        # Packed here, so that it is small whatever the server does.
        (folder / "engine.bin").write_bytes(gzip.compress(engine.read(), mtime=0))
    transformer, style = export_model(
        DEFAULT_MODEL, folder / "transformer.onnx", storage="int8", overwrite=True
    )
    assert transformer.name == "transformer.onnx"
    style.replace(folder / "style.onnx")
    samples = []
    for asset, kind in SAMPLES.items():
        path = files.asset_path(asset)
        with PIL.Image.open(path) as picture:
            picture.thumbnail((_SAMPLE_SIZE, _SAMPLE_SIZE), PIL.Image.Resampling.LANCZOS)
            picture.save(folder / path.name, quality=88)
        title = path.stem.replace("_", " ")
        samples.append({"file": path.name, "kind": kind, "title": title})
    (folder / "samples.json").write_text(json.dumps(samples, indent=1), encoding="utf-8")
