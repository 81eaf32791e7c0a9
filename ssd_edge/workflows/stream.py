"""Streams frames with their detections to a program: ``ssd.stream``."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, contextmanager

from typing_extensions import Unpack

from ssd_edge.backends.detector import Detector
from ssd_edge.core.config import AnyPath, config_from
from ssd_edge.core.detections import Detections
from ssd_edge.core.frame import Frame
from ssd_edge.core.shutdown import StopRequest
from ssd_edge.streaming.engine_slot import EngineSlot
from ssd_edge.streaming.layout import measure_batches
from ssd_edge.streaming.pipeline import Pipeline
from ssd_edge.streaming.running_stream import Stream
from ssd_edge.workflows.load import load
from ssd_edge.workflows.stream_config import RunConfig, StreamConfig, StreamOptions
from ssd_edge.workflows.stream_plan import (
    Sources,
    filter_of,
    images_of,
    lowest_score,
    mask_of,
    open_stream_source,
    selection_of,
    tracker_of,
    uris_of,
)


@contextmanager
def stream(
    sources: Sources,
    detector: Detector | AnyPath,
    *,
    config: StreamConfig | None = None,
    stop: StopRequest | None = None,
    **options: Unpack[StreamOptions],
) -> Iterator[Iterator[tuple[Frame, Detections]]]:
    """Yield frames with what is detected in them, each source's in order, while capture and inference go on.

    ::

        with ssd.load("engines/m/m.engine") as detect:
            with ssd.stream(["rtsp://camera/1", "rtsp://camera/2"], detect) as frames:
                for frame, detections in frames:
                    print(frame.source, frame.time, len(detections.filter(labels="person")))

    Of a camera or network stream the newest frame is taken, and those that came meanwhile are dropped; of files none
    is. Several sources share the detector: they are inferred in batches where that is faster, and get equal shares. One
    that fails or stalls is opened again, and never slows the others. Leaving the block early closes the sources and
    ends the threads. Use it on one thread; ``stop`` ends it from another. With ``track=True`` each detection has the id
    of its object, ``track_id``, in its source.

    Args:
        sources: an image, folder, video, URL or GStreamer pipeline, or the number of a camera; or a list of these.
            Several images are one source, in their order.
        detector: from :func:`~ssd_edge.workflows.load.load`, or a model file, which is closed at the end.
        config: options, in place of keywords.
        stop: ends the stream when it is requested.
        options: fields of :class:`StreamConfig`.

    Yields:
        An iterator over pairs of a frame and its detections, in pixels of the frame. ``frame.source`` names the source.

    Raises:
        InputError: a source cannot be read, or an option does not fit it; also while iterating.
        DeviceError: a local camera is absent; or, while iterating, the only source has stopped for good, or an
            inference has hung.
        ArtifactError: the model cannot be used.
    """
    chosen = config_from(StreamConfig, config, options)
    uris = uris_of(sources)
    images = images_of(uris)
    with ExitStack() as stack:
        model = detector if isinstance(detector, Detector) else stack.enter_context(load(detector))
        keep = filter_of(chosen, 0.0)
        keep.check(model.class_names)
        begins = _track_threshold(model)

        def opened(uri: str) -> Stream:
            source = stack.enter_context(open_stream_source(uri, chosen, model.input_size, images))
            return Stream(
                source,
                keep=keep,
                select=selection_of(chosen),
                max_frames=chosen.max_frames,
                max_age_s=chosen.max_frame_age,
                mask=mask_of(chosen),
                tracker=tracker_of(chosen, begins, source.info),
            )

        streams = [opened(uri) for uri in (uris[:1] if images else uris)]
        pipeline = Pipeline(
            streams,
            EngineSlot(model, score_threshold=lowest_score(chosen, begins) if chosen.track else None),
            max_batch=_batch(model, chosen, len(streams)),
            batch_wait_s=chosen.batch_wait_ms / 1000,
            hang_s=chosen.hang_timeout,
            stop=stop,
        )
        yield stack.enter_context(closing(_pairs(pipeline)))


def _track_threshold(model: Detector) -> float:
    """Return the score above which a detection begins a track."""
    is_chosen = model.score_threshold > model.spec.nms.score_threshold
    return model.score_threshold if is_chosen else RunConfig.score_threshold


def _batch(model: Detector, config: StreamConfig, streams: int) -> int:
    if config.max_batch is not None:
        return config.max_batch
    return measure_batches(model, streams).batch if streams > 1 else 1


def _pairs(pipeline: Pipeline) -> Generator[tuple[Frame, Detections], None, None]:
    with closing(pipeline.results()) as results:
        for result in results:
            yield result.captured.frame, result.detections
