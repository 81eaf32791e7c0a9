"""The run itself: workers are started, timed in turns, asked for what else there is, and ended."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ssd_edge.benchmarking.load import LoadMonitor, NeighborLoad
from ssd_edge.benchmarking.power import PowerMonitor, Reading
from ssd_edge.benchmarking.process import Worker, WorkerError
from ssd_edge.benchmarking.rounds import Blocks, Plan, measure_rounds, pilot, plan_rounds
from ssd_edge.benchmarking.startup import Startup, measure_startup, typical
from ssd_edge.benchmarking.task import GEMM, Task
from ssd_edge.core.errors import SsdEdgeError
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.log import log
from ssd_edge.core.progress import ProgressCallback, stage
from ssd_edge.workflows.benchmark.config import BenchConfig
from ssd_edge.workflows.benchmark.entries import Entry
from ssd_edge.workflows.benchmark.result import GpuMode, Peak, Throughput
from ssd_edge.workflows.benchmark.worker import MODULE

_THROUGHPUT_S, _STAGES_S, _GEMM_S = 0.8, 0.8, 0.4  # of each thing that is measured
_SIZES = (1, 2, 4, 8)  # of batches and of streams
_GPU_FRAMES = 200

Starter = Callable[[Task], Worker]


def start_worker(task: Task) -> Worker:
    """Start the process of a contestant."""
    return Worker(task, MODULE)


@dataclass
class Measured:
    """Figures that a run collects of one contestant, as it comes."""

    blocks: Blocks = field(default_factory=lambda: Blocks(()))
    cold_start_s: list[float] = field(default_factory=list)
    memory_mib: float = 0.0
    found: list[dict[str, Any]] = field(default_factory=list)
    throughput: list[Throughput] = field(default_factory=list)
    batches: list[Throughput] = field(default_factory=list)
    streams: list[Throughput] = field(default_factory=list)
    stages_ms: dict[str, float] = field(default_factory=dict)
    startup: Startup | None = None
    gpu: list[GpuMode] = field(default_factory=list)
    power: Mapping[str, Reading] = field(default_factory=dict)


@dataclass
class Run:
    """One run over contestants.

    Attributes:
        entries: that are still in it; who cannot be opened drops out.
        measured: by the names of contestants.
        left_out: who dropped out, and why.
        load: what others did, once the run is over.
        peaks: of the processor.
        rounds: blocks of each contestant.
    """

    config: BenchConfig
    entries: list[Entry]
    cores: int
    progress: ProgressCallback
    start: Starter = field(default=start_worker, repr=False)
    measured: dict[str, Measured] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    load: NeighborLoad | None = None
    peaks: dict[str, Peak] = field(default_factory=dict)
    rounds: int = 0
    _alive: list[Worker] = field(default_factory=list)
    _helpers: list[int] = field(default_factory=list)

    def measure(self) -> None:
        """Do all of it.

        Raises:
            SsdEdgeError: no contestant can be measured.
        """
        self.measured = {entry.name: Measured() for entry in self.entries}
        if self.config.roofline:
            self._measure_peaks()
        monitor = LoadMonitor(lambda: [*(worker.pid for worker in self._alive), *self._helpers])
        self._latency(monitor)
        if not self.config.quick:
            self._more(monitor)
        if self.config.roofline:
            self._measure_peaks()  # once more: the better of the two counts
        self._startups(monitor)
        self.load = monitor.report()

    def _latency(self, monitor: LoadMonitor) -> None:
        plan: Plan | None = None
        done = 0
        with stage(self.progress, "timing in turns") as report, self._busy_processes():
            for launch in range(self.config.launches):
                with self._workers() as workers:
                    plan = plan or self._plan(workers)
                    share = _share(plan.rounds, self.config.launches, launch)
                    part = measure_rounds(workers, replace(plan, rounds=share), first_round=done, between=monitor.tick)
                    for name, blocks in part.items():
                        self.measured[name].blocks += blocks
                    done += share
                    report(done, plan.rounds)
        self.rounds = done

    @contextmanager
    def _busy_processes(self) -> Iterator[None]:
        """Keep so many processes busy beside the rounds; they belong to the run."""
        command = [sys.executable, "-c", "while True: pass"]
        with ExitStack() as stack:
            for _ in range(self.config.busy):
                process = subprocess.Popen(command)  # noqa: S603 - this very Python, no shell
                stack.callback(process.wait)
                stack.callback(process.kill)
                self._helpers.append(process.pid)
            yield
        self._helpers.clear()

    def _plan(self, workers: Mapping[str, Worker]) -> Plan:
        """Return the plan, from the first launch, which also shows what each sees and how much memory it takes."""
        images = len(self.entries[0].task.images)
        plan = plan_rounds(pilot(workers), seconds=self.config.seconds, rounds=self.config.rounds, images=images)
        for name, worker in workers.items():
            self.measured[name].found = worker.ask("detections")
            self.measured[name].memory_mib = worker.ask("memory")
        return plan

    @contextmanager
    def _workers(self) -> Iterator[dict[str, Worker]]:
        """Yield a worker for each contestant; who cannot be started drops out.

        Raises:
            WorkerError: none can be started.
        """
        with ExitStack() as stack:
            workers: dict[str, Worker] = {}
            for entry in list(self.entries):
                try:
                    worker = stack.enter_context(self.start(entry.task))
                except WorkerError as error:
                    self._drop(entry, error)
                    continue
                workers[entry.name] = worker
                self.measured[entry.name].cold_start_s.append(worker.cold_start_s)
            self._alive = list(workers.values())
            try:
                yield workers
            finally:
                self._alive = []

    def _drop(self, entry: Entry, error: SsdEdgeError) -> None:
        self.entries.remove(entry)
        self.left_out.append(LeftOut(entry.name, str(error)))
        log.warning(f"{entry.name} is left out: {error}")
        if not self.entries:
            raise error

    def _more(self, monitor: LoadMonitor) -> None:
        """Measure throughput, stages and a GPU's own clock, of one contestant after the other."""
        with stage(self.progress, "throughput and stages") as report:
            for number, entry in enumerate(list(self.entries)):
                try:
                    with self.start(entry.task) as worker:
                        self._alive = [worker]
                        self._more_of(entry, worker, self.measured[entry.name])
                        monitor.tick()
                except WorkerError as error:  # its latency is there, and all of the others
                    self.left_out.append(LeftOut(f"throughput and stages of {entry.name}", str(error)))
                    log.warning(f"left out: {self.left_out[-1]}")
                self._alive = []
                report(number + 1, len(self.entries))

    def _more_of(self, entry: Entry, worker: Worker, found: Measured) -> None:
        if entry.is_ours:
            found.stages_ms = worker.ask("stages", seconds=_STAGES_S)
        is_gpu = entry.runtime.startswith("tensorrt")
        with PowerMonitor() as power:
            found.throughput = self._throughput(worker, can_choose=not is_gpu)
            if self.config.scaling:
                best = found.throughput[0]
                if not is_gpu:
                    self._open_as(worker, best)
                found.batches = self._tried(worker, best, ((size, best.workers) for size in _SIZES))
                found.streams = self._tried(worker, best, ((1, size) for size in _SIZES))
        found.power = power.readings() if is_gpu else {}
        if is_gpu:
            found.gpu = [_gpu_mode(table) for table in worker.ask("gpu_stages", frames=_GPU_FRAMES)]

    def _throughput(self, worker: Worker, *, can_choose: bool) -> list[Throughput]:
        """Return what each layout gives, the best first: all cores on one image, and an image on each core."""
        layouts = [(1, self.cores)]
        if can_choose and worker.opened.get("parallel") and self.cores > 1:
            layouts.append((self.cores, 1))
        found = []
        for workers, threads in layouts:
            if workers > 1:
                worker.ask("reopen", threads=threads, workers=workers)
            found.append(self._point(worker, workers, threads if can_choose else 0, 1, workers if can_choose else 2))
        return sorted(found, key=lambda point: -point.fps)

    def _open_as(self, worker: Worker, layout: Throughput) -> None:
        worker.ask("reopen", threads=layout.threads, workers=layout.workers)

    def _tried(self, worker: Worker, layout: Throughput, points: Iterator[tuple[int, int]]) -> list[Throughput]:
        """Return the throughput of (batch, callers), up to the first that the runtime refuses."""
        found = []
        for batch, callers in points:
            try:
                found.append(self._point(worker, layout.workers, layout.threads, batch, callers))
            except WorkerError as error:
                log.debug(f"batch {batch}, {callers} callers: {error}")
                break
        return found

    def _point(self, worker: Worker, workers: int, threads: int, batch: int, callers: int) -> Throughput:
        answer = worker.ask("throughput", callers=callers, batch=batch, seconds=_THROUGHPUT_S)
        return Throughput(workers, threads, batch, callers, **answer)

    def _measure_peaks(self) -> None:
        with (
            stage(self.progress, "measuring the processor's peak"),
            self.start(Task(GEMM, threads=self.cores)) as worker,
        ):
            for kind, (gops, library) in worker.ask("peaks", seconds=_GEMM_S).items():
                if kind not in self.peaks or gops > self.peaks[kind].gops:
                    self.peaks[kind] = Peak(gops, library)

    def _startups(self, monitor: LoadMonitor) -> None:
        """Measure in turns what ``run`` takes to its first line, of files that it can run, once for each launch."""
        found: dict[str, list[Startup]] = {}
        for _ in range(self.config.launches):
            for entry in self.entries:
                if entry.is_ours and not entry.task.model.endswith(".pt"):
                    one = measure_startup(Path(entry.task.model), Path(entry.task.images[0]).parent)
                    found.setdefault(entry.name, []).extend([one] if one else [])
                    monitor.tick()
        for name, startups in found.items():
            self.measured[name].startup = typical(startups)


def _share(rounds: int, launches: int, number: int) -> int:
    """Return how many of the rounds a launch has; the first have one more."""
    return rounds // launches + (number < rounds % launches)


def _gpu_mode(table: Mapping[str, Any]) -> GpuMode:
    rows: Mapping[str, Mapping[str, float]] = table["rows"]
    return GpuMode(
        table["mode"],
        table["qps"],
        {name: row["median_ms"] for name, row in rows.items()},
        {name: row["p99_ms"] for name, row in rows.items()},
    )
