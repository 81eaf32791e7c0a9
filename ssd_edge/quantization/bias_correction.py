"""Bias correction (Nagel et al., Data-Free Quantization, 2019, section 4.2), from images.

Rounded weights shift the mean of what a convolution gives. The shift of each output channel is measured on images and
taken out of its bias, layer after layer, so that each is measured behind those that are corrected already.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx

from ssd_edge.backends.ort_session import load_runtime, make_session
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.graph_contract import INPUT_NAME, NMS_OP
from ssd_edge.core.progress import Progress, silent
from ssd_edge.graph.editor import Array, Graph, copied, make_node, set_float_outputs
from ssd_edge.quantization.sensitivity import convolutions

_MEASURED = "bias.measured"

Lower = Callable[[onnx.ModelProto], onnx.ModelProto]
"""Gives the INT8 model of a float one."""


def correct_biases(
    model: onnx.ModelProto, lower: Lower, images: Sequence[UInt8Array], *, progress: Progress = silent
) -> onnx.ModelProto:
    """Return a float model whose INT8 form has, on average over the images, the convolutions' outputs of ``model``.

    Args:
        model: as exported; it stays the reference.
        lower: the lowering that is to be corrected for.
        images: (H, W, 3) uint8 of the input size.
        progress: called after each layer.
    """
    names = convolutions(model)
    corrected = model
    for done, name in enumerate(names, start=1):
        wanted = _channel_means(model, name, images)
        found = _channel_means(lower(corrected), name, images)
        corrected = _with_shifted_bias(corrected, name, wanted - found)
        progress(done, len(names), "correcting biases")
    return corrected


def _channel_means(model: onnx.ModelProto, node_name: str, images: Sequence[UInt8Array]) -> Array:
    """Return (C,) the mean of each channel that a convolution gives, ahead of its activation."""
    cut = copied(model)
    node = next(entry for entry in cut.graph.node if entry.name == node_name)
    nms = [entry for entry in cut.graph.node if entry.op_type == NMS_OP]
    for entry in nms:
        cut.graph.node.remove(entry)
    del cut.functions[:]
    # In a mixed network some convolutions give half precision, whose mean over a map would be too coarse.
    cut.graph.node.append(make_node("Cast", [node.output[0]], _MEASURED, to=onnx.TensorProto.FLOAT))
    set_float_outputs(cut, [_MEASURED])
    options = load_runtime().SessionOptions()
    options.log_severity_level = 4
    session = make_session(cut.SerializeToString(), options)
    means = [session.run(None, {INPUT_NAME: image[None]})[0].mean(axis=(0, 2, 3)) for image in images]
    return np.asarray(np.mean(means, axis=0), np.float64)


def _with_shifted_bias(model: onnx.ModelProto, node_name: str, shift: Array) -> onnx.ModelProto:
    graph = Graph(model)
    node = next(entry for entry in graph.nodes if entry.name == node_name)
    has_bias = len(node.input) > 2 and bool(node.input[2])
    bias = graph.constants[node.input[2]] if has_bias else np.zeros(len(shift))
    name = f"{node_name}.corrected.bias"
    graph.constants[name] = (bias + shift).astype(np.float32)
    if len(node.input) < 3:
        node.input.append(name)
    elif node.input[2] != name:
        graph.rewire(node, 2, name)
    return graph.finished()
