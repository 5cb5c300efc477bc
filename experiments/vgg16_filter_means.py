"""Make the asset behind vgg16-normalized: mean activations of VGG-16's 4,224 filters.

    python experiments/vgg16_filter_means.py --data FOLDER

measures them on the photographs of content/train that are in the public domain, CC0 or CC BY (tier
A of manifest.csv), at 256 pixels of the longer side. Equal pictures give equal hashes in the
file's header, and means that are equal to rounding.
"""

import argparse
import csv
import os
from pathlib import Path

from nst_jax.encoders.weights.pretrained import make_filter_means

ASSET = Path(__file__).parents[1] / "nst_jax" / "assets" / "vgg16_filter_means.safetensors"


def free_photographs(data: Path) -> list[Path]:
    """Return the training photographs of tier A, sorted by name."""
    with (data / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return sorted(
        data / row["file"]
        for row in rows
        if row["file"].startswith("content/train/") and row["tier"].startswith("A ")
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure VGG-16's filter means.")
    parser.add_argument("--data", type=Path, default=os.environ.get("NST_JAX_DATA"))
    parser.add_argument("--to", type=Path, default=ASSET)
    options = parser.parse_args()
    if options.data is None:
        parser.error("name the data folder by --data or by the variable NST_JAX_DATA")
    photographs = free_photographs(Path(options.data))
    make_filter_means(
        photographs,
        to=options.to,
        licence="public domain, CC0 or CC BY (tier A)",
        overwrite=True,
        on_progress=lambda done, total: print(f"\r{done} of {total} photographs", end=""),
    )
    print(f"\nwrote {options.to}")


if __name__ == "__main__":
    main()
