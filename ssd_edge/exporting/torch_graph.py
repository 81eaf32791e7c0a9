"""From the PyTorch network to a clean ONNX graph of pixels in, scored boxes out."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import onnx
import torch
from torch import Tensor

from ssd_edge.core.environment import no_telemetry
from ssd_edge.core.graph_contract import INPUT_NAME
from ssd_edge.core.temp_dir import scratch_folder
from ssd_edge.graph.nms import OPSET
from ssd_edge.graph.onnx_file import parse_onnx
from ssd_edge.model.predict import DecodedSSD
from ssd_edge.model.ssd import SSD

_OUTPUTS = ("boxes", "scores")
_BATCH = "batch"


class _SharedLocations(DecodedSSD):
    """The decoded network with an axis for BatchedNMS, which could take boxes of their own for every class."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        boxes, scores = super().forward(images)
        return boxes.unsqueeze(2), scores


def decoded_graph(model: SSD) -> onnx.ModelProto:
    """Return the graph images (B, H, W, 3) uint8 -> boxes (B, A, 1, 4), scores (B, A, C), simplified.

    Only the batch axis is free. The default boxes are constants.
    """
    traced, entry = _SharedLocations(model).eval(), model.spec.input
    images = torch.zeros(1, entry.height, entry.width, 3, dtype=torch.uint8)
    with scratch_folder() as folder, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        path = folder / "traced.onnx"
        torch.onnx.export(
            traced,
            (images,),
            path,
            opset_version=OPSET,
            input_names=[INPUT_NAME],
            output_names=list(_OUTPUTS),
            dynamic_axes={name: {0: _BATCH} for name in (INPUT_NAME, *_OUTPUTS)},
            **_tracing_exporter(),
        )
        raw = parse_onnx(path.read_bytes(), path)
    with no_telemetry():
        import onnxsim
    simplified: onnx.ModelProto = onnxsim.simplify(raw)[0]
    return simplified


def _tracing_exporter() -> dict[str, Any]:
    """Choose the tracing exporter where there are two: the newer cannot write opset 17, and needs onnxscript."""
    return {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
