"""Metrics of a run, read as Prometheus reads them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from ssd_edge.core.detections import Detections
from ssd_edge.core.frame import Frame
from ssd_edge.streaming.metrics import BUCKETS_S, DetectionCounter, RunReading, StreamReading, metrics_text
from ssd_edge.streaming.states import StreamReason, StreamState, StreamStatus
from ssd_edge.streaming.timing import STAGES, RunClock

NOW = 1000.0


def reading(*streams: StreamReading, busy_s: float = 0.0, idle_s: float = 0.0) -> RunReading:
    return RunReading(NOW, "1.2.3", "signs", "engines/signs.engine", busy_s, idle_s, 30.0, streams)


def stream(name: str, state: StreamState, reason: StreamReason | None = None, **values: float) -> StreamReading:
    return StreamReading(name, StreamStatus(name, state, reason, **values), RunClock(), {})  # type: ignore[arg-type]


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Each sample by its name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_each_stream_has_its_state_and_its_counts() -> None:
    gate = stream(
        "gate",
        StreamState.RUNNING,
        read=10,
        skipped=1,
        dropped=2,
        repeated=3,
        results=4,
        stalls=5,
        retries=6,
        last_frame_at=NOW - 0.25,
    )
    yard = stream('the "yard"\n', StreamState.RETRYING, StreamReason.TIMEOUT)
    found = samples(metrics_text(reading(gate, yard, busy_s=0.5)))
    of_gate, of_yard = (("stream", "gate"),), (("stream", 'the "yard"\n'),)
    counts = {
        "frames_read": 10,
        "frames_skipped": 1,
        "frames_dropped": 2,
        "frames_repeated": 3,
        "frames_inferred": 4,
        "stream_stalls": 5,
        "stream_retries": 6,
    }
    for name, count in counts.items():
        assert found[f"ssd_edge_{name}_total", of_gate] == count
        assert found[f"ssd_edge_{name}_total", of_yard] == 0
    assert (found["ssd_edge_stream_up", of_gate], found["ssd_edge_stream_up", of_yard]) == (1, 0)
    states = {
        state.value: found["ssd_edge_stream_state", (("ssd_edge_stream_state", state.value), *of_yard)]
        for state in StreamState
    }
    assert states == {"starting": 0, "running": 0, "stalled": 0, "retrying": 1, "stopped": 0}
    assert found["ssd_edge_last_frame_age_seconds", of_gate] == 0.25
    assert ("ssd_edge_last_frame_age_seconds", of_yard) not in found
    assert found["ssd_edge_inference_busy_seconds", ()] == 0.5
    assert found["ssd_edge_build_info", (("version", "1.2.3"),)] == 1
    assert found["ssd_edge_engine_info", (("file", "engines/signs.engine"), ("model", "signs"))] == 1


def test_the_process_is_measured_too() -> None:
    assert samples(metrics_text(reading()))["process_resident_memory_bytes", ()] > 1e6


def test_the_histograms_are_those_of_the_clock() -> None:
    rng = np.random.default_rng(0)
    durations = rng.lognormal(np.log(0.02), 1.5, 5000)
    watched = stream("gate", StreamState.RUNNING)
    assert watched.clock is not None
    for duration in durations.tolist():
        watched.clock.add_frame(**dict.fromkeys(STAGES, duration))
    found = samples(metrics_text(reading(watched)))
    labels = (("stage", "infer"), ("stream", "gate"))
    assert found["ssd_edge_frame_seconds_count", labels] == 5000
    assert found["ssd_edge_frame_seconds_sum", labels] == pytest.approx(durations.sum())
    assert found["ssd_edge_frame_seconds_bucket", (("le", "+Inf"), *labels)] == 5000
    for bound in BUCKETS_S:
        counted = found["ssd_edge_frame_seconds_bucket", (("le", str(bound)), *labels)]
        assert (durations <= bound).sum() <= counted <= (durations <= 1.01 * bound).sum()


def test_the_newest_result_has_an_age_once_there_is_one() -> None:
    watched = stream("gate", StreamState.RUNNING)
    assert watched.clock is not None
    assert watched.clock.last_at is None
    name = "ssd_edge_last_result_age_seconds"
    assert (name, (("stream", "gate"),)) not in samples(metrics_text(reading(watched)))
    watched.clock.add_frame(**dict.fromkeys(STAGES, 0.1))
    assert watched.clock.last_at is not None
    found = samples(metrics_text(replace(reading(watched), now=watched.clock.last_at + 7)))
    assert found[name, (("stream", "gate"),)] == pytest.approx(7)


def test_detections_are_counted_by_label() -> None:
    counter, frame = DetectionCounter(), Frame(np.zeros((4, 4, 3), np.uint8), 0, 0.0, "gate")
    for class_ids, names in (([0, 1, 1], ("car", "bus")), ([], ("car", "bus")), ([1], ("car", "bus")), ([7], ())):
        count = len(class_ids)
        boxes, scores = np.zeros((count, 4), np.float32), np.ones(count, np.float32)
        counter.write(frame, Detections(boxes, scores, np.array(class_ids, np.int64), names))
    assert counter.counts == {"car": 1, "bus": 3, "7": 1}
    watched = StreamReading("gate", StreamStatus("gate"), None, counter.counts)
    text = samples(metrics_text(reading(watched)))
    assert text["ssd_edge_detections_total", (("label", "bus"), ("stream", "gate"))] == 3
    assert not any(name == "ssd_edge_frame_seconds_count" for name, _ in text)


def test_objects_are_counted_once_where_they_are_tracked() -> None:
    counts = {"bus": 2, "car": 1}
    tracked = StreamReading("gate", StreamStatus("gate"), None, {"bus": 40}, counts)
    text = samples(metrics_text(reading(tracked, stream("yard", StreamState.RUNNING))))
    found = {labels: value for (name, labels), value in text.items() if name == "ssd_edge_objects_total"}
    assert found == {(("label", label), ("stream", "gate")): count for label, count in counts.items()}
    assert b"ssd_edge_objects" not in metrics_text(reading(stream("yard", StreamState.RUNNING)))


def test_a_run_is_ready_while_a_stream_runs_and_live_while_its_engine_answers() -> None:
    running, stopped = stream("a", StreamState.RUNNING), stream("b", StreamState.STOPPED, StreamReason.END)
    cases = [
        (reading(running, stopped), True, True),
        (reading(stopped), True, False),
        (reading(), True, False),
        (reading(running, busy_s=30.1), False, False),
        (reading(running, idle_s=30.1), False, False),
    ]
    for found, live, ready in cases:
        assert (found.is_live, found.is_ready) == (live, ready)
        assert (found.health()["live"], found.health()["ready"]) == (live, ready)
    told = reading(stream("a", StreamState.RUNNING, last_frame_at=NOW - 1.5, results=3), stopped).health()["streams"]
    assert told == {
        "a": {"state": "running", "reason": None, "last_frame_age_s": 1.5, "frames_inferred": 3},
        "b": {"state": "stopped", "reason": "end", "last_frame_age_s": None, "frames_inferred": 0},
    }
