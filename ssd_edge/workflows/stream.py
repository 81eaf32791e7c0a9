"""Streams frames with their detections to a program: ``ssd.stream``, and what it shares with ``ssd-edge run``."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from os import PathLike, fspath

from typing_extensions import Unpack

from ssd_edge.backends.detector import Detector
from ssd_edge.core.config import AnyPath, config_from
from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError
from ssd_edge.core.frame import Frame
from ssd_edge.core.shutdown import StopRequest
from ssd_edge.streaming.pipeline import Pipeline
from ssd_edge.streaming.sources.base import Source
from ssd_edge.streaming.sources.camera import CameraMode
from ssd_edge.streaming.sources.factory import open_source
from ssd_edge.streaming.sources.live import Reconnect
from ssd_edge.workflows.load import load
from ssd_edge.workflows.stream_config import StreamConfig, StreamOptions

OneSource = str | PathLike[str] | int
Sources = OneSource | Sequence[OneSource]
"""An image, folder, video, URL or GStreamer pipeline, or the number of a camera; or a list with one of these."""


@contextmanager
def stream(
    sources: Sources,
    detector: Detector | AnyPath,
    *,
    config: StreamConfig | None = None,
    stop: StopRequest | None = None,
    **options: Unpack[StreamOptions],
) -> Iterator[Iterator[tuple[Frame, Detections]]]:
    """Yield frames with what is detected in them, in order, while capture and inference go on.

    ::

        with ssd.load("engines/m/m.engine") as detect, ssd.stream("rtsp://camera/1", detect) as frames:
            for frame, detections in frames:
                print(frame.time, len(detections.filter(labels="person")))

    Of a camera or network stream the newest frame is taken, and those that came meanwhile are dropped; of files none
    is. Leaving the block early closes the source and ends the threads. Use it on one thread; ``stop`` ends it from
    another.

    Args:
        sources: an image, folder, video, URL or GStreamer pipeline, or the number of a camera. One for now.
        detector: from :func:`~ssd_edge.workflows.load.load`, or a model file, which is closed at the end.
        config: options, in place of keywords.
        stop: ends the stream when it is requested.
        options: fields of :class:`StreamConfig`.

    Yields:
        An iterator over pairs of a frame and its detections, in pixels of the frame.

    Raises:
        InputError: the source cannot be read, or an option does not fit it; also while iterating.
        DeviceError: a camera or stream cannot be opened, or has stopped for good; also while iterating.
        ArtifactError: the model cannot be used.
    """
    chosen = config_from(StreamConfig, config, options)
    uri = only_source(sources)
    with ExitStack() as stack:
        model = detector if isinstance(detector, Detector) else stack.enter_context(load(detector))
        source = stack.enter_context(open_with(uri, chosen))
        pipeline = Pipeline(source, model, max_frames=chosen.max_frames, stop=stop)
        yield stack.enter_context(closing(_pairs(pipeline)))


def only_source(sources: Sources) -> str:
    """Return the one source as its URI; a camera's number as text.

    Raises:
        InputError: there is none, or more than one.
    """
    found = [sources] if isinstance(sources, (str, PathLike, int)) else list(sources)
    if len(found) != 1:
        raise InputError(
            f"{len(found)} sources are given",
            wanted="one: several at a time are not supported yet",
            do="Start a process for each of them." if found else "",
        )
    return str(found[0]) if isinstance(found[0], int) else fspath(found[0])


def open_with(uri: str, config: StreamConfig) -> Source:
    """Open a source as the config says.

    Raises:
        InputError: the file or folder cannot be read, or an option does not fit the source.
        DeviceError: the camera or stream cannot be opened.
    """
    return open_source(
        uri,
        mode=CameraMode(config.width, config.height, config.fps),
        loop=config.loop,
        pace=config.pace,
        rtsp_latency_ms=config.rtsp_latency_ms,
        reconnect=Reconnect(config.reconnect),
    )


def _pairs(pipeline: Pipeline) -> Generator[tuple[Frame, Detections], None, None]:
    with closing(pipeline.results()) as results:
        for result in results:
            yield result.captured.frame, result.detections
