from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ssd_edge.engines.trt_timing import TimingCache


class Config:
    """An IBuilderConfig that takes a cache which begins with its own release's name."""

    def __init__(self, release: str = "10.3", corrupt_is: Any = "refused") -> None:
        self.release, self.corrupt_is = release, corrupt_is
        self.set: list[bytes] = []

    def create_timing_cache(self, content: bytes) -> Any:
        if content == b"corrupt" and self.corrupt_is is None:
            return None
        return SimpleNamespace(content=content, serialize=lambda: self.release.encode())

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        if cache.content and cache.content != self.release.encode():
            return False
        self.set.append(cache.content)
        return True

    def get_timing_cache(self) -> Any:
        return self.create_timing_cache(b"")


@pytest.fixture
def told() -> list[str]:
    return []


def test_what_was_measured_is_used_again(tmp_path: Path, told: list[str]) -> None:
    cache = TimingCache(tmp_path / "timing.cache", told.append)
    for wanted in (b"", b"10.3"):
        config = Config()
        cache.load(config)
        assert config.set == [wanted]
        cache.keep(config)
    assert told == []


@pytest.mark.parametrize(("content", "corrupt_is"), [(b"8.6", "refused"), (b"corrupt", "refused"), (b"corrupt", None)])
def test_what_another_release_measured_is_said_and_replaced(
    tmp_path: Path, told: list[str], content: bytes, corrupt_is: Any
) -> None:
    path = tmp_path / "timing.cache"
    path.write_bytes(content)
    config = Config(corrupt_is=corrupt_is)
    cache = TimingCache(path, told.append)
    cache.load(config)
    assert config.set == [b""]  # an empty one, to be filled
    assert told == [f"{path} was measured by another release or on another GPU: kernels are timed anew"]
    cache.keep(config)
    assert path.read_bytes() == b"10.3"


def test_a_file_that_cannot_be_written_costs_no_engine(tmp_path: Path, told: list[str]) -> None:
    (tmp_path / "blocked").write_text("a file")
    TimingCache(tmp_path / "blocked" / "timing.cache", told.append).keep(Config())
    assert len(told) == 1
    assert told[0].startswith("the next build times its kernels anew: ")
    assert "blocked cannot be written" in told[0]
