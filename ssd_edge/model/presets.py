"""The presets: complete detectors but for their classes.

A preset is data, and a new one is an entry in ``PRESETS``. Its network has an entry in ``model/architectures.py`` and a
file in ``model/backbones/``: "Add a backbone" in ``docs/architecture.md`` goes through the three.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from ssd_edge.core.errors import SsdEdgeError
from ssd_edge.core.spec import AnchorClip, AnchorSpec, ModelSpec, NmsSpec
from ssd_edge.model.anchors import MapSize, anchors_from_scales, anchors_from_sizes, linear_scales

Triple = tuple[float, float, float]

SIDES = range(96, 1281, 32)
"""Of inputs where the anchors are fractions of them; below 96 the maps come down to one cell too soon."""

NMS = NmsSpec(score_threshold=0.01, iou_threshold=0.45, top_k=400, keep_top_k=200, max_candidates=400)
"""Of most SSDs: the paper's thresholds (section 3), torchvision's limits."""

_HALF_RANGE: Triple = (127.5, 127.5, 127.5)  # 0..255 to -1..1
_CAFFE_MEAN: Triple = (123.0, 117.0, 104.0)
_ONE: Triple = (1.0, 1.0, 1.0)
IMAGENET_MEAN: Triple = (0.485 * 255, 0.456 * 255, 0.406 * 255)
IMAGENET_STD: Triple = (0.229 * 255, 0.224 * 255, 0.225 * 255)


@dataclass(frozen=True)
class Published:
    """Published accuracy of a network.

    Attributes:
        mean_ap: in percent; mAP@0.5 on VOC, mAP@0.5:0.95 on COCO.
        data: the test set.
        source: whose weights, and who says so.
    """

    mean_ap: float
    data: str
    source: str


@dataclass(frozen=True)
class Preset:
    """A detector without its classes.

    Attributes:
        architecture: key of :mod:`ssd_edge.model.architectures`.
        input_size: default side of the square input, in pixels.
        anchors: lays anchors on (feature maps, input size).
        nms: from scored boxes to detections.
        mean, std: of the input, RGB, in 0..255 units.
        sizes: widths and heights for which the network has maps and the anchors fit; by default only a square of
            ``input_size``.
        published: the best known accuracy, if any.
    """

    architecture: str
    input_size: int
    anchors: Callable[[Sequence[MapSize], MapSize], AnchorSpec]
    nms: NmsSpec = NMS
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD
    sizes: range | None = None
    published: Published | None = None


def linear_anchors(
    maps: Sequence[MapSize],
    input_size: MapSize,
    *,
    smallest: float,
    largest: float,
    ratios: Sequence[float],
    clip: AnchorClip = "none",
) -> AnchorSpec:
    """Lay the paper's linear scales (section 2.2) on however many maps there are."""
    scales = linear_scales(len(maps), smallest, largest)
    return anchors_from_scales(maps, input_size, scales=scales, ratios=[ratios] * len(maps), clip=clip)


def ssd_anchors(maps: Sequence[MapSize], input_size: MapSize) -> AnchorSpec:
    """Lay the paper's anchors: 0.1 on the finest map (section 3.1), from 0.2 to 0.9 on the others (2.2)."""
    others = linear_scales(len(maps) - 1, 0.2, 0.9)
    ratios = [(2.0,) if k in (0, len(maps) - 2, len(maps) - 1) else (2.0, 3.0) for k in range(len(maps))]
    return anchors_from_scales(maps, input_size, scales=(0.1, *others), ratios=ratios, clip="size")


def _sized(sizes: Sequence[float], ratios: Sequence[Sequence[float]], steps: Sequence[float]) -> partial[AnchorSpec]:
    """Return the original code's table: each level from one size to the next, in pixels, and centers within 0..1."""
    return partial(
        anchors_from_sizes, min_sizes=sizes[:-1], max_sizes=sizes[1:], ratios=ratios, steps=steps, clip="centre"
    )


_SSD300 = partial(_sized, ratios=((2,), (2, 3), (2, 3), (2, 3), (2,), (2,)), steps=(8, 16, 32, 64, 100, 300))
_SSD512 = partial(
    _sized, ratios=((2,), (2, 3), (2, 3), (2, 3), (2, 3), (2,), (2,)), steps=(8, 16, 32, 64, 128, 256, 512)
)
_SSD300_VOC = _SSD300((30, 60, 111, 162, 213, 264, 315))
_SSD300_COCO = _SSD300((21, 45, 99, 153, 207, 261, 315))
_SSD512_VOC = _SSD512((35.84, 76.8, 153.6, 230.4, 307.2, 384, 460.8, 537.65))
_SSD512_COCO = _SSD512((20.48, 51.2, 133.12, 215.04, 296.96, 378.88, 460.8, 542.72))
_MOBILE = partial(_sized, (60, 105, 150, 195, 240, 285, 330), ((2, 3),) * 6)
_MOBILE300 = _MOBILE((16, 32, 64, 100, 150, 300))
_MOBILE320 = _MOBILE((16, 32, 64, 107, 160, 320))

_VGG = partial(Preset, mean=_CAFFE_MEAN, std=_ONE)
_PYTORCH_SSD = partial(Preset, input_size=300, anchors=_MOBILE300, mean=(127.0,) * 3, std=(128.0,) * 3)
_SSDLITE320 = partial(
    Preset,
    input_size=320,
    nms=NmsSpec(score_threshold=0.001, iou_threshold=0.55, top_k=300, keep_top_k=300, max_candidates=300),
    mean=_HALF_RANGE,
    std=_HALF_RANGE,
    sizes=SIDES,
)
_LUFFICC = partial(Preset, input_size=320, anchors=_MOBILE320, mean=_CAFFE_MEAN, std=_ONE)

PRESETS = {
    # torchvision's ssd300_vgg16: its weights, its anchors (the COCO table), its thresholds.
    "ssd300-vgg16": Preset(
        architecture="vgg16",
        input_size=300,
        anchors=partial(
            anchors_from_scales,
            scales=(0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05),
            ratios=((2,), (2, 3), (2, 3), (2, 3), (2,), (2,)),
            steps=(8, 16, 32, 64, 100, 300),
            clip="size",
        ),
        mean=(0.48235 * 255, 0.45882 * 255, 0.40784 * 255),
        std=_ONE,
        published=Published(25.1, "COCO val2017", "torchvision"),
    ),
    # The paper's networks. Their anchors for COCO begin at 7 % (300) and 4 % (512) of the image's side, those
    # for VOC, whose objects are larger, at 10 % and 7 %.
    "ssd300-vgg16-voc": _VGG(
        "vgg16", 300, _SSD300_VOC, published=Published(77.2, "VOC07 test", "weiliu89/caffe, branch ssd")
    ),
    "ssd300-vgg16-coco": _VGG(
        "vgg16", 300, _SSD300_COCO, published=Published(25.2, "COCO 2014 minival", "lufficc/SSD")
    ),
    "ssd512-vgg16": _VGG("vgg16-512", 512, _SSD512_COCO, published=Published(29.0, "COCO 2014 minival", "lufficc/SSD")),
    "ssd512-vgg16-voc": _VGG(
        "vgg16-512", 512, _SSD512_VOC, published=Published(79.8, "VOC07 test", "weiliu89/caffe, branch ssd")
    ),
    # NVIDIA's, from DeepLearningExamples.
    "ssd300-resnet50": Preset(
        "resnet50",
        300,
        _SSD300_COCO,
        published=Published(26.8, "COCO val2017", "NVIDIA/DeepLearningExamples"),
    ),
    # pytorch-ssd's, as jetson-inference trains them.
    "ssd300-vgg16-batch-norm": _VGG(
        "vgg16-batch-norm", 300, _SSD300_VOC, published=Published(77.3, "VOC07 test", "qfgaohao/pytorch-ssd")
    ),
    "ssd300-mobilenet-v1": _PYTORCH_SSD(
        "mobilenet-v1", published=Published(67.6, "VOC07 test", "qfgaohao/pytorch-ssd")
    ),
    "ssdlite300-mobilenet-v1": _PYTORCH_SSD("mobilenet-v1-lite"),
    "ssdlite300-mobilenet-v2": _PYTORCH_SSD(
        "mobilenet-v2-lite", published=Published(68.6, "VOC07 test", "qfgaohao/pytorch-ssd")
    ),
    "ssdlite300-squeezenet": _PYTORCH_SSD("squeezenet-lite"),
    # lufficc/SSD's.
    "ssdlite320-mobilenet-v2": _LUFFICC(
        "mobilenet-v2-lite-narrow", published=Published(68.9, "VOC07 test", "lufficc/SSD")
    ),
    "ssdlite320-mobilenet-v3-squeeze-first": _LUFFICC(
        "mobilenet-v3-large-lite-squeeze-first", published=Published(69.5, "VOC07 test", "lufficc/SSD")
    ),
    # torchvision's ssdlite320_mobilenet_v3_large with the reduced tail of its COCO weights.
    "ssdlite320-mobilenet-v3-large": _SSDLITE320(
        "mobilenet-v3-large-lite-reduced",
        anchors=partial(
            anchors_from_scales,
            scales=(0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0),
            ratios=((2, 3),) * 6,
            clip="size",
        ),
        published=Published(21.3, "COCO val2017", "torchvision"),
    ),
    # The same with one finer map, for small objects: 40 x 40 cells, with anchors of a tenth of the input.
    "ssdlite320-mobilenet-v3-large-stride8": _SSDLITE320(
        "mobilenet-v3-large-lite-reduced-stride8",
        anchors=partial(
            anchors_from_scales,
            scales=(0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0),
            ratios=((2,), *((2, 3),) * 6),
            clip="size",
        ),
    ),
    # Trains from nothing on a CPU in minutes; objects of 8 to 60 % of the image's side.
    "ssd192-tiny": Preset(
        architecture="compact",
        input_size=192,
        anchors=partial(linear_anchors, smallest=0.1, largest=0.55, ratios=(2,)),
        nms=NmsSpec(score_threshold=0.01, iou_threshold=0.45, top_k=400, keep_top_k=100),
        mean=_HALF_RANGE,
        std=_HALF_RANGE,
        sizes=range(64, 1025, 32),
    ),
}

SSDLITE_ANCHORS = partial(linear_anchors, smallest=0.2, largest=0.95, ratios=(2, 3), clip="size")
"""torchvision's for SSDLite, on however many maps there are."""


def preset_of(spec: ModelSpec) -> str:
    """Return the preset that a network was made from, whatever its classes; empty where it is none of these.

    Networks of timm, of fitted anchors and of foreign graphs are none of these.
    """
    maps = [MapSize(level.rows, level.cols) for level in spec.anchors.levels]
    size = MapSize(spec.input.height, spec.input.width)
    for name, preset in PRESETS.items():
        same = (preset.architecture, preset.mean, preset.std) == (spec.architecture, spec.input.mean, spec.input.std)
        if same and _lays(preset, maps, size) == spec.anchors:
            return name
    return ""


def _lays(preset: Preset, maps: Sequence[MapSize], size: MapSize) -> AnchorSpec | None:
    """Return the anchors of a preset on these maps; None where they are made for another number of maps."""
    try:
        return preset.anchors(maps, size)
    except (ValueError, IndexError, SsdEdgeError):
        return None
