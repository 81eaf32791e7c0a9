"""Per-layer types where flags choose the precision: what overflows in half precision stays float32.

In a weakly typed network TensorRT may take FP16 for any layer once the flag allows it: SSD300's sum of 512 squares then
overflows, and box numbers above 2,048 are no longer whole. So each layer outside the convolutional network is set to
FLOAT, and the builder to obey.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from typing import Any

# These have no precision of their own; 8.5 casts by an identity.
_WITHOUT = ("CONSTANT", "CAST", "IDENTITY", "QUANTIZE", "DEQUANTIZE", "SHAPE")


def hold_float(trt: Any, network: Any, config: Any, half: Set[str], *, prefer: bool = False) -> list[str]:
    """Set all layers but some to compute in float32; return their names.

    Args:
        trt: a release with weak typing.
        network: as it was parsed.
        config: gets the flag.
        half: names of the ONNX nodes that may compute in half precision.
        prefer: for a DLA, which has no float32: what falls back to the GPU is set, and nothing fails for it.
    """
    layers = [network.get_layer(number) for number in range(network.num_layers)]
    held = []
    for layer, may_be_half in zip(layers, _may_be_half(layers, half), strict=True):
        if not may_be_half and _hold(trt, layer):
            held.append(str(layer.name))
    name = "PREFER_PRECISION_CONSTRAINTS" if prefer else "OBEY_PRECISION_CONSTRAINTS"
    config.set_flag(getattr(trt.BuilderFlag, name))
    return held


def _hold(trt: Any, layer: Any) -> bool:
    """Set one layer; return whether it computes in floats at all."""
    if layer.type.name in _WITHOUT:
        return False
    float32 = trt.DataType.FLOAT
    outputs = _tensors(layer.get_output, layer.num_outputs)
    floats = [number for number, tensor in outputs if tensor.dtype == float32]
    if not floats and not any(tensor.dtype == float32 for _, tensor in _tensors(layer.get_input, layer.num_inputs)):
        return False
    layer.precision = float32
    for number in floats:
        layer.set_output_type(number, float32)
    return True


def _tensors(get: Any, count: int) -> list[tuple[int, Any]]:
    return [(number, tensor) for number in range(count) if (tensor := get(number)) is not None]


def _may_be_half(layers: Sequence[Any], half: Set[str]) -> list[bool]:
    """Return of each layer whether it may compute in half precision.

    The parser names a layer by its node; what it adds around one has a name of its own, and may be half where all that
    it reads and all that reads it may.
    """
    named = [_node_of(layer) in half for layer in layers]
    makers: dict[str, int] = {}
    readers: dict[str, list[int]] = {}
    for number, layer in enumerate(layers):
        makers.update({tensor.name: number for _, tensor in _tensors(layer.get_output, layer.num_outputs)})
        for _, tensor in _tensors(layer.get_input, layer.num_inputs):
            readers.setdefault(tensor.name, []).append(number)

    def between(number: int) -> bool:
        layer = layers[number]
        inputs = [makers.get(tensor.name, -1) for _, tensor in _tensors(layer.get_input, layer.num_inputs)]
        outputs = [
            reader
            for _, tensor in _tensors(layer.get_output, layer.num_outputs)
            for reader in readers.get(tensor.name, [-1])
        ]
        neighbors = [other for other in (*inputs, *outputs) if other < 0 or layers[other].type.name != "CONSTANT"]
        return bool(neighbors) and all(other >= 0 and named[other] for other in neighbors)

    return [
        is_half or (_is_added(layer) and between(number))
        for number, (layer, is_half) in enumerate(zip(layers, named, strict=True))
    ]


def _node_of(layer: Any) -> str:
    """Return the ONNX node that a layer is of: 8.x names it so, later releases say it beside the name."""
    said = re.fullmatch(r"\[ONNX Layer: (.*)\]", str(getattr(layer, "metadata", "")))
    return said[1] if said else str(layer.name).removeprefix("node_of_")


def _is_added(layer: Any) -> bool:
    """Whether the parser made a layer beside those of the nodes: TensorRT numbers it, or the parser says so."""
    return str(layer.name).startswith(("(Unnamed", "ONNXTRT_"))
