"""nst_jax.stylize and nst_jax.optimize: one call, and the answer as the photograph came."""

from typing import Any

import numpy as np
import PIL.Image
import pytest

import nst_jax
from nst_jax import files
from nst_jax.papers.gatys_2016 import PRESETS


@pytest.fixture
def pictures(tmp_path, monkeypatch, photograph, painting):
    """A current folder with c.png and s.png."""
    monkeypatch.chdir(tmp_path)
    files.save_image("c.png", photograph)
    files.save_image("s.png", painting)


def test_one_pass_by_path_by_pillow_and_by_array(pictures):
    by_path = nst_jax.stylize("c.png", "s.png", alpha=0.8, style_size=64)
    assert isinstance(by_path, PIL.Image.Image)
    with PIL.Image.open("c.png") as photo:
        by_pillow = nst_jax.stylize(photo, "s.png", alpha=0.8, style_size=64)
    np.testing.assert_array_equal(np.asarray(by_pillow), np.asarray(by_path))
    content, style = nst_jax.load_image("c.png"), nst_jax.load_image("s.png", size=64)
    by_array = nst_jax.stylize(content, "s.png", alpha=0.8, style_size=64)
    stylizer: Any = nst_jax.load_stylizer("ghiasi2017")
    np.testing.assert_allclose(by_array, stylizer(content, style, alpha=0.8), atol=1e-4)
    np.testing.assert_allclose(np.asarray(by_path) / 255, by_array[0], atol=0.51 / 255)
    both = nst_jax.stylize(content, [style, content], style_size=64, model=stylizer)
    again = stylizer(content, [style, nst_jax.load_image("c.png", size=64)])
    np.testing.assert_allclose(both, again, atol=1e-4)


def test_what_cannot_be_painted_is_one_line(pictures):
    with pytest.raises(FileNotFoundError, match=r"did you mean 's\.png'"):
        nst_jax.stylize("c.png", "ss.png")
    with pytest.raises(FileNotFoundError, match=r"cannot read 'cc\.png'"):
        nst_jax.stylize("cc.png", "s.png")
    with pytest.raises(ValueError, match=r"num_step: no setting .* did you mean num_steps\?"):
        nst_jax.optimize("c.png", "s.png", num_step=3)


def test_pixels_by_path_and_by_array_silently(pictures, capsys):
    settings: dict[str, Any] = {"preset": "smoke", "size": 32, "num_steps": 2}
    by_path = nst_jax.optimize("c.png", "s.png", **settings)
    content, style = (nst_jax.load_image(name, size=32) for name in ("c.png", "s.png"))
    by_array = nst_jax.optimize(content, style, **settings)
    assert isinstance(by_path, PIL.Image.Image)
    np.testing.assert_allclose(np.asarray(by_path) / 255, by_array[0], atol=0.51 / 255)
    assert capsys.readouterr() == ("", "")

    begun = nst_jax.optimize(
        content, style, initial=style, progress=True, **{**settings, "num_steps": 0}
    )
    assert "preparing for" in capsys.readouterr().err
    wanted = nst_jax.optimize(content, style, init="style", **{**settings, "num_steps": 0})
    np.testing.assert_array_equal(begun, wanted)
    assert PRESETS["smoke"].init == "content"
