"""How a builder lowers the BatchedNMS node of our ONNX: to the plugin of its runtime, or to plain ONNX.

Which of the two a TensorRT parser takes on its own differs between releases, and 8.x knows no model-local functions; so
no builder leaves it the choice.
"""

from __future__ import annotations

import onnx
import onnx.inliner

from ssd_edge.core.errors import ArtefactError
from ssd_edge.core.graph import NMS_DOMAIN, NMS_OP


def strip_function(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model without the portable body, for a runtime where the plugin is registered.

    Raises:
        ArtefactError: the model has no BatchedNMS node.
    """
    _check_node(model)
    stripped = onnx.ModelProto()
    stripped.CopyFrom(model)
    kept = [function for function in model.functions if not _is_nms(function.domain, function.name)]
    del stripped.functions[:]
    stripped.functions.extend(kept)
    return stripped


def inline_function(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with the node replaced by its portable body, for a runtime that has no such plugin.

    Raises:
        ArtefactError: the model has no BatchedNMS node, or the body was stripped from it.
    """
    _check_node(model)
    if not any(_is_nms(function.domain, function.name) for function in model.functions):
        raise ArtefactError(
            f"the ONNX has no portable body for {NMS_OP}",
            got=f"{len(model.functions)} other functions",
            wanted="the file as ssd-edge export wrote it",
            do="Export the model again: ssd-edge export",
        )
    inlined = onnx.inliner.inline_selected_functions(model, [(NMS_DOMAIN, NMS_OP)])
    kept = [entry for entry in inlined.opset_import if entry.domain != NMS_DOMAIN]
    del inlined.opset_import[:]
    inlined.opset_import.extend(kept)
    return inlined


def _check_node(model: onnx.ModelProto) -> None:
    if not any(_is_nms(node.domain, node.op_type) for node in model.graph.node):
        raise ArtefactError(
            f"the ONNX has no {NMS_OP} node",
            got=f"{len(model.graph.node)} other nodes",
            wanted="a model that ssd-edge export wrote",
            do="Export the model again: ssd-edge export",
        )


def _is_nms(domain: str, name: str) -> bool:
    return (domain, name) == (NMS_DOMAIN, NMS_OP)
