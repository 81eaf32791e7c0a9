"""The memory that a build takes, where Linux tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssd_edge.doctor import build_memory
from ssd_edge.doctor.build_memory import watch_memory


@pytest.mark.parametrize("text", [None, "MemTotal: 100 kB\n"], ids=["no account", "an account without the line"])
def test_where_the_system_does_not_tell_nothing_is_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    if text is not None:
        (tmp_path / "meminfo").write_text(text)
    monkeypatch.setattr(build_memory, "_MEMINFO", tmp_path / "meminfo")
    with watch_memory() as drop:
        pass
    assert drop.mib == 0.0


def test_a_build_that_fails_is_watched_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "meminfo").write_text("MemAvailable: 204800 kB\n")
    monkeypatch.setattr(build_memory, "_MEMINFO", tmp_path / "meminfo")
    with pytest.raises(RuntimeError), watch_memory() as drop:
        (tmp_path / "meminfo").write_text("MemAvailable: 102400 kB\n")
        raise RuntimeError("no kernel")
    assert drop.mib == 100.0


def test_the_largest_drop_of_the_memory_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "meminfo"
    monkeypatch.setattr(build_memory, "_MEMINFO", path)

    def free(mib: int) -> None:
        path.write_text(f"MemTotal: 9999999 kB\nMemAvailable:   {1024 * mib} kB\n")

    free(3000)
    with watch_memory() as drop:
        free(1800)
        drop.look()
        free(2900)
    assert drop.mib == 1200
