from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.streaming.sources.video import _Times, open_video
from tests.streaming.films import number_of, write_film

CASE = Path(__file__).parents[4] / "shared" / "cases" / "13-variable-frame-rate"


def test_every_frame_comes_once_and_in_order(tmp_path: Path) -> None:
    path = write_film(tmp_path / "video.mp4", 12, fps=25)
    with open_video(path) as source:
        frames = list(source)
        assert (source.info.frames, source.info.fps, source.info.live) == (12, 25.0, False)
    assert [number_of(frame.image) for frame in frames] == list(range(12))
    assert [frame.index for frame in frames] == list(range(12))
    assert all(earlier.captured_at <= later.captured_at for earlier, later in pairwise(frames))
    assert frames[0].image.shape == (64, 96, 3)


def test_a_loop_plays_again_and_counts_on(tmp_path: Path) -> None:
    path = write_film(tmp_path / "video.mp4", 3)
    with open_video(path, loop=True) as source:
        seen = []
        for frame in source:
            seen.append((frame.index, number_of(frame.image), frame.segment))
            if frame.index == 6:
                source.interrupt()
        assert source.info.frames is None
    assert seen == [(0, 0, 0), (1, 1, 0), (2, 2, 0), (3, 0, 1), (4, 1, 1), (5, 2, 1), (6, 0, 2)]


def test_a_text_file_named_mp4_is_refused_without_chatter(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "notes.mp4"
    path.write_text("these are notes\n" * 50)
    with pytest.raises(InputError, match=r"notes\.mp4 is not a video that OpenCV can read"):
        open_video(path)
    assert capfd.readouterr() == ("", "")


def test_a_video_cut_off_before_its_first_frame_is_refused(tmp_path: Path) -> None:
    path = write_film(tmp_path / "video.avi", 20, size=(320, 240))
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"movi") + 4])
    with pytest.raises(InputError, match=r"video\.avi (contains no frame|is not a video)"):
        list(open_video(path))


def halved(path: Path) -> Path:
    """An .avi that ends in the middle of its frames."""
    whole = path.read_bytes()
    path.write_bytes(whole[: (whole.index(b"movi") + whole.index(b"idx1")) // 2])
    return path


@pytest.mark.parametrize("loop", [False, True])
def test_a_film_that_was_cut_in_half_is_reported_once(
    tmp_path: Path, loop: bool, caplog: pytest.LogCaptureFixture
) -> None:
    path = halved(write_film(tmp_path / "video.avi", 24))
    with open_video(path, loop=loop) as source:
        frames = []
        for frame in source:
            frames.append(number_of(frame.image))
            if len(frames) == 60:
                source.interrupt()
    count = frames.index(0, 1) if loop else len(frames)
    assert 6 < count < 18
    assert caplog.messages == [f"{path} ends after {count} of 24 frames; it is truncated or damaged"]


@pytest.mark.parametrize("frames", [1, 2, 24])
@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_a_whole_film_is_not_reported(
    tmp_path: Path, suffix: str, frames: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_film(tmp_path / f"video{suffix}", frames)
    with open_video(path) as source:
        assert len(list(source)) == frames
    assert caplog.messages == []


def test_a_film_that_was_interrupted_is_not_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with open_video(write_film(tmp_path / "video.mp4", 24)) as source:
        for frame in source:
            if frame.index == 3:
                source.interrupt()
    assert frame.index == 3
    assert caplog.messages == []


def test_a_film_that_is_gone_when_its_next_lap_begins_is_named(tmp_path: Path) -> None:
    path = write_film(tmp_path / "video.mp4", 3)
    with (
        pytest.raises(InputError, match=r"video\.mp4 can no longer be opened"),
        open_video(path, loop=True) as source,
    ):
        for _ in source:
            path.unlink(missing_ok=True)


def test_a_name_that_opencv_cannot_take_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "caf\udce9.mp4"
    write_film(tmp_path / "video.mp4", 2).rename(path)
    with pytest.raises(InputError, match=r"OpenCV cannot open .*: got bytes that are not UTF-8"):
        open_video(path)


def times_of(path: Path) -> list[float]:
    with open_video(path) as source:
        return [frame.time for frame in source]


def test_times_of_a_variable_rate_are_those_of_the_time_stamps(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    wanted = [0.0, 0.04, 0.041, 0.5, 0.5334, 2.0, 2.0167, 9.123]
    with av.open(str(tmp_path / "video.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=30, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 10_000)
        for second in wanted:
            image = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 90, np.uint8), format="bgr24")
            image.pts, image.time_base = round(second * 10_000), Fraction(1, 10_000)
            container.mux(stream.encode(image))
        container.mux(stream.encode(None))
    assert times_of(tmp_path / "video.mp4") == pytest.approx(wanted, abs=0.0005)


@pytest.mark.parametrize("name", ["vfr.mp4", "cfr.mp4"])
def test_times_of_a_file_with_another_rate_in_each_half_are_those_of_its_table(name: str) -> None:
    av = pytest.importorskip("av")
    if not CASE.is_dir():
        pytest.skip("../shared/cases/13-variable-frame-rate is not there")
    with av.open(str(CASE / name)) as container:
        stamps = [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]
    wanted = [stamp - stamps[0] for stamp in stamps]
    found = times_of(CASE / name)
    assert found == pytest.approx(wanted, abs=0.0005)
    assert (name, round(found[29], 3)) == (name, 0.967)


@pytest.mark.parametrize(
    ("fps", "stamps", "times"),
    [
        (25.0, [0.0] * 4, [0.0, 0.04, 0.08, 0.12]),
        (25.0, [5.0, 6.0, 7.0, 7.0, 8.0], [0.0, 1.0, 2.0, 2.04, 3.0]),
        (25.0, [5.0, 6.0, 5.5, 8.0], [0.0, 1.0, 1.04, 3.0]),
        (None, [0.0] * 4, [0.0, 0.5, 1.0, 1.5]),
        (None, [0.0, 9.0, 9.0, 10.0], [0.0, 9.0, 9.0, 10.0]),
    ],
    ids=["no stamps", "one twice", "one that falls", "neither stamps nor rate", "one twice and no rate"],
)
def test_time_never_runs_back_where_stamps_do_not_rise(
    fps: float | None, stamps: list[float], times: list[float]
) -> None:
    """The third of a slow video had the time of a fast one's: it was shown before the second."""
    given = iter(stamps)
    clock = _Times(fps, lambda: next(given))
    assert [clock.of(index, 0.5 * index) for index in range(len(stamps))] == pytest.approx(times)
