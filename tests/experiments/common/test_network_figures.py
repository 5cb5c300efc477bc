"""A figure is made once, and by which networks."""

import argparse
import shutil

import numpy as np

from experiments.common import network_figures
from nst_jax import files, stylizers


def make_once(out, made, *, networks=(), **options):
    """Make a figure of one picture, which appends its options to `made`."""

    def figure(options, out):
        made.append(options.size)
        (out / "sheet.jpg").touch()
        files.write_record(out / "record.json", {"command": "python experiments/x.py"})

    told = {"size": 8, "models": [], "figures": ["sheet"], "data": None, "look": None, "out": out}
    given = argparse.Namespace(**told | options)
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=8)
    network_figures.make_once(figure, parser, given, out, networks=networks)


def test_a_figure_that_is_complete_is_not_made_again(tmp_path, capsys):
    made, out = [], tmp_path / "sheet"
    make_once(out, made)
    make_once(out, made, figures=["sizes", "sheet"])
    assert made == [8]
    assert capsys.readouterr().out.splitlines()[1].startswith(f"{out} is complete; ")
    (out / "sheet.jpg").unlink()
    make_once(out, made)
    make_once(out, made, size=9)
    make_once(out, made, size=9, look=tmp_path)
    assert made == [8, 8, 9, 9]
    make_once(out, made, size=9, data=tmp_path)
    assert made == [8, 8, 9, 9, 9]


def test_a_figure_is_made_again_by_another_network(models, tmp_path):
    made, out = [], tmp_path / "sheet"
    copy = tmp_path / "network.safetensors"
    for network in (models.one, models.one, models.many):
        shutil.copyfile(network, copy)
        make_once(out, made, models=[str(copy)])
    assert made == [8, 8]
    for _ in range(2):
        make_once(out, made, networks=("johnson2016",))
    assert made == [8, 8, 8]
    record = files.read_record(out / "record.json")
    assert set(record["made"]["by"]["networks"]) == {
        name for name in stylizers.list_models() if name.startswith("johnson2016")
    }
    assert record["command"] == "python experiments/x.py"


def test_four_styles_are_at_the_corners_of_their_mixtures():
    shares = np.array(network_figures.corner_shares(5)).reshape(5, 5, 4)
    np.testing.assert_allclose(shares.sum(-1), 1)
    for corner, (row, column) in enumerate([(0, 0), (0, 4), (4, 0), (4, 4)]):
        np.testing.assert_array_equal(shares[row, column], np.eye(4)[corner])
    np.testing.assert_allclose(shares[2, 2], 0.25)
    assert (np.diff(shares[:, 1, 2]) > 0).all()  # the lower left one's, downwards
