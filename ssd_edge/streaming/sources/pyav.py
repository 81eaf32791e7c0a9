"""Network streams by PyAV: time stamps of frames, errors by name, and calls that end in time.

Its pixels are OpenCV's to the bit, for both decode and convert by FFmpeg. OpenCV itself says neither why a stream
cannot be opened nor when its time-outs struck (it then hands out a frame that it still held), so it reads streams only
where PyAV is not installed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Mapping
from typing import Any

import numpy as np

from ssd_edge.streaming.sources.reader import Reader, StampedImage
from ssd_edge.streaming.states import StreamError, StreamReason

_REASONS = {  # of PyAV's errors by name: the classes differ from release to release
    "HTTPUnauthorizedError": StreamReason.AUTHENTICATION,
    "HTTPForbiddenError": StreamReason.AUTHENTICATION,
    "HTTPNotFoundError": StreamReason.NOT_FOUND,
    "ConnectionRefusedError": StreamReason.NOT_FOUND,
    "FileNotFoundError": StreamReason.NOT_FOUND,
    "ExitError": StreamReason.TIMEOUT,
    "TimeoutError": StreamReason.TIMEOUT,
    "DecoderNotFoundError": StreamReason.CODEC,
    "DemuxerNotFoundError": StreamReason.CODEC,
    "EOFError": StreamReason.END,
}
_BAD_FRAMES = 100  # in a row: then the stream cannot be decoded
_LOW_DELAY = 1 << 19  # AV_CODEC_FLAG_LOW_DELAY
_TLS_WORDS = ("certificate", "tls", "ssl", "handshake")


def has_pyav() -> bool:
    """Return whether PyAV can be imported."""
    try:
        import av  # noqa: F401
    except ImportError:
        return False
    return True


class PyAvReader(Reader):
    """One open network stream.

    Args:
        url: with its user and password.
        options: of FFmpeg.
        open_s: seconds that connecting, and learning what the stream is, may take.
        read_s: seconds that a frame may take.

    Raises:
        StreamError: it cannot be opened.
    """

    def __init__(self, url: str, options: Mapping[str, str], *, open_s: float, read_s: float) -> None:
        import av

        av.logging.set_level(av.logging.PANIC)
        self._secure = url.lower().startswith(("rtsps:", "https:", "rtmps:"))
        with self._faults():
            self._container: Any = av.open(url, options=dict(options), timeout=(open_s, read_s))
        try:
            video = self._container.streams.video
            if not video:
                raise StreamError(StreamReason.CODEC, "no video in it")
            self._stream = video[0]
            decoder = self._stream.codec_context
            decoder.thread_type = "SLICE"  # threads that decode whole frames would hold some of them back
            if not decoder.has_b_frames:
                decoder.flags |= _LOW_DELAY
            rate = self._stream.average_rate or self._stream.base_rate
            self.fps = float(rate) if rate and 0.1 <= rate <= 1000 else None
            self.frames = self._stream.frames or self._estimated()
            self.size = (decoder.width, decoder.height) if decoder.width and decoder.height else None
            self._images = self._decoded()
        except BaseException:
            self._container.close()
            raise

    def read(self) -> StampedImage:
        """Return the next frame."""
        found = next(self._images, None)
        if found is None:
            raise StreamError(StreamReason.END, "the stream ended")
        return found

    def close(self) -> None:
        """Close the connection."""
        self._images.close()
        self._container.close()
        del self._stream, self._container, self._images  # the decoder's threads end with the last reference

    def _estimated(self) -> int | None:
        """Return how many frames a video has whose container gives its length only; None for what has no end."""
        length_s = (self._container.duration or 0) / 1e6
        return round(length_s * self.fps) or None if self.fps and 0 < length_s < 1e7 else None

    def _decoded(self) -> Generator[StampedImage, None, None]:
        bad = 0
        with self._faults():
            for packet in self._container.demux(self._stream):
                try:
                    frames = packet.decode()
                except Exception as error:
                    if type(error).__name__ != "InvalidDataError":
                        raise
                    bad += 1  # a lost packet; the next key frame fixes it
                    if bad > _BAD_FRAMES:
                        raise StreamError(StreamReason.CODEC, "nothing that can be decoded") from error
                    continue
                for frame in frames:
                    bad = 0
                    stamp = None if frame.pts is None else float(frame.pts * frame.time_base)
                    yield StampedImage(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8), stamp)

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        import av

        try:
            yield
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise self._fault(error) from error

    def _fault(self, error: Exception) -> StreamError:
        text = getattr(error, "strerror", None) or str(error)
        said = getattr(error, "log", None)
        detail = text if not said else f"{text} ({said[2].strip()})"
        name = type(error).__name__
        if self._secure and (any(word in detail.lower() for word in _TLS_WORDS) or text == "Input/output error"):
            return StreamError(StreamReason.TLS, text)
        return StreamError(_REASONS.get(name, StreamReason.ERROR), text)
