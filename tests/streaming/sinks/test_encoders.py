from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.streaming.sinks import encoders
from ssd_edge.streaming.sinks.encoders import CODECS, open_encoder
from ssd_edge.streaming.sinks.video import VideoSink
from tests.full_disk import full_after
from tests.streaming.sinks.test_video_sink import NEEDS_AV, encoder, numbers, show

__all__ = ["encoder"]  # a fixture


@pytest.mark.parametrize("suffix", CODECS)
def test_a_size_that_the_codec_lacks_is_refused_and_leaves_no_file(
    tmp_path: Path, suffix: str, encoder: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"a{suffix}"
    with pytest.raises(InputError, match=rf"a\{suffix} cannot be encoded: got 70000 x 2 at 25 FPS") as refused:
        open_encoder(path, (70_000, 2), 25.0, finite=True)
    assert "another suffix" in refused.value.do
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("suffix", CODECS)
def test_a_disk_that_takes_not_even_the_head_is_named(tmp_path: Path, suffix: str, encoder: str) -> None:
    with (
        full_after(0),
        pytest.raises(InputError, match=rf"a\{suffix} takes no more frames"),
        VideoSink(tmp_path / f"a{suffix}", 25.0) as sink,
    ):
        show(sink, 0)
    with VideoSink(tmp_path / f"a{suffix}", 25.0) as sink:  # there is room again, and no lock is left
        show(sink, 1)
    assert numbers(tmp_path / f"a{suffix}") == [1]


@NEEDS_AV
def test_frames_that_wait_in_the_encoder_are_written_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoders, "_ENCODERS", {".mkv": (("mpeg4", {"bf": "2"}),)})
    with VideoSink(tmp_path / "a.mkv", 25.0) as sink:
        for number in range(7):
            show(sink, number)
    assert numbers(tmp_path / "a.mkv") == list(range(7))


@NEEDS_AV
def test_an_encoder_that_fails_at_the_end_is_named_and_what_it_gave_plays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import av

    class Broken:
        def encode(self) -> None:
            raise av.error.ExternalError(542398533, "Generic error in an external library")

    path = tmp_path / "a.mkv"
    sink = VideoSink(path, 25.0)
    for number in range(3):
        show(sink, number)
    monkeypatch.setattr(sink._encoder, "_stream", Broken())
    with pytest.raises(InputError, match=r"a\.mkv .*Generic error in an external library"):
        sink.close()
    assert numbers(path) == [0, 1, 2]
    VideoSink(path, 25.0).close()  # its lock is free


@NEEDS_AV
@pytest.mark.parametrize("suffix", CODECS)
def test_an_encoder_that_fails_during_a_run_is_named_and_what_it_gave_plays(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import av

    class Broken:
        def encode(self, frame: object = None) -> None:
            raise av.error.ExternalError(542398533, "Generic error in an external library")

    path = tmp_path / f"a{suffix}"
    sink = VideoSink(path, 25.0)
    for number in range(3):
        show(sink, number)
    monkeypatch.setattr(sink._encoder, "_stream", Broken())
    with pytest.raises(InputError, match=rf"a\{suffix} .*Generic error in an external library") as refused:
        show(sink, 3)
    assert "What was written before is kept" in refused.value.do
    sink.close()
    assert sink.written == 3
    assert numbers(path) == [0, 1, 2]
    VideoSink(path, 25.0).close()  # its lock is free


def test_frames_that_opencv_lost_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV's writer reports nothing: the file is read back, and here gives fewer frames than it was given."""
    path = tmp_path / "a.avi"
    written = encoders.OpenCvEncoder(path, (64, 48), 25.0)
    for number in range(4):
        written.add(np.full((48, 64, 3), 60, np.uint8), number / 25)
    release = written._writer.release

    def cut() -> None:
        release()
        whole = path.read_bytes()
        path.write_bytes(whole[: whole.rindex(b"00dc", 0, whole.index(b"idx1"))])  # the last frame

    monkeypatch.setattr(written, "_writer", type("Writer", (), {"release": staticmethod(cut)}))
    with pytest.raises(OSError, match="frames were lost"):
        written.close()
    assert encoders.count_packets(path) == 3
