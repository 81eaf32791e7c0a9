"""ModelSpec: everything that must travel with the weights for anyone to run them."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Literal

from ssd_edge.core.anchor_spec import AnchorClip as AnchorClip
from ssd_edge.core.anchor_spec import AnchorLevel as AnchorLevel
from ssd_edge.core.anchor_spec import AnchorSpec as AnchorSpec
from ssd_edge.core.anchor_spec import AnchorTable as AnchorTable
from ssd_edge.core.artifact import Format, parse_artifact
from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.files import text_digest
from ssd_edge.core.names import WANTED_NAME, is_file_name
from ssd_edge.core.shell import is_control

SPEC_FORMAT = "ssd-edge/spec/1"
_FORM = Format(SPEC_FORMAT, "model spec", "Export the model again with this version of ssd-edge.")

ColorOrder = Literal["rgb", "bgr"]

LARGEST_SIDE, MOST_BOXES = 8192, 1 << 24
"""Of an input in pixels, and of a model's anchors: far above any real SSD, far below what exhausts memory."""


@dataclass(frozen=True)
class InputSpec:
    """Input of the network: images are stretched to ``height`` x ``width``, then ``(x - mean) / std`` per channel.

    Attributes:
        mean, std: in 0..255 units, in the order of ``color_order``.
        color_order: the order that the network was trained on; the graph's own input is always BGR.
    """

    height: int
    width: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    color_order: ColorOrder = "rgb"


@dataclass(frozen=True)
class BoxCoding:
    """Coding of boxes as offsets (SSD, section 2.1): cx = dx * vx * w + cx_a, w = w_a * exp(dw * vw).

    Attributes:
        variances: (vx, vy, vw, vh).
        max_log_scale: upper limit of dw * vw and dh * vh before the exponential; infinity for none.
    """

    variances: tuple[float, float, float, float] = (0.1, 0.1, 0.2, 0.2)
    max_log_scale: float = 4.135166556742356  # ln(1000 / 16), as torchvision's box coder


MANY_CANDIDATES = 1000
"""Enough for crowded scenes: three times as many gained 0.13 points of mAP@0.5 at most (docs/measured.md)."""


@dataclass(frozen=True)
class NmsSpec:
    """From scored boxes to detections, with the meaning of TensorRT's BatchedNMS.

    Attributes:
        score_threshold: a candidate scores strictly more.
        iou_threshold: a box is suppressed where it overlaps a better one of its class by strictly more.
        top_k: candidates kept per class before suppression, at most 4096.
        keep_top_k: detections kept per image.
        max_candidates: best (box, class) pairs of an image that the portable graph looks at, over all classes; its
            detections are the best of those that unlimited candidates would give. At most 3840 (TensorRT's TopK).
        clip_boxes: cut boxes off at the image's edges, before suppression (as torchvision does).
    """

    score_threshold: float = 0.01
    iou_threshold: float = 0.45
    top_k: int = 400
    keep_top_k: int = 200
    max_candidates: int = 400
    clip_boxes: bool = True


@dataclass(frozen=True)
class ModelSpec:
    """A model without its weights. Travels in the checkpoint, the ONNX metadata and the engine's manifest.

    Attributes:
        name: what the user calls the model; the stem of its files.
        architecture: key of the network in ``ssd_edge.model.zoo``, or ``foreign-onnx`` for an imported graph.
        class_names: real classes only; logit 0 is background and is never listed.
    """

    name: str
    architecture: str
    input: InputSpec
    anchors: AnchorSpec
    class_names: tuple[str, ...]
    box_coding: BoxCoding = BoxCoding()
    nms: NmsSpec = NmsSpec()

    def __post_init__(self) -> None:
        _check(self)

    @property
    def num_logits(self) -> int:
        """Scores per anchor: the real classes and background."""
        return len(self.class_names) + 1

    @property
    def digest(self) -> str:
        """``sha256:…`` of the canonical JSON text."""
        return text_digest(self.to_json())

    def to_json(self) -> str:
        """Return canonical JSON: sorted keys, no spaces."""
        fields = {"format": SPEC_FORMAT, **dataclasses.asdict(self)}
        if self.anchors.table is None:
            del fields["anchors"]["table"]
        return json.dumps(fields, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str, *, origin: str) -> ModelSpec:
        """Read what :meth:`to_json` wrote; ``origin`` names the file in errors.

        Raises:
            ArtifactError: the text is not a spec of this version, or its values contradict each other.
        """
        return parse_artifact(text, cls, _FORM, origin=origin)


def _no_name_twice(names: tuple[str, ...]) -> bool:
    """COCO's gaps may be called N/A, as torchvision calls them, as often as there are."""
    real = [name for name in names if name != "N/A"]
    return len(set(real)) == len(real)


def _check(spec: ModelSpec) -> None:
    nms, sides = spec.nms, (spec.input.height, spec.input.width)
    rules = [
        (is_file_name(spec.name), "name", repr(spec.name)[:80], WANTED_NAME),
        (bool(spec.class_names), "class_names", spec.class_names, "at least one class"),
        (
            _no_name_twice(spec.class_names),
            "class_names",
            spec.class_names,
            "no name twice",
        ),
        (
            all(0 < side <= LARGEST_SIDE for side in sides),
            "input",
            spec.input,
            f"a height and width of 1 to {LARGEST_SIDE}",
        ),
        (all(value != 0 for value in spec.input.std), "std", spec.input.std, "no zero"),
        (not any(map(is_control, "".join(spec.class_names))), "class_names", "a control character", "plain text"),
        (not any(map(is_control, spec.architecture)), "architecture", repr(spec.architecture)[:80], "plain text"),
        (spec.input.color_order in ("rgb", "bgr"), "color_order", spec.input.color_order, "rgb or bgr"),
        (spec.anchors.clip in ("none", "size", "centre"), "anchors.clip", spec.anchors.clip, "none, size or centre"),
        (
            spec.anchors.table is None or not spec.anchors.levels,
            "anchors",
            "levels and a table",
            "either levels or a table",
        ),
        (
            0 < spec.anchors.count <= MOST_BOXES,
            "anchors",
            spec.anchors.count,
            f"at least one anchor, at most {MOST_BOXES}",
        ),
        (0 <= nms.score_threshold < 1, "score_threshold", nms.score_threshold, "0 <= threshold < 1"),
        (0 < nms.iou_threshold <= 1, "iou_threshold", nms.iou_threshold, "0 < threshold <= 1"),
        (1 <= nms.max_candidates <= 3840, "max_candidates", nms.max_candidates, "1 to 3840 (TensorRT's TopK)"),
        (
            nms.max_candidates <= nms.top_k <= 4096,
            "top_k",
            nms.top_k,
            f"max_candidates ({nms.max_candidates}) to 4096 (BatchedNMS)",
        ),
        (
            1 <= nms.keep_top_k <= nms.max_candidates,
            "keep_top_k",
            nms.keep_top_k,
            f"1 to max_candidates ({nms.max_candidates})",
        ),
    ]
    for holds, field, got, wanted in rules:
        if not holds:
            raise ArtifactError(
                f"in the model spec {spec.name!r:.80}, {field} is out of range", got=str(got), wanted=wanted
            )
