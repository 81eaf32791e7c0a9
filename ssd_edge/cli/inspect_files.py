"""What ``inspect`` tells of each kind of file, as plain facts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.core.files import file_digest
from ssd_edge.core.spec import ModelSpec

if TYPE_CHECKING:
    import onnx

_SHOWN_RANGES = 3
_CONVOLUTIONS = ("Conv", "QLinearConv", "ConvTranspose", "FusedConv", "NhwcFusedConv")
_LOWERED = "ONNX Runtime, for eval; the engine itself is built from the exported model"


class Lines(list[str]):
    """A fact of many parts, each of which is shown on a line of its own."""


def spec_facts(spec: ModelSpec) -> dict[str, object]:
    """Return what a spec says of the network."""
    entry, nms = spec.input, spec.nms
    return {
        "model": spec.name,
        "architecture": spec.architecture,
        "classes": list(spec.class_names),
        "input": f"{entry.width} x {entry.height} {entry.color_order}, mean {entry.mean}, std {entry.std}",
        "default boxes": spec.anchors.count,
        "NMS": f"score > {nms.score_threshold:g}, IoU {nms.iou_threshold:g}, the best {nms.keep_top_k} of a picture",
    }


def checkpoint_facts(path: Path) -> dict[str, object]:
    """Return the facts of a ``.pt``.

    Raises:
        ArtefactError: it is no checkpoint of ours.
        MissingPackageError: PyTorch is not installed.
    """
    from ssd_edge.cli.requirements import require_torch

    require_torch()
    from ssd_edge.model.checkpoint import load_checkpoint

    loaded = load_checkpoint(path)
    parameters = sum(value.numel() for value in loaded.model.parameters())
    return {
        "kind": "checkpoint",
        **spec_facts(loaded.spec),
        "parameters": f"{parameters:,}",
        "runs on": "PyTorch; export it for anything else: ssd-edge export",
        "digest": file_digest(path),
    }


def onnx_facts(path: Path) -> dict[str, object]:
    """Return the facts of an exported or lowered ONNX.

    Raises:
        ArtefactError: it is no ONNX of ours.
    """
    from ssd_edge.engines.source import lowered_to, read_graph

    source = read_graph(path)
    made = lowered_to(source.model)
    return {
        "kind": f"graph of an engine ({made}), no exported model" if made else "ONNX",
        **spec_facts(source.spec),
        "opset": max((entry.version for entry in source.model.opset_import if entry.domain == ""), default=0),
        **layer_facts(source.model),
        "NMS node": _nms_node(source.model),
        "runs on": _LOWERED if made else "ONNX Runtime as it is; for TensorRT build it: ssd-edge build",
        "digest": source.digest,
    }


def _nms_node(model: onnx.ModelProto) -> str:
    from ssd_edge.core.graph import NMS_OP

    if not any(node.op_type == NMS_OP for node in model.graph.node):
        return "none: it is part of the graph"
    return f"{NMS_OP}, with its portable body" if model.functions else NMS_OP


def layer_facts(model: onnx.ModelProto) -> dict[str, object]:
    """Return how many convolutions compute in each precision, and which, by the names that ``--keep-float`` takes."""
    convolutions = [node for node in model.graph.node if node.op_type in _CONVOLUTIONS]
    precisions = _precisions(model, convolutions)
    counts, pairs = Counter(precisions), zip(precisions, convolutions, strict=True)
    return {
        "layers": {f"{name} convolutions": count for name, count in sorted(counts.items())},
        "each layer": Lines(f"{name:<7} {node.op_type:<16} {_exported_name(node.name)}" for name, node in pairs),
    }


def _precisions(model: onnx.ModelProto, convolutions: Sequence[onnx.NodeProto]) -> list[str]:
    """Tell each convolution's precision: by integer kernels, by what is dequantised, by the weights' type."""
    from onnx import TensorProto

    weights = {entry.name: entry.data_type for entry in model.graph.initializer}
    makers = {output: node.op_type for node in model.graph.node for output in node.output}

    def precision(node: onnx.NodeProto) -> str:
        if node.op_type.startswith("QLinearConv"):
            return "int8"
        if all(makers.get(name) == "DequantizeLinear" for name in node.input[:2]):
            return "int8"
        return "fp16" if weights.get(node.input[1]) == TensorProto.FLOAT16 else "fp32"

    return [precision(node) for node in convolutions]


def _exported_name(name: str) -> str:
    """Return a layer's name without what ONNX Runtime adds to it: ``conv2_nchwc``, ``conv1_token_2``."""
    return re.sub(r"(_nchwc|_token_\d+)+$", "", name)


def ranges_facts(path: Path) -> dict[str, object]:
    """Return the facts of a table of ranges.

    Raises:
        ArtefactError: it is damaged.
    """
    from ssd_edge.core.ranges import CalibrationTable

    table = CalibrationTable.load(path)
    widest = sorted(table.ranges.items(), key=lambda entry: -entry[1].amax)
    return {
        "kind": "table of ranges",
        "model": table.model,
        "method": table.method,
        "pictures": f"{table.image_count}, {table.images_digest}",
        "tensors": len(table.ranges),
        "widest": {name: f"{entry.low:.4g} to {entry.high:.4g}" for name, entry in widest[:_SHOWN_RANGES]},
        "ONNX": table.onnx_digest,
        "preprocessing": table.preprocessing_digest,
        "digest": table.digest,
        "each tensor": Lines(
            f"{entry.low:>10.4g} to {entry.high:>10.4g}  {name}" for name, entry in table.ranges.items()
        ),
    }


def image_set_facts(path: Path) -> dict[str, object]:
    """Return the facts of a calibration set.

    Raises:
        ArtefactError: it is none.
    """
    from ssd_edge.calibration.images import ImageSet

    chosen = ImageSet.load(path)
    return {
        "kind": "calibration set",
        "source": chosen.source,
        "split": chosen.split or "a folder of pictures",
        "seed": chosen.seed,
        "pictures": len(chosen.images),
        "copies": "beside the list" if chosen.kept else "none",
        "digest": chosen.digest,
    }


def sensitivity_facts(path: Path) -> dict[str, object]:
    """Return the facts of a ranking of layers.

    Raises:
        ArtefactError: it is none.
    """
    from ssd_edge.precision.ranked_layers import RankedLayers

    ranked = RankedLayers.load(path)
    return {
        "kind": "layers by the output error that each adds in INT8 alone",
        "model": ranked.model,
        "layers": len(ranked.layers),
        "ONNX": ranked.onnx_digest,
        "each layer": Lines(f"{entry.error:8.4f}  {entry.name}" for entry in ranked.layers),
    }
