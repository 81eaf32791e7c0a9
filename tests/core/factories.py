"""Small specs and manifests for tests."""

from __future__ import annotations

from ssd_edge.core.choices import Precision, Target
from ssd_edge.core.manifest import EngineManifest
from ssd_edge.core.spec import AnchorLevel, AnchorSpec, InputSpec, ModelSpec, NmsSpec


def tiny_spec(**changes: object) -> ModelSpec:
    """A 64 x 64, 3-class spec with 80 anchors."""
    levels = (
        AnchorLevel(8, 8, (0.125, 0.125), ((0.2, 0.2),)),
        AnchorLevel(4, 4, (0.25, 0.25), ((0.5, 0.5),)),
    )
    fields: dict[str, object] = {
        "name": "tiny",
        "architecture": "test",
        "input": InputSpec(64, 64, (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
        "anchors": AnchorSpec(levels),
        "class_names": ("stop", "yield", "crossing"),
        "nms": NmsSpec(top_k=50, keep_top_k=20, max_candidates=50),
    }
    return ModelSpec(**{**fields, **changes})  # type: ignore[arg-type]


def manifest(**changes: object) -> EngineManifest:
    """A manifest of an ONNX Runtime engine of the tiny spec."""
    fields: dict[str, object] = {
        "spec": tiny_spec(),
        "target": Target.ONNXRUNTIME,
        "precision": Precision.FP32,
        "onnx": "tiny.onnx",
        "onnx_digest": "sha256:0",
        "engine_digest": "sha256:1",
        "runtime": "onnxruntime",
        "runtime_version": "1.32.0",
        "device": "x86_64",
        "batch": (1, 1, 4),
        "built_at": "2026-01-01T00:00:00+00:00",
    }
    return EngineManifest(**{**fields, **changes})  # type: ignore[arg-type]
