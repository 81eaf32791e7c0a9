"""Operator sets: whatever version a foreign graph was written in, it goes on in ours."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx.version_converter

from ssd_edge.core.errors import ArtefactError
from ssd_edge.graph.nms import OPSET

OLDEST_OPSET = 9  # what PyTorch 1.1 to 1.6 wrote by default, and with it the first files of jetson-inference
_IR_VERSION = 8  # the first that knows model-local functions


def in_our_opset(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """Return the model in the operator set of the NMS function; ``path`` names it in errors.

    Raises:
        ArtefactError: it is too old, names no operator set, or holds an operator that has no form in ours.
    """
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if len(versions) != 1 or versions[0] < OLDEST_OPSET:
        raise _refusal(path, ", ".join(map(str, versions)) or "none", f"{OLDEST_OPSET} or later")
    try:
        converted = onnx.version_converter.convert_version(model, OPSET)
        converted.ir_version = _IR_VERSION
        onnx.checker.check_model(converted, full_check=True)
    except (RuntimeError, ValueError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise _refusal(path, f"{versions[0]} ({' '.join(str(error).split())})", f"{OPSET}") from error
    return converted


def _refusal(path: Path, got: str, wanted: str) -> ArtefactError:
    return ArtefactError(
        f"{path} cannot be brought to operator set {OPSET}",
        got=f"operator set {got}",
        wanted=wanted,
        do=f"Export it again: torch.onnx.export(…, opset_version={OPSET})",
    )
