"""Enums of the choices in configs, manifests and on the command line; imports nothing heavy."""

from __future__ import annotations

from enum import Enum


class _Value(str, Enum):
    """A choice that is printed as its value."""

    def __str__(self) -> str:
        """Return the value, in every version of Python."""
        return str(self.value)


class Precision(_Value):
    """The types that a network computes in; the value is what manifests and file names hold."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    INT8 = "int8"
    INT8_FP16 = "int8-fp16"

    @property
    def is_int8(self) -> bool:
        """Whether convolutions compute in 8-bit integers, which needs a calibration table."""
        return self in (Precision.INT8, Precision.INT8_FP16)

    @property
    def has_fp16(self) -> bool:
        """Whether what is not INT8 computes in half precision."""
        return self in (Precision.FP16, Precision.INT8_FP16)

    @property
    def bits(self) -> int:
        """Width of the narrowest type."""
        return {"fp32": 32, "fp16": 16, "bf16": 16}.get(self.value, 8)


class FloatType(_Value):
    """Precision of the parts of a network that are not INT8."""

    FP32 = "fp32"
    FP16 = "fp16"


class Target(_Value):
    """The runtime that an engine is for; the value is what manifests and file names hold."""

    ONNXRUNTIME = "onnxruntime"
    OPENVINO = "openvino"
    TENSORRT = "tensorrt"
    TENSORRT_RTX = "tensorrt-rtx"

    @property
    def is_tensorrt(self) -> bool:
        """Whether it is one of the two that run on NVIDIA's GPUs."""
        return self in (Target.TENSORRT, Target.TENSORRT_RTX)


class NmsBody(_Value):
    """Form of the NMS in a TensorRT network."""

    PLUGIN = "plugin"
    ROUNDS = "rounds"
    LOOP = "loop"
    EFFICIENT = "efficient"


class Host(_Value):
    """The host that runs a packaged model."""

    DEEPSTREAM = "deepstream"
    FRIGATE = "frigate"
    TRITON = "triton"
    BOARD = "board"


class VariantForm(_Value):
    """The form in which a graph for another host takes its image and gives its detections."""

    PORTABLE = "portable"
    FLOAT_NCHW = "float-nchw"
    FRIGATE_SSD = "frigate-ssd"
    FRIGATE_YOLONAS = "frigate-yolonas"


class Goal(str, Enum):
    """Use of the CPU cores: all on one image (latency), or one core per image (throughput)."""

    LATENCY = "latency"
    THROUGHPUT = "throughput"


class LabelEngine(str, Enum):
    """The engine that labels images: on this machine, or on a Ray cluster."""

    LOCAL = "local"
    RAY = "ray"


class OnFailure(str, Enum):
    """Reaction of a run to an output that can no longer be written: it goes on without it, or stops."""

    GO_ON = "go-on"
    STOP = "stop"


class Method(str, Enum):
    """Method that chooses a range; ``auto`` measures all methods and takes the best."""

    AUTO = "auto"
    MINMAX = "minmax"
    PERCENTILE = "percentile"
    ENTROPY = "entropy"
    MSE = "mse"


class Metric(str, Enum):
    """Method that turns a precision-recall curve into one number."""

    VOC = "voc"
    VOC07 = "voc07"

    @property
    def description(self) -> str:
        """Description in words."""
        return {"voc": "VOC, area under the curve", "voc07": "VOC2007, 11 points"}[self.value]


class GateFigure(str, Enum):
    """A model's accuracy as one number, 0 to 1, by which an accuracy gate goes."""

    MAP = "map"
    MAP_50_95 = "map-50-95"
    COCO_AP = "coco-ap"
    COCO_AP_50 = "coco-ap50"

    @property
    def label(self) -> str:
        """Name of the figure."""
        return {"map": "mAP", "map-50-95": "mAP@.5:.95", "coco-ap": "COCO AP", "coco-ap50": "COCO AP50"}[self.value]

    @property
    def is_coco(self) -> bool:
        """Whether COCO's numbers must be counted for it."""
        return self in (GateFigure.COCO_AP, GateFigure.COCO_AP_50)


class Peer(_Value):
    """Another detector or runtime that ours are measured against."""

    TORCHVISION = "torchvision"
    ONNXRUNTIME = "onnxruntime"
    OPENVINO = "openvino"
    OPENCV_DNN = "opencv-dnn"
    ULTRALYTICS = "ultralytics"


class Color(str, Enum):
    """Order of the channels that a network was trained on."""

    RGB = "rgb"
    BGR = "bgr"


class Activation(str, Enum):
    """Activation of an imported graph's scores; ``auto`` detects it from their values."""

    AUTO = "auto"
    SOFTMAX = "softmax"
    LOGITS = "logits"


class BoxLayout(str, Enum):
    """The order of a box's numbers: corners, a corner and the size, or the center and the size."""

    XYXY = "xyxy"
    YXYX = "yxyx"
    XYWH = "xywh"
    CXCYWH = "cxcywh"


class LabelFormat(str, Enum):
    """The layout of a labelled data set."""

    VOC = "voc"
    COCO = "coco"
    YOLO = "yolo"
