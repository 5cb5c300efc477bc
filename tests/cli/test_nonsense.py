"""Every option of every command with nonsense: status 2, no traceback, nothing begun or written."""

import re
from pathlib import Path

import pytest
from train_command import make_pictures

from nst_jax.cli import main
from nst_jax.jobs.training_papers import TRAINING_PAPERS

COMMANDS = {
    "stylize": "photos/0.png --style wave.png -o o.png",
    "optimize": "photos/0.png wave.png -o o.png --preset smoke",
    "video": "photos --style wave.png -o o",
    "video --method optimize": "photos --style wave.png -o o --preset smoke",
    "sweep": "photos/0.png wave.png -o s --preset smoke --vary style_weight 5 50",
    "train johnson2016": "--content-dir photos --style wave.png --workdir w --preset smoke",
    "train dumoulin2017": "--content-dir photos --style wave.png --workdir w --preset smoke",
    "train huang2017": "--content-dir photos --style-dir held --workdir w --preset smoke",
    "train ghiasi2017": "--content-dir photos --style-dir held --workdir w --preset smoke",
    "train ruder2018": "--content-dir photos --style wave.png --workdir w --preset smoke",
    "train li_wand_2016": "--content-dir photos --style wave.png --workdir w --preset smoke",
    "train sanakoyeu_2018": "--content-dir photos --style-dir held --workdir w --preset smoke",
    "train texler_2020": "--frames photos --painted photos --workdir w --preset smoke",
    "markovian": "photos/0.png wave.png -o o.png --workdir w --preset smoke",
    "app": "--port 0",
    "styles": "-o s.png",
    "sheet": "photos/0.png --style wave.png -o s.png",
    "export": "johnson2016-wave -o w.onnx",
    "bench": "",
    "demo": "",
    "weights fetch": "vgg19-keras",
    "weights convert": "wave.png --to w.safetensors",
    "weights normalize": "vgg16 --pictures photos --to w.safetensors",
}
FREE_NAMES = {  # of folders, which may be called anything
    "video": {"--out"},
    "video --method optimize": {"--out"},
    "sweep": {"--out"},
    "markovian": {"--workdir"},
    **{f"train {paper}": {"--workdir"} for paper in TRAINING_PAPERS},
}
NONSENSE = ("no/such?thing", "", "-1", "nan", "\udce9")  # the last is a byte that is no UTF-8
LEGAL = {("--mask-growth", "-1")}  # a region that shrinks


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """Pictures in the current folder; work that begins is an error."""
    monkeypatch.chdir(tmp_path)
    make_pictures()

    def begin(*args, **options):
        raise AssertionError("began to work")

    for work in (
        *("jobs.paint_file._paint_with_state", "jobs.folder._paint_all", "jobs.training._fit"),
        *("sweeps.running._keep_busy", "jobs.speed.measure", "cli.demo.load_stylizer"),
        *("jobs.video.NetworkPainter.paint", "jobs.video.PixelPainter.paint"),
        *("files.downloads._request", "jobs.markovian.li_wand_2016.stylize"),
        *("jobs.exporting._write_onnx", "app.server.make_application"),
    ):
        monkeypatch.setattr(f"nst_jax.{work}", begin)
    for module in ("cli.app", "app.server"):
        monkeypatch.setattr(f"nst_jax.{module}.require_gradio", lambda: None)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_refuses_nonsense(begun, capsys, command):
    if command.startswith("video"):
        pytest.importorskip("cv2")
    main([*command.split(), "--help"])
    options = set(re.findall(r"--[a-z][a-z0-9-]*", capsys.readouterr().out))
    there = sorted(path for path in Path().rglob("*") if path.is_file())
    assert len(options) >= 2
    for option in sorted(options - {"--help", "--debug"} - FREE_NAMES.get(command, set())):
        for word in NONSENSE:
            if (option, word) in LEGAL:
                continue
            words = without(option, COMMANDS[command].split())
            status = main([*command.split(), *words, option, word])
            told = capsys.readouterr().err
            assert status == 2, f"{option} {word!r}: {told}"
            assert "Traceback" not in told
            assert told.count("error: ") == 1 or "full helptext" in told, told
    assert sorted(path for path in Path().rglob("*") if path.is_file()) == there


def without(option: str, words: list[str]) -> list[str]:
    """The words but for an option and its values, which would count as given twice."""
    if option not in words:
        return words
    first = words.index(option)
    rest = [place for place in range(first + 1, len(words)) if words[place].startswith("-")]
    return words[:first] + (words[rest[0] :] if rest else [])
