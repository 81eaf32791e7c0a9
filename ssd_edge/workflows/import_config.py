"""The options of an import, with their defaults; imports nothing heavy, as the command line shows them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

from ssd_edge.core.choices import Activation, BoxLayout, Color
from ssd_edge.core.config import NMS_LIMITS, AnyPath, check_limits

Triple = tuple[float, float, float]

Four = tuple[float, float, float, float]


@dataclass(frozen=True)
class ImportConfig:
    """Options of an import; the fields from ``check_images`` on are for an ONNX.

    Attributes:
        source: weights to fetch instead of a file: ``torchvision:ssd300_vgg16`` or
            ``torchvision:ssdlite320_mobilenet_v3_large``.
        output: the result; by default ``runs/<name>/best.pt`` in the workspace, of an ONNX
            ``engines/<name>/<name>.onnx``.
        name: of the model; by default that of the file.
        labels: text file with a class a line; by default labels.txt beside the file, else built-in names.
        check_images: folder of images on which both graphs are compared; by default drawn scenes.
        mean: subtracted from the pixels 0 to 255, per channel; needed with ``std`` unless jetson-inference exported it.
        std: divides what is left, per channel.
        color: order of the channels, also in ``mean`` and ``std``.
        input_size: (width, height) of the input in pixels, if the graph leaves them open, or if weights do not say it
            (pytorch-ssd, jetson-inference).
        anchors: anchors, ``.npy`` (N, 4) cx cy w h or ``.json``, where the graph gives offsets.
        variances: factors by which the offsets cx, cy, w and h are multiplied when boxes are decoded.
        scores: name of the output with the scores; by default found by its shape.
        boxes: name of the output with boxes or offsets; by default found by its shape.
        activation: what the scores are.
        box_layout: the order of a box's numbers, where the graph gives boxes and no offsets.
        score_threshold: detections score more, 0 to 1.
        iou_threshold: a box that overlaps a better one of its class by more is dropped, 0 to 1.
        clip_boxes: cut boxes off at the edges before the NMS.
    """

    source: str | None = None
    output: Path | None = None
    name: str | None = None
    labels: Path | None = None
    check_images: Path | None = None
    mean: Triple | None = None
    std: Triple | None = None
    color: Color = Color.RGB
    input_size: tuple[int, int] | None = None
    anchors: Path | None = None
    variances: Four = (0.1, 0.1, 0.2, 0.2)
    scores: str | None = None
    boxes: str | None = None
    activation: Activation = Activation.AUTO
    box_layout: BoxLayout = BoxLayout.XYXY
    score_threshold: float = 0.01
    iou_threshold: float = 0.45
    clip_boxes: bool = False

    def __post_init__(self) -> None:
        check_limits(self, {name: NMS_LIMITS[name] for name in ("score_threshold", "iou_threshold")})


class ImportOptions(TypedDict, total=False):
    """The fields of :class:`ImportConfig` as keywords."""

    source: str | None
    output: AnyPath | None
    name: str | None
    labels: AnyPath | None
    check_images: AnyPath | None
    mean: Triple | None
    std: Triple | None
    color: Color | Literal["rgb", "bgr"]
    input_size: tuple[int, int] | None
    anchors: AnyPath | None
    variances: Four
    scores: str | None
    boxes: str | None
    activation: Activation | Literal["auto", "softmax", "logits"]
    box_layout: BoxLayout | Literal["xyxy", "yxyx", "xywh", "cxcywh"]
    score_threshold: float
    iou_threshold: float
    clip_boxes: bool
