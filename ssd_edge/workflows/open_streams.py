"""Opens streams as they are planned, each with its source and outputs, and closes them again."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from ssd_edge.core.errors import DeviceError, SsdEdgeError
from ssd_edge.core.files import path_kind
from ssd_edge.core.log import log
from ssd_edge.core.shutdown import StopRequest
from ssd_edge.streaming.outputs import STDOUT, OutputOptions, Outputs, open_outputs
from ssd_edge.streaming.sinks.conflicts import check_keeps_input
from ssd_edge.streaming.sinks.json_lines import JsonLinesSink, Lines, StdoutLines
from ssd_edge.streaming.sinks.line_file import LineFile
from ssd_edge.streaming.sources.base import Source
from ssd_edge.streaming.sources.live import LiveSource
from ssd_edge.streaming.sources.uri import file_of
from ssd_edge.streaming.track import Stream
from ssd_edge.workflows.stream_plan import StreamPlan, filter_of, open_stream_source, selection_of

_RATE_WAIT_S = 3.0  # for a camera to tell its rate, which a video of it is written with


@dataclass(eq=False)
class OpenStream:
    """A stream with what is open for it.

    Attributes:
        plan: what was asked for.
        source: open, or trying to be.
        stack: closes its outputs, then its source.
        outputs: None before :meth:`StreamSet.open_outputs`.
        error: why it could not be opened.
    """

    plan: StreamPlan
    source: Source | None
    stack: ExitStack = field(default_factory=ExitStack)
    outputs: Outputs | None = None
    error: SsdEdgeError | None = None


class StreamSet:
    """The streams of a run; a context manager that closes what is open.

    Args:
        stop: requested by a window's key.
        shares: a file of lines stays open to the end of the run, for streams that come later too; otherwise only where
            several streams name the same.
    """

    def __init__(self, stop: StopRequest, *, shares: bool = False) -> None:
        self._stop, self._stack, self._shares = stop, ExitStack(), shares
        self._shared: dict[Path, Lines] = {}
        self.streams: list[OpenStream] = []
        self.closed: list[OpenStream] = []

    def __enter__(self) -> StreamSet:
        return self

    def __exit__(self, *_: object) -> None:
        with self._stack:
            for opened in self.streams:
                self._stack.push(opened.stack)

    def open_source(self, plan: StreamPlan, *, alone: bool) -> OpenStream:
        """Open the source of a stream.

        Args:
            plan: what is asked for.
            alone: an absent device is an error; otherwise it is one of this stream, and the others go on.
        """
        try:
            source = open_stream_source(plan.uri, plan.config)
        except DeviceError as error:
            if alone:
                raise
            log.error(f"{plan.name}: {error}")
            self.streams.append(OpenStream(plan, None, error=error))
            return self.streams[-1]
        opened = OpenStream(plan, source)
        opened.stack.enter_context(source)
        self.streams.append(opened)
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
        inputs = [model, *(path for other in self.streams for path in file_of(other.plan.uri))]
        options = OutputOptions(plan.config.output, plan.config.json_path, plan.config.serve, plan.config.window)
        shared = self._shared_lines(plan, inputs)
        if shared is not None:
            options = replace(options, json_path=None)
        opened.outputs = open_outputs(opened.stack, source.info, inputs, options, self._stop)
        return Stream(
            source,
            [*([JsonLinesSink(shared)] if shared is not None else []), *opened.outputs.sinks],
            keep=filter_of(plan.config, plan.config.score_threshold),
            select=selection_of(plan.config),
            max_frames=plan.config.max_frames,
            max_age_s=plan.config.max_frame_age,
            name=plan.name if len(self.streams) > 1 else "",
        )

    def close(self, name: str) -> None:
        """Close a stream that has ended."""
        for opened in [opened for opened in self.streams if opened.plan.name == name]:
            self.streams.remove(opened)
            self.closed.append(opened)
            opened.stack.close()

    def written(self, opened: OpenStream) -> tuple[Path | None, Path | None]:
        """Return the video, image or folder and the file of lines that a stream has written, once all are closed."""
        config = opened.plan.config
        if opened.outputs is None:
            return None, None
        shared = self._shared.get(config.json_path) if config.json_path is not None else None
        lines = config.json_path if isinstance(shared, LineFile) and shared.pieces else None
        return opened.outputs.written(config.output), lines or opened.outputs.written(config.json_path)

    def reports(self) -> list[str]:
        """Return a line on each file, once all are closed."""
        own = [opened.outputs for opened in [*self.closed, *self.streams] if opened.outputs is not None]
        files = [(path, lines) for path, lines in self._shared.items() if isinstance(lines, LineFile)]
        shared = [
            f"wrote {path}" if lines.pieces else f"nothing was written to {path}: no frame came"
            for path, lines in files
        ]
        return [*shared, *(line for outputs in own for line in outputs.reports())]

    def _shared_lines(self, plan: StreamPlan, inputs: list[Path]) -> Lines | None:
        """Return the lines that several streams share; None where the plan's are its own, or it has none."""
        path = plan.config.json_path
        users = [opened for opened in self.streams if opened.plan.config.json_path == path]
        if path is None or (path not in self._shared and len(users) < 2 and not self._shares):
            return None
        if path not in self._shared:
            self._shared[path] = self._open_lines(path, inputs)
        return self._shared[path]

    def _open_lines(self, path: Path, inputs: list[Path]) -> Lines:
        if path == STDOUT:
            return _InTurn(StdoutLines())
        for source in inputs:
            check_keeps_input(path, source)
        if path_kind(path) == "file":
            log.info(f"{path} exists and is replaced")
        lines = LineFile(path)
        self._stack.callback(lines.close)
        return lines


class _InTurn:
    """Lines that several threads write, one after the other."""

    def __init__(self, lines: Lines) -> None:
        self._lines, self._turn = lines, threading.Lock()
        self.pieces, self.last = lines.pieces, lines.last

    def write(self, line: bytes) -> None:
        with self._turn:
            self._lines.write(line)

    def close(self) -> None:
        self._lines.close()
