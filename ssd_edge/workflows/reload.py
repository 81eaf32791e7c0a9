"""Reload of a running run: its engine, and the streams of its ``streams.toml``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ssd_edge.backends.detector import Detector
from ssd_edge.core.errors import SsdEdgeError
from ssd_edge.core.interruptible import leave_behind
from ssd_edge.core.log import log
from ssd_edge.core.shutdown import ReloadRequest
from ssd_edge.streaming.engine_slot import EngineSlot
from ssd_edge.streaming.pipeline import Pipeline
from ssd_edge.streaming.states import StreamStatus
from ssd_edge.workflows.open_streams import StreamSet
from ssd_edge.workflows.stream_config import RunConfig
from ssd_edge.workflows.stream_plan import StreamPlan, check_classes, labels_of
from ssd_edge.workflows.streams_file import ENGINE_FIELDS, StreamsFile, read_streams_file

_STATUS_S = 0.5
_DEFAULTS = RunConfig()


class Reloader:
    """Looks at the request, and does what it asks for on a thread of its own while the frames go on.

    Args:
        request: looked at by :meth:`tick`.
        slot: whose engine is replaced.
        streams: what is open.
        find: returns the engine's file now, as the streams' file says, where there is one.
        opener: opens an engine as the first one was opened.
        file: the streams that run; None where they do not come from a file.
    """

    def __init__(
        self,
        request: ReloadRequest,
        slot: EngineSlot,
        streams: StreamSet,
        find: Callable[[StreamsFile | None], Path],
        opener: Callable[[Path], Detector],
        file: StreamsFile | None,
    ) -> None:
        self._request, self._slot, self._streams = request, slot, streams
        self._find, self._opener, self._file = find, opener, file
        self._engine = _identity(slot.detector.path)
        self._work: threading.Thread | None = None
        self._told_at = 0.0

    def tick(self, pipeline: Pipeline, status: Callable[[dict[str, StreamStatus]], None]) -> None:
        """Report the status regularly, and start requested reloads."""
        now = time.monotonic()
        if now - self._told_at >= _STATUS_S:
            self._told_at = now
            status(pipeline.statuses)
        if (self._work is None or not self._work.is_alive()) and self._request.take():
            self._work = threading.Thread(target=self._reload, args=(pipeline,), name="ssd-edge reload", daemon=True)
            self._work.start()

    def end(self) -> None:
        """Leave a reload that is under way to itself: an engine may take seconds to open."""
        if self._work is not None and self._work.is_alive():
            leave_behind(self._work)

    def _reload(self, pipeline: Pipeline) -> None:
        try:
            file = None if self._file is None else read_streams_file(self._file.path)
            self._take_engine(file)
            if file is not None:
                check_classes(file.plans, self._slot.detector.class_names)
                self._slot.require(labels_of(file.plans))
                self._take_streams(pipeline, file)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run goes on with what it has
            log.error(f"the streams stay as they are: {error}")

    def _take_engine(self, file: StreamsFile | None) -> None:
        """Replace the engine by the current one, which must know the classes of the streams that are to run."""
        path = self._find(file)
        found = _identity(path)
        if found == self._engine:
            log.info(f"the engine is still {path}")
        elif self._slot.replace(lambda: self._opener(path), None if file is None else labels_of(file.plans)):
            self._engine = found

    def _take_streams(self, pipeline: Pipeline, file: StreamsFile) -> None:
        """End what is gone or has changed, and begin what is new or has changed."""
        if self._file is not None and file.config != self._file.config:
            log.warning(f"{file.path}: of [engine], only model is read again; for the other keys, restart the run")
        before = {opened.plan.name: _without_engine(opened.plan) for opened in self._streams.streams}
        after = {plan.name: _without_engine(plan) for plan in file.plans}
        for name, plan in before.items():
            if after.get(name) != plan:
                pipeline.remove(name)
                self._streams.close(name)
        for plan in file.plans:
            if before.get(plan.name) != after[plan.name]:
                self._begin(pipeline, plan)
        gone, new = before.keys() - after.keys(), after.keys() - before.keys()
        changed = [name for name in before.keys() & after.keys() if before[name] != after[name]]
        log.info(f"{file.path}: {len(new)} streams are new, {len(changed)} have changed, {len(gone)} were removed")
        self._file = file

    def _begin(self, pipeline: Pipeline, plan: StreamPlan) -> None:
        try:
            opened = self._streams.open_source(plan, alone=False, input_size=self._slot.detector.input_size)
            if opened.source is not None:
                pipeline.add(self._streams.open_outputs(opened, self._slot.detector.path))
        except SsdEdgeError as error:
            log.error(f"{plan.name} cannot be started: {error}")
            self._streams.close(plan.name)


def _without_engine(plan: StreamPlan) -> StreamPlan:
    """Return a plan without the keys of ``[engine]``, which a reload leaves as they are."""
    return replace(plan, config=replace(plan.config, **{name: getattr(_DEFAULTS, name) for name in ENGINE_FIELDS}))


def _identity(path: Path) -> tuple[Path, int, int]:
    """Return what identifies the current version of an engine's file."""
    found = path.stat()
    return path.resolve(), found.st_mtime_ns, found.st_size
