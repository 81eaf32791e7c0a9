"""Metrics of a run: what its streams and its engine say of themselves, served while it lasts."""

from __future__ import annotations

import time
from contextlib import ExitStack

from ssd_edge import __version__
from ssd_edge.core.log import log
from ssd_edge.streaming.engine_slot import EngineSlot
from ssd_edge.streaming.metrics import RunReading, StreamReading
from ssd_edge.streaming.pipeline import Pipeline
from ssd_edge.streaming.web.access import Address
from ssd_edge.streaming.web.metrics_page import MetricsServer
from ssd_edge.workflows.open_streams import OpenStream, StreamSet


def serve_metrics(
    address: Address, stack: ExitStack, streams: StreamSet, pipeline: Pipeline, slot: EngineSlot, hang_s: float
) -> None:
    """Serve the metrics and the health of a run until ``stack`` closes.

    Args:
        address: where.
        stack: closes the server.
        streams: that run, with those that are added later.
        pipeline: that runs them.
        slot: whose engine infers.
        hang_s: an inference, or an output of the only stream, that takes longer has hung.

    Raises:
        InputError: other machines can look, and there is no place for the token.
        DeviceError: nothing can be served there.
    """
    server = MetricsServer(address, lambda: read_run(streams, pipeline, slot, hang_s))
    stack.callback(server.close)
    token = "" if server.token_file is None else f", with the token of {server.token_file} (Authorization: Bearer …)"
    log.info(f"metrics are at {server.address.url}metrics, health at {server.address.url}ready{token}")


def read_run(streams: StreamSet, pipeline: Pipeline, slot: EngineSlot, hang_s: float) -> RunReading:
    """Return a run as it is now."""
    detector = slot.detector
    return RunReading(
        now=time.monotonic(),
        version=__version__,
        model=detector.spec.name,
        engine=str(detector.path).encode(errors="backslashreplace").decode(),
        busy_s=slot.busy_s(),
        idle_s=pipeline.idle_s,
        hang_s=hang_s,
        mqtt=None if streams.mqtt is None else streams.mqtt.delivery,
        streams=[_read_stream(opened, pipeline) for opened in list(streams.streams)],
    )


def _read_stream(opened: OpenStream, pipeline: Pipeline) -> StreamReading:
    return StreamReading(
        name=opened.plan.name,
        status=opened.status,
        clock=pipeline.clock_of(opened.source) if opened.source is not None else None,
        detections=dict(opened.counter.counts) if opened.counter is not None else {},
        objects=dict(opened.objects.counts) if opened.objects is not None else None,
    )
