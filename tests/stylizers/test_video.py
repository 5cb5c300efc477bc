"""Clips painted without flicker: what the statistics are, and what the blend does and does not."""

from typing import Any

import jax
import jax.numpy as jnp
import made_clips
import made_data
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from nst_jax import metrics
from nst_jax.flow import Flows
from nst_jax.networks.layers import InstanceNorm, RegionMoments
from nst_jax.stylizers import (
    Blend,
    StyleOverTime,
    VideoState,
    VideoStylizer,
    load_stylizer,
)
from nst_jax.stylizers.blending import feathered_mask
from nst_jax.stylizers.clip_statistics import combine, follow
from nst_jax.stylizers.painting import record_statistics

STILL = Flows(np.zeros((32, 48, 2), np.float32), np.zeros((32, 48, 2), np.float32))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return made_data.save_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def many(models):
    return load_stylizer(models.many)


def frames(count=3, height=32, width=48):
    """Frames of different brightness and contrast, such as a clip has where light changes."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    return [
        (made_clips.texture(y, x - 3 * n) * (0.5 + 0.2 * n) + 0.05 * n).astype(np.float32)
        for n in range(count)
    ]


def flat(statistics: Any) -> dict[Any, Any]:
    return dict(flatten_dict(statistics))


def as_image(pixels):
    return jnp.asarray(pixels[None])


@pytest.mark.parametrize("layer", ["norm", "regions"])
def test_pooled_statistics_are_those_of_one_picture_with_all_positions(layer):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4, 5, 6)) + 2, jnp.float32)
    one = x.reshape(1, 12, 5, 6)
    norm: Any = InstanceNorm() if layer == "norm" else RegionMoments()
    variables = norm.init(jax.random.key(0), one, *regions(layer, one))
    marks = {**variables, "pooled_statistics": {"mean": 0}}
    _, found = norm.apply(marks, x, *regions(layer, x), mutable=["statistics"])
    _, wanted = norm.apply(variables, one, *regions(layer, one), mutable=["statistics"])
    for name in ("mean", "var"):
        for frame in range(3):
            np.testing.assert_allclose(
                found["statistics"][name][frame], wanted["statistics"][name][0], rtol=1e-5
            )


def regions(layer, x):
    return (jnp.ones((*x.shape[:3], 1)),) if layer == "regions" else ()


@pytest.mark.parametrize("model", ["one", "many"])
def test_frames_under_pooled_statistics_have_these_on_average_in_every_layer(models, model):
    """The fixed point that statistics recorded frame by frame are not."""
    stylizer = load_stylizer(getattr(models, model))
    style = None if model == "one" else "waves"
    clip = frames(width=64)  # a size that the network runs at as it is
    pooled = stylizer.pool_statistics(clip, style)
    assert pooled is not None
    given = stylizer.with_statistics(pooled)
    conditions = stylizer.conditions(style)
    own = [record_statistics(given._model, pixels, conditions) for pixels in clip]
    averaged, wanted = flat(combine([(1, each) for each in own])), flat(pooled)
    assert averaged.keys() == wanted.keys()
    assert len(wanted) > 20
    for path, array in wanted.items():
        np.testing.assert_allclose(averaged[path], array, rtol=2e-3, atol=2e-4)


def test_groups_of_frames_are_combined_by_their_numbers():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, 100, 4)) + np.arange(5)[:, None, None]

    def statistics(part):
        flat = part.reshape(-1, 4)
        return {"layer": {"mean": flat.mean(0)[None], "var": flat.var(0)[None]}}

    found = combine([(2, statistics(values[:2])), (3, statistics(values[2:]))])
    for name, array in statistics(values)["layer"].items():
        np.testing.assert_allclose(found["layer"][name], array, rtol=1e-5)
    moved = follow(statistics(values[:1]), statistics(values[1:2]), keep=0.75)
    wanted = 0.75 * values[0].mean(0) + 0.25 * values[1].mean(0)
    np.testing.assert_allclose(moved["layer"]["mean"][0], wanted)


def test_large_clips_and_frames_are_pooled_in_parts(many):
    whole, apart = (
        flat(many.pool_statistics(frames(), "dots", max_pixels=pixels))
        for pixels in (1 << 20, 2 * 32 * 64)
    )
    for path, array in whole.items():
        # What the first layer sees is the same; later ones see what was normalised group by group.
        rtol, atol = (1e-4, 1e-6) if path[0] == "contract1_norm" else (0.3, 0.1)
        np.testing.assert_allclose(apart[path], array, rtol=rtol, atol=atol)


@pytest.mark.slow
def test_shared_statistics_paint_equal_parts_equally(many):
    """A bright bar that comes into a frame changes what is far from it, unless they are shared."""
    (frame,) = frames(1, 32, 160)
    entered = frame.copy()
    entered[:, 130:] = 1
    far = np.s_[:, :40]
    changes = {}
    for temporal in ("off", "statistics"):
        video = VideoStylizer(many, "strokes", temporal=temporal)
        state = video.init([frame, entered])
        state, first = video.step(state, as_image(frame), None)
        _, second = video.step(state, as_image(entered), None)
        changes[temporal] = float(jnp.abs(first[0][far] - second[0][far]).max())
    assert changes["off"] > 0.01
    assert changes["statistics"] < 1e-4


def test_off_is_the_stylizer_itself(many):
    video = VideoStylizer(many, "waves", temporal="off")
    state, picture = video.step(video.init(frames()), as_image(frames()[0]), STILL)
    np.testing.assert_array_equal(picture, many(as_image(frames()[0]), "waves"))
    assert state.statistics is None


def test_statistics_follow_the_frames_where_the_clip_is_not_known(many):
    video = VideoStylizer(many, "waves", temporal="statistics")
    first = frames()[0]
    second = 0.8 * first
    state, _ = video.step(video.init(()), as_image(first), None)
    state, _ = video.step(state, as_image(second), None)
    own = [flat(many.pool_statistics([each], "waves")) for each in (first, second)]
    for path, array in flat(state.statistics).items():
        np.testing.assert_allclose(array, 0.9 * own[0][path] + 0.1 * own[1][path], rtol=1e-4)


# A style that changes ----------------------------------------------------------------------------


def test_weights_are_linear_between_times():
    style = StyleOverTime((1.0, 2.0, 4.0), ("waves", "dots", "strokes"))
    for time, wanted in {
        0: (1, 0, 0),
        1: (1, 0, 0),
        1.25: (0.75, 0.25, 0),
        2: (0, 1, 0),
        3.5: (0, 0.25, 0.75),
        9: (0, 0, 1),
    }.items():
        assert style.weights(float(time)) == pytest.approx(wanted)
    for times in ((2.0, 1.0, 3.0), (1.0, 1.0, 2.0), (0.0, 1.0)):
        with pytest.raises(ValueError, match="style_times: wanted seconds that rise"):
            StyleOverTime(times, style.styles)


def test_a_changing_style_has_each_style_at_its_time(many):
    clip = frames()
    style = StyleOverTime((0.0, 2.0), ("waves", "dots"))
    video = VideoStylizer(many, style, temporal="statistics")
    state = video.init(clip)
    for time, name in {0.0: "waves", 2.0: "dots"}.items():
        alone = VideoStylizer(many, name, temporal="statistics")
        _, wanted = alone.step(alone.init(clip), as_image(clip[1]), None)
        _, found = video.step(state, as_image(clip[1]), None, time=time)
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    pooled = [flat(many.pool_statistics(clip, name)) for name in ("waves", "dots")]
    mixed = flat(style.mix_statistics(state.statistics, 0.5))
    for path, array in mixed.items():
        np.testing.assert_allclose(
            array, 0.75 * pooled[0][path] + 0.25 * pooled[1][path], rtol=1e-5
        )
    after, _ = video.step(state, as_image(clip[0]), None, time=0.5)
    assert after.statistics is state.statistics
    groups = [(2, video.pool(clip[:2])), (1, video.pool(clip[2:]))]
    assert len(video.combine(groups)) == 2


def test_running_statistics_are_those_of_the_style_at_the_time(many):
    style = StyleOverTime((0.0, 2.0), ("waves", "dots"))
    video = VideoStylizer(many, style, temporal="statistics")
    state, _ = video.step(video.init(()), as_image(frames()[0]), None, time=1.0)
    own = many.pool_statistics([frames()[0]], {"waves": 1, "dots": 1})
    for path, array in flat(state.statistics).items():
        np.testing.assert_allclose(array, flat(own)[path], rtol=1e-4)


def test_a_network_of_one_style_does_not_change(models):
    with pytest.raises(ValueError, match="which has no styles to change between"):
        VideoStylizer(load_stylizer(models.one), StyleOverTime((0.0,), (None,)))


# The blend ---------------------------------------------------------------------------------------


def painter(many, pictures, blend=None):
    """A stylizer of clips that paints what it is told in turn, and blends."""
    waiting = iter(pictures)
    return VideoStylizer(
        many, "waves", temporal="blend", blend=blend or Blend(), paint=lambda *_: next(waiting)
    )


def play(video, clip, flows=STILL):
    state, shown = video.init(()), []
    for number, pixels in enumerate(clip):
        state, picture = video.step(state, as_image(pixels), flows if number else None)
        shown.append(np.asarray(picture[0]))
    return np.stack(shown)


def flicker(many, *, count=40, blend=None):
    """A still clip, whose pictures get brighter and darker in turn."""
    (frame,) = frames(1)
    pictures = [frame * 0.6 + 0.2 + 0.05 * (-1) ** number for number in range(count)]
    return np.stack(pictures), play(painter(many, pictures, blend), [frame] * count)


def test_flicker_is_a_fraction_and_brightness_stays(many):
    given, shown = flicker(many)
    changes = [np.abs(np.diff(each.mean((1, 2, 3))))[20:].mean() for each in (given, shown)]
    assert changes[1] < 0.1 * changes[0]
    assert shown[20:].mean() == pytest.approx(given[20:].mean(), abs=2e-3)
    assert given.min() <= shown.min()


def test_what_does_not_change_stays_as_it_is(many):
    (frame,) = frames(1)
    shown = play(painter(many, [frame] * 30), [frame] * 30)
    np.testing.assert_allclose(shown[-1], frame, atol=1e-5)


def test_a_strength_of_0_is_no_blend(many):
    given, shown = flicker(many, count=4, blend=Blend(strength=0.0, most_gain=1.0))
    np.testing.assert_allclose(shown, given, atol=1e-6)


def test_light_that_changes_is_followed(many):
    (frame,) = frames(1)
    dark, light = 0.3 * frame, 0.3 * frame + 0.35  # too little for a cut
    shown = play(painter(many, [dark, light]), [dark, light])
    assert shown[1].mean() - light.mean() == pytest.approx(0, abs=0.01)


def test_a_cut_begins_anew(many):
    (frame,) = frames(1)
    other = (0.3 * frame[..., ::-1] + [0.1, 0.5, 0.2]).astype(np.float32)
    shown = play(painter(many, [frame, other]), [frame, other])
    np.testing.assert_array_equal(shown[1], other)


def test_what_was_covered_is_painted_anew(many):
    first, second, backward, forward, uncovered = made_clips.cut_out()
    pictures = [1 - first, 1 - second + 0.1]
    video = painter(many, pictures, Blend(most_gain=1.0))
    shown = play(video, [first, second], Flows(backward, forward))
    np.testing.assert_allclose(shown[1][uncovered], pictures[1].clip(0, 1)[uncovered], atol=1e-6)
    change = np.abs(shown[1] - pictures[1])[20:28, 30:38]  # on the square, which is known
    assert 0.07 < change.mean() < 0.095


def test_motion_does_not_blur(many):
    """A fine pattern under a pan by fractions of a pixel is as sharp after 20 frames."""
    clip = [made_clips.moved(made_clips.pan(0.4 * n, 0.3 * n))[1] for n in range(20)]
    fine = [0.5 + 0.5 * np.sin(5 * pixels) for pixels in clip]
    step = made_clips.moved(made_clips.pan(0.4, 0.3))[2]
    flows = Flows(step, -step)
    own = float(metrics.sharpness(as_image(fine[-1]))[0])
    kept = {}
    for name, blend in {
        "ours": Blend(),
        "bilinear": Blend(sampling="bilinear", most_gain=1.0),
    }.items():
        shown = play(painter(many, fine, blend), clip, flows)
        kept[name] = float(metrics.sharpness(as_image(shown[-1]))[0]) / own
    assert kept["ours"] > 0.9
    assert kept["bilinear"] < kept["ours"] - 0.05


def test_steps_are_pure(many):
    video = VideoStylizer(many, "waves")
    start = video.init(frames())
    middle, _ = video.step(start, as_image(frames()[0]), None)
    answers = [video.step(middle, as_image(frames()[1]), STILL)[1] for _ in range(2)]
    np.testing.assert_array_equal(answers[0], answers[1])
    assert start.frame is None


def test_the_mask_rises_from_what_comes_from_outside():
    flow = jnp.broadcast_to(jnp.array([-5.0, 0.0]), (1, 32, 64, 2))
    mask = np.asarray(feathered_mask(flow, -flow, feather=3.0))[0, 16]
    assert mask[:5].max() == 0
    assert mask[5] < 0.25  # 2 Φ(1/6) − 1 = 0.13
    assert np.diff(mask[5:]).min() >= -1e-6
    np.testing.assert_allclose(mask[15:], 1, atol=1e-5)


@pytest.mark.usefixtures("unchecked")
def test_bad_arguments_are_refused(many):
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"strength": 1.0}, "strength: wanted 0 to less than 1"),
        ({"sampling": "area"}, "sampling: wanted one of nearest"),
        ({"feather": 0.0}, "feather, doubt, most_gain: wanted"),
        ({"most_gain": 0.5}, "feather, doubt, most_gain: wanted"),
    ]
    for options, words in wrong:
        with pytest.raises(ValueError, match=words):
            Blend(**options)
    with pytest.raises(ValueError, match="temporal: wanted one of off"):
        VideoStylizer(many, "waves", temporal="on")  # pyright: ignore[reportArgumentType]
    video = VideoStylizer(many, "waves", temporal="off")
    state = VideoState(None, are_fixed=False, frame=as_image(frames()[0]), picture=None)
    with pytest.raises(ValueError, match="frame: wanted the last one's shape"):
        video.step(state, as_image(frames(1, 48, 48)[0]), None)
