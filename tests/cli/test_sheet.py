"""nst-jax sheet and nst-jax styles: every named style, numbered, and how to ask for each."""

import dataclasses
import json
import shlex

import numpy as np
import PIL.Image
import pytest
from any_style_oracle import save_made_model
from small_models import STYLES, save_models, save_picture

from nst_jax.cli import main
from nst_jax.jobs import sheet
from nst_jax.jobs.named_styles import list_named_styles
from nst_jax.stylizers import list_models, loading, model_path, read_styles
from nst_jax.stylizers.architectures import ARCHITECTURES


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A current folder with photo.png and paintings; the models that ship are small ones."""
    models = tmp_path / "models"
    models.mkdir()
    save_models(models)
    monkeypatch.setattr(loading, "_models_folder", lambda: models)
    monkeypatch.chdir(tmp_path)
    save_picture(tmp_path / "photo.png")
    (tmp_path / "paintings").mkdir()
    for number, name in enumerate(("b", "a")):
        save_picture(tmp_path / "paintings" / f"{name}.png", seed=number)
    return tmp_path


def test_every_style_that_ships_is_named():
    styles = list_named_styles()
    any_style = {model for model in list_models() if not read_styles(model_path(model))}
    assert {style.model for style in styles} == set(list_models()) - any_style
    assert ("--model", "johnson2016-wave") in {style.words for style in styles}
    assert ("--model", "dumoulin2017", "--style", "udnie") in {style.words for style in styles}


def test_a_sheet_shows_what_its_commands_paint(folder, capsys):
    assert main(["sheet", "photo.png", "-o", "sheet.png", "--size", "48", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["command"] == "sheet"
    assert told["file"] == "sheet.png"
    assert [each["style"] for each in told["results"]] == [*STYLES, "waves"]
    assert [each["number"] for each in told["results"]] == [1, 2, 3, 4]
    drawn = np.asarray(PIL.Image.open("sheet.png")).astype(int)
    for place, each in enumerate(told["results"], start=1):
        program, *words = shlex.split(each["command"])
        assert program == "nst-jax"
        assert main([*words, "--size", "48", "--quiet"]) == 0
        painted = np.asarray(PIL.Image.open(f"photo_{place}.png")).astype(int)
        left = 12 + place * (140 + 8)  # cells are at least so wide
        assert np.abs(drawn[-12 - 48 : -12, left : left + 48] - painted).max() <= 1


def test_a_sheet_of_paintings_names_them_and_needs_a_new_name(folder, capsys, monkeypatch):
    small = dataclasses.replace(ARCHITECTURES["huang2017"], style_size=48)
    monkeypatch.setitem(ARCHITECTURES, "huang2017", small)  # type: ignore[arg-type]
    save_made_model(folder / "any.safetensors")
    words = ["sheet", "photo.png", "--style", "paintings", "--model", "any.safetensors"]
    assert main([*words, "--size", "48", "-o", "sheet.png"]) == 0
    out = capsys.readouterr().out
    assert "nst-jax stylize photo.png --style paintings/a.png --model any.safetensors" in out
    assert out.splitlines()[-1].startswith("sheet.png: 2 pictures in ")
    assert main([*words, "-o", "sheet.png"]) == 2
    assert "exists" in capsys.readouterr().err
    assert main(["sheet", "photo.png", "--alpha", "0.5", "-o", "new.png"]) == 2
    assert "alpha: wanted with --style" in capsys.readouterr().err
    assert not (folder / "new.png").exists()


def test_a_sheet_that_is_stopped_has_what_was_painted(folder):
    class AfterOne:
        asked = 0

        def is_set(self):
            self.asked += 1
            return self.asked > 2

    found = sheet.make_sheet(sheet.SheetJob("photo.png", size=48), cancel=AfterOne())
    assert not found.is_finished
    assert [entry.name for entry in found.entries] == list(STYLES[:2])


def test_styles_lists_them_and_draws_them(folder, capsys):
    assert main(["styles"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["number", "style", "model", "command"]
    assert lines[2].endswith("nst-jax stylize photo.jpg --model many --style 'la muse' -o out.png")
    assert main(["styles", "--json", "-o", "all.jpg", "--size", "32"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["model"] for each in told["results"]] == ["many", "many", "many", "one"]
    assert PIL.Image.open("all.jpg").height > 32
