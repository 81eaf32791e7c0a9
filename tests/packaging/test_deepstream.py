"""The package for DeepStream, held to DeepStream's own table of keys and to what its parser does with our outputs.

``deepstream-9.1.0.json`` holds facts of that release: the names of all keys and how each value is read, as
``tools/hosts.py`` takes them from its source.
"""

from __future__ import annotations

import configparser
import json
import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import ssd_edge as ssd
from ssd_edge.core.choices import Precision
from ssd_edge.core.errors import InputError
from ssd_edge.core.preprocess import preprocess
from ssd_edge.graph.source import read_onnx
from ssd_edge.packaging.deepstream import Typing, engine_name
from ssd_edge.packaging.selfcheck import input_of
from tests.exporting.models import pictures
from tests.packaging.tensorrt_rtx import built_by_tensorrt_rtx

FACTS = json.loads(Path(__file__).with_name("deepstream-9.1.0.json").read_text())
FORMS = {
    "integer": r"-?\d+", "uint64": r"\d+", "boolean": "[01]|true|false", "double": r"-?\d+(\.\d+)?",
    "string": ".+", "integer_list": r"-?\d+(;-?\d+)*;?", "double_list": r"-?[\d.]+(;-?[\d.]+)*;?",
    "string_list": "[^;]+(;[^;]+)*;?",
}  # fmt: skip


def groups(path: Path) -> dict[str, dict[str, str]]:
    """Read a file as GKeyFile does: keys as they are written, # begins a comment."""
    reader = configparser.RawConfigParser(delimiters="=", comment_prefixes="#", strict=True)
    reader.optionxform = str  # type: ignore[assignment, method-assign]
    reader.read_string(path.read_text())
    return {name: dict(reader[name]) for name in reader.sections()}


def faults(found: dict[str, dict[str, str]], known: dict[str, dict[str, str]]) -> list[str]:
    """Name keys that are not in the table, and values that its reader refuses."""
    wrong = []
    for group, keys in found.items():
        table = known.get(group) or known[next(name for name in known if group.startswith(name))]
        for key, value in keys.items():
            if key not in table:
                wrong.append(f"unknown key {key} of {group}")
            elif not re.fullmatch(FORMS[table[key]], value):
                wrong.append(f"{key}={value} is no {table[key]}")
            elif key in FACTS["values"] and int(value) not in FACTS["values"][key]:
                wrong.append(f"{key}={value}")
            elif key in FACTS["at_least"] and float(value) < FACTS["at_least"][key]:
                wrong.append(f"{key}={value} is too little")
            elif key in FACTS["lengths"] and len(value.strip(";").split(";")) != FACTS["lengths"][key]:
                wrong.append(f"{key}={value} has another length")
    return wrong


def test_every_key_of_nvinfer_is_deepstreams_with_a_value_that_it_reads(packages: dict[str, Path]) -> None:
    found = groups(packages["deepstream"] / "config_infer_primary.txt")
    assert len(found["property"]) >= 20
    assert faults(found, FACTS["nvinfer"]) == []
    assert faults({"property": {"minboxes": "1", "network-mode": "4", "infer-dims": "3;64"}}, FACTS["nvinfer"]) == [
        "unknown key minboxes of property", "network-mode=4", "infer-dims=3;64 has another length",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["deepstream_app_file.txt", "deepstream_app_rtsp.txt"])
def test_every_key_of_deepstream_app_is_its_own(packages: dict[str, Path], name: str) -> None:
    found = groups(packages["deepstream"] / name)
    assert faults(found, FACTS["deepstream-app"]) == []
    infer = groups(packages["deepstream"] / found["primary-gie"]["config-file"])["property"]
    assert found["primary-gie"]["batch-size"] == infer["batch-size"]  # else the engine has another name
    assert found["primary-gie"]["gie-unique-id"] == infer["gie-unique-id"]


def test_the_configuration_is_that_of_the_graph(packages: dict[str, Path], exported: Path) -> None:
    folder, spec = packages["deepstream"], read_onnx(exported).spec
    keys = groups(folder / "config_infer_primary.txt")["property"]
    (entry,) = onnxruntime.InferenceSession(str(folder / keys["onnx-file"])).get_inputs()
    assert (entry.type, entry.shape[1:]) == ("tensor(float)", [int(side) for side in keys["infer-dims"].split(";")])
    assert int(keys["num-detected-classes"]) == len(spec.class_names)
    assert (folder / keys["labelfile-path"]).read_text().splitlines() == list(spec.class_names)
    assert float(keys["net-scale-factor"]) == 1
    assert "offsets" not in keys
    assert keys["model-engine-file"] == "model.onnx_b8_gpu0_fp32.engine"


@pytest.mark.parametrize(
    ("typing", "mode", "name"),
    [
        (Typing(Precision.FP32), 0, "model.onnx_b4_gpu0_fp32.engine"),
        (Typing(Precision.FP16), 0, "model.onnx_b4_gpu0_fp32.engine"),
        (Typing(Precision.INT8), 0, "model.onnx_b4_gpu0_fp32.engine"),  # strongly typed: no flag of a precision
        (Typing(Precision.INT8, b"TRT"), 1, "model.onnx_b4_gpu0_int8.engine"),
    ],
)
def test_the_engine_has_the_name_that_deepstream_gives_it(typing: Typing, mode: int, name: str) -> None:
    assert (typing.network_mode, engine_name(typing, 4)) == (mode, name)


def parsed_by_deepstream(outputs: list[np.ndarray], width: int, height: int, threshold: float, classes: int):
    """What NvDsInferParseCustomBatchedNMSTLT of 9.1 makes of one image: class, score, x1, y1, x2, y2 in pixels.

    Outputs go by position; scores below the first class's threshold are passed over, as are classes that are not
    configured and boxes turned inside out; corners are cut off at the last pixel; it ends after 201 objects.
    """
    count, boxes, scores, kinds = (np.ascontiguousarray(part).reshape(-1) for part in outputs)
    found = []
    for row in range(int(count.view(np.int32)[0])):
        if len(found) > 200:
            break
        x1, y1, x2, y2 = boxes[4 * row : 4 * row + 4]
        if scores[row] < threshold or not 0 <= kinds[row] < classes or x2 < x1 or y2 < y1:
            continue
        sides = np.array([x1 * width, y1 * height, x2 * width, y2 * height], np.float32)
        left, top, right, bottom = np.clip(sides, 0, [width - 1, height - 1, width - 1, height - 1])
        found.append((float(kinds[row]), float(scores[row]), left, top, left + (right - left), top + (bottom - top)))
    return np.array(found).reshape(-1, 6)


def test_deepstreams_parser_gives_our_boxes_on_50_images(packages: dict[str, Path], exported: Path) -> None:
    """Within a thousandth of the image, but at the last pixel, where its parser cuts boxes off."""
    spec, threshold = read_onnx(exported).spec, 0.3
    session = onnxruntime.InferenceSession(str(packages["deepstream"] / "model.onnx"))
    compared = 0
    with ssd.load(exported) as detect:
        for image in pictures(50, seed=8):
            pixels = preprocess(image, spec.input)
            outputs = session.run(None, {"images": input_of("float-nchw", pixels)})
            found = parsed_by_deepstream(outputs, 64, 64, threshold, len(spec.class_names))
            ours = detect(pixels).filter(score=threshold)
            wanted = np.column_stack([ours.class_ids, ours.scores, np.clip(ours.boxes, 0, 63)])
            assert len(found) == len(wanted)
            np.testing.assert_array_equal(found[:, 0], wanted[:, 0])
            np.testing.assert_allclose(found[:, 1], wanted[:, 1], atol=1e-4)
            np.testing.assert_allclose(found[:, 2:], wanted[:, 2:], atol=64e-3)
            compared += len(found)
    assert compared > 100


@pytest.fixture(scope="module")
def calibrated(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the calibration table of the model."""
    root = tmp_path_factory.mktemp("calibrated")
    ssd.calibrate(exported, images=exported.parent, workspace=root)
    return root


def int8(exported: Path, root: Path, **options: str) -> Path:
    image = exported.parent / "0.png"
    return ssd.package(exported, host="deepstream", precision="int8", image=image, workspace=root, **options).path


def test_half_precision_is_in_the_graph_and_not_in_a_flag(exported: Path, tmp_path: Path) -> None:
    """The flag would let TensorRT compute the NMS in half precision, which has no whole numbers above 2,048."""
    image = exported.parent / "0.png"
    folder = ssd.package(exported, host="deepstream", precision="fp16", image=image, workspace=tmp_path).path
    keys = groups(folder / "config_infer_primary.txt")
    assert faults(keys, FACTS["nvinfer"]) == []
    assert (keys["property"]["network-mode"], keys["property"]["strongly-typed"]) == ("0", "1")
    model = onnx.load(folder / "model.onnx")
    weights = {entry.name: entry.data_type for entry in model.graph.initializer}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert {weights[node.input[1]] for node in convolutions} == {onnx.TensorProto.FLOAT16}
    kinds = {entry.name: entry.type.tensor_type.elem_type for entry in model.graph.output}
    assert onnx.TensorProto.FLOAT16 not in kinds.values()
    shapes = onnx.shape_inference.infer_shapes(model).graph.value_info
    half = {entry.name for entry in shapes if entry.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16}
    assert not {name for node in model.graph.node if node.op_type in ("TopK", "MatMul") for name in node.input} & half


def test_int8_is_in_the_graph_and_strongly_typed(exported: Path, calibrated: Path) -> None:
    folder = int8(exported, calibrated)
    keys = groups(folder / "config_infer_primary.txt")
    assert faults(keys, FACTS["nvinfer"]) == []
    assert keys["property"]["strongly-typed"] == "1"
    assert "int8-calib-file" not in keys["property"]
    kinds = [node.op_type for node in onnx.load(folder / "model.onnx").graph.node]
    assert kinds.count("DequantizeLinear") > 10
    assert ssd.verify_package(folder).detections >= 1


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp16", "int8", "int8-fp16"])
def test_tensorrt_rtx_builds_the_typed_graph(exported: Path, calibrated: Path, precision: str) -> None:
    image = exported.parent / "0.png"
    made = ssd.package(exported, host="deepstream", precision=precision, image=image, workspace=calibrated)
    assert built_by_tensorrt_rtx(onnx.load(made.path / "model.onnx")) > 100_000


def test_int8_of_older_releases_comes_by_the_calibration_cache(exported: Path, calibrated: Path) -> None:
    folder = int8(exported, calibrated, calibration_cache="10.3.0")
    keys = groups(folder / "config_infer_primary.txt")
    assert faults(keys, FACTS["nvinfer"]) == []
    assert keys["property"]["network-mode"] == "1"
    assert "strongly-typed" not in keys["property"]
    lines = (folder / keys["property"]["int8-calib-file"]).read_text().splitlines()
    assert lines[0] == "TRT-100300-EntropyCalibration2"
    graph = onnx.load(folder / "model.onnx").graph
    tensors = {name for node in graph.node for name in node.output} | {"images"}
    named = {line.rpartition(":")[0] for line in lines[1:]}
    assert len(named & tensors) > 0.9 * len(named)  # TensorRT goes by the names of the graph that it parses


def test_int8_without_a_table_is_refused(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ssd-edge calibrate"):
        int8(exported, tmp_path)
    for precision in ("fp32", "int8-fp16"):
        with pytest.raises(InputError, match="precision=int8"):
            ssd.package(
                exported, host="deepstream", precision=precision, calibration_cache="10.3.0", workspace=tmp_path
            )
