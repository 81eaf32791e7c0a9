"""A worker's process: it is stopped while it is not asked, and its end and its errors are said."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ssd_edge.benchmarking import process
from ssd_edge.benchmarking.process import Worker, WorkerError
from ssd_edge.benchmarking.task import Task

ECHO = "tests.benchmarking.echo_worker"


def state(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_worker_answers_stands_still_and_ends() -> None:
    with Worker(Task("echo", "m.onnx", ("a.jpg",), settings={"x": "y"}), ECHO) as worker:
        assert worker.opened == {"model": "m.onnx", "images": ["a.jpg"], "x": "y"}
        assert 0 < worker.cold_start_s < 30
        deadline = time.monotonic() + 5
        while state(worker.pid) != "T" and time.monotonic() < deadline:
            time.sleep(0.01)
        assert state(worker.pid) == "T"
        assert worker.time(3, 2, 1) == [3.0, 2.0, 1.0]
        with pytest.raises(WorkerError, match="no such action"):
            worker.ask("nonsense")
        assert worker.time(0, 1, 0) == [0.0, 1.0, 0.0], "an error is an answer: it goes on"
        pid = worker.pid
    assert not Path(f"/proc/{pid}").exists()


def test_a_worker_that_dies_says_its_last_words() -> None:
    with Worker(Task("echo"), ECHO) as worker:
        for action in ("die", "time"):  # and whoever asks later is told the same
            with pytest.raises(WorkerError, match="exit code 3, out of luck"):
                worker.ask(action)


def test_a_worker_that_lives_and_gives_no_answer_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_PATIENCE_S", 0.1)
    with Worker(Task("stay"), ECHO) as worker:
        pid = worker.pid
        with pytest.raises(WorkerError, match="ended: got no answer"):
            worker.ask("fall silent")
        assert Path(f"/proc/{pid}").exists()
    assert not Path(f"/proc/{pid}").exists()


def test_a_worker_that_cannot_open_gives_the_reason_and_is_gone() -> None:
    with pytest.raises(WorkerError, match="cannot be opened"):
        Worker(Task("refuse"), ECHO)
