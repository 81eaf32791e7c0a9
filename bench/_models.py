"""Networks with random weights: as much work as with trained ones."""

from __future__ import annotations

from pathlib import Path

from ssd_edge.core.spec import ModelSpec

CLASSES = 20


def write_random_onnx(preset: str, path: Path) -> ModelSpec:
    """Export a preset with random weights, always the same, and no other check than that it is a valid ONNX."""
    import onnx  # here: whoever starts processes may not have PyTorch in its memory
    import torch

    from ssd_edge.exporting.export_onnx import onnx_model
    from ssd_edge.model.zoo import build_model, make_spec

    torch.manual_seed(0)
    spec = make_spec(preset, [f"class {number}" for number in range(CLASSES)])
    onnx.save(onnx_model(build_model(spec).eval(), "sha256:" + "0" * 64), path)
    return spec
