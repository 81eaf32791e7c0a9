"""Input normalization of an imported graph. For jetson-inference it follows from the network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx

from ssd_edge.core.errors import InputError
from ssd_edge.core.spec import ColorOrder

Triple = tuple[float, float, float]

JETSON_INPUT = "input_0"
JETSON_OUTPUTS = ("scores", "boxes")


@dataclass(frozen=True)
class Normalization:
    """``(x - mean) / std`` of pixels 0..255, per channel in ``color_order``.

    Attributes:
        note: where the numbers come from, for the user; empty where they were given.
    """

    mean: Triple
    std: Triple
    color_order: ColorOrder = "rgb"
    note: str = ""


_MOBILENETS = Normalization((127.0,) * 3, (128.0,) * 3, note="as pytorch-ssd trains its MobileNets and SqueezeNets")
_VGG = Normalization((123.0, 117.0, 104.0), (1.0,) * 3, note="as pytorch-ssd trains its VGG")


def known_normalization(model: onnx.ModelProto) -> Normalization | None:
    """Return that of a graph from jetson-inference's onnx_export.py, known by the names of input and outputs.

    Its networks differ in the first convolution: only VGG's goes pixel by pixel (pytorch-ssd, vision/ssd/config).
    """
    names = [entry.name for entry in model.graph.input], sorted(entry.name for entry in model.graph.output)
    first = next((node for node in model.graph.node if node.op_type == "Conv"), None)
    if names != ([JETSON_INPUT], sorted(JETSON_OUTPUTS)) or first is None:
        return None
    strides = next((list(entry.ints) for entry in first.attribute if entry.name == "strides"), [1, 1])
    return _VGG if strides == [1, 1] else _MOBILENETS


def unknown_normalization(path: Path) -> InputError:
    """Return the error that asks for it; the message names the options."""
    return InputError(
        f"the normalization of the pixels cannot be read from {path}",
        wanted="mean and standard deviation, for pixels of 0 to 255, that the network was trained with",
        do="Give both, for example --mean 127.5 127.5 127.5 --std 127.5 127.5 127.5 --color rgb",
    )
