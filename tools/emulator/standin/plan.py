"""A serialized engine: a header as JSON, and the ONNX that ONNX Runtime runs in TensorRT's place."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tools.emulator.standin.releases import RELEASES

MAGIC = b"standin-engine\n"


class PlanError(Exception):
    """The bytes are no whole plan."""


@dataclass
class Header:
    """What the builder knew.

    Attributes:
        sm: compute capabilities that it runs on; 87 for 8.7.
        profiles: (min, opt, max) images of each optimization profile.
        static: the network's batch is fixed.
        shared_profiles: execution contexts may use the same profile at once.
        plugin: the graph has the NMS plugin.
        version_compatible: later releases may load it, with the runtime that it carries.
        hardware: a ``HardwareCompatibilityLevel``.
        detailed: the layers' parameters can be inspected.
        user_allocation: of TensorRT-RTX: all memory is known before it runs, which a CUDA graph needs.
        half: names of the layers that TensorRT chose half precision for.
        size: of the ONNX behind it, in bytes.
    """

    release: str
    version: str
    sm: list[int]
    profiles: list[list[int]]
    static: bool = False
    shared_profiles: bool = True
    plugin: bool = False
    version_compatible: bool = False
    hardware: str = "NONE"
    detailed: bool = False
    user_allocation: bool = False
    size: int = 0
    dla: int | None = None
    half: list[str] = field(default_factory=list)
    extra: dict[str, str] = field(default_factory=dict)


def pack(header: Header, onnx: bytes) -> bytes:
    """Return the plan."""
    header.size = len(onnx)
    return MAGIC + json.dumps(asdict(header)).encode() + b"\n" + onnx


def unpack(plan: bytes) -> tuple[Header, bytes]:
    """Return header and ONNX.

    Raises:
        PlanError: they are not whole.
    """
    if not plan.startswith(MAGIC):
        raise PlanError("Magic tag does not match")
    text, _, onnx = plan[len(MAGIC) :].partition(b"\n")
    try:
        header = Header(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise PlanError("Serialization assertion failed") from error
    if len(onnx) != header.size:
        raise PlanError("Serialization assertion stdArchiveReader->size() == requiredSize failed")
    return header, onnx


def write_engine(
    path: Path,
    onnx: bytes,
    *,
    release: str,
    profile: tuple[int, int, int],
    plugin: bool,
    sm: int = 87,
    shared: bool = True,
) -> None:
    """Write a plan without building it; the plugin need not be in the graph, only in the header."""
    header = Header(
        release, RELEASES[release], [sm], [list(profile)], shared_profiles=shared, plugin=plugin, user_allocation=True
    )
    path.write_bytes(pack(header, onnx))
