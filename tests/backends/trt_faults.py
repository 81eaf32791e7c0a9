"""Breaks the product's code in one place each, as a slip of the pen would; the rehearsal must notice."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np

from ssd_edge.backends.base import RawOutputs
from ssd_edge.backends.cuda import Cuda, GraphDriver
from ssd_edge.backends.tensorrt import engine as trt_engine
from ssd_edge.backends.tensorrt import session as trt_session
from ssd_edge.backends.tensorrt import session as trt_slot
from ssd_edge.backends.tensorrt.engine import CONTRACT, TYPES, RuntimeCache, TrtContext, TrtEngine
from ssd_edge.backends.tensorrt.session import Plan, Slot
from ssd_edge.core.errors import ArtifactError, DeviceError
from ssd_edge.core.graph_contract import INPUT_NAME, NMS_OP, OUTPUT_NAMES


def missing_synchronise() -> None:
    def outputs(self: Any) -> RawOutputs:
        return RawOutputs(*(self._buffers[name].host[: self._count].copy() for name in OUTPUT_NAMES))

    Slot.outputs = outputs  # type: ignore[method-assign]
    Slot.is_done = property(lambda self: True)  # type: ignore[assignment, method-assign]


def output_before_its_event() -> None:
    def begin(self: Any, batch: Any) -> None:
        self._count = len(batch)
        self._buffers[INPUT_NAME].host[: self._count] = batch
        streams = self._streams
        self._cuda.upload(self._buffers[INPUT_NAME], self._count, streams.upload)
        self._uploaded.record(streams.upload)
        streams.compute.wait_for_event(self._uploaded)
        self._plans[self._count].start(streams.compute)
        for name in OUTPUT_NAMES:
            self._cuda.download(self._buffers[name], self._count, streams.download)
        self._done.record(streams.download)

    Slot.begin = begin  # type: ignore[method-assign]


def buffer_freed_while_a_graph_holds_it() -> None:
    begin = Slot.begin

    def careless(self: Any, batch: Any) -> None:
        what, release = self._cuda._release.pop()
        assert what == "device memory"
        release()
        begin(self, batch)

    Slot.begin = careless  # type: ignore[method-assign]


def context_used_from_another_thread() -> None:
    begin = Slot.begin

    def elsewhere(self: Any, batch: Any) -> None:
        caught: list[BaseException] = []

        def work() -> None:
            try:
                begin(self, batch)
            except BaseException as error:  # noqa: BLE001  # handed to the thread that waits
                caught.append(error)

        worker = threading.Thread(target=work)
        worker.start()
        worker.join()
        if caught:
            raise caught[0]

    Slot.begin = elsewhere  # type: ignore[method-assign]


def context_not_popped() -> None:
    GraphDriver.pop_context = lambda self: None  # type: ignore[method-assign]


def wrong_dtype() -> None:
    trt_slot.TYPES = {**TYPES, "FLOAT": np.float16}  # type: ignore[attr-defined]


def wrong_shape() -> None:
    shape = TrtEngine.shape
    TrtEngine.shape = lambda self, name, batch: (*shape(self, name, batch)[:-1], 4)  # type: ignore[method-assign]


def batch_above_the_profile() -> None:
    opened = trt_session.Session.__init__

    def widened(self: Any, *arguments: Any) -> None:
        opened(self, *arguments)
        self.limits = (1, 99)

    trt_session.Session.__init__ = widened  # type: ignore[method-assign]


def address_of_a_previous_shape_kept() -> None:
    def prepare(self: Any, batch: int) -> None:
        if batch in self._plans:
            return
        kept = getattr(self, "_kept", {name: buffer.device for name, buffer in self._buffers.items()})
        if self._plans:
            shape = self._engine.shape
            self._buffers = {n: self._cuda.buffer(shape(n, batch), TYPES[kind]) for n, kind in CONTRACT.items()}
        self._kept = kept
        self._plans[batch] = Plan(self._engine.context(batch, kept), None)

    Slot.prepare = prepare  # type: ignore[method-assign]


def plugin_library_not_initialised() -> None:
    trt_engine.plugin_names = lambda trt, logger: frozenset({NMS_OP})  # type: ignore[attr-defined]


def engine_outliving_its_runtime() -> None:
    def close(self: Any) -> None:
        self._runtime = None
        self._engine = None

    TrtEngine.close = close  # type: ignore[method-assign]


def contexts_never_dropped() -> None:
    keep: list[Any] = []
    TrtContext.close = lambda self: keep.append(self._context)  # type: ignore[method-assign, assignment]


def memory_never_freed() -> None:
    _forget("device memory")


def pinned_memory_never_freed() -> None:
    _forget("pinned memory")


def _forget(kind: str) -> None:
    """Leave one piece of memory out when all is given back, and remember it, or pycuda would give it back."""
    close, keep = Cuda.close, []

    def forgetful(self: Any) -> list[str]:
        forgotten = next(entry for entry in self._release if entry[0] == kind)
        self._release.remove(forgotten)
        keep.append(forgotten)
        return close(self)

    Cuda.close = forgetful  # type: ignore[method-assign]


def memory_for_each_frame() -> None:
    """Allocate 1 MiB with each frame, behind the back of all that counts, and never give it back."""
    begin, keep = Slot.begin, []

    def greedy(self: Any, batch: Any) -> None:
        keep.append(self._cuda._driver.mem_alloc(1 << 20))
        begin(self, batch)

    Slot.begin = greedy  # type: ignore[method-assign]


def size_prepared_over_a_batch_in_flight() -> None:
    """Make the plans of a new size in the memory that a batch in flight still uses."""

    def begin(self: Any, batch: Any, waiting: Any) -> None:
        slot = self._free.popleft()
        self._flight.append((slot, waiting))
        for entry in self._slots:
            if not entry.is_prepared(len(batch)):
                entry.prepare(len(batch))
        slot.begin(batch)

    trt_session.Session._begin = begin  # type: ignore[method-assign]


def captured_before_it_ran() -> None:
    def prepare(self: Any, batch: int) -> None:
        context = self._engine.context(batch, {name: buffer.device for name, buffer in self._buffers.items()})
        self._plans[batch] = Plan(context, self._capture(context, batch))

    Slot.prepare = prepare  # type: ignore[method-assign]


def kernels_that_fill_in_captured() -> None:
    RuntimeCache._specialise_at_once = lambda self, trt: None  # type: ignore[method-assign]


def every_start_refused() -> None:
    """No slip of the pen: as where the GPU's memory ends between two batches."""

    def start(self: Any, stream: Any) -> None:
        raise DeviceError("TensorRT cannot run the engine")

    Plan.start = start  # type: ignore[method-assign]


def int8_that_cannot_be_built() -> None:
    """No slip of the pen: what TensorRT says of a board that lacks a kernel."""
    from ssd_edge.engines.tensorrt.build import TrtBuilder

    build = TrtBuilder.build

    def refusing(self: Any, *arguments: Any, **options: Any) -> None:
        if self.precision == "int8":
            raise ArtifactError("the kernel is not implemented")
        build(self, *arguments, **options)

    TrtBuilder.build = refusing  # type: ignore[method-assign]


def slow_end() -> None:
    """No slip of the pen: giving everything back takes a second."""
    close = Cuda.close

    def slowly(self: Any) -> list[str]:
        time.sleep(1)
        return close(self)

    Cuda.close = slowly  # type: ignore[method-assign]
