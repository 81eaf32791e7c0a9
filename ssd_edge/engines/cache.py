"""Is the engine that lies there the one that a build would give? Asked before the work, and again after lowering."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge import __version__
from ssd_edge.core.errors import SsdEdgeError
from ssd_edge.core.files import file_digest, text_digest
from ssd_edge.core.manifest import EngineManifest, manifest_path

if TYPE_CHECKING:
    from ssd_edge.engines.build import Builder

_PACKAGE = Path(__file__).parents[1]
_LOWERING = ("core", "graph", "quantization", "engines", "workflows/build")
_IDENTITY = (
    "spec", "target", "precision", "onnx_digest", "runtime", "runtime_version", "device", "batch", "table_digest",
    "options", "graph_digest",
)  # fmt: skip


def asked_of(
    builder: Builder, precision: str, digests: Mapping[str, str], choices: Mapping[str, str]
) -> dict[str, str]:
    """Return what identifies a build before any work is done: the same again gives the same engine.

    Args:
        builder: for the runtime that the engine is for.
        precision: of the engine.
        digests: of the files that it is made of.
        choices: what else decides how the model is lowered; what is not chosen is empty.
    """
    asked = {
        "ssd_edge": f"{__version__} {_code_digest()}",
        "runtime": f"{builder.runtime} {builder.runtime_version}",
        "device": builder.device,
        "batch": ":".join(map(str, builder.batch)),
        "precision": precision,
        **digests,
        **builder.options,
        **choices,
    }
    return {name: value for name, value in asked.items() if value}


def engine_as_asked(engine: Path, asked: Mapping[str, str]) -> EngineManifest | None:
    """Return the manifest of an engine that was built for the same; None where there is no such engine."""
    found = _whole(engine)
    return found if found is not None and found.asked == asked else None


def same_engine(engine: Path, wanted: EngineManifest) -> EngineManifest | None:
    """Return the manifest of an engine that this very graph gave; None where there is no such engine."""
    found = _whole(engine)
    same = found is not None and all(getattr(found, name) == getattr(wanted, name) for name in _IDENTITY)
    return found if same else None


def noted(engine: Path, found: EngineManifest, wanted: EngineManifest) -> EngineManifest:
    """Write down what is asked and measured now of an engine that is used again; return its manifest."""
    now = replace(
        found,
        asked=wanted.asked or found.asked,
        measured={**found.measured, **wanted.measured},
        judged_digest=wanted.judged_digest or found.judged_digest,
    )
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


def _code_digest() -> str:
    """Return the digest of the code that decides what becomes of a model: a clone changes without a new version."""
    files = [path for room in _LOWERING for path in sorted((_PACKAGE / room).rglob("*.py"))]
    return text_digest("\n".join(f"{path.relative_to(_PACKAGE)} {file_digest(path)}" for path in files))
