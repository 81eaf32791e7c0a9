"""May this engine run here? Asked of its manifest, before the runtime sees the file."""

from __future__ import annotations

from pathlib import Path

from ssd_edge.core.errors import ArtefactError
from ssd_edge.core.manifest import EngineManifest, manifest_path


def read_manifest(engine: Path, *, target: str, runtime_version: str, device: str) -> EngineManifest:
    """Return the manifest of an engine that was built for this runtime and this device.

    Raises:
        ArtefactError: no readable manifest, or another target, version or device; it names the command to rebuild.
    """
    manifest = EngineManifest.load(manifest_path(engine))
    found = (manifest.target, manifest.runtime_version, manifest.device)
    if found != (target, runtime_version, device):
        raise refuse(engine, manifest, (target, runtime_version, device))
    return manifest


def refuse(engine: Path, manifest: EngineManifest, here: tuple[str, str, str]) -> ArtefactError:
    """Return the error for an engine that was built for another (target, version, device) than this one."""
    return ArtefactError(
        f"{engine} was not built for this machine",
        got=_place(manifest.target, manifest.runtime_version, manifest.device),
        wanted=_place(*here),
        do=f"Rebuild it here: ssd-edge build {manifest.onnx_path(engine)}",
    )


def _place(target: str, version: str, device: str) -> str:
    return f"{target} {version} on {device}"
