"""Metrics of a run in Prometheus' text format, and whether it is healthy.

The names follow Prometheus' rules (https://prometheus.io/docs/practices/naming/): base units, and ``_total`` for what
only grows. A stream that is removed takes its metrics with it, and one that is changed begins again at 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    StateSetMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from ssd_edge.core.detections import Detections
from ssd_edge.core.frame import Frame
from ssd_edge.streaming.sinks.base import Sink
from ssd_edge.streaming.states import StreamState, StreamStatus
from ssd_edge.streaming.timing import RunClock

if TYPE_CHECKING:
    from ssd_edge.streaming.mqtt.connection import Delivery

CONTENT_TYPE = CONTENT_TYPE_LATEST
BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Upper bounds of the histograms of a frame's times, in seconds."""

_COUNTERS = {
    "read": ("ssd_edge_frames_read", "Frames that were decoded."),
    "skipped": ("ssd_edge_frames_skipped", "Frames that --every, --detect-fps or --motion left out."),
    "dropped": ("ssd_edge_frames_dropped", "Frames of a live source that gave way to newer ones, or were too old."),
    "repeated": ("ssd_edge_frames_repeated", "Frames that came twice."),
    "results": ("ssd_edge_frames_inferred", "Frames that were inferred and written."),
    "stalls": ("ssd_edge_stream_stalls", "Times that no frame came for too long."),
    "retries": ("ssd_edge_stream_retries", "Times that the source was opened again."),
}


class DetectionCounter(Sink):
    """Counts the detections of a stream by their labels.

    Attributes:
        counts: so far.
    """

    needs_image = False

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def write(self, frame: Frame, detections: Detections) -> None:  # noqa: ARG002 - others write the frame
        """Count what was found in a frame."""
        self.counts.update(detections.labels)

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True)
class StreamReading:
    """A stream at one moment.

    Attributes:
        name: of the stream.
        status: its state and counts.
        clock: the times of its frames; None where it could not be opened.
        detections: by label.
        objects: by label, each once; None where they are not tracked.
    """

    name: str
    status: StreamStatus
    clock: RunClock | None
    detections: Mapping[str, int]
    objects: Mapping[str, int] | None = None


@dataclass(frozen=True)
class RunReading:
    """A run at one moment.

    Attributes:
        now: on the clock of ``time.monotonic``.
        version: of ssd-edge.
        model: name of the model.
        engine: its file.
        busy_s: how long the slowest inference that is under way has taken so far.
        idle_s: how long the run has not looked after its threads.
        hang_s: what takes longer of either has hung.
        streams: those that run.
        mqtt: messages to the broker; None where there is none.
    """

    now: float
    version: str
    model: str
    engine: str
    busy_s: float
    idle_s: float
    hang_s: float
    streams: Sequence[StreamReading]
    mqtt: Delivery | None = None

    @property
    def is_live(self) -> bool:
        """Whether neither the inference nor an output of the only stream hangs; otherwise it should be restarted."""
        return max(self.busy_s, self.idle_s) <= self.hang_s

    @property
    def is_ready(self) -> bool:
        """Whether it is live, and a stream delivers frames."""
        return self.is_live and any(stream.status.state is StreamState.RUNNING for stream in self.streams)

    def health(self) -> dict[str, Any]:
        """Return what is said beside the status of an answer, as JSON has it."""
        return {
            "live": self.is_live,
            "ready": self.is_ready,
            "engine": self.engine,
            "streams": {stream.name: self._health_of(stream.status) for stream in self.streams},
        }

    def age_of(self, status: StreamStatus) -> float | None:
        """Return the seconds since a stream's newest frame; None before the first."""
        return None if status.last_frame_at is None else max(0.0, self.now - status.last_frame_at)

    def _health_of(self, status: StreamStatus) -> dict[str, Any]:
        age = self.age_of(status)
        return {
            "state": status.state.value,
            "reason": status.reason.value if status.reason else None,
            "last_frame_age_s": None if age is None else round(age, 3),
            "frames_inferred": status.results,
        }


def metrics_text(reading: RunReading) -> bytes:
    """Return a reading, and what the process itself uses, in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Collected(reading))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Collected(Collector):
    """A reading, as a registry asks for it."""

    def __init__(self, reading: RunReading) -> None:
        self._reading = reading

    def collect(self) -> Iterable[Metric]:
        return _families(self._reading)


def _families(reading: RunReading) -> Iterator[Metric]:
    yield InfoMetricFamily("ssd_edge_build", "Version of ssd-edge.", {"version": reading.version})
    yield InfoMetricFamily(
        "ssd_edge_engine", "The engine that infers.", {"model": reading.model, "file": reading.engine}
    )
    yield GaugeMetricFamily(
        "ssd_edge_inference_busy_seconds", "Time that the inference under way has taken so far.", reading.busy_s
    )
    up = GaugeMetricFamily("ssd_edge_stream_up", "Whether the stream is running.", labels=["stream"])
    state = StateSetMetricFamily("ssd_edge_stream_state", "State of the stream.", labels=["stream"])
    age = GaugeMetricFamily("ssd_edge_last_frame_age_seconds", "Age of the newest frame.", labels=["stream"])
    written = GaugeMetricFamily(
        "ssd_edge_last_result_age_seconds", "Time since the newest result was written.", labels=["stream"]
    )
    for stream in reading.streams:
        up.add_metric([stream.name], float(stream.status.state is StreamState.RUNNING))
        state.add_metric([stream.name], {each.value: stream.status.state is each for each in StreamState})
        seconds = reading.age_of(stream.status)
        if seconds is not None:
            age.add_metric([stream.name], seconds)
        if stream.clock is not None and stream.clock.last_at is not None:
            written.add_metric([stream.name], max(0.0, reading.now - stream.clock.last_at))
    yield from (up, state, age, written)
    for field, (name, text) in _COUNTERS.items():
        family = CounterMetricFamily(name, text, labels=["stream"])
        for stream in reading.streams:
            family.add_metric([stream.name], getattr(stream.status, field))
        yield family
    yield _by_label(
        "ssd_edge_detections", "Detections that were kept.", {each.name: each.detections for each in reading.streams}
    )
    tracked = {each.name: each.objects for each in reading.streams if each.objects is not None}
    if tracked:
        yield _by_label("ssd_edge_objects", "Tracks, each counted once.", tracked)
    yield _times(reading.streams)
    if reading.mqtt is not None:
        yield from _messages(reading.mqtt)


def _by_label(name: str, text: str, counts: Mapping[str, Mapping[str, int]]) -> Metric:
    """Return a counter of what each stream, by its name, has counted by label."""
    family = CounterMetricFamily(name, text, labels=["stream", "label"])
    for stream, by_label in counts.items():
        for label, count in sorted(dict(by_label).items()):
            family.add_metric([stream, label], count)
    return family


def _messages(delivery: Delivery) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "ssd_edge_mqtt_connected", "Whether the MQTT broker is connected.", float(delivery.is_connected)
    )
    yield CounterMetricFamily(
        "ssd_edge_mqtt_messages_published", "Messages that were sent to the MQTT broker.", delivery.published
    )
    yield CounterMetricFamily(
        "ssd_edge_mqtt_messages_dropped",
        "Messages that were dropped, as the broker was away or slow.",
        delivery.dropped,
    )


def _times(streams: Sequence[StreamReading]) -> Metric:
    family = HistogramMetricFamily(
        "ssd_edge_frame_seconds", "Time of each stage of a frame's way.", labels=["stream", "stage"]
    )
    for stream in streams:
        for stage, times in ({} if stream.clock is None else stream.clock.stages).items():
            counts = [*times.counts_up_to(BUCKETS_S), times.count]
            buckets = [(str(bound), count) for bound, count in zip((*BUCKETS_S, "+Inf"), counts, strict=True)]
            family.add_metric([stream.name, stage], buckets, times.total_s)
    return family
