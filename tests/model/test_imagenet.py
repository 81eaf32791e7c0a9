"""Weights that nobody named: from the cache, by one download, or random ones and why."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from ssd_edge.model import imagenet
from ssd_edge.model.imagenet import imagenet_weights
from ssd_edge.model.weight_source import WeightFile

ARCHITECTURE = "mobilenet-v3-large-lite-reduced"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve the files of a folder; yield its address and what was asked for."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(tmp_path / "served"))  # type: ignore[arg-type]

        def log_message(self, *_arguments: object) -> None:
            asked.append(f"{self.command} {self.path}")

    (tmp_path / "served").mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}", asked
        running.shutdown()


def serve_at(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setattr("ssd_edge.model.weight_source._torchvision_url", lambda _name: url)


def test_a_cached_file_is_taken_without_asking_anyone(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve_at(monkeypatch, "http://127.0.0.1:9/weights-0123456789abcdef.pth")
    cache.mkdir(parents=True)
    (cache / "weights-0123456789abcdef.pth").write_bytes(b"x")
    found = imagenet_weights(ARCHITECTURE, offline=True)
    assert found.source == "torchvision:mobilenet_v3_large"
    assert str(cache) in found.why


def test_it_is_fetched_once_with_size_and_digest_said_first(
    cache: Path,
    server: tuple[str, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    address, asked = server
    torch.save({"a": torch.zeros(2)}, tmp_path / "w.pth")
    data = (tmp_path / "w.pth").read_bytes()
    digest = sha256(data).hexdigest()[:8]
    (tmp_path / "served" / f"w-{digest}.pth").write_bytes(data)
    serve_at(monkeypatch, f"{address}/w-{digest}.pth")
    with caplog.at_level("INFO", logger="ssd_edge"):
        assert imagenet_weights(ARCHITECTURE).source == "torchvision:mobilenet_v3_large"
    assert f"{len(data) / 1e6:.1f} MB, SHA-256 {digest}" in caplog.text
    assert asked == [f"HEAD /w-{digest}.pth", f"GET /w-{digest}.pth"]
    assert imagenet_weights(ARCHITECTURE).source is not None
    assert len(asked) == 2


def test_a_file_with_another_digest_is_not_taken(
    cache: Path, server: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "served" / "w-00000000.pth").write_bytes(b"something else")
    serve_at(monkeypatch, f"{server[0]}/w-00000000.pth")
    found = imagenet_weights(ARCHITECTURE)
    assert found.source is None
    assert "cannot be downloaded" in found.why
    assert not list(cache.glob("*.pth"))


def test_a_server_that_never_answers_is_not_waited_for(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagenet, "PATIENCE_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        serve_at(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}/w-0123abcd.pth")
        started = time.monotonic()
        found = imagenet_weights(ARCHITECTURE)
    assert time.monotonic() - started < 5
    assert found.source is None
    assert str(cache) in found.why


def test_nothing_is_fetched_offline_or_where_there_is_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve_at(monkeypatch, "http://127.0.0.1:9/w-0123abcd.pth")

    def refuse(_file: WeightFile) -> int:
        raise AssertionError("asked for")

    monkeypatch.setattr(imagenet, "_size_in_time", refuse)
    assert imagenet_weights(ARCHITECTURE, offline=True).source is None
    assert imagenet_weights("compact") == (
        None,
        "random weights: torchvision has no classifier with the backbone of compact",
    )
