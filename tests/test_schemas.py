"""docs/schema/ describes what is really written: no field is missing there, and none is wrong."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssd_edge.core.detections import Detections
from ssd_edge.core.frame import Frame
from ssd_edge.core.sample import LabelledSet
from ssd_edge.core.timing import Spread
from ssd_edge.doctor.facts import FACTS_FORMAT
from ssd_edge.doctor.verdict import TOLERANCES, Prediction, StageTable, Verdict
from ssd_edge.evaluation.coco_ap import CocoAp, CocoNumbers
from ssd_edge.evaluation.evaluate import EvaluatedModel, Evaluation, evaluate
from ssd_edge.evaluation.summary import SUMMARY_FORMAT, summary_json
from ssd_edge.evaluation.tide_errors import ErrorCost, error_costs
from ssd_edge.streaming.mqtt.publisher import STATE_FORMAT, state_message
from ssd_edge.streaming.sinks.json_lines import LINE_FORMAT, JsonLinesSink
from ssd_edge.streaming.states import StreamReason, StreamState, StreamStatus
from ssd_edge.workflows.benchmark.result import BENCH_FORMAT
from ssd_edge.workflows.diagnose import DiagnoseResult, examine
from ssd_edge.workflows.label_images import SUMMARY_TAG
from tests.doctor.machines import bare_cpu, facts
from tests.documents import ROOT
from tests.evaluation.test_evaluate import SET_NAMES, find_square, labelled  # noqa: F401
from tests.workflows.benchmark.made_result import made_result

jsonschema = pytest.importorskip("jsonschema")
FOLDER = ROOT / "docs" / "schema"
FORMATS = {"detections-1": LINE_FORMAT, "eval-1": SUMMARY_FORMAT, "doctor-1": FACTS_FORMAT, "bench-1": BENCH_FORMAT,
           "label-summary-1": SUMMARY_TAG, "state-1": STATE_FORMAT}  # fmt: skip


def schema(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text())


def strict(part: Any) -> Any:
    """Return a schema that allows no field that it does not describe."""
    if isinstance(part, list):
        return [strict(entry) for entry in part]
    if not isinstance(part, dict):
        return part
    closed = {} if "additionalProperties" in part or "properties" not in part else {"additionalProperties": False}
    inner = {name: {key: strict(value) for key, value in entry.items()} if name == "properties" else strict(entry)
             for name, entry in part.items()}  # fmt: skip
    return inner | closed


def check(name: str, written: Any) -> None:
    jsonschema.Draft202012Validator(strict(schema(name))).validate(written)


def lines(folder: Path) -> Iterator[Any]:
    image = np.zeros((40, 60, 3), np.uint8)
    found = Detections(
        np.array([[1, 2, 30, 20.5]], np.float32), np.array([0.75], np.float32), np.array([1]), ("a", "b")
    )
    path = folder / "boxes.jsonl"
    with JsonLinesSink(path, stream="gate") as sink:
        for index, detections in ((0, found), (3, found[:0])):
            sink.write(Frame(image, index, 100.0 + index, "rtsp://camera/stream", index / 30), detections)
    for line in path.read_text().splitlines():
        yield json.loads(line)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_schema_is_valid_and_names_its_format(name: str) -> None:
    found = schema(name)
    jsonschema.Draft202012Validator.check_schema(found)
    assert found["properties"]["format"]["const"] == FORMATS[name]
    assert found["$id"] == f"{name}.json"
    assert f"({name}.json)" in (FOLDER / "README.md").read_text()


def test_there_is_no_other_schema() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(FORMATS)


def test_lines_of_run(tmp_path: Path) -> None:
    first, second = lines(tmp_path)
    for line in (first, second):
        check("detections-1", line)
    assert (first["seq"], second["seq"], second["dropped"]) == (0, 1, 2)


def test_states_of_run() -> None:
    check("state-1", json.loads(state_message("gate", StreamStatus("rtsp://camera/1", StreamState.RUNNING))))
    for reason in StreamReason:
        check("state-1", json.loads(state_message("gate", StreamStatus("a", StreamState.STOPPED, reason))))


def test_lines_of_run_with_tracked_objects(tmp_path: Path) -> None:
    found = Detections(
        np.array([[1, 2, 30, 20.5]] * 2, np.float32),
        np.array([0.75, 0.5], np.float32),
        np.array([1, 0]),
        ("a", "b"),
        np.array([12, 3]),
    )
    with JsonLinesSink(tmp_path / "boxes.jsonl") as sink:
        for detections in (found, found[:0]):
            sink.write(Frame(np.zeros((40, 60, 3), np.uint8), 0, 100.0, "0"), detections)
    first, second = (json.loads(line) for line in (tmp_path / "boxes.jsonl").read_text().splitlines())
    check("detections-1", first)
    check("detections-1", second)
    assert [entry["track_id"] for entry in first["detections"]] == [12, 3]
    first["detections"][0]["track_id"] = 0
    with pytest.raises(jsonschema.ValidationError):
        check("detections-1", first)


def test_an_old_reader_finds_its_fields(tmp_path: Path) -> None:
    """What lines had before they named their format: frame, source, t, detections, with the same meaning."""
    line = next(lines(tmp_path))
    old = {key: line[key] for key in ("frame", "source", "t", "detections")}
    assert old == {
        "frame": 0,
        "source": "rtsp://camera/stream",
        "t": 0.0,
        "detections": [{"box": [1.0, 2.0, 30.0, 20.5], "score": 0.75, "class_id": 1, "label": "b"}],
    }


@pytest.mark.parametrize(
    "change",
    [{"seq": -1}, {"time": "2026-11-30 12:00"}, {"detections": [{"box": [1, 2, 3]}]}, {"format": "ssd-edge/run/2"}],
    ids=str,
)  # fmt: skip
def test_a_wrong_line_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        check("detections-1", next(lines(tmp_path)) | change)


def test_a_field_that_is_not_described_is_found(tmp_path: Path) -> None:
    line = next(lines(tmp_path)) | {"surprise": 1}
    jsonschema.validate(line, schema("detections-1"))  # readers pass over it
    with pytest.raises(jsonschema.ValidationError):
        check("detections-1", line)


def test_doctor() -> None:
    asked = facts(copy.deepcopy(bare_cpu()))
    check("doctor-1", json.loads(json.dumps(DiagnoseResult(examine(asked), asked.answers).to_dict())))


def test_doctor_with_its_selftest() -> None:
    allowed = TOLERANCES["int8"]
    stages = (StageTable("enqueue", {"Latency": Spread.of([1.0, 2.0])}, 500.0),)
    ran = Verdict("int8", "tensorrt", allowed, 9, 0, 0.01, 0.02, 0.0, 100, 1.0, 1.1, 1.2, stages, left={"stream": 1},
                  prediction=Prediction("a.onnx", allowed, 0, 0.0, 0.0))  # fmt: skip
    failed = Verdict.failed("fp16", "tensorrt", "no memory", is_virtual=True)
    asked = facts(copy.deepcopy(bare_cpu()))
    machine = DiagnoseResult(examine(asked), asked.answers).to_dict()
    check("doctor-1", json.loads(json.dumps({**machine, "selftest": [ran.to_dict(), failed.to_dict()]})))


def test_bench() -> None:
    check("bench-1", json.loads(made_result().to_json()))


def test_eval(labelled: LabelledSet) -> None:  # noqa: F811
    """Of a detector that is right and one that finds nothing: what may be null is a number once and null once."""
    right = evaluate(find_square({4: 0, 8: 1}), (*SET_NAMES, "other"), labelled)
    blind = evaluate(lambda _: Detections.empty(), SET_NAMES, labelled)
    numbers = CocoAp(CocoNumbers(*(0.5,) * 11, None), {"stop": 0.5, "yield": None})
    models = [
        EvaluatedModel("right", Path("right.onnx"), right, costs(right, labelled), numbers, 3),
        EvaluatedModel("blind", Path("blind.engine"), blind, costs(blind, labelled)),
        EvaluatedModel("plain", Path("plain.pt"), right),
    ]
    written = json.loads(summary_json(models, labelled))
    check("eval-1", written)
    assert ["coco" in model for model in written["models"]] == [True, False, False]
    assert written["models"][0]["classes_not_judged"] == ["other"]


def costs(found: Evaluation, labelled: LabelledSet) -> tuple[ErrorCost, ...]:  # noqa: F811
    return error_costs(found.detections, labelled.samples, found.accuracy)
