"""Models compiled by OpenVINO, kept in the user's cache: the second start of an engine compiles nothing."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ssd_edge.backends.openvino.module import (
    AUTO,
    Settings,
    check_device,
    core,
    full_name,
    load_openvino,
    openvino_errors,
)
from ssd_edge.core.errors import InputError
from ssd_edge.core.files import read_regular, written_beside
from ssd_edge.core.log import log

VARIABLE = "SSD_EDGE_CACHE"
"""Environment variable that names the cache's folder."""
_KEPT = 32  # compiled models in the cache
_DIGEST_SIZE = hashlib.sha256().digest_size


def compile_bytes(model: bytes, settings: Settings, origin: Path) -> Any:
    """Return a serialized ONNX as an ``openvino.CompiledModel``.

    Args:
        model: of fixed shapes.
        settings: how it is compiled.
        origin: the file, for errors.

    Raises:
        ArtifactError: OpenVINO refuses the graph.
        DeviceError: the device is not here, or does not compute in the float type.
        MissingPackageError: OpenVINO is not installed.
    """
    check_device(settings)
    with openvino_errors(origin):
        return core().compile_model(core().read_model(model), settings.device, settings.properties)


def compile_engine(path: Path, digest: str, settings: Settings) -> Any:
    """Return an engine as an ``openvino.CompiledModel``: as it was compiled before, where that is in the cache.

    Args:
        path: the engine's file.
        digest: ``sha256:…`` of it, by which it is found again; empty where it must not be kept.
        settings: how it is compiled.

    Raises:
        SsdEdgeError: as :func:`compile_bytes`.
    """
    if not digest or settings.device == AUTO:  # which compiles for several devices, and exports none of it
        return compile_bytes(read_regular(path), settings, path)
    check_device(settings)
    blob = cache_folder() / f"{_key(digest, settings)}.blob"
    with suppress(OSError, RuntimeError):  # it is not there, or damaged
        compiled = core().import_model(_intact(blob), settings.device, settings.properties)
        blob.touch()
        return compiled
    compiled = compile_bytes(read_regular(path), settings, path)
    _keep(compiled, blob)
    return compiled


def cache_folder() -> Path:
    """Return where compiled models are kept: in the folder that ``SSD_EDGE_CACHE`` names, or in the user's cache."""
    own = os.environ.get(VARIABLE)
    base = Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ssd-edge"
    return base / "openvino"


def _key(digest: str, settings: Settings) -> str:
    properties = sorted(map(str, settings.properties.items()))
    parts = [digest, load_openvino().__version__, full_name(settings.device), *properties]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _intact(blob: Path) -> bytes:
    """Return a compiled model from the cache. Its digest stands before it: OpenVINO takes damaged weights as they are.

    Raises:
        OSError: it is not there, or damaged.
    """
    with blob.open("rb") as file:
        digest, data = file.read(_DIGEST_SIZE), file.read()
    if hashlib.sha256(data).digest() != digest:
        raise OSError(f"{blob} is damaged")
    return data


def _keep(compiled: Any, blob: Path) -> None:
    """Write a compiled model into the cache, and remove those that were not used for the longest time."""
    try:
        blob.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        data = compiled.export_model().read()
        with written_beside(blob, durable=False) as partial, partial.open("wb") as file:
            file.write(hashlib.sha256(data).digest())
            file.write(data)
        kept = sorted(blob.parent.glob("*.blob"), key=lambda path: path.stat().st_mtime, reverse=True)
        for old in kept[_KEPT:]:
            old.unlink(missing_ok=True)
    except (OSError, InputError, RuntimeError) as error:  # a full or read-only disk, or a device that exports nothing
        log.debug(f"the model that OpenVINO compiled cannot be cached in {blob.parent}: {error}")


class RequestPool:
    """Inference requests of a compiled model; one is made where none is idle."""

    def __init__(self, compiled: Any) -> None:
        self._compiled, self._lock = compiled, threading.Lock()
        self._idle: list[Any] = []

    @contextmanager
    def lent(self, count: int) -> Iterator[list[Any]]:
        """Lend so many requests; they come back idle, or not at all after an error."""
        with self._lock:
            taken = [self._idle.pop() for _ in range(min(count, len(self._idle)))]
        taken += [self._compiled.create_infer_request() for _ in range(count - len(taken))]
        yield taken
        with self._lock:
            self._idle.extend(taken)
