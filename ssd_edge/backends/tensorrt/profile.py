"""Stage times of an engine on the GPU, in trtexec's terms: copy in, inference, copy out, and the host's enqueue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.backends.cuda import Buffer, CaptureError, Cuda, Stream
from ssd_edge.backends.tensorrt.backend import read_manifest_for_gpu
from ssd_edge.backends.tensorrt.engine import CONTRACT, TYPES, TrtEngine, forget_frames
from ssd_edge.backends.tensorrt.session import Plan
from ssd_edge.core.errors import SsdEdgeError
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.graph_contract import INPUT_NAME, OUTPUT_NAMES
from ssd_edge.core.log import log
from ssd_edge.core.timing import Stopwatch

if TYPE_CHECKING:
    from ssd_edge.backends.tensorrt.engine import TrtContext

_WARM_UP = 20


@dataclass(frozen=True)
class GpuStageTimes:
    """Milliseconds of each frame; the GPU's own clock (CUDA events on one stream) but for ``enqueue`` and ``host``.

    Attributes:
        mode: ``enqueue`` (TensorRT's own) or ``graph`` (one CUDA graph).
        upload, compute, download: H2D Latency, GPU Compute Time and D2H Latency of trtexec; their sum is its Latency.
        enqueue: Enqueue Time of trtexec: how long the host takes to start the inference.
        host: from the copy into pinned memory to the outputs, on the host's clock.
        outputs: bytes of the last frame's outputs.
    """

    mode: str
    upload: list[float]
    compute: list[float]
    download: list[float]
    enqueue: list[float]
    host: list[float]
    outputs: bytes


def measure_stages(path: Path, image: UInt8Array, *, frames: int) -> list[GpuStageTimes]:
    """Time the stages of an engine for one image, with plain enqueue and, where it can be captured, as a CUDA graph.

    One stream and one frame at a time, as trtexec does without ``--useSpinWait`` and with one stream: nothing overlaps.
    The calling thread owns the GPU meanwhile.

    Args:
        path: the engine, with its manifest.
        image: (H, W, 3) uint8 BGR of the engine's input size; repeated to fill the engine's smallest batch.
        frames: how many are measured in each mode, after a warm-up.

    Raises:
        SsdEdgeError: the engine cannot run here, or the GPU fails.
    """
    cuda = Cuda()
    try:
        with cuda.errors(f"{path} cannot be measured"):
            return _measured(cuda, path, image, frames)
    except SsdEdgeError as error:
        failure = forget_frames(error)  # they would keep stream and events alive past their context
    finally:
        cuda.close()
    raise failure


def _measured(cuda: Cuda, path: Path, image: UInt8Array, frames: int) -> list[GpuStageTimes]:
    with _engine(path) as engine:
        batch, stream = engine.limits[0], cuda.stream()
        buffers = {name: cuda.buffer(engine.shape(name, batch), TYPES[kind]) for name, kind in CONTRACT.items()}
        bench = _Bench(cuda, stream, buffers, batch, image)
        with _context(engine, batch, buffers) as context:
            plain = Plan(context, None)
            measured = [bench.times("enqueue", plain, frames)]
            with _graph(cuda, context, stream) as graph:
                if graph is not None:
                    measured.append(bench.times("graph", graph, frames))
        return measured


@contextmanager
def _engine(path: Path) -> Iterator[TrtEngine]:
    engine = TrtEngine(path, read_manifest_for_gpu(path))
    try:
        yield engine
    finally:
        engine.close()


@contextmanager
def _context(engine: TrtEngine, batch: int, buffers: dict[str, Buffer]) -> Iterator[TrtContext]:
    context = engine.context(batch, {name: buffer.device for name, buffer in buffers.items()})
    try:
        yield context
    finally:
        context.close()


@contextmanager
def _graph(cuda: Cuda, context: TrtContext, stream: Stream) -> Iterator[Plan | None]:
    """Yield the captured inference, or None where it cannot be captured."""
    try:
        graph = cuda.graphs.capture(stream.handle, lambda: context.enqueue(stream.handle))
    except CaptureError:
        yield None
        return
    try:
        yield Plan(context, graph)
    finally:
        try:
            graph.close()
        except CaptureError as error:  # of a GPU that fails, whose own error is on its way
            log.warning("the GPU did not free the CUDA graph: %s", error)


class _Bench:
    """One frame at a time on one stream, with a clock between the stages."""

    def __init__(self, cuda: Cuda, stream: Stream, buffers: dict[str, Buffer], batch: int, image: UInt8Array) -> None:
        self._cuda, self._stream, self._buffers, self._batch = cuda, stream, buffers, batch
        self._picture = image
        self._clocks = [cuda.clock() for _ in range(4)]

    def times(self, mode: str, plan: Plan, frames: int) -> GpuStageTimes:
        rows = [self._frame(plan) for _ in range(_WARM_UP + frames)][_WARM_UP:]
        upload, compute, download, enqueue, host = (list(column) for column in zip(*rows, strict=True))
        outputs = b"".join(self._buffers[name].host.tobytes() for name in OUTPUT_NAMES)
        return GpuStageTimes(mode, upload, compute, download, enqueue, host, outputs)

    def _frame(self, plan: Plan) -> tuple[float, float, float, float, float]:
        host, enqueue = Stopwatch(), Stopwatch()
        with host:
            self._buffers[INPUT_NAME].host[:] = self._picture
            self._clocks[0].record(self._stream)
            self._cuda.upload(self._buffers[INPUT_NAME], self._batch, self._stream)
            self._clocks[1].record(self._stream)
            with enqueue:
                plan.start(self._stream)
            self._clocks[2].record(self._stream)
            for name in OUTPUT_NAMES:
                self._cuda.download(self._buffers[name], self._batch, self._stream)
            self._clocks[3].record(self._stream)
            self._clocks[3].synchronize()
        first, second, third, last = self._clocks
        spans = (first.time_till(second), second.time_till(third), third.time_till(last))
        return (*spans, enqueue.last_ms, host.last_ms)
