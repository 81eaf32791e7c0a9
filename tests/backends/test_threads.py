from pathlib import Path

import pytest

from ssd_edge.backends import cpu as threads
from ssd_edge.backends.cpu import Threads, physical_cores


def test_latency_puts_all_cores_on_one_picture_and_throughput_one_core_on_each() -> None:
    assert Threads.for_latency(cores=4) == Threads(workers=1, per_worker=4)
    assert Threads.for_throughput(cores=4) == Threads(workers=4, per_worker=1)


def test_this_machine_has_cores_to_give() -> None:
    assert Threads.for_latency().per_worker == Threads.for_throughput().workers == physical_cores() >= 1


def test_siblings_count_as_one_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for cpu, siblings in enumerate(["0,2", "1,3", "0,2", "1,3"]):
        folder = tmp_path / f"cpu{cpu}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(siblings + "\n")
    monkeypatch.setattr(threads, "_CPU_FOLDER", tmp_path)
    monkeypatch.setattr(threads, "_CGROUP_LIMIT", tmp_path / "absent")
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 4)
    assert physical_cores() == 2


@pytest.mark.parametrize(("limit", "cores"), [("150000 100000", 2), ("50000 100000", 1), ("max 100000", 8)])
def test_a_containers_quota_limits_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, cores: int
) -> None:
    (tmp_path / "cpu.max").write_text(limit + "\n")
    monkeypatch.setattr(threads, "_CPU_FOLDER", tmp_path)
    monkeypatch.setattr(threads, "_CGROUP_LIMIT", tmp_path / "cpu.max")
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 8)
    assert physical_cores() == cores
