"""The thread that holds the GPU, with a session that needs none; and a start that TensorRT refuses."""

from __future__ import annotations

import queue
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssd_edge.backends.tensorrt import backend
from ssd_edge.backends.tensorrt.backend import GpuThread
from ssd_edge.backends.tensorrt.module import plugin_names
from ssd_edge.backends.tensorrt.session import Plan
from ssd_edge.core.errors import DeviceError, SsdEdgeError

BATCH = np.zeros((1, 64, 64, 3), np.uint8)


class Session:
    """Answers a batch with its number, and ends with an error after some."""

    limits = (1, 4)
    most = 2

    def __init__(self, *_: object) -> None:
        self.closed = False
        made.append(self)

    def serve(self, jobs: queue.SimpleQueue[Any]) -> None:
        for number in range(self.most):
            job = jobs.get()
            if job is None:
                return
            job[1].set_result(number)
        raise DeviceError("the GPU has gone")

    def fail(self, error: SsdEdgeError) -> None:
        pass

    def close(self) -> None:
        self.closed = True


made: list[Session] = []


@pytest.fixture
def thread(monkeypatch: pytest.MonkeyPatch) -> GpuThread:
    made.clear()
    monkeypatch.setattr(backend, "Session", Session)
    return GpuThread(Path("a.engine"), None)  # type: ignore[arg-type]


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(DeviceError) as refused:
        call()
    return str(refused.value)


def test_who_comes_after_the_end_is_refused_at_once(thread: GpuThread) -> None:
    assert thread.run(BATCH) == 0  # type: ignore[comparison-overlap]
    thread.close()
    thread.close()
    assert "a.engine is closed" in refusal(lambda: thread.run(BATCH))
    assert made[0].closed


def test_who_comes_after_a_failure_is_told_of_it_and_so_is_everyone_later(thread: GpuThread) -> None:
    assert [thread.run(BATCH) for _ in range(2)] == [0, 1]
    thread._gone.wait(10)
    assert [refusal(lambda: thread.run(BATCH)) for _ in range(3)] == ["the GPU has gone"] * 3
    assert made[0].closed
    thread.close()
    assert refusal(lambda: thread.run(BATCH)) == "the GPU has gone"
    assert "ssd-edge-gpu" not in {other.name for other in threading.enumerate()}


@pytest.mark.parametrize("takes", [True, False])
def test_a_start_that_tensorrt_refuses_is_an_error(takes: bool) -> None:
    started: list[int] = []
    context = types.SimpleNamespace(enqueue=lambda stream: started.append(stream) or takes)
    plan, stream = Plan(context, None), types.SimpleNamespace(handle=7)  # type: ignore[arg-type]
    if takes:
        plan.start(stream)  # type: ignore[arg-type]
    else:
        assert "TensorRT cannot run the engine" in refusal(lambda: plan.start(stream))  # type: ignore[arg-type]
    assert started == [7]


def test_a_tensorrt_without_plugins_has_none() -> None:
    """As TensorRT-RTX, which has no registry."""
    assert plugin_names(types.SimpleNamespace(), None) == frozenset()  # type: ignore[arg-type]
