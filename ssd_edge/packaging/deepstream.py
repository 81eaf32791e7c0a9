"""The package for NVIDIA DeepStream: a float32 graph for ``nvinfer``, read by the parser that DeepStream brings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ssd_edge.core.choices import Host, Precision, VariantForm
from ssd_edge.packaging.contents import LABELS_NAME, PackagedModel, write_common, write_template, write_variant

MODEL_NAME, CACHE_NAME, INFER_NAME = "model.onnx", "calibration.cache", "config_infer_primary.txt"
_FP32, _INT8 = 0, 1  # NvDsInferNetworkMode
_MODE_NAMES = {_FP32: "fp32", _INT8: "int8"}
_APPS = {"deepstream_app_file.txt": "file", "deepstream_app_rtsp.txt": "rtsp"}


@dataclass(frozen=True)
class Typing:
    """Options with which ``nvinfer`` builds the engine.

    Attributes:
        precision: that it computes in.
        cache: TensorRT's text calibration cache, for INT8 in a weakly typed network; empty where the graph carries
            its types and ranges, which only a strongly typed network takes as they are.
    """

    precision: Precision
    cache: bytes = b""

    @property
    def is_strongly_typed(self) -> bool:
        """Whether the graph, and no flag, says what is computed in which type."""
        return self.precision is not Precision.FP32 and not self.cache

    @property
    def network_mode(self) -> int:
        """``network-mode``, which sets the flags of the build.

        That of FP16 is never set. It allows half precision for every layer, and ``nvinfer`` has no way to hold one in
        float32: sums of squares overflow there, and the NMS can no longer distinguish boxes by number.
        """
        return _INT8 if self.cache else _FP32


def write_deepstream(folder: Path, model: PackagedModel, typing: Typing, *, max_batch: int, threshold: float) -> None:
    """Write the package.

    Args:
        folder: empty.
        model: to package; where the network is strongly typed, in its precision.
        typing: how the engine is built.
        max_batch: streams that are inferred together.
        threshold: score that a detection must have to be shown.

    Raises:
        ParityError: the float32 graph does not find what the model finds.
        OSError: a file cannot be written.
    """
    write_variant(model, VariantForm.FLOAT_NCHW, folder / MODEL_NAME)
    if typing.cache:
        (folder / CACHE_NAME).write_bytes(typing.cache)
    (folder / INFER_NAME).write_text(infer_config(model, typing, max_batch, threshold), encoding="utf-8")
    values = {
        "name": model.name,
        "max_batch": max_batch,
        "engine": engine_name(typing, max_batch),
        "how": _HOW[typing.is_strongly_typed, bool(typing.cache)].format(precision=typing.precision),
    }
    for name, kind in _APPS.items():
        write_template(f"deepstream_app_{kind}.txt", folder / name, values)
    write_common(folder, Host.DEEPSTREAM, model, {"deepstream": (VariantForm.FLOAT_NCHW, MODEL_NAME)})
    write_template("deepstream.md", folder / "README.md", values)


_HOW = {
    (False, False): "The engine is built in FP32; any DeepStream release with TensorRT 8.5 or later can build it.",
    (True, False): "The graph states the type of each layer ({precision}), and `strongly-typed=1` makes TensorRT "
    "follow it. This needs DeepStream 9.0 or later; older releases do not know that key. For them, package with "
    "`--precision fp32`, or with `--precision int8` and `--calibration-cache`.",
    (False, True): "INT8 uses the ranges in `calibration.cache`. This package is for DeepStream releases that do not "
    "know `strongly-typed`, with the TensorRT release that the first line of `calibration.cache` names.",
}
"""Return how the engine comes to its precision, in words: strongly typed, with a calibration cache."""


def engine_name(typing: Typing, max_batch: int) -> str:
    """Return what DeepStream calls the engine that it builds; under another name it builds at each start."""
    return f"{MODEL_NAME}_b{max_batch}_gpu0_{_MODE_NAMES[typing.network_mode]}.engine"


def infer_config(model: PackagedModel, typing: Typing, max_batch: int, threshold: float) -> str:
    """Return the configuration of ``nvinfer``; its paths are relative to it.

    Args:
        model: that is packaged.
        typing: how the engine is built.
        max_batch: images of a batch.
        threshold: score that a detection must have; the parser reads that of the first class only.
    """
    spec = model.spec
    keys: dict[str, object] = {
        "gpu-id": 0,
        "gie-unique-id": 1,
        "process-mode": 1,
        "onnx-file": MODEL_NAME,
        "model-engine-file": engine_name(typing, max_batch),
        "labelfile-path": LABELS_NAME,
        "batch-size": max_batch,
        "network-mode": typing.network_mode,
        "network-type": 0,
        "num-detected-classes": len(spec.class_names),
        "infer-dims": f"3;{spec.input.height};{spec.input.width}",
        "network-input-order": 0,
        "model-color-format": 1,
        "net-scale-factor": "1.0",
        "maintain-aspect-ratio": 0,
        "scaling-filter": 1,
        "interval": 0,
        "cluster-mode": 4,
        "parse-bbox-func-name": "NvDsInferParseCustomBatchedNMSTLT",
        "custom-lib-path": "/opt/nvidia/deepstream/deepstream/lib/libnvds_infercustomparser.so",
    }
    if typing.is_strongly_typed:
        keys["strongly-typed"] = 1
    if typing.cache:
        keys["int8-calib-file"] = CACHE_NAME
    lines = [f"{key}={value}" for key, value in keys.items()]
    return "\n".join(
        [
            f"# {spec.name}: mean, deviation and NMS are in the graph, so net-scale-factor stays 1 and cluster-mode 4.",
            "[property]",
            *lines,
            "",
            "[class-attrs-all]",
            f"pre-cluster-threshold={threshold:g}",
            "",
        ]
    )
