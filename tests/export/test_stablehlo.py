"""StableHLO files, read back by jax.export: what our network answers, at sizes not known before."""

import json
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest
from any_style_oracle import save_made_model
from jax import export
from network_oracle import made_pictures
from small_models import save_models

from nst_jax.cli import main
from nst_jax.stylizers import load_stylizer

# Sizes that are symbols equal no other in the checks of types.
pytestmark = pytest.mark.usefixtures("unchecked")


def read_archive(path):
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    return parts.pop("card.json"), {
        name: export.deserialize(bytearray(content)) for name, content in parts.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["one", "many"])
def test_networks_answer_the_same_at_any_size(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_models(tmp_path)
    assert main(["export", f"{name}.safetensors", "-o", "net.stablehlo"]) == 0
    card, parts = read_archive("net.stablehlo")
    stylizer = load_stylizer(f"{name}.safetensors")
    assert json.loads(card)["network"] == stylizer.architecture
    style = () if name == "one" else (jnp.asarray([[0.5, 0, 0.5]], jnp.float32),)
    for height, width in ((64, 96), (96, 64)):
        pictures = jnp.asarray(made_pictures(1, height, width, 3))
        ours = stylizer.apply(stylizer.variables, pictures, *style)
        painted = parts["transformer.bin"].call(pictures, *style)
        np.testing.assert_allclose(painted, ours, atol=2e-3)
        assert np.abs(np.asarray(painted - ours)).mean() < 1e-4


@pytest.mark.slow
def test_a_network_of_any_style_has_two_programs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_made_model("any.safetensors")
    assert main(["export", "any.safetensors", "-o", "net.stablehlo"]) == 0
    _, parts = read_archive("net.stablehlo")
    stylizer = load_stylizer("any.safetensors")
    pictures, painting = (jnp.asarray(made_pictures(1, 64, 96, 3, seed=i)) for i in (0, 1))
    moments = parts["style.bin"].call(painting)
    wanted = stylizer.network.apply(stylizer.variables, painting, method="style_moments")
    for found, ours in zip(moments, wanted, strict=True):
        np.testing.assert_allclose(found, ours, rtol=1e-3, atol=1e-3)
    style = (*(each[:, None] for each in wanted), jnp.full((1, 1), 0.7, jnp.float32))
    painted = parts["transformer.bin"].call(pictures, *style)
    ours = stylizer.apply(stylizer.variables, pictures, *style)
    np.testing.assert_allclose(painted, ours, atol=2e-3)
