"""Networks with hard-swish and squeeze-and-excitation, as MobileNetV3 has them; no detector, and nothing trained."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import onnxruntime
from onnx import numpy_helper

from ssd_edge.backends.ort_session import make_session
from ssd_edge.core.calibration_table import CalibrationTable, TensorRange
from ssd_edge.graph.editor import set_float_outputs
from ssd_edge.quantization.observer import observed_tensors

SIDE = 12
_BLOCK = """
<ir_version: 8, opset_import: ["" : 17]>
block (uint8[batch, {side}, {side}, 3] images) => (float[batch, {side}, {side}, 8] answer)
<float[1, 3, 1, 1] mean = {mean}, float deviation = {{64}}>
{{
    pixels = Cast <to = 1> (images)
    planes = Transpose <perm = [0, 3, 1, 2]> (pixels)
    centred = Sub (planes, mean)
    scaled = Div (centred, deviation)
    [first] stem = Conv <pads = [1, 1, 1, 1]> (scaled, first_weight, first_bias)
    {activation}
    [deep] deep = Conv <pads = [1, 1, 1, 1], group = {width}> (wide, deep_weight, deep_bias)
    [deep_act] deep_out = HardSwish (deep)
    [pool] mean_of = GlobalAveragePool (deep_out)
    [squeeze] squeezed = Conv (mean_of, squeeze_weight, squeeze_bias)
    squeezed_out = Relu (squeezed)
    [excite] excited = Conv (squeezed_out, excite_weight, excite_bias)
    [gate] gate = {gate} (excited)
    [scale] gated = Mul (gate, deep_out)
    [last] last = Conv (gated, last_weight, last_bias)
    answer = Transpose <perm = [0, 2, 3, 1]> (last)
}}
"""
HARD_SIGMOID = "HardSigmoid <alpha = 0.16666667, beta = 0.5>"
HARD_SWISH = "[first_act] wide = HardSwish (stem)"
WRITTEN_OUT = f"stem_gate = {HARD_SIGMOID} (stem)\n[first_act] wide = Mul (stem_gate, stem)"
SILU = "[first_sigmoid] stem_gate = Sigmoid (stem)\n[first_act] wide = Mul (stem, stem_gate)"


def gated_model(
    width: int = 16, activation: str = HARD_SWISH, gate: str = HARD_SIGMOID, mean: str = "{128, 128, 128}"
) -> onnx.ModelProto:
    """Images -> hard-swish, depthwise, hard-swish, squeeze and excite -> (B, H, W, 8)."""
    text = _BLOCK.format(side=SIDE, width=width, activation=activation, gate=gate, mean=mean)
    model = onnx.parser.parse_model(text)
    shapes = {
        "first": (width, 3, 3, 3),
        "deep": (width, 1, 3, 3),
        "squeeze": (8, width, 1, 1),
        "excite": (width, 8, 1, 1),
        "last": (8, width, 1, 1),
    }
    for name, shape in shapes.items():
        weight = spread(shape) * (8 / np.sqrt(np.prod(shape[1:])))
        model.graph.initializer.extend(
            [
                numpy_helper.from_array(weight.astype(np.float32), f"{name}_weight"),
                numpy_helper.from_array(2 * spread(shape[:1]).astype(np.float32), f"{name}_bias"),
            ]
        )
    return model


def spread(shape: tuple[int, ...]) -> np.ndarray:
    """Values between -0.5 and 0.5, the same on every machine."""
    return (np.arange(np.prod(shape), dtype=np.int64) * 7919 % 1009 / 1009 - 0.5).reshape(shape)


def pictures(count: int = 4) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def outputs(model: onnx.ModelProto, tensors: list[str]) -> list[np.ndarray]:
    """What ONNX Runtime gives for some float tensors, as it fuses the graph by itself."""
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    set_float_outputs(cut, tensors)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return [
        np.asarray(found) for found in make_session(cut.SerializeToString(), options).run(None, {"images": pictures()})
    ]


def measured(model: onnx.ModelProto) -> CalibrationTable:
    """The least and largest values of every tensor."""
    names = observed_tensors(model)
    found = outputs(model, names)
    ranges = {
        name: TensorRange(float(value.min()), float(value.max())) for name, value in zip(names, found, strict=True)
    }
    return CalibrationTable("gated", "sha256:0", "sha256:0", ("sha256:0",) * 2, "minmax", ranges)
