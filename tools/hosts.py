"""Take from the sources of other hosts what the tests of packages hold: ``tests/packaging/*.json``.

    python -m tools.hosts deepstream FOLDER 9.1.0 > tests/packaging/deepstream-9.1.0.json
    python -m tools.hosts frigate FOLDER images.npy PACKAGE     # detections of Frigate's own detectors, as JSON

FOLDER is a checkout of github.com/NVIDIA/DeepStream or github.com/blakeblackshear/frigate. Of DeepStream the names of
keys are read, and by which function of GLib each value is. Frigate's detectors are run as they are, with OpenVINO and
ONNX Runtime; packages that its web server and its cameras need may be missing, and stand-ins take their place.
``SSD_EDGE_OPENVINO_PRECISION=f32`` has OpenVINO compute as on a processor without bfloat16.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import json
import os
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

INFER = "src/gst-plugins/gst-nvinfer/gstnvinfer_property_parser"
APP = "src/apps/common/src/deepstream_config_file_parser.c"
APP_HEADER = "src/apps/common/includes/deepstream_config_file_parser.h"
MAIN = "src/apps/sample_apps/deepstream-app/deepstream_app_config_parser.c"
GROUPS = {
    "source": "parse_source", "streammux": "parse_streammux", "osd": "parse_osd", "primary-gie": "parse_gie",
    "tiled-display": "parse_tiled_display", "sink": "parse_sink",
}  # fmt: skip
LIMITS = {  # read by eye: the values of switches, what is refused below, how many numbers a list has
    "values": {
        "network-mode": [0, 1, 2, 3], "cluster-mode": [0, 1, 2, 3, 4], "process-mode": [1, 2],
        "network-type": [0, 1, 2, 3, 100], "model-color-format": [0, 1, 2], "network-input-order": [0, 1],
        "scaling-filter": [0, 1, 2, 3, 4, 5, 6],
    },
    "at_least": {
        "batch-size": 1, "gie-unique-id": 1, "num-detected-classes": 0, "pre-cluster-threshold": 0, "interval": 0,
    },
    "lengths": {"infer-dims": 3},
}  # fmt: skip


def deepstream(root: Path, release: str) -> dict[str, Any]:
    """The keys of nvinfer and of deepstream-app, each with the kind of value that is read."""
    names, code = _defined(root / f"{INFER}.h"), (root / f"{INFER}.cpp").read_text()
    kinds = _kinds(code, names)
    tables: dict[str, dict[str, str]] = {"property": {}, "class-attrs-": {}}
    for name, key in names.items():
        if name != "CONFIG_GROUP_PROPERTY" and not name.endswith("ATTRS_PREFIX"):
            tables["class-attrs-" if "CLASS_ATTRS" in name else "property"][key] = kinds.get(name, "string")
    names = _defined(root / APP) | _defined(root / APP_HEADER) | _defined(root / MAIN)
    parts = {group: (root / APP, function) for group, function in GROUPS.items()}
    parts |= {"application": (root / MAIN, "parse_app"), "tests": (root / MAIN, "parse_tests")}
    app = {group: _keys_of(_function(path.read_text(), function), names) for group, (path, function) in parts.items()}
    source = f"github.com/NVIDIA/DeepStream, tag v{release}: {INFER}.h and .cpp, {APP}, {MAIN}"
    return {"release": release, "source": source, "nvinfer": tables, "deepstream-app": app, **LIMITS}


def _defined(path: Path) -> dict[str, str]:
    return dict(re.findall(r'#define\s+(CONFIG_\w+)\s+"([^"]*)"', path.read_text()))


def _kinds(code: str, names: dict[str, str]) -> dict[str, str]:
    calls = re.findall(r"g_key_file_get_(\w+)\s*\(([^;]*?)\)\s*[;)]", code, re.DOTALL)
    return {name: kind for kind, call in calls for name in re.findall(r"CONFIG_\w+", call) if name in names}


def _function(code: str, name: str) -> str:
    found = re.search(rf"^{name} \(.*?^}}", code, re.DOTALL | re.MULTILINE)
    assert found is not None, f"{name} is not there any more"
    return found[0]


def _keys_of(body: str, names: dict[str, str]) -> dict[str, str]:
    kinds = _kinds(body, names)
    found = sorted(set(re.findall(r"!g_strcmp0\s*\(\*?key,\s*(CONFIG_\w+)", body)) & names.keys())
    return {names[name]: kinds.get(name, "string") for name in found}


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Anything for packages of Frigate's that are not installed; none is one that a detector computes with."""

    NAMES = (
        "ai_edge_litert", "librosa", "pathvalidate", "peewee", "playhouse", "py3nvml", "pyclipper", "rapidfuzz",
        "regex", "ruamel", "scipy", "setproctitle", "shapely", "sherpa_onnx", "soundfile", "titlecase", "transformers",
        "unidecode",
    )  # fmt: skip

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        known = name.partition(".")[0] in self.NAMES
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if known else None

    def create_module(self, spec: Any) -> ModuleType:
        module = MagicMock()
        module.__spec__, module.__path__, module.__name__ = spec, [], spec.name
        return module

    def exec_module(self, module: ModuleType) -> None:
        pass


def frigate(root: Path, images: Path, package: Path) -> dict[str, Any]:
    """What ``detect_raw`` of both detectors gives for each image: its rows that have a score."""
    import cv2
    import numpy as np
    import openvino
    import yaml

    sys.path.insert(0, str(root))
    sys.meta_path.append(StandIns())
    sys.modules.setdefault("frigate.version", _version())
    from frigate.detectors.detector_config import ModelConfig
    from frigate.detectors.plugins.onnx import ONNXDetector, ONNXDetectorConfig
    from frigate.detectors.plugins.openvino import OvDetector, OvDetectorConfig

    precision = os.environ.get("SSD_EDGE_OPENVINO_PRECISION")
    if precision:
        plain = openvino.Core

        def told() -> Any:
            core = plain()
            core.set_property("CPU", {"INFERENCE_PRECISION_HINT": precision})
            return core

        openvino.Core = told
    found = {}
    for kind, detector, config in (
        ("openvino", OvDetector, OvDetectorConfig), ("onnx", ONNXDetector, ONNXDetectorConfig),
    ):  # fmt: skip
        block = yaml.safe_load((package / f"config.{kind}.yml").read_text())
        for key in ("path", "labelmap_path"):
            block["model"][key] = str(package / Path(block["model"][key]).name)
        model = ModelConfig(**block["model"])
        (chosen,) = block["detectors"].values()
        made = detector(config(**chosen, model=model))
        found[kind] = []
        for image in np.load(images):
            pixels = cv2.resize(image, (model.width, model.height), interpolation=cv2.INTER_LINEAR)
            rows = made.detect_raw(pixels[None])
            found[kind].append([[round(float(value), 6) for value in row] for row in rows if row[1] > 0])
    return {"detections": found}


def _version() -> ModuleType:
    """Frigate's build writes this module."""
    module = ModuleType("frigate.version")
    module.VERSION = "0"  # type: ignore[attr-defined]
    return module


if __name__ == "__main__":
    command, folder, *rest = sys.argv[1:]
    if command == "deepstream":
        print(json.dumps(deepstream(Path(folder), *rest), indent=1))
    else:
        print(json.dumps(frigate(Path(folder), *map(Path, rest))))
