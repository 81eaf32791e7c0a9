"""What a worker's process answers, asked in this one."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ssd_edge.backends.detector import open_detector
from ssd_edge.benchmarking import gemm
from ssd_edge.benchmarking.task import GEMM, OURS, Task
from ssd_edge.core.choices import Peer
from ssd_edge.core.errors import InputError
from ssd_edge.core.images import read_image
from ssd_edge.workflows.benchmark import worker
from ssd_edge.workflows.benchmark.entries import Entry
from ssd_edge.workflows.benchmark.peers import peer_entries
from ssd_edge.workflows.benchmark.worker import Bench, Gemm, peak_memory_mib
from tests.quantization.square_model import write_pictures, write_square_model


@pytest.fixture
def task(tmp_path: Path) -> Task:
    images = tuple(map(str, write_pictures(tmp_path / "images", 3)))
    return Task(OURS, str(write_square_model(tmp_path / "squares.onnx")), images)


@pytest.fixture
def bench(task: Task) -> Iterator[Bench]:
    opened = Bench(task)
    yield opened
    opened._runner.close()


def ticking() -> Iterator[float]:
    """Every look at the clock is a second after the one before."""
    now = 0.0
    while True:
        yield now
        now += 1.0


def test_a_task_without_images_is_refused(task: Task) -> None:
    with pytest.raises(InputError, match="no image is given"):
        Bench(Task(OURS, task.model))


def test_its_detections_are_the_detectors(bench: Bench, task: Task) -> None:
    with open_detector(Path(task.model)) as detector:
        wanted = [detector.detect(read_image(Path(path))) for path in task.images]
    for found, other in zip(bench.detections(), wanted, strict=True):
        assert found["count"] == len(other) > 0
        np.testing.assert_allclose(found["boxes"], other.boxes[: worker.COMPARED])
        np.testing.assert_allclose(found["scores"], other.scores[: worker.COMPARED])
        assert found["class_ids"] == other.class_ids[: worker.COMPARED].tolist()


def test_images_are_timed_in_turn_from_the_first_that_is_asked_for(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = ticking()
    bench = Bench(task, clock=lambda: next(ticks))
    images = list(bench._images)
    seen: list[int] = []
    monkeypatch.setattr(
        bench._runner, "detect", lambda image: seen.append(next(n for n, one in enumerate(images) if one is image))
    )
    assert bench.time(first=2, calls=4, untimed=2) == [1000.0] * 4
    assert seen == [2, 0, 2, 0, 1, 2]


def test_another_layout_and_the_stages_leave_it_open(bench: Bench) -> None:
    before = bench.detections()
    bench.reopen(threads=2, workers=1)
    assert (bench._task.threads, bench._task.workers) == (2, 1)
    assert {"decode", "resize", "inference", "output"} == set(bench.stages(0.02))
    assert [entry["class_ids"] for entry in bench.detections()] == [entry["class_ids"] for entry in before]


def test_a_peer_has_no_stages_of_ours(task: Task, tmp_path: Path) -> None:
    ours = Entry("squares", "squares", task, "fp32", "onnxruntime", Path(task.model))
    ((entry, *_), left_out) = peer_entries([Peer.OPENCV_DNN], [ours], tmp_path)
    assert left_out == []
    bench = Bench(entry.task)
    assert bench.opened() == {"parallel": False}
    assert bench.stages(0.02) == {}
    assert bench.detections()[0]["count"] > 0, "it is open as before"
    assert bench.throughput(callers=4, batch=1, seconds=0.0)["fps"] > 0


def test_the_peaks_are_of_so_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, float]] = []
    monkeypatch.setattr(gemm, "measure_peaks", lambda *values: asked.append(values) or {"f32": (9.0, "torch")})
    peaks = Gemm(Task(GEMM, threads=3))
    assert peaks.opened() == {}
    assert peaks.peaks(0.5) == {"f32": (9.0, "torch")}
    assert asked == [(3, 0.5)]


def test_the_most_memory_is_linuxs_high_water_mark(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nVmPeak:\t  999999 kB\nVmHWM:\t    5120 kB\nVmRSS:\t     12 kB\n")
    assert peak_memory_mib(status) == 5.0


@pytest.mark.parametrize("text", [None, "Name:\tpython\n"], ids=["absent", "without the line"])
@pytest.mark.parametrize(("system", "unit"), [("linux", 2**10), ("darwin", 2**20)])
def test_elsewhere_it_is_the_systems_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, system: str, unit: int
) -> None:
    if text is not None:
        (tmp_path / "status").write_text(text)
    monkeypatch.setattr(worker.sys, "platform", system)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert peak_memory_mib(tmp_path / "status") == pytest.approx(most / unit, rel=0.01)
