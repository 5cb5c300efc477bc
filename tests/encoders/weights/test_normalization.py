"""Oracles: filters of mean 1 on the pictures measured, and natural pictures for those shipped."""

import csv
import os
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from nst_jax import files
from nst_jax.encoders.weights.filter_scaling import FLOOR, filter_means
from nst_jax.encoders.weights.normalization import make_filter_means, normalize
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.encoders.weights.weight_files import read

BUNDLED = Path(files.asset_path("content/kitten.jpg")).parent


SOME = (BUNDLED / "kitten.jpg", BUNDLED / "ring_tailed_lemur.jpg")


def as_measured(path, size):
    """A picture at this size, cut around its middle to multiples of 16."""
    image = files.load_image(path, size=size)
    _, height, width, _ = image.shape
    rows, columns = height // 16 * 16, width // 16 * 16
    top, left = (height - rows) // 2, (width - columns) // 2
    return image[:, top : top + rows, left : left + columns]


def test_normalize_makes_filters_of_mean_one_on_its_pictures(tmp_path):
    folder, target, told = tmp_path / "pictures", tmp_path / "w.safetensors", []
    folder.mkdir()
    for path in SOME:
        shutil.copy(path, folder)
    (folder / "notes.txt").write_text("no picture, and none of its business")
    normalize(
        "vgg16-lpips",
        folder,
        to=target,
        size=75,
        on_progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(0, 2), (1, 2), (2, 2)]
    header = read(target).header
    encoder, params = load_encoder("vgg16", weights=target)
    target.unlink()
    shown = [as_measured(path, 75) for path in SOME]
    before = filter_means(encoder, load_encoder("vgg16")[1], shown)
    after = filter_means(encoder, params, shown)
    for name, means in before.items():
        expected = np.minimum(1, means / (FLOOR * np.median(means)))
        # A filter active at one position in a hundred magnifies the rounding of its sum.
        np.testing.assert_allclose(after[name], expected, rtol=0, atol=5e-4, err_msg=name)
    assert header["weights"] == "vgg16-lpips, normalized"
    assert (header["pictures"], header["picture_size"]) == ("2", "75")
    assert header["normalized_from_sha256"] != header["arrays_sha256"]


def test_filter_means_file_holds_the_means_and_their_origin(tmp_path):
    first, again = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    make_filter_means(SOME, to=first, licence="CC0", size=75)
    make_filter_means(SOME[::-1], to=again, licence="CC0", size=75)
    means, header = files.load_arrays(first)
    encoder, params = load_encoder("vgg16")
    expected = filter_means(encoder, params, [as_measured(path, 75) for path in SOME])
    assert set(means) == set(expected)
    for name in means:
        np.testing.assert_allclose(means[name], expected[name], rtol=1e-5, atol=1e-7)
    assert header["picture_licence"] == "CC0"
    assert header["source_sha256"].startswith("2ecbe4ce")
    assert files.load_arrays(again)[1] == header  # the pictures count, not their order


def held_out_photographs():
    """Photographs that the shipped means were not made from, where the data folder is at hand."""
    data = os.environ.get("NST_JAX_DATA")
    if not data:
        return files.list_images(BUNDLED)
    with (Path(data) / "manifest.csv").open(newline="") as file:
        rows = [row["file"] for row in csv.DictReader(file)]
    return [Path(data) / row for row in rows if row.startswith("content/heldout/")][:12]


@pytest.mark.slow
def test_shipped_means_bring_natural_pictures_near_one():
    encoder, params = load_encoder("vgg16", weights="vgg16-normalized")
    # Of one size, so that they share a program.
    shown = [as_measured(path, 128)[:, :80, :80] for path in held_out_photographs()]
    means = filter_means(encoder, params, shown)
    assert len(means) == 13
    for name, values in means.items():
        assert 0.7 < np.median(values) < 1.5, name
    plain = filter_means(encoder, load_encoder("vgg16")[1], shown)
    assert np.median(plain["conv5_3"]) < 0.4  # where the means have work to do


def test_normalised_features_are_lpips_features_divided_by_the_shipped_means(photograph):
    means, _ = files.load_arrays(files.asset_path("vgg16_filter_means.safetensors"))
    layers = ("relu1_2", "relu3_1")
    encoder, plain = load_encoder("vgg16", pooling="average")
    normalised = load_encoder("vgg16", weights="vgg16-normalized")[1]
    old = encoder.apply(plain, photograph, layers=layers)
    new = encoder.apply(normalised, photograph, layers=layers)
    for layer in layers:
        expected = np.asarray(old[layer]) / means[layer.replace("relu", "conv")]
        np.testing.assert_allclose(new[layer], expected, rtol=1e-3, atol=1e-4)
    assert sum(values.size for values in means.values()) == 4224
    assert jax.tree.structure(plain) == jax.tree.structure(normalised)


def test_bad_requests_are_refused_before_any_work(tmp_path):
    taken = tmp_path / "taken.safetensors"
    taken.write_bytes(b"something")
    with pytest.raises(FileExistsError, match="exists"):
        normalize("vgg16-lpips", SOME, to=taken)
    with pytest.raises(ValueError, match="safetensors"):
        make_filter_means(SOME, to=tmp_path / "w.npz", licence="CC0")
    with pytest.raises(FileNotFoundError, match="no pictures in"):
        normalize("vgg16-lpips", tmp_path, to=tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="pictures: none given"):
        normalize("vgg16-lpips", [], to=tmp_path / "w.safetensors")
    assert taken.read_bytes() == b"something"
