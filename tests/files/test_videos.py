"""Clips in and out, compared with what was put in: by planes, packets and bytes."""

import os
import sys
from fractions import Fraction
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax import files
from nst_jax.files import video_frames, video_output
from nst_jax.files.video_libraries import VideoLibraryMissingError
from nst_jax.files.video_output import (
    Sound,
    check_clip_output,
    clip_exists,
    load_clip_origin,
    writing_clip,
)
from nst_jax.files.videos import Clip, Frame, Selection, describe_clip, read_frames

av = pytest.importorskip("av")

RATE = Fraction(25)
CLIP = Clip(32, 48, 1 / RATE, RATE, 6, has_sound=False)


def picture(number=0, *, height=32, width=48):
    """Four quarters of different colours, whose corner says which frame it is."""
    pixels = np.zeros((height, width, 3), np.float32)
    pixels[: height // 2, : width // 2] = (0.1 + 0.12 * number, 0.2, 0.2)
    pixels[: height // 2, width // 2 :] = (0.2, 0.7, 0.3)
    pixels[height // 2 :, : width // 2] = (0.3, 0.3, 0.8)
    pixels[height // 2 :, width // 2 :] = (0.9, 0.8, 0.4)
    return pixels


def write(path, frames, *, clip=CLIP, **options):
    with writing_clip(path, clip, **options) as add:
        for frame in frames:
            add(frame)
    return path


def six_frames():
    return [Frame(picture(number), number / RATE) for number in range(6)]


def breaking_off():
    yield six_frames()[0]
    raise RuntimeError


def encode(path, frames, *, codec, format, options=None, prepare=None, times=None):
    """A clip by PyAV alone, of frames that are already in the format of their pixels."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, format
        if prepare is not None:
            prepare(stream)
        for number, frame in enumerate(frames):
            frame.pts = number if times is None else times[number]
            frame.time_base = Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def encode_sound(path, *, codec, seconds=1, rate=48_000, with_pictures=True):
    """A clip with a tone, and perhaps pictures."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25) if with_pictures else None
        sound = container.add_stream(codec, rate=rate)
        if video is not None:
            video.width, video.height, video.pix_fmt = 48, 32, "yuv420p"
            for number in range(25 * seconds):
                colours = np.rint(255 * picture(number % 6)).astype(np.uint8)
                container.mux(video.encode(av.VideoFrame.from_ndarray(colours, format="rgb24")))
            container.mux(video.encode(None))
        tone = np.sin(np.arange(rate * seconds) * 0.05).astype(np.float32)
        for begin in range(0, len(tone), 1024):
            part = av.AudioFrame.from_ndarray(tone[None, begin : begin + 1024], "fltp", "mono")
            part.sample_rate, part.pts = rate, begin
            container.mux(sound.encode(part))
        container.mux(sound.encode(None))
    return path


def sound_packets(path, *, first=0.0):
    """Each packet of sound with its time."""
    with av.open(str(path)) as container:
        packets = [each for each in container.demux(audio=0) if each.pts is not None]
        return [
            (float(each.pts * each.time_base), bytes(each))
            for each in packets
            if each.pts * each.time_base >= first
        ]


def test_frames_come_back_in_order_with_their_times(tmp_path):
    path = write(tmp_path / "a.mp4", six_frames())
    found = list(read_frames(path))
    assert [frame.time for frame in found] == [Fraction(n, 25) for n in range(6)]
    for number, frame in enumerate(found):
        assert np.abs(frame.pixels - picture(number))[4::8, 4::8].max() < 0.04
    clip = describe_clip(path)
    assert (clip.height, clip.width, clip.rate, clip.num_frames) == (32, 48, 25, 6)
    assert [len(list(read_frames(path, skip=skip))) for skip in (0, 4)] == [6, 2]
    assert next(read_frames(path, skip=4)).time == Fraction(4, 25)


def test_a_variable_frame_rate_is_kept(tmp_path):
    times = [Fraction(n, 1000) for n in (0, 40, 50, 200, 230, 1000)]
    clip = CLIP._replace(time_base=Fraction(1, 12800))
    frames = [Frame(picture(n), time) for n, time in enumerate(times)]
    found = [frame.time for frame in read_frames(write(tmp_path / "a.mp4", frames, clip=clip))]
    assert [float(time) for time in found] == pytest.approx([float(t) for t in times], abs=1e-4)


def test_the_part_and_the_rate_that_are_asked_for(tmp_path):
    path = write(tmp_path / "a.mp4", six_frames())

    def numbers(**selection):
        found = list(read_frames(path, selection=Selection(**selection)))
        announced = describe_clip(path, selection=Selection(**selection)).num_frames
        assert announced is not None
        assert announced == pytest.approx(len(found), abs=1)
        reds = [round((frame.pixels[8, 8, 0] - 0.1) / 0.12) for frame in found]
        return reds, [float(frame.time) for frame in found]

    assert numbers(start=Fraction(8, 100), end=Fraction(16, 100)) == ([2, 3], [0, 0.04])
    assert numbers(fps=Fraction(50))[0] == [n // 2 for n in range(12)]
    assert numbers(fps=Fraction(25, 2))[0] == [0, 2, 4]
    assert numbers(fps=Fraction(50), start=Fraction(20, 100)) == ([5, 5], [0, 0.02])
    with pytest.raises(ValueError, match="start: wanted a time before the clip's last frame"):
        numbers(start=Fraction(3))


def test_the_asked_rotation_is_applied(tmp_path):
    colours = np.rint(255 * picture()).astype(np.uint8)
    for degrees, turns in ((90, 1), (180, 2), (-90, 3)):
        frame = av.VideoFrame.from_ndarray(colours, format="rgb24").reformat(format="yuv444p")
        path = encode(
            tmp_path / f"{degrees}.mp4",
            [frame],
            codec="libx264",
            format="yuv444p",
            options={"crf": "1"},
            prepare=lambda stream, degrees=degrees: stream.set_display_rotation(degrees),
        )
        (found,) = read_frames(path)
        wanted = np.rot90(picture(), turns)  # the matrix turns counterclockwise
        assert found.pixels.shape == wanted.shape
        assert np.abs(found.pixels - wanted)[4::8, 4::8].max() < 0.05
        clip = describe_clip(path, selection=Selection(size=24))
        assert {24, 16} == {clip.height, clip.width}
        assert (clip.height > clip.width) == (turns % 2 == 1)


@pytest.mark.parametrize(("matrix", "red", "blue"), [(1, 0.2126, 0.0722), (6, 0.299, 0.114)])
def test_colours_are_converted_by_the_matrix_that_the_clip_names(tmp_path, matrix, red, blue):
    wanted = np.array([0.8, 0.3, 0.1])
    luma = red * wanted[0] + (1 - red - blue) * wanted[1] + blue * wanted[2]
    chroma = (wanted[2] - luma) / (2 - 2 * blue), (wanted[0] - luma) / (2 - 2 * red)
    frame = av.VideoFrame(32, 32, "yuv444p")
    levels = (16 + 219 * luma, *(128 + 224 * each for each in chroma))
    for plane, level in zip(frame.planes, levels, strict=True):
        plane.update(bytes([round(level)]) * plane.buffer_size)

    def name_matrix(stream):
        stream.codec_context.colorspace = matrix
        stream.codec_context.color_range = 1

    frame.colorspace, frame.color_range = matrix, 1
    path = encode(tmp_path / "a.mkv", [frame], codec="ffv1", format="yuv444p", prepare=name_matrix)
    (found,) = read_frames(path)
    np.testing.assert_allclose(found.pixels[16, 16], wanted, atol=0.012)


def test_what_is_written_names_its_matrix(tmp_path):
    path = write(tmp_path / "a.mp4", six_frames())
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert (frame.colorspace, frame.color_range, frame.format.name) == (1, 1, "yuv420p")


def test_ten_bits_are_read_as_ten(tmp_path):
    frame = av.VideoFrame(64, 32, "gray10le")
    row = np.arange(512, 512 + 64, dtype="<u2")
    plane = np.zeros((32, frame.planes[0].line_size // 2), "<u2")
    plane[:, :64] = row
    frame.planes[0].update(plane.tobytes())
    (found,) = read_frames(encode(tmp_path / "a.mkv", [frame], codec="ffv1", format="gray10le"))
    levels = np.unique(found.pixels[0, :, 0])
    assert len(levels) == 64  # 16 steps of 8 bits


def test_transparency_is_laid_on_white(tmp_path):
    colours = np.zeros((32, 48, 4), np.uint8)
    colours[..., 0], colours[:, :24, 3], colours[:, 24:, 3] = 200, 255, 51
    frame = av.VideoFrame.from_ndarray(colours, format="rgba")
    (found,) = read_frames(encode(tmp_path / "a.mov", [frame], codec="png", format="rgba"))
    np.testing.assert_allclose(found.pixels[0, 0], (200 / 255, 0, 0), atol=0.01)
    opacity = 51 / 255
    wanted = opacity * np.array([200 / 255, 0, 0]) + 1 - opacity
    np.testing.assert_allclose(found.pixels[0, 40], wanted, atol=0.01)


def test_pixels_that_are_not_square_are_made_so(tmp_path):
    frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 99, np.uint8), format="rgb24")

    def widen(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(3, 2)

    path = encode(
        tmp_path / "a.mp4",
        [frame.reformat(format="yuv420p")],
        codec="libx264",
        format="yuv420p",
        prepare=widen,
    )
    (found,) = read_frames(path)
    assert found.pixels.shape == (32, 48, 3)


def test_odd_sides_get_a_row_and_a_column_more(tmp_path):
    path = write(tmp_path / "a.mp4", [Frame(picture(height=33, width=47), Fraction(0))])
    (found,) = read_frames(path)
    assert found.pixels.shape == (34, 48, 3)
    assert np.abs(found.pixels[:33, :47] - picture(height=33, width=47))[4::8, 4::8].max() < 0.04


def test_sound_is_copied_packet_by_packet(tmp_path):
    source = encode_sound(tmp_path / "a.mp4", codec="aac")
    path = write(tmp_path / "b.mp4", six_frames(), sound=Sound(source))
    assert sound_packets(path) == sound_packets(source)
    assert describe_clip(path).has_sound


def test_sound_begins_where_the_pictures_do(tmp_path):
    source = encode_sound(tmp_path / "a.mp4", codec="aac")
    sound = Sound(source, Fraction(1, 4), Fraction(1, 2))
    found = sound_packets(write(tmp_path / "b.mp4", six_frames(), sound=sound))
    wanted = [each for each in sound_packets(source, first=0.25) if each[0] < 0.5]
    assert [packet for _, packet in found] == [packet for _, packet in wanted]
    gaps = [there - here for (here, _), (there, _) in zip(found, wanted, strict=True)]
    assert gaps == pytest.approx([0.25] * len(gaps), abs=0.001)


def test_sound_that_mp4_does_not_hold_is_coded_again(tmp_path):
    source = encode_sound(tmp_path / "a.mkv", codec="pcm_f32le")
    path = write(tmp_path / "b.mp4", six_frames(), sound=Sound(source))
    with av.open(str(path)) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        parts = [frame.to_ndarray() for frame in container.decode(audio=0)]
        heard = np.concatenate(parts, axis=1)[0]
    tone = np.sin(np.arange(48_000) * 0.05)
    assert len(heard) == pytest.approx(48_000, abs=2500)
    assert np.corrcoef(heard[8000:16000], tone[8000:16000])[0, 1] > 0.95


def test_a_folder_of_pictures_is_a_clip(tmp_path):
    folder = write(tmp_path / "frames", six_frames())
    assert sorted(os.listdir(folder)) == [f"{n:06d}.png" for n in range(1, 7)]
    selection = Selection(fps=Fraction(10), start=Fraction(2, 10), end=Fraction(4, 10))
    clip = describe_clip(folder, selection=selection)
    assert (clip.height, clip.width, clip.rate, clip.num_frames) == (32, 48, 10, 2)
    found = list(read_frames(folder, selection=selection))
    assert [frame.time for frame in found] == [0, Fraction(1, 10)]
    np.testing.assert_allclose(found[1].pixels, picture(3), atol=0.5 / 255 + 1e-6)


def test_frames_of_another_size_are_scaled_to_the_first(tmp_path):
    for number, side in enumerate((32, 48)):
        image = jnp.asarray(picture(height=side, width=side)[None])
        files.save_image(tmp_path / f"{number}.png", image)
    assert [frame.pixels.shape for frame in read_frames(tmp_path)] == [(32, 32, 3)] * 2


def test_a_folder_is_replaced_whole_and_only_if_asked(tmp_path):
    folder = write(tmp_path / "frames", six_frames())
    with pytest.raises(FileExistsError, match="exists; choose another name"):
        check_clip_output(folder, overwrite=False)
    with pytest.raises(RuntimeError):
        write(folder, breaking_off(), overwrite=True)
    assert len(os.listdir(folder)) == 6
    write(folder, six_frames()[:2], overwrite=True)
    assert sorted(os.listdir(tmp_path)) == ["frames"]
    assert len(os.listdir(folder)) == 2
    (folder / "diary.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="holds other files than frames"):
        check_clip_output(folder, overwrite=True)


def test_a_clip_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.mp4"
    with pytest.raises(RuntimeError):
        write(path, breaking_off())
    assert list(tmp_path.iterdir()) == []
    write(path, six_frames())
    before = path.read_bytes()
    with pytest.raises(ValueError, match="finite"):
        write(path, [Frame(np.full((32, 48, 3), np.nan, np.float32), Fraction(0))])
    assert path.read_bytes() == before
    with pytest.raises(FileExistsError, match="exists; choose another name"):
        write(path, six_frames(), overwrite=False)
    assert list(tmp_path.iterdir()) == [path]


def damage(source: Path, target: Path, change) -> Path:
    target.write_bytes(change(source.read_bytes()))
    return target


def refusal(path) -> str:
    with pytest.raises(ValueError, match=r"^cannot") as refused:
        list(read_frames(path))
    assert "\n" not in str(refused.value)
    assert repr(path.name)[1:-1] in str(refused.value)
    return str(refused.value)


def test_what_is_no_clip_is_refused_in_one_line(tmp_path):
    good = write(tmp_path / "good.mp4", six_frames())
    assert "the file is empty" in refusal(damage(good, tmp_path / "0.mp4", lambda data: b""))
    text = damage(good, tmp_path / "1.mp4", lambda data: b"a text, no clip" * 99)
    assert "not a clip that FFmpeg knows" in refusal(text)
    sound = encode_sound(tmp_path / "2.mp4", codec="aac", with_pictures=False)
    assert "it has no video track" in refusal(sound)
    unknown = damage(good, tmp_path / "3.mp4", lambda data: data.replace(b"avc1", b"zzzz"))
    assert "no decoder for its video" in refusal(unknown)


def test_damaged_frames_are_named(tmp_path):
    frames = [
        av.VideoFrame.from_ndarray(np.rint(255 * picture(n)).astype(np.uint8), format="rgb24")
        for n in range(6)
    ]
    good = encode(tmp_path / "good.mov", frames, codec="png", format="rgb24")

    def spoil_the_fifth(data):
        at = [i for i in range(len(data)) if data.startswith(b"IDAT", i)][4]
        return data[:at] + b"XXXX" + data[at + 4 :]

    line = refusal(damage(good, tmp_path / "bad.mov", spoil_the_fifth))
    assert "frame 5 is damaged or missing" in line
    assert "--end 0.120" in line
    whole = write(tmp_path / "whole.mp4", six_frames())
    cut = damage(whole, tmp_path / "cut.mp4", lambda data: data[: len(data) * 2 // 3])
    assert "is damaged or missing" in refusal(cut)


def test_a_playlist_opens_nothing(tmp_path):
    good = write(tmp_path / "good.mp4", six_frames())
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{good}\n#EXT-X-ENDLIST\n")
    assert "not a clip that FFmpeg knows" in refusal(playlist)
    script = tmp_path / "list.txt"
    script.write_text(f"ffconcat version 1.0\nfile '{good}'\n")
    assert "not a clip that FFmpeg knows" in refusal(script)


def test_sizes_are_bounded(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4", six_frames())
    assert "need at least 16 a side" in _refused(path, size=20)
    for selection, words in (
        ({"size": 8}, "size: wanted 16"),
        ({"start": Fraction(-1)}, "start: wanted 0"),
        ({"start": Fraction(2), "end": Fraction(1)}, "end: wanted more seconds than start, 2"),
        ({"fps": Fraction(0)}, "fps: wanted more than 0"),
    ):
        assert words in _refused(path, **selection)
    monkeypatch.setattr(video_frames, "MAX_PIXELS", 1000)
    assert "at most 16384 a side and 1000 in all" in _refused(path)


def _refused(path, **selection) -> str:
    with pytest.raises(ValueError, match=r"wanted|cannot") as refused:
        describe_clip(path, selection=Selection(**selection))
    return str(refused.value)


def test_outputs_are_checked_before_the_work(tmp_path):
    with pytest.raises(ValueError, match=r"extension '.avi' is not known; use .mp4"):
        check_clip_output(tmp_path / "a.avi", overwrite=True)
    with pytest.raises(OSError, match="cannot write"):
        check_clip_output(tmp_path / "none" / "a.mp4", overwrite=True)
    check_clip_output(tmp_path / "a.mp4", overwrite=False)
    check_clip_output(tmp_path / "frames", overwrite=False)
    assert list(tmp_path.iterdir()) == []


def test_without_an_encoder_one_line_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(video_output, "_ENCODERS", {"no_such_codec": {}})
    with pytest.raises(ValueError, match="codec: wanted one of no_such_codec in this FFmpeg"):
        write(tmp_path / "a.mp4", six_frames())


def test_without_pyav_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(VideoLibraryMissingError, match="pip install av"):
        describe_clip(tmp_path / "a.mp4")
    write(tmp_path / "frames", six_frames())  # folders need none
    assert len(list(read_frames(tmp_path / "frames"))) == 6


@pytest.mark.parametrize("name", ["clip.mp4", "clip"])
def test_what_made_a_clip_is_kept_in_it(tmp_path, name):
    path = tmp_path / name
    assert not clip_exists(path)
    with writing_clip(path, CLIP, origin="nst-jax 0, 12 steps") as add:
        add(Frame(np.full((32, 48, 3), 0.5, np.float32), Fraction(0)))
    assert clip_exists(path)
    assert load_clip_origin(path) == "nst-jax 0, 12 steps"
    with writing_clip(path, CLIP) as add:
        add(Frame(np.full((32, 48, 3), 0.5, np.float32), Fraction(0)))
    assert load_clip_origin(path) is None
    (tmp_path / "text.mp4").write_text("no clip")
    assert load_clip_origin(tmp_path / "text.mp4") is None
    (tmp_path / "empty").mkdir()
    assert not clip_exists(tmp_path / "empty")
