"""Streams by PyAV, from files: they are packets like any others."""

from __future__ import annotations

import http.server
import struct
import threading
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ssd_edge.streaming.sinks.video import VideoSink
from ssd_edge.streaming.sources.pyav import PyAvReader
from ssd_edge.streaming.sources.reader import StampedImage
from ssd_edge.streaming.states import StreamError, StreamReason
from tests.streaming.films import STEP, number_of
from tests.streaming.sinks.test_video_sink import show

av = pytest.importorskip("av")


def reader(target: object) -> PyAvReader:
    return PyAvReader(str(target), {}, open_s=5.0, read_s=5.0)


def drain(stream: PyAvReader) -> tuple[list[StampedImage], StreamError]:
    images = []
    with pytest.raises(StreamError) as over:
        while True:
            images.append(stream.read())
    stream.close()
    return images, over.value


def damaged(path: Path, frames: int, is_lost: Callable[[int], bool]) -> Path:
    """A video of JPEGs, some of which are zeros only."""
    with VideoSink(path, 25.0) as sink:
        for number in range(frames):
            show(sink, number % (255 // STEP))
    data = bytearray(path.read_bytes())
    at = data.index(b"movi") + 4
    for number in range(frames):
        (size,) = struct.unpack_from("<I", data, at + 4)
        if is_lost(number):
            data[at + 8 : at + 8 + size] = bytes(size)
        at += 8 + size + size % 2
    path.write_bytes(data)
    return path


def test_frames_behind_a_lost_packet_come_at_their_own_time(tmp_path: Path) -> None:
    path = damaged(tmp_path / "a.avi", 6, {1, 2}.__contains__)
    images, over = drain(reader(path))
    assert [number_of(found.image) for found in images] == [0, 3, 4, 5]
    assert [found.stamp_s for found in images] == pytest.approx([0.0, 0.12, 0.16, 0.2])
    assert over.reason is StreamReason.END


@pytest.mark.parametrize(("lost", "reason"), [(100, StreamReason.END), (101, StreamReason.CODEC)])
def test_a_stream_that_cannot_be_decoded_is_given_up(tmp_path: Path, lost: int, reason: StreamReason) -> None:
    path = damaged(tmp_path / "a.avi", lost + 3, range(2, 2 + lost).__contains__)
    images, over = drain(reader(path))
    assert over.reason is reason
    assert len(images) == (3 if reason is StreamReason.END else 2)


def test_what_has_no_video_in_it_is_named(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(1600))
    with pytest.raises(StreamError, match="no video in it") as refused:
        reader(tmp_path / "a.wav")
    assert refused.value.reason is StreamReason.CODEC


class Plain(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def plain() -> Iterator[str]:
    """Where a server speaks HTTP and knows nothing of TLS."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Plain) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_connection_that_is_not_secure_is_told_from_an_address_that_is_not_there(plain: str) -> None:
    for scheme, reason in (("http", StreamReason.NOT_FOUND), ("https", StreamReason.TLS)):
        with pytest.raises(StreamError) as refused:
            reader(f"{scheme}://{plain}/a.mp4")
        assert refused.value.reason is reason
