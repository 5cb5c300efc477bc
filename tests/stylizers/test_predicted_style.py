"""Oracle: the network applied plainly, whose own tests are in test_ghiasi.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from any_style_oracle import made_painting
from network_oracle import made_arrays

from nst_jax.networks.ghiasi import GhiasiNetwork
from nst_jax.stylizers import (
    AnyStyleStylizer,
    Embedding,
    PredictedStyleStylizer,
    load_stylizer,
    save_model,
)

CONTENT = made_painting(1, height=64)
FIRST, SECOND = made_painting(2, height=32), made_painting(3, height=64, width=96)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A file, and the network and variables that are in it."""
    path = tmp_path_factory.mktemp("model") / "any.safetensors"
    network = GhiasiNetwork(width=2)
    images, embeddings = jnp.zeros((1, 16, 16, 3)), jnp.zeros((1, 100))
    shapes = jax.eval_shape(network.init, jax.random.key(0), images, embeddings)
    variables = made_arrays(shapes)
    rounded = jax.tree.map(
        lambda array: jnp.asarray(array.astype(np.float16), jnp.float32), variables["params"]
    )
    save_model(path, network, variables, styles=(), card={"steps": 3})
    return path, network, {**variables, "params": rounded}


@pytest.fixture(scope="module")
def stylizer(model) -> PredictedStyleStylizer:
    loaded = load_stylizer(model[0])
    assert isinstance(loaded, PredictedStyleStylizer)
    assert isinstance(loaded, AnyStyleStylizer)
    return loaded


def embed(model, painting):
    """By the network alone; the paintings here have sides that are multiples of 32 pixels."""
    _, network, variables = model
    apply = jax.jit(network.apply, static_argnames="method")
    return apply(variables, jnp.asarray(painting), method="embed")


def paint(model, embedding):
    _, network, variables = model
    return jax.jit(network.apply)(variables, jnp.asarray(CONTENT), embedding)


def test_a_picture_is_painted_by_the_embedding_of_a_painting(model, stylizer):
    first, second = embed(model, FIRST), embed(model, SECOND)
    assert CONTENT.shape[1] % 32 == CONTENT.shape[2] % 32 == 0
    np.testing.assert_allclose(stylizer.embed(FIRST), first[0], rtol=1e-4, atol=1e-5)
    painted = stylizer(CONTENT, FIRST)
    np.testing.assert_allclose(painted, paint(model, first), atol=1e-5)
    assert np.abs(painted - stylizer(CONTENT, SECOND)).max() > 1e-3
    kept = stylizer(CONTENT, Embedding(second))
    np.testing.assert_allclose(kept, paint(model, second), atol=1e-5)


def test_blends_mix_embeddings_and_alpha_starts_from_the_photographs_own(model, stylizer):
    first, second, own = (embed(model, each) for each in (FIRST, SECOND, CONTENT))
    found = stylizer(CONTENT, [FIRST, SECOND], blend=(1.0, 3.0))
    np.testing.assert_allclose(found, paint(model, 0.25 * first + 0.75 * second), atol=1e-5)
    found = stylizer(CONTENT, FIRST, alpha=0.25)
    np.testing.assert_allclose(found, paint(model, 0.75 * own + 0.25 * first), atol=1e-5)
    found = stylizer(CONTENT, FIRST, alpha=0.0)
    np.testing.assert_allclose(found, stylizer(CONTENT, CONTENT), atol=1e-5)


def test_drawn_styles_have_the_mean_and_the_covariance_of_the_paintings(model, stylizer):
    paintings = [FIRST, SECOND, made_painting(4, height=32)]
    known = np.stack([np.asarray(embed(model, each))[0] for each in paintings])
    styles = [Embedding(jnp.asarray(each[None])) for each in known]
    drawn = jax.jit(jax.vmap(lambda key: stylizer.sample_style(key, styles).vector[0]))
    found = np.asarray(drawn(jax.random.split(jax.random.key(0), 40_000)))
    spread = np.sqrt(np.trace(np.cov(known.T)))
    assert np.linalg.norm(found.mean(0) - known.mean(0)) < 0.03 * spread
    error = np.linalg.norm(np.cov(found.T) - np.cov(known.T))
    assert error < 0.05 * np.linalg.norm(np.cov(known.T))
    first, again, other = (stylizer.sample_style(jax.random.key(n), paintings) for n in (1, 1, 2))
    np.testing.assert_array_equal(first.vector, again.vector)
    assert np.abs(first.vector - other.vector).max() > 0
    with pytest.raises(ValueError, match="wanted at least 2 paintings to draw a style around, got"):
        stylizer.sample_style(jax.random.key(0), [FIRST])


def test_regions_have_rows_of_their_own(model, stylizer):
    _, network, variables = model
    left = np.zeros((1, *CONTENT.shape[1:3]), np.float32)
    left[:, :, :16] = 1
    masks = np.stack([left[0], 1 - left[0]], -1)[None]
    embeddings = jnp.stack([embed(model, FIRST), embed(model, SECOND)], axis=1)
    images = jnp.asarray(np.concatenate([CONTENT, masks], -1))
    expected = jax.jit(network.apply)(variables, images, embeddings)
    found = stylizer(CONTENT, [FIRST, SECOND], masks=left)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_pure_function_wants_the_whole_style(model, stylizer):
    found = jax.jit(stylizer.apply)(
        stylizer.variables, jnp.asarray(CONTENT), *stylizer.conditions(FIRST)
    )
    np.testing.assert_allclose(found, paint(model, embed(model, FIRST)), atol=1e-5)
    with pytest.raises(ValueError, match=r"alpha: wanted 1 where no photograph is given, got 0\.5"):
        stylizer.conditions(stylizer.prepare(FIRST, alpha=0.5))


def test_a_file_keeps_statistics_whole_and_one_without_transformer_is_refused(model, tmp_path):
    path, _, variables = model
    arrays = safetensors.numpy.load_file(path)
    kept = variables["batch_stats"]["transformer"]["contract2_norm"]["var"]
    found = arrays["batch_stats/transformer/contract2_norm/var"]
    np.testing.assert_array_equal(found, kept)
    assert found.dtype == np.float32
    with safetensors.safe_open(path, "np") as file:
        header = file.metadata()
    alone = {key: array for key, array in arrays.items() if "predictor" in key}
    safetensors.numpy.save_file(alone, tmp_path / "alone.safetensors", header)
    with pytest.raises(ValueError, match=r"array 'batch_stats/transformer.*': is missing"):
        load_stylizer(tmp_path / "alone.safetensors")
