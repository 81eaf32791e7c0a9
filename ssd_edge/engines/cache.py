"""The build cache: is the engine that lies there the one that a build would give? Asked before and after lowering."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from ssd_edge.core.choices import Precision
from ssd_edge.core.errors import SsdEdgeError
from ssd_edge.core.files import text_digest
from ssd_edge.core.manifest import EngineManifest, manifest_path
from ssd_edge.engines.builder import Builder

_IDENTITY = (
    "spec", "target", "precision", "onnx_digest", "runtime", "runtime_version", "device", "batch", "table_digest",
    "options", "graph_digest", "builder_version",
)  # fmt: skip


def cache_key(builder: Builder, precision: Precision, parts: Mapping[str, object]) -> str:
    """Return what identifies a build before any work is done: the same again gives the same engine.

    Args:
        builder: for the runtime that the engine is for.
        precision: of the engine.
        parts: digests of the inputs, versions of the lowerings before the builder's, and choices; JSON values.
    """
    key = {
        "target": builder.target.value,
        "runtime": f"{builder.runtime} {builder.runtime_version}",
        "builder_version": builder.builder_version,
        "device": builder.device,
        "batch": builder.batch,
        "options": asdict(builder.options),
        "precision": precision.value,
        **parts,
    }
    return text_digest(json.dumps(key, sort_keys=True))


def find_engine(engine: Path, key: str) -> EngineManifest | None:
    """Return the manifest of an engine that was built for the same key; None where there is no such engine."""
    found = _whole(engine)
    return found if found is not None and found.cache_key == key else None


def same_engine(engine: Path, wanted: EngineManifest) -> EngineManifest | None:
    """Return the manifest of an engine that this very graph gave; None where there is no such engine."""
    found = _whole(engine)
    same = found is not None and all(getattr(found, name) == getattr(wanted, name) for name in _IDENTITY)
    return found if same else None


def noted(engine: Path, found: EngineManifest, wanted: EngineManifest) -> EngineManifest:
    """Write down the key and the accuracy of now for an engine that is used again; return its manifest."""
    now = replace(found, cache_key=wanted.cache_key or found.cache_key, accuracy=wanted.accuracy or found.accuracy)
    if now != found:
        now.save(manifest_path(engine))
    return now


def _whole(engine: Path) -> EngineManifest | None:
    """Return the manifest where it can be read and describes the file beside it."""
    try:
        found = EngineManifest.load(manifest_path(engine))
        found.refuse_if_changed(engine)
    except SsdEdgeError:
        return None
    return found
