"""Common parts of weight families: the description of one, and the mapping of its tensors to ours.

Each project has a module of its own, which lists its networks as :class:`Family`; ``weights.py`` knows them all. A
family says by tensor names alone whether weights are its own, renames them by rules, and fixes what its layers do
otherwise than ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.spec import ModelSpec
from ssd_edge.model.ssd import SSD

StateDict = dict[str, Tensor]
"""Tensors by name, as ``Module.state_dict()`` gives them."""

Rules = Sequence[tuple[str, str]]
"""Regular expressions of the beginning of a name, and what takes its place; the first that matches is applied."""

_SIGNS = (  # what the names of tensors tell of weights that are of no family
    (r"(^|\.)rpn\.", "a Faster or Mask R-CNN (it has a region proposal network)"),
    (r"^head\.classification_head\.(conv|cls_logits)", "a RetinaNet or FCOS of torchvision"),
    (r"^(model\.)+\d+\.(cv\d|conv|m)\.", "a YOLO"),
    (r"^module_list\.\d+\.", "a YOLO (darknet layers)"),
    (r"^transformer\.", "a DETR"),
    (r"^(base_net|classification_headers)\.", "an unknown variant of pytorch-ssd"),
    (r"^box_head\.predictor\.(cls|reg)_headers\.", "an unknown variant of lufficc/SSD"),
    (r"^(vgg|loc|conf)\.\d+\.", "an unknown variant of ssd.pytorch"),
    (r"^neck\.extra_layers\.", "an SSD of mmdetection"),
    (r"^bbox_head\.(cls|reg)_convs\.0\.\d+\.(weight|0\.weight|0\.conv\.weight)$", "an SSD of mmdetection"),
    (r"^bbox_head\.|^roi_head\.", "a detector of mmdetection"),
    (r"^(fc|classifier(\.\d+)?|head(\.fc)?|last_linear)\.weight$", "an image classifier"),
)
_FROM_MMDETECTION = (
    "Export the model to ONNX with mmdetection, without its NMS and with the levels concatenated: "
    "scores (B, N, classes + 1) with the background in column 0, and offsets (B, N, 4). Then run "
    "ssd-edge import model.onnx with the --anchors, --mean and --std of its config."
)
_LITE_LEVELS = range(5)  # heads with a depthwise convolution; the sixth is a plain one
_CONV5 = range(23, 30)  # pool4 to conv5_3's ReLU
_ATROUS = range(30, 35)  # pool5, conv6, ReLU, conv7, ReLU


@dataclass(frozen=True)
class Family:
    """One network of one project.

    Attributes:
        name: what the project calls it, e.g. ``mb1-ssd``.
        source: whose weights these are, for the user, e.g. ``qfgaohao/pytorch-ssd and jetson-inference``.
        matches: whether these tensors belong to it; looks at names only, and at most one family says yes.
        convert: turns the tensors and the names of the real classes into our detector, in evaluation mode. Without
            names it takes built-in ones by their number. Raises ``ArtifactError`` where the tensors do not fit the
            network, ``InputError`` where the class names do not fit the tensors.
        resized: returns the spec for another (width, height) of its input, where the project trains at several and its
            files do not say at which; None where all weights have one size. Raises ``InputError`` for a size that it
            does not have.
    """

    name: str
    source: str
    matches: Callable[[StateDict], bool]
    convert: Callable[[StateDict, tuple[str, ...] | None], SSD]
    resized: Callable[[ModelSpec, tuple[int, int]], ModelSpec] | None = None


def nearest_way(tensors: StateDict) -> str:
    """Return what its owner can do with weights that are of no family."""
    if any(name.startswith(("bbox_head.", "neck.extra_layers.")) for name in tensors):
        return _FROM_MMDETECTION
    return "Another SSD: export it to ONNX in its project, without the NMS, then ssd-edge import model.onnx"


def looks_like(tensors: StateDict) -> str:
    """Return what the names of the tensors show, e.g. ``an image classifier (conv1.weight, …, fc.weight)``."""
    names = list(tensors)
    shown = f"{names[0]}, …, {names[-1]}" if len(names) > 1 else names[0]
    for pattern, kind in _SIGNS:
        if any(re.search(pattern, name) for name in names):
            return f"{kind} ({shown})"
    return f"{len(names)} tensors ({shown})"


def renamed(tensors: StateDict, rules: Rules) -> StateDict:
    """Return the tensors under their new names; a name that no rule knows keeps its own, and is refused later."""
    compiled = [(re.compile(pattern), replacement) for pattern, replacement in rules]
    return {_renamed(name, compiled): tensor for name, tensor in tensors.items()}


def _renamed(name: str, rules: Sequence[tuple[re.Pattern[str], str]]) -> str:
    for pattern, replacement in rules:
        new, count = pattern.subn(replacement, name, count=1)
        if count:
            return new
    return name


def shifted(old: str, new: str, indices: range, offset: int) -> list[tuple[str, str]]:
    """Return the rules that turn ``<old>.<index>.`` into ``<new>.<index - offset>.`` for these indices."""
    return [(rf"^{re.escape(old)}\.{index}\.", f"{new}.{index - offset}.") for index in indices]


def with_counters(tensors: StateDict) -> StateDict:
    """Add the batch norms' ``num_batches_tracked``, which PyTorch before 0.4.1 did not save and inference ignores."""
    counters = {name.removesuffix("running_mean") + "num_batches_tracked" for name in tensors if "running_mean" in name}
    return {**{name: torch.zeros((), dtype=torch.long) for name in sorted(counters)}, **tensors}


def without_bias(tensors: StateDict, convolution: str, norm: str) -> StateDict:
    """Move a convolution's bias into the batch norm behind it: (x + b) - m = x - (m - b)."""
    kept = dict(tensors)
    bias = kept.pop(f"{convolution}.bias")
    kept[f"{norm}.running_mean"] = kept[f"{norm}.running_mean"] - bias
    return kept


def without_depthwise_biases(tensors: StateDict) -> StateDict:
    """Move the biases of the heads' depthwise convolutions into the batch norms behind them; the names are ours."""
    for kind in ("classification_head", "regression_head"):
        for level in _LITE_LEVELS:
            head = f"head.{kind}.module_list.{level}"
            tensors = without_bias(tensors, f"{head}.0", f"{head}.1")
    return tensors


def unchanged(tensors: StateDict) -> StateDict:
    """Return the tensors as they are: of a network whose layers do what ours do."""
    return tensors


def class_count(tensors: StateDict, *, logits: str, offsets: str, family: str) -> int:
    """Count the real classes by a level's last layers: A·(C + 1) logits and A·4 offsets per cell.

    Raises:
        ArtifactError: there are no such layers, or their sizes do not belong together.
    """
    missing = [name for name in (logits, offsets) if name not in tensors]
    if missing:
        raise ArtifactError(f"these weights look like {family}, but are incomplete", got=f"no tensor {missing[0]}")
    found, anchors = len(tensors[logits]), len(tensors[offsets]) // 4
    if anchors == 0 or found % anchors or found // anchors < 2:
        raise ArtifactError(
            f"the heads of this {family} do not match each other",
            got=f"{found} logits and {len(tensors[offsets])} offsets per cell",
            wanted="4 offsets, and at least 2 logits, for each box of a cell",
        )
    return found // anchors - 1


def vgg_rules(prefix: str) -> list[tuple[str, str]]:
    """Return the rules from ``<prefix>.<layer>.`` to the names of our VGG backbone."""
    return [
        *shifted(prefix, "backbone.extra.0", _CONV5, offset=_CONV5.start),
        *shifted(prefix, "backbone.extra.0.7", _ATROUS, offset=_ATROUS.start),
        *shifted(prefix, "backbone.features", range(_CONV5.start), offset=0),
    ]


def flat_extra_rules(prefix: str, stages: int) -> list[tuple[str, str]]:
    """Return the rules for additional stages whose convolutions are one flat list under ``prefix``, two a stage."""
    return [
        (rf"^{re.escape(prefix)}\.{2 * k + i}\.", f"backbone.extra.{k + 1}.{2 * i}.")
        for k in range(stages)
        for i in (0, 1)
    ]
