"""lufficc/SSD's MobileNets with SSDLite heads, by our names."""

from __future__ import annotations

from ssd_edge.export.imports.family import StateDict
from ssd_edge.export.imports.mapping import Rules, shifted, without_bias

_C4 = 14  # first block behind the first tap of MobileNetV2; of V3 it is one less
_V2_BLOCKS, _V3_BLOCKS = 19, 17
_SQUEEZED = (4, 5, 6, 11, 12, 13, 14, 15)  # blocks of MobileNetV3-Large with squeeze-and-excitation
_LITE_LEVELS = range(5)  # the sixth head is a plain convolution
_EXTRAS = 4
_KINDS = {"cls_headers": "classification_head", "reg_headers": "regression_head"}

_HEADS: Rules = [
    (rf"^box_head\.predictor\.{old}\.(\d)\.(conv\.)?", rf"head.{new}.module_list.\1.") for old, new in _KINDS.items()
]


def _stages(blocks: int, first: int) -> Rules:
    """Return the rules for the classifier's blocks, cut into two stages before block ``first``."""
    return [
        *shifted("backbone.features", "backbone.features.0", range(first), offset=0),
        *shifted("backbone.features", "backbone.features.1", range(first, blocks), offset=first),
    ]


MOBILENET_V2: Rules = [*_stages(_V2_BLOCKS, _C4), (r"^backbone\.extras\.", "backbone.extra."), *_HEADS]
"""Its blocks are written as torchvision's."""


def _block(index: int) -> str:
    """Return the place of block ``index`` of MobileNetV3."""
    first = _C4 - 1
    return f"backbone.features.0.{index}" if index < first else f"backbone.features.1.{index - first}"


def _layers(old: str, new: str, parts: dict[str, str]) -> Rules:
    """Return the rules of one block; torchvision joins a convolution, its batch norm and activation into one module."""
    return [(rf"^{old}\.conv\.{layer}\.", f"{new}.block.{part}.") for layer, part in parts.items()]


def _mobilenet_v3_rules() -> Rules:
    first = {"0": "0.0", "1": "0.1", "4": "1.0", "5": "1.1"}  # block 1 has no expansion
    plain = {"0": "0.0", "1": "0.1", "3": "1.0", "4": "1.1", "7": "2.0", "8": "2.1"}
    squeezed = {**plain, r"5\.fc\.0": "2.fc1", r"5\.fc\.2": "2.fc2", "7": "4.0", "8": "4.1"}
    wide = range(2, _V3_BLOCKS - 1)
    return [
        *_layers(r"backbone\.features\.1", _block(1), first),
        *(
            rule
            for i in wide
            for rule in _layers(rf"backbone\.features\.{i}", _block(i), squeezed if i in _SQUEEZED else plain)
        ),
        *(rule for k in range(_EXTRAS) for rule in _layers(rf"backbone\.extras\.{k}", f"backbone.extra.{k}", squeezed)),
        *_stages(_V3_BLOCKS, _C4 - 1),
        *_HEADS,
    ]


MOBILENET_V3: Rules = _mobilenet_v3_rules()


def without_depthwise_biases(tensors: StateDict) -> StateDict:
    """Move the biases of the heads' depthwise convolutions into the batch norms behind them."""
    for kind in _KINDS.values():
        for level in _LITE_LEVELS:
            head = f"head.{kind}.module_list.{level}"
            tensors = without_bias(tensors, f"{head}.0", f"{head}.1")
    return tensors


def with_pointwise_squeezing(tensors: StateDict) -> StateDict:
    """Make 1 x 1 convolutions of the linear layers of squeeze-and-excitation."""
    return {
        name: tensor[:, :, None, None] if name.endswith((".fc1.weight", ".fc2.weight")) else tensor
        for name, tensor in tensors.items()
    }
