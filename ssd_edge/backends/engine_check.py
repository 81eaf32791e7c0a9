"""Refuses a wrong engine before its runtime sees the file: one that was built for another machine or runtime.

What fits is decided by ``read_manifest_for_cpu`` (``ort.py``), ``read_manifest_for_openvino``
(``openvino/backend.py``) and ``read_manifest_for_gpu`` (``tensorrt/backend.py``; its rule is ``_fits``);
``read_manifest_for_here`` (``detector.py``) chooses among them. That an engine belongs to its manifest and to the ONNX
as it is now is checked by :class:`~ssd_edge.core.manifest.EngineManifest`.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.manifest import EngineManifest


class Place(NamedTuple):
    """Machine that an engine was built for, or this machine.

    Attributes:
        target: the runtime.
        version: of the runtime.
        device: e.g. ``x86_64+avx2+avx512_vnni`` or ``Orin sm_87``.
    """

    target: str
    version: str
    device: str

    @classmethod
    def of(cls, manifest: EngineManifest) -> Place:
        """Return where an engine was built for."""
        return cls(manifest.target, manifest.runtime_version, manifest.device)

    def __str__(self) -> str:
        return f"{self.target} {self.version} on {self.device}"


def refuse_other_machine(engine: Path, manifest: EngineManifest, here: Place, *, fits: bool) -> EngineManifest:
    """Return the manifest of an engine that fits what is here.

    Raises:
        ArtifactError: it does not fit; the error names the command that rebuilds the engine.
    """
    if fits:
        return manifest
    raise ArtifactError(
        f"{engine} was not built for this machine",
        got=str(Place.of(manifest)),
        wanted=str(here),
        do=f"Build the engine again on this machine: {manifest.build_command(engine)}",
    )
