"""The releases that can be stood in for, and what tells them apart beyond their names."""

from __future__ import annotations

NMS_PLUGIN = "BatchedNMSDynamic_TRT"
EFFICIENT_NMS = "EfficientNMS_TRT"
NMS_PLUGINS = (NMS_PLUGIN, EFFICIENT_NMS)
RELEASES = {
    "8.5": "8.5.3.1",
    "8.6": "8.6.2",
    "10.3": "10.3.0",
    "10.16": "10.16.1.11",
    "11.4": "11.4.0.106",
    "rtx": "1.7.1.116",
}
_OLD_PLUGINS = ("BatchedNMS_TRT", NMS_PLUGIN, EFFICIENT_NMS, "NMS_TRT", "Normalize_TRT", "PriorBox_TRT")
_NEW_PLUGINS = (EFFICIENT_NMS, "FlattenConcat_TRT", "PriorBox_TRT", "TopkLastDim")
_RTX_PLUGINS = ("MyelinWeightsTransformPlugin", "ROIAlign_TRT")


def release_of(version: str) -> str:
    """Return the release that a version belongs to, e.g. ``8.6`` for ``8.6.2.3``; 11.x is 11.4."""
    major, minor = version.split(".")[:2]
    return {"1": "rtx", "11": "11.4"}.get(major, f"{major}.{minor}")


def module_name(release: str) -> str:
    """Return the name that the release is imported by."""
    return "tensorrt_rtx" if release == "rtx" else "tensorrt"


def plugins_of(release: str) -> tuple[str, ...]:
    """Return the plugins that ``init_libnvinfer_plugins`` registers."""
    return {"11.4": _NEW_PLUGINS, "rtx": _RTX_PLUGINS}.get(release, _OLD_PLUGINS)


def is_8(release: str) -> bool:
    """Return whether the release is of TensorRT 8: no functions in ONNX, no strong typing, one context a profile."""
    return release.startswith("8.")
