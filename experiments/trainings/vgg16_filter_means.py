"""Make the asset behind vgg16-normalized: mean activations of VGG-16's 4,224 filters.

    python -m experiments.trainings.vgg16_filter_means --data FOLDER

measures them on the photographs of content/train that are in the public domain, CC0 or CC BY (tier
A of manifest.csv), at 256 pixels of the longer side. Equal pictures give equal hashes in the
file's header, and means that are equal to rounding.
"""

from pathlib import Path

from experiments.common import command
from experiments.common.data_folder import add_data_option, pictures_in, require_data
from nst_jax import files
from nst_jax.encoders.weights.pretrained import make_filter_means


def main() -> None:
    """Measure the means and write the asset."""
    parser = command.make_parser(__doc__)
    add_data_option(parser)
    asset = files.asset_path("vgg16_filter_means.safetensors")
    parser.add_argument("--to", type=Path, default=asset)
    options = parser.parse_args()
    pictures = pictures_in(require_data(parser, options), "content/train")
    make_filter_means(
        [picture.path for picture in pictures if picture.tier.startswith("A")],
        to=options.to,
        licence="public domain, CC0 or CC BY (tier A)",
        overwrite=True,
        on_progress=lambda done, total: print(f"\r{done} of {total} photographs", end=""),
    )
    print(f"\nwrote {options.to}")


if __name__ == "__main__":
    command.run(main)
