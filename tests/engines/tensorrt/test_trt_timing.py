from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ssd_edge.engines.tensorrt.timing_cache import TimingCache


class Config:
    """An IBuilderConfig that takes a cache of its own release; ``foreign`` says how it refuses any other."""

    def __init__(self, listener: Any, release: str = "10.3", foreign: str = "refused") -> None:
        self.listener, self.release, self.foreign = listener, release, foreign
        self.set: list[bytes] = []

    def create_timing_cache(self, content: bytes) -> Any:
        if content not in (b"", self.release.encode()):
            if self.foreign == "none":
                return None
            if self.foreign == "warned of":
                self.listener.warnings.append("The timing cache will not be used!")
                content = b""
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


@pytest.fixture
def listener() -> Any:
    return SimpleNamespace(warnings=["something else before"], errors=[])


def test_what_was_measured_is_used_again(tmp_path: Path, told: list[str], listener: Any) -> None:
    cache = TimingCache(tmp_path / "timing.cache", listener, told.append)
    for wanted in (b"", b"10.3"):
        config = Config(listener)
        cache.load(config)
        assert config.set == [wanted]
        cache.keep(config)
    assert told == []


@pytest.mark.parametrize("foreign", ["refused", "none", "warned of"])
def test_what_another_release_measured_is_said_and_replaced(
    tmp_path: Path, told: list[str], listener: Any, foreign: str
) -> None:
    path = tmp_path / "timing.cache"
    path.write_bytes(b"8.6")
    config = Config(listener, foreign=foreign)
    cache = TimingCache(path, listener, told.append)
    cache.load(config)
    assert config.set == [b""]  # an empty one, to be filled
    assert told == [f"{path} was measured by another release or on another GPU: kernels are timed anew"]
    cache.keep(config)
    assert path.read_bytes() == b"10.3"


def test_where_the_gpu_is_lost_the_old_measurements_stay(tmp_path: Path, told: list[str], listener: Any) -> None:
    path = tmp_path / "timing.cache"
    path.write_bytes(b"10.3")
    config: Any = SimpleNamespace(get_timing_cache=lambda: SimpleNamespace(serialize=lambda: None))
    TimingCache(path, listener, told.append).keep(config)
    assert (path.read_bytes(), told) == (b"10.3", [])


def test_a_file_that_cannot_be_written_costs_no_engine(tmp_path: Path, told: list[str], listener: Any) -> None:
    (tmp_path / "blocked").write_text("a file")
    TimingCache(tmp_path / "blocked" / "timing.cache", listener, told.append).keep(Config(listener))
    assert len(told) == 1
    assert told[0].startswith("the next build times its kernels anew: ")
    assert "blocked cannot be written" in told[0]


def test_a_cache_that_cannot_be_read_costs_time_only(
    tmp_path: Path, told: list[str], listener: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, config = tmp_path / "timing.cache", Config(listener)
    path.write_bytes(b"10.3")

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refuse)
        TimingCache(path, listener, told.append).load(config)
    assert config.set == [b""]
    assert told == [f"{path} cannot be read (Permission denied): kernels are timed anew"]
    assert path.read_bytes() == b"10.3"
