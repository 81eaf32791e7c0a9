"""Opens streams as they are planned, each with its source and outputs, and closes them again."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.core.errors import DeviceError, InputError, SsdEdgeError
from ssd_edge.core.files import path_kind
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.log import log
from ssd_edge.core.shutdown import StopRequest
from ssd_edge.streaming.outputs import STDOUT, OutputOptions, Outputs, open_lines, open_outputs, report_on
from ssd_edge.streaming.running_stream import Stream
from ssd_edge.streaming.sinks.conflicts import check_keeps_input
from ssd_edge.streaming.sinks.json_lines import Lines, StdoutLines
from ssd_edge.streaming.sinks.pieces import Cut, Retention
from ssd_edge.streaming.sources.base import Source
from ssd_edge.streaming.sources.live import LiveSource
from ssd_edge.streaming.states import StreamReason, StreamState, StreamStatus
from ssd_edge.streaming.tracking.stream_tracker import ObjectCounter
from ssd_edge.workflows.stream_plan import (
    StreamPlan,
    filter_of,
    mask_of,
    open_stream_source,
    selection_of,
    tracker_of,
)

if TYPE_CHECKING:
    from ssd_edge.streaming.metrics import DetectionCounter
    from ssd_edge.streaming.mqtt.publisher import MqttPublisher

_RATE_WAIT_S = 3.0  # for a camera to tell its rate, which a video of it is written with


@dataclass(eq=False)
class OpenStream:
    """A stream with what is open for it.

    Attributes:
        plan: what was asked for.
        source: open, or trying to be.
        stack: closes its outputs, then its source.
        outputs: None before :meth:`StreamSet.open_outputs`.
        counter: of its detections; None where nobody asks for metrics.
        objects: counter of its objects; None where they are not tracked.
        error: why it could not be opened.
        tried_at: when its source was opened, on the clock of ``time.monotonic``.
    """

    plan: StreamPlan
    source: Source | None
    stack: ExitStack = field(default_factory=ExitStack)
    outputs: Outputs | None = None
    counter: DetectionCounter | None = None
    objects: ObjectCounter | None = None
    error: SsdEdgeError | None = None
    tried_at: float = field(default_factory=time.monotonic)

    @property
    def status(self) -> StreamStatus:
        """State and counts now; one whose source could not be opened has stopped."""
        if self.source is None:
            return StreamStatus(self.plan.name, StreamState.STOPPED, StreamReason.ERROR, since=self.tried_at)
        return self.source.monitor.status


class StreamSet:
    """The streams of a run; a context manager that closes what is open.

    Args:
        stop: requested by a window's key.
        shares: a file of lines stays open to the end of the run, for streams that come later too, and each line names
            its stream; otherwise only where several streams name the same file, or run.
        mqtt: publishes states and detections; None where nobody asks for that.
    """

    def __init__(self, stop: StopRequest, *, shares: bool = False, mqtt: MqttPublisher | None = None) -> None:
        self._stop, self._stack, self._shares, self.mqtt = stop, ExitStack(), shares, mqtt
        self._shared: dict[Path, Lines] = {}
        self._retentions: dict[tuple[float | None, float | None], Retention] = {}
        self.streams: list[OpenStream] = []
        self.closed: list[OpenStream] = []

    def __enter__(self) -> StreamSet:
        return self

    def __exit__(self, *_: object) -> None:
        with self._stack:
            for opened in self.streams:
                self._stack.push(opened.stack)

    def open_source(self, plan: StreamPlan, *, alone: bool, input_size: tuple[int, int] | None = None) -> OpenStream:
        """Open the source of a stream.

        Args:
            plan: what is asked for.
            input_size: of the network; only a plan that scales in the decoder needs it.
            alone: an absent device is an error; otherwise it is one of this stream, and the others go on.
        """
        _check_scaled(plan)
        if self._shares:
            _check_is_there(plan)
        try:
            source = open_stream_source(plan.uri, plan.config, input_size, plan.images)
        except DeviceError as error:
            if alone:
                raise
            log.error(f"{plan.name}: {error}")
            self.streams.append(OpenStream(plan, None, error=error))
            self._publish_state(self.streams[-1])
            return self.streams[-1]
        opened = OpenStream(plan, source)
        opened.stack.enter_context(source)
        self.streams.append(opened)
        self._publish_state(opened)
        return opened

    def open_outputs(self, opened: OpenStream, model: Path) -> Stream:
        """Open the outputs of a stream, and return it ready to run.

        Raises:
            InputError: an output is an input or another output, or it cannot be written.
            DeviceError: a window is asked for, and there is no display; or nothing can be served at the address.
        """
        plan, source = opened.plan, opened.source
        if source is None:
            raise DeviceError(f"{plan.name} is not open")
        if plan.config.output is not None and isinstance(source, LiveSource):
            source.open(_RATE_WAIT_S)
        inputs = [model, *(path for other in self.streams for path in other.plan.inputs)]
        if plan.config.output is not None:
            for image in plan.images:
                check_keeps_input(plan.config.output / image.name, image)
        options = self._options(plan)
        if plan.config.scale_in_decoder:
            options = replace(options, window=False)
        opened.outputs = open_outputs(
            opened.stack, source.info, inputs, self._with_shared_lines(plan, options, inputs), self._stop
        )
        sinks = list(opened.outputs.sinks)
        if plan.config.metrics is not None:
            from ssd_edge.streaming.metrics import DetectionCounter

            opened.counter = DetectionCounter()
            sinks.append(opened.counter)
        if self.mqtt is not None:
            sinks.append(self.mqtt.sink(plan.name))
        if plan.config.track:
            opened.objects = ObjectCounter()
            sinks.append(opened.objects)
        return Stream(
            source,
            sinks,
            keep=filter_of(plan.config, plan.config.score_threshold),
            select=selection_of(plan.config),
            max_frames=plan.config.max_frames,
            max_age_s=plan.config.max_frame_age,
            mask=mask_of(plan.config),
            tracker=tracker_of(plan.config, plan.config.score_threshold, source.info),
            name=plan.name if len(self.streams) > 1 else "",
        )

    def close(self, name: str) -> None:
        """Close a stream that has ended."""
        for opened in [opened for opened in self.streams if opened.plan.name == name]:
            self.streams.remove(opened)
            self.closed.append(opened)
            opened.stack.close()
            if self.mqtt is not None:
                self.mqtt.remove(name)

    def written(self, opened: OpenStream) -> tuple[Path | None, Path | None]:
        """Return the video, image or folder and the file of lines that a stream has written, once all are closed."""
        config = opened.plan.config
        if opened.outputs is None:
            return None, None
        shared = self._shared.get(config.json_path) if config.json_path is not None else None
        lines = shared.last if shared is not None else opened.outputs.written(config.json_path)
        return opened.outputs.written(config.output), lines

    def reports(self) -> list[str]:
        """Return a line on each file, once all are closed."""
        own = [opened.outputs for opened in [*self.closed, *self.streams] if opened.outputs is not None]
        shared = [report_on(path, lines.pieces, lines.last) for path, lines in self._shared.items() if path != STDOUT]
        return [*shared, *(line for outputs in own for line in outputs.reports())]

    def left_out(self) -> tuple[LeftOut, ...]:
        """Return the outputs that lack frames, once all are closed."""
        every = [opened.outputs for opened in [*self.closed, *self.streams] if opened.outputs is not None]
        return tuple(lost for outputs in every for lost in outputs.left_out())

    def _publish_state(self, opened: OpenStream) -> None:
        if self.mqtt is not None:
            changed = self.mqtt.add(opened.plan.name, lambda: opened.status)
            if opened.source is not None:
                opened.source.monitor.changed = changed

    def _options(self, plan: StreamPlan) -> OutputOptions:
        config = plan.config
        limits = (config.keep_days, config.keep_gb)
        return OutputOptions(
            config.output,
            config.json_path,
            config.serve,
            config.window,
            cut=None if config.cut is None else Cut.parse(config.cut),
            retention=self._retentions.setdefault(limits, Retention(*limits)),
            fsync_s=config.fsync,
            on_failure=config.on_failure,
            blur=frozenset(config.blur),
            stream=plan.name if self._shares or len(self.streams) > 1 else "",
            published=self.mqtt is not None,
        )

    def _with_shared_lines(self, plan: StreamPlan, options: OutputOptions, inputs: list[Path]) -> OutputOptions:
        """Return the options with lines that several streams share, where the plan's are not its own."""
        path = plan.config.json_path
        users = [opened for opened in self.streams if opened.plan.config.json_path == path]
        if path is None or (path not in self._shared and len(users) < 2 and not self._shares):
            return options
        if path not in self._shared:
            self._shared[path] = self._open_lines(path, inputs, options)
        return replace(options, json_path=None, lines=self._shared[path])

    def _open_lines(self, path: Path, inputs: list[Path], options: OutputOptions) -> Lines:
        if path == STDOUT:
            return StdoutLines()
        for source in inputs:
            check_keeps_input(path, source)
        if path_kind(path) == "file" and options.cut is None:
            log.info(f"{path} already exists and is replaced")
        return open_lines(self._stack, path, options)


def _check_is_there(plan: StreamPlan) -> None:
    """Refuse a relative path of a ``streams.toml`` that leads nowhere, and say where it begins."""
    for path in plan.inputs:
        if not path.is_absolute() and path_kind(path) == "absent":
            raise InputError(
                f"the source {path} of the stream {plan.name} does not exist",
                got=f"no such file or folder in {Path.cwd()}",
                wanted="a path relative to the folder where the command runs, or an absolute one",
            )


def _check_scaled(plan: StreamPlan) -> None:
    """Refuse to show or keep frames that leave the decoder small."""
    config = plan.config
    shown = {
        "--output": config.output,
        "--serve": config.serve,
        "--window": config.window or None,
        "--mask": config.masks or None,
    }
    asked = [name for name, value in shown.items() if value is not None]
    if config.scale_in_decoder and asked:
        raise InputError(
            "frames that are scaled in the decoder cannot be shown, saved or masked",
            got=" and ".join(asked),
            wanted="only --json or --mqtt",
            do=f"Leave out --scale-in-decoder, or {' and '.join(asked)}.",
        )
