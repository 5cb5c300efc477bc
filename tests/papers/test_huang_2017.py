"""Oracles: the published losses written out in NumPy, and runs that were never stopped."""

import dataclasses
import functools
import json
import os
import signal
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import apply, encode

from nst_jax import train
from nst_jax.encoders.weights.pretrained import load_encoder
from nst_jax.networks.huang import Decoder
from nst_jax.papers import huang_2017
from nst_jax.papers.huang_2017 import PRESETS, STYLE_LAYERS, Config, Pair
from nst_jax.train.checkpoints import saved_steps

pytestmark = pytest.mark.usefixtures("lax_promotion")

CHANNELS = {"relu1_1": 64, "relu2_1": 128, "relu3_1": 256, "relu4_1": 512}
SMOKE = PRESETS["smoke"]
PLAIN = dataclasses.replace(SMOKE, identity_pairs=0)


def make_pair(size=32) -> Pair:
    """Two photographs of a hill and a sun, and two paintings of waves."""
    y, x = np.mgrid[0:size, 0 : 2 * size].astype(np.float32) * (48 / size)
    scene = np.stack([0.4 + y / 160, 0.6 + y / 240, 0.95 - y / 480], -1)
    scene[y > 36 - 12 * np.sin(x / 64 * np.pi)] = (0.2, 0.4, 0.15)
    scene[(y - 10) ** 2 + (x - 48) ** 2 < 36] = (1.0, 0.9, 0.5)
    wave = 0.5 + 0.5 * np.sin(1.1 * np.hypot(y - 14, x - 20))
    waves = np.stack([0.9 * wave, 0.3 + 0.4 * wave, 0.6 - 0.4 * wave], -1)
    content, style = (np.stack([both[:, :size], both[:, size:]]) for both in (scene, waves))
    return Pair(content, style)


PAIR = make_pair()


@pytest.fixture(scope="module")
def vgg16():
    return load_encoder("vgg16", weights="vgg16-normalized")


@pytest.fixture(scope="module")
def variables():
    decoder = Decoder(architecture="vgg16")
    return jax.jit(decoder.init)(jax.random.key(3), jnp.zeros((1, 2, 2, 512)))


# The presets ----------------------------------------------------------------------------------


def test_the_papers_preset():
    paper = PRESETS["paper"]
    assert (paper.encoder, paper.weights) == ("vgg19", "vgg19-adain")
    assert [layer for layer, _ in paper.style_layers] == list(CHANNELS)
    assert (paper.size, paper.shorter_side, paper.flip) == (256, (512, 512), False)
    assert (paper.batch_size, paper.num_steps, paper.warm_start_steps) == (8, 160_000, 0)
    assert (paper.learning_rate, paper.schedule, paper.decay) == (1e-4, "inverse_time", 5e-5)
    assert dataclasses.replace(paper, style_weight=1e-2) == PRESETS["authors"] == Config()


def test_the_ports_weights_are_alike_but_not_the_authors():
    """A weight of w on sums over channels is one of w N on means: 6.4 to 51.2 for 0.1, not 10."""
    paper, port = PRESETS["paper"], PRESETS["pytorch_adain"]
    assert [paper.style_weight * w for _, w in paper.style_layers] == pytest.approx(
        [6.4, 12.8, 25.6, 51.2]
    )
    assert [port.style_weight * w for _, w in port.style_layers] == [10.0] * 4


def test_what_fits_this_machine_needs_no_download():
    for name in ("cpu", "smoke"):
        assert (PRESETS[name].encoder, PRESETS[name].weights) == ("vgg16", "vgg16-normalized")
    for config in PRESETS.values():
        assert dataclasses.replace(config) == config
        assert json.loads(json.dumps(dataclasses.asdict(config)))["seed"] == 0


BAD_FIELDS = {
    "adversarial_weight": (-1.0, "adversarial_weight: wanted a finite number, 0 or more, got -1.0"),
    "warm_start_steps": (-1, "warm_start_steps: wanted 0 or more, got -1"),
    "identity_pairs": (3, "identity_pairs: wanted at most 2, got 3"),
    "identity_weight": (-1.0, "identity_weight: wanted a finite number, 0 or more, got -1.0"),
    "style_layers": ((("relu1_1", float("nan")),), "style_layers: wanted finite weights"),
    "identity_layers": ((("conv1_1", 1.0),), "identity_layers: wanted some of relu1_1, .*conv1_1"),
    "distances": ("shares", "distances: wanted"),
    "style_weight": (-1.0, "style_weight: wanted a finite number, 0 or more, got -1.0"),
    "size": (36, "size: wanted a multiple of 8 from 16 on, got 36"),
}


@pytest.mark.parametrize("field", BAD_FIELDS)
def test_what_cannot_be_run_is_refused(field):
    value, complaint = BAD_FIELDS[field]
    with pytest.raises(ValueError, match=complaint):
        dataclasses.replace(SMOKE, **{field: value})
    with pytest.raises(ValueError, match=r"style_layers: wanted some of relu1_1, .*'relu5_2'"):
        dataclasses.replace(SMOKE, style_layers=(("relu5_2", 1.0),))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_whole_network_has_the_precision_of_its_training(precision, vgg16):
    config = dataclasses.replace(SMOKE, precision=precision)
    network = huang_2017.make_network(config, vgg16[0])
    found = [network.precision, network.encoder.precision]
    assert [huang_2017.make_decoder(config).precision, *found] == [precision] * 3


# The losses -----------------------------------------------------------------------------------

decode = functools.partial(apply, Decoder(architecture="vgg16"))


def features_of(vgg16, images, layers=STYLE_LAYERS):
    """The encoder with reflection padding, in float64 from here on."""
    encoder, params = vgg16
    encoder = dataclasses.replace(encoder, padding="reflect")
    found = encode(encoder, params, jnp.asarray(images, jnp.float32), layers=layers)
    return {layer: np.asarray(maps, np.float64) for layer, maps in found.items()}


def moments(maps):
    return maps.mean((1, 2)), np.sqrt(maps.var((1, 2)) + 1e-5)


def adain_in_numpy(content, style):
    (mean, deviation), (style_mean, style_deviation) = moments(content), moments(style)
    normalized = (content - mean[:, None, None]) / deviation[:, None, None]
    return normalized * style_deviation[:, None, None] + style_mean[:, None, None]


def published_terms(config, vgg16, variables, pair):
    """Eqs. (11) to (13) with the codes' squares: over channels the sum or the mean."""
    target = adain_in_numpy(
        features_of(vgg16, pair.content)["relu4_1"], features_of(vgg16, pair.style)["relu4_1"]
    )
    painted = decode(variables, jnp.asarray(target, jnp.float32))
    found, wanted = features_of(vgg16, painted), features_of(vgg16, pair.style)
    style = 0.0
    for layer, weight in config.style_layers:
        for ours, theirs in zip(moments(found[layer]), moments(wanted[layer]), strict=True):
            style += weight * np.mean((ours - theirs) ** 2)
    content = np.mean((found["relu4_1"] - target) ** 2)
    return {"content": config.content_weight * content, "style": config.style_weight * style}


def loss_of(config, vgg16, variables, pair, make=huang_2017.make_loss_fn):
    encoder, encoder_params = vgg16
    loss_fn = jax.jit(make(config, encoder))
    pair = Pair(*map(jnp.asarray, pair))
    total, (terms, state) = loss_fn(
        jax.random.key(0), variables["params"], {}, pair, encoder_params
    )
    assert state == {}
    return float(total), {name: float(term) for name, term in terms.items()}


@pytest.mark.slow
@pytest.mark.parametrize("style_weight", [10.0, 3.0])
def test_the_loss_is_the_published_one(vgg16, variables, style_weight):
    config = dataclasses.replace(PLAIN, style_weight=style_weight, content_weight=0.7)
    total, terms = loss_of(config, vgg16, variables, PAIR)
    wanted = published_terms(config, vgg16, variables, PAIR)
    assert terms == pytest.approx(wanted, rel=1e-3)
    assert total == pytest.approx(sum(wanted.values()), rel=1e-3)


@pytest.mark.slow
def test_relative_distances_are_shares_of_what_is_compared_with(vgg16, variables):
    """In relu5_1 too, which no preset has."""
    layers = (("relu2_1", 3.0), ("relu5_1", 0.5))
    config = dataclasses.replace(
        PLAIN, distances="relative", style_weight=2.0, content_weight=0.7, style_layers=layers
    )
    total, terms = loss_of(config, vgg16, variables, PAIR)

    target = adain_in_numpy(*(features_of(vgg16, each)["relu4_1"] for each in PAIR))
    painted = decode(variables, jnp.asarray(target, jnp.float32))
    names = ("relu2_1", "relu4_1", "relu5_1")
    found, wanted = (features_of(vgg16, each, names) for each in (painted, PAIR.style))
    style = 0.0
    for layer, weight in layers:
        ours, theirs = (np.concatenate(moments(maps[layer]), -1) for maps in (found, wanted))
        shares = ((ours - theirs) ** 2).sum(-1) / (theirs**2).sum(-1)
        style += weight * np.log(1 + shares).mean()
    squares = ((found["relu4_1"] - target) ** 2).sum((1, 2, 3)) / (target**2).sum((1, 2, 3))
    assert terms == pytest.approx({"content": 0.7 * squares.mean(), "style": 2 * style}, rel=1e-3)
    assert total == pytest.approx(sum(terms.values()), rel=1e-5)


def test_sums_over_channels_are_means_times_their_number(vgg16, variables):
    """The authors' weights, on the same network: Σ over channels, by hand."""
    config = dataclasses.replace(
        PLAIN, style_layers=Config().style_layers, style_weight=Config().style_weight
    )
    _, terms = loss_of(config, vgg16, variables, PAIR)
    ones = dataclasses.replace(PLAIN, style_weight=1.0)
    literal = sum(
        1e-2
        * channels
        * published_terms(
            dataclasses.replace(ones, style_layers=((layer, 1.0),)), vgg16, variables, PAIR
        )["style"]
        for layer, channels in CHANNELS.items()
    )
    assert terms["style"] == pytest.approx(literal, rel=1e-3)


@pytest.mark.slow
def test_an_identity_pair_is_painted_after_itself_and_compared_pixel_by_pixel(vgg16, variables):
    config = dataclasses.replace(SMOKE, identity_pairs=1, identity_weight=700.0)
    total, terms = loss_of(config, vgg16, variables, PAIR)
    own = Pair(PAIR.content, np.stack([PAIR.content[0], PAIR.style[1]]))
    wanted = published_terms(config, vgg16, variables, own)
    features = features_of(vgg16, PAIR.content[:1])["relu4_1"]
    painted = decode(variables, jnp.asarray(features, jnp.float32))
    wanted["identity"] = 700 * np.mean((np.asarray(painted) - PAIR.content[:1]) ** 2)
    assert terms == pytest.approx(wanted, rel=1e-3)
    assert total == pytest.approx(sum(wanted.values()), rel=1e-3)
    alone = dataclasses.replace(config, content_weight=0.0, style_weight=0.0)
    total, terms = loss_of(alone, vgg16, variables, PAIR)
    assert terms == {"identity": pytest.approx(wanted["identity"], rel=1e-3)}
    assert total == terms["identity"]


@pytest.mark.slow
def test_the_features_of_identity_pairs_are_compared_position_by_position(vgg16, variables):
    weights = {"relu3_1": 3.0, "relu1_1": 0.5}
    config = dataclasses.replace(
        SMOKE, identity_pairs=1, identity_weight=0.0, identity_layers=tuple(weights.items())
    )
    total, terms = loss_of(config, vgg16, variables, PAIR)
    features = features_of(vgg16, PAIR.content[:1])
    painted = decode(variables, jnp.asarray(features["relu4_1"], jnp.float32))
    found = features_of(vgg16, painted)
    wanted = sum(
        weight * np.mean((found[layer] - features[layer]) ** 2) for layer, weight in weights.items()
    )
    assert terms["identity_features"] == pytest.approx(wanted, rel=1e-3)
    assert total == pytest.approx(terms["content"] + terms["style"] + wanted, rel=1e-3)
    none = dataclasses.replace(config, identity_pairs=0)
    _, terms = loss_of(none, vgg16, variables, PAIR)
    assert terms.keys() == {"content", "style"}


def test_the_parts_are_trained_to_invert_the_encoders(vgg16, variables):
    total, terms = loss_of(SMOKE, vgg16, variables, PAIR, make=huang_2017.make_warm_start_loss_fn)
    images = PAIR.content
    features = {**features_of(vgg16, images), "image": images}
    parts = {
        "relu3_1": ("relu4_1", "conv4_1", "conv3_2"),
        "relu2_1": ("relu3_1", "conv3_1", "conv2_2"),
        "relu1_1": ("relu2_1", "conv2_1", "conv1_2"),
        "image": ("relu1_1", "conv1_1", "conv1_1"),
    }
    wanted = {}
    for target, (source, first, last) in parts.items():
        found = decode(
            variables,
            jnp.asarray(features[source], jnp.float32),
            first=first,
            last=last,
            method="run_layers",
        )
        wanted[target] = float(np.mean((np.asarray(found) - features[target]) ** 2))
    assert terms == pytest.approx(wanted, rel=1e-3)
    assert total == pytest.approx(sum(wanted.values()), rel=1e-3)


# Training -------------------------------------------------------------------------------------

CONFIG = dataclasses.replace(SMOKE, num_steps=6, warm_start_steps=4, average_decay=0.9)


class Pairs:
    """The two pairs, mirrored every other time; its position is a number."""

    def __init__(self):
        self.position = 0

    def __next__(self):
        self.position += 1
        return PAIR if self.position % 2 else Pair(*(images[:, ::-1].copy() for images in PAIR))

    def get_state(self):
        return self.position

    def set_state(self, state):
        self.position = state


def fit(vgg16, workdir, *, config=CONFIG, on_step=None, start=None):
    fixed = Pair(*map(jnp.asarray, PAIR))
    return huang_2017.fit(
        Pairs(),
        config,
        *vgg16,
        held_out=fixed,
        samples=Pair(fixed.content[:1], fixed.style),
        reporting=train.Reporting(workdir, data={"pairs": "two"}, on_step=on_step),
        start=start,
    )


@pytest.fixture(scope="module")
def whole(vgg16, tmp_path_factory):
    """A run that is never stopped: what it returned, its folder, and what it reported."""
    folder, reports = tmp_path_factory.mktemp("whole"), []
    with jax.numpy_dtype_promotion("standard"):
        return fit(vgg16, folder, on_step=reports.append), folder, reports


def decoder_of(variables):
    return {"params": variables["params"]["decoder"]}


def assert_same(found, wanted):
    jax.tree.map(np.testing.assert_array_equal, found, wanted)


@pytest.mark.slow
def test_both_stages_lower_their_losses(whole):
    trained, folder, reports = whole
    assert trained.step == 10
    assert [report.step for report in reports] == list(range(1, 11))
    warm, main = reports[:4], reports[4:]
    assert all(set(report.terms) == {"relu3_1", "relu2_1", "relu1_1", "image"} for report in warm)
    assert all(set(report.terms) == {"content", "style"} for report in main)
    for stage in (warm, main):
        assert stage[-1].total < stage[0].total
    assert (folder / "samples" / "step_000006.jpg").exists()
    assert (folder / "warm_start" / "samples" / "step_000004.jpg").exists()


@pytest.mark.slow
def test_the_network_that_is_returned_paints_by_the_decoder(whole, vgg16):
    trained, *_ = whole
    content, style = features_of(vgg16, PAIR.content), features_of(vgg16, PAIR.style)
    target = jnp.asarray(adain_in_numpy(content["relu4_1"], style["relu4_1"]), jnp.float32)
    network, variables = trained.network, trained.variables
    moments = apply(network, variables, jnp.asarray(PAIR.style), method="style_moments")
    mean, deviation = (values[:, None] for values in moments)
    ones = jnp.ones((len(PAIR.content), 1))
    found = apply(network, variables, jnp.asarray(PAIR.content), mean, deviation, ones)
    wanted = decode(decoder_of(variables), target)
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.slow
def test_the_held_out_losses_are_the_returned_decoders(whole, vgg16):
    trained, *_ = whole
    wanted = published_terms(CONFIG, vgg16, decoder_of(trained.variables), PAIR)
    assert trained.held_out == pytest.approx({"total": sum(wanted.values()), **wanted}, rel=1e-3)


@pytest.mark.slow
def test_held_out_losses_leave_identity_pairs_out(vgg16, tmp_path):
    config = dataclasses.replace(
        CONFIG, num_steps=1, warm_start_steps=0, identity_pairs=1, identity_weight=3.0
    )
    reports = []
    trained = fit(vgg16, tmp_path, config=config, on_step=reports.append)
    assert set(reports[0].terms) == {"content", "style", "identity"}
    wanted = published_terms(config, vgg16, decoder_of(trained.variables), PAIR)
    assert trained.held_out == pytest.approx({"total": sum(wanted.values()), **wanted}, rel=1e-3)


@pytest.mark.parametrize("last", [2, 7], ids=["in the first stage", "in the second"])
@pytest.mark.slow
def test_a_stopped_run_goes_on_to_the_same_decoder(whole, vgg16, tmp_path, last):
    def press_ctrl_c(report):
        if report.step == last:
            os.kill(os.getpid(), signal.SIGINT)

    stopped = fit(vgg16, tmp_path, on_step=press_ctrl_c)
    assert last <= stopped.step < 10
    assert stopped.held_out == {}
    reports = []
    trained = fit(vgg16, tmp_path, on_step=reports.append)
    assert [report.step for report in reports] == list(range(stopped.step + 1, 11))
    assert_same(trained.variables, whole[0].variables)


@pytest.mark.slow
def test_a_discriminator_adds_a_term_and_moves_the_decoder(vgg16, tmp_path):
    """The first step's own losses are those without it, the second's are not."""
    plain_config = dataclasses.replace(CONFIG, num_steps=3, warm_start_steps=0, identity_pairs=1)
    config = dataclasses.replace(plain_config, adversarial_weight=0.5)
    plain, reports = [], []
    fit(vgg16, tmp_path / "plain", config=plain_config, on_step=plain.append)
    trained = fit(vgg16, tmp_path / "with", config=config, on_step=reports.append)
    own = set(plain[0].terms)
    assert set(reports[0].terms) == own | {"adversarial"}
    for term in own:
        assert reports[0].terms[term] == pytest.approx(plain[0].terms[term], rel=1e-4)
    assert reports[1].terms["style"] != pytest.approx(plain[1].terms["style"], rel=1e-6)
    assert set(trained.held_out) == {"total", "content", "style"}
    lines = (tmp_path / "with" / "metrics.jsonl").read_text().splitlines()
    assert 0 <= json.loads(lines[0])["accuracy"] <= 1
    assert saved_steps(tmp_path / "with" / "best") == [3]
    assert_same(fit(vgg16, tmp_path / "with", config=config).variables, trained.variables)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"size": 16}, "size: wanted 32 or more with adversarial_weight, got 16"),
        ({"identity_pairs": 2}, "identity_pairs: wanted fewer than batch_size, 2, with"),
    ],
)
def test_a_discriminator_wants_something_to_judge(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        dataclasses.replace(SMOKE, adversarial_weight=1.0, **changes)


@pytest.mark.slow
def test_a_start_takes_the_first_stages_place(whole, vgg16, tmp_path):
    config = dataclasses.replace(CONFIG, num_steps=1, learning_rate=1e-12)
    start = whole[0].variables
    trained = fit(vgg16, tmp_path, config=config, start=start)
    assert trained.step == 1
    assert not (tmp_path / "warm_start").exists()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-9), trained.variables, start)


@pytest.mark.slow
def test_the_sheet_shows_every_photograph_after_every_painting(vgg16, tmp_path, monkeypatch):
    sheets = []
    fit_as_it_is = train.fit

    def watch(*args, sample, **options):
        state = fit_as_it_is(*args, sample=sample, **options)
        sheets.append(np.asarray(sample(state)))
        return state

    monkeypatch.setattr(sys.modules["nst_jax.train.fit_network"], "fit", watch)
    config = dataclasses.replace(CONFIG, num_steps=1, warm_start_steps=0)
    trained = fit(vgg16, tmp_path, config=config)
    content = features_of(vgg16, PAIR.content[:1])["relu4_1"]
    style = features_of(vgg16, PAIR.style)["relu4_1"]
    assert sheets[0].shape == (2, 32, 32, 3)
    for number in range(2):
        target = adain_in_numpy(content, style[number : number + 1])
        painted = decode(decoder_of(trained.variables), jnp.asarray(target, jnp.float32))
        np.testing.assert_allclose(sheets[0][number], painted[0].clip(0, 1), atol=1e-4)
