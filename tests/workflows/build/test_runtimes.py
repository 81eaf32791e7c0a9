"""Which runtime of a processor ``--target auto`` is: measured once, noted, and read before all else."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import onnx
import pytest

from ssd_edge.benchmarking.load import NeighborLoad
from ssd_edge.core.choices import Precision, Target
from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.log import log
from ssd_edge.core.manifest import EngineManifest, manifest_path
from ssd_edge.workflows.build import runtimes
from ssd_edge.workflows.build.build import build
from ssd_edge.workflows.build.runtimes import RuntimeRecord
from ssd_edge.workflows.calibrate import calibrate
from tests.quantization.square_model import rescaled, square_model, write_pictures, write_square_model

ORT, OPENVINO = Target.ONNXRUNTIME, Target.OPENVINO


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("SSD_EDGE_CPU_RUNTIME")
    monkeypatch.setattr("ssd_edge.engines.benchmark._ROUNDS", 2)
    monkeypatch.setattr(log, "handlers", [logging.NullHandler()])
    write_square_model(tmp_path / "engines/squares/squares.onnx")
    return tmp_path


class Clock:
    """Stands in for the measurement: ONNX Runtime takes 10 ms, OpenVINO what it is set to."""

    def __init__(self) -> None:
        self.openvino_ms = 5.0
        self.timed: list[list[tuple[Target, Precision]]] = []

    def __call__(self, engines: Sequence[Path], batch: int = 1) -> list[float]:
        manifests = [EngineManifest.load(manifest_path(engine)) for engine in engines]
        self.timed.append([(manifest.target, manifest.precision) for manifest in manifests])
        return [10.0 if manifest.target is ORT else self.openvino_ms for manifest in manifests]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(runtimes, "median_times", clock)
    return clock


def record(root: Path) -> RuntimeRecord:
    return RuntimeRecord.load(root / "engines/squares/runtimes.json")


def test_both_are_timed_and_the_choice_is_written_and_built(root: Path) -> None:
    """With the real clock: whichever it is, the engine is of the one that took less."""
    made = build(workspace=root)
    (choice,) = record(root).choices
    assert made.manifest.target is choice.target
    assert set(choice.times_ms) == {ORT, OPENVINO}
    assert min(choice.times_ms.values()) > 0
    is_worth = choice.times_ms[OPENVINO] < 0.95 * choice.times_ms[ORT]
    assert choice.target is (OPENVINO if is_worth else ORT)
    assert choice.precision is Precision.FP32
    assert choice.onnx_digest == made.manifest.onnx_digest
    assert choice.processor.startswith(made.manifest.device)
    assert choice.versions[choice.target] == made.manifest.runtime_version


def test_it_is_measured_once_for_each_precision(root: Path, clock: Clock) -> None:
    write_pictures(root / "images", 6)
    calibrate(images=root / "images", method="minmax", workspace=root)
    for _ in range(2):
        assert build(workspace=root).manifest.target is OPENVINO
        assert build(precision="int8", workspace=root).manifest.target is OPENVINO
    assert build(workspace=root).reused
    pairs = [[(target, precision) for target in (ORT, OPENVINO)] for precision in (Precision.FP32, Precision.INT8)]
    assert clock.timed == pairs
    assert [choice.precision for choice in record(root).choices] == [Precision.FP32, Precision.INT8]


@pytest.mark.parametrize(("openvino_ms", "chosen"), [(5.0, OPENVINO), (9.6, ORT), (10.0, ORT), (20.0, ORT)])
def test_a_small_gain_leaves_onnx_runtime(root: Path, clock: Clock, openvino_ms: float, chosen: Target) -> None:
    clock.openvino_ms = openvino_ms
    assert build(workspace=root).manifest.target is chosen


@pytest.mark.parametrize("target", [ORT, OPENVINO])
def test_a_target_that_is_named_is_not_measured(root: Path, clock: Clock, target: Target) -> None:
    assert build(target=target, workspace=root).manifest.target is target
    assert not clock.timed
    assert not record(root).choices


def test_a_runtime_that_the_environment_names_is_taken_unmeasured(
    root: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSD_EDGE_CPU_RUNTIME", "openvino")
    assert build(workspace=root).manifest.target is OPENVINO
    monkeypatch.setenv("SSD_EDGE_CPU_RUNTIME", "tensorrt")
    with pytest.raises(InputError, match="SSD_EDGE_CPU_RUNTIME does not name a runtime for the CPU: got tensorrt"):
        build(workspace=root)
    assert not clock.timed


def test_one_runtime_is_not_measured(root: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "is_installed", lambda: False)
    assert build(workspace=root).manifest.target is ORT
    assert not clock.timed


@pytest.mark.parametrize("field", ["onnx_digest", "processor", "versions"])
def test_another_model_processor_or_release_is_measured_anew(root: Path, clock: Clock, field: str) -> None:
    build(workspace=root)
    (choice,) = record(root).choices
    other: object = {ORT: "1.0", OPENVINO: "2.0"} if field == "versions" else "another"
    RuntimeRecord((dataclasses.replace(choice, **{field: other}),)).save(root / "engines/squares/runtimes.json")
    build(workspace=root)
    assert len(clock.timed) == 2
    assert choice.is_of(record(root).choices[-1])


def test_choices_of_an_older_model_go(root: Path, clock: Clock) -> None:
    build(workspace=root)
    onnx.save(rescaled(square_model(), 3), root / "engines/squares/squares.onnx")
    made = build(workspace=root)
    assert [choice.onnx_digest for choice in record(root).choices] == [made.manifest.onnx_digest]


def test_force_measures_again(root: Path, clock: Clock) -> None:
    build(workspace=root)
    clock.openvino_ms = 20.0
    assert build(workspace=root).manifest.target is OPENVINO
    assert build(force=True, workspace=root).manifest.target is ORT
    assert [choice.target for choice in record(root).choices] == [ORT]


def test_a_damaged_record_is_refused_with_what_to_do(root: Path, clock: Clock) -> None:
    (root / "engines/squares/runtimes.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"runtimes\.json is a damaged record of runtimes.*Delete it"):
        build(workspace=root)


def test_a_runtime_that_fails_is_told_and_the_other_taken(
    root: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise ArtifactError("OpenVINO cannot run it")

    monkeypatch.setattr("ssd_edge.engines.openvino_build.compile_bytes", failing)
    with caplog.at_level("WARNING", logger="ssd_edge"):
        assert build(workspace=root).manifest.target is ORT
    assert "ONNX Runtime and OpenVINO are not compared, as one of them fails: OpenVINO cannot run it" in caplog.text
    assert not record(root).choices


def test_a_choice_that_cannot_be_stored_is_taken_and_measured_again(
    root: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise InputError("runtimes.json cannot be written (No space left on device)")

    monkeypatch.setattr(RuntimeRecord, "save", full)
    with caplog.at_level("INFO", logger="ssd_edge"):
        assert build(workspace=root).manifest.target is OPENVINO
    assert "the choice of runtime cannot be stored: runtimes.json cannot be written" in caplog.text
    assert not (root / "engines/squares/runtimes.json").exists()
    before = len(clock.timed)
    build(workspace=root)
    assert len(clock.timed) > before


def test_a_busy_machine_is_told(
    root: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(
        "ssd_edge.benchmarking.load.LoadMonitor.report", lambda _: NeighborLoad((), 1.5, 0.25, (("make", 1.5),))
    )
    with caplog.at_level("INFO", logger="ssd_edge"):
        build(workspace=root)
    (choice,) = record(root).choices
    assert (choice.others, choice.is_disturbed) == (1.75, True)
    assert "target openvino: openvino 5.00 ms, onnxruntime 10.00 ms per image" in caplog.text
    assert "other processes used 1.8 cores during" in caplog.text
    fields = json.loads((root / "engines/squares/runtimes.json").read_text())
    assert fields["format"] == "ssd-edge/runtimes/1"
    caplog.clear()
    with caplog.at_level("INFO", logger="ssd_edge"):
        build(workspace=root)
    assert "as measured before" in caplog.text
    assert "other processes used 1.8 cores during" in caplog.text, "it is kept, and so is the doubt"


def test_a_record_that_names_no_runtime_of_a_processor_is_measured_over(root: Path, clock: Clock) -> None:
    build(workspace=root)
    path = root / "engines/squares/runtimes.json"
    path.write_text(path.read_text().replace('"target": "openvino"', '"target": "tensorrt"'))
    assert build(workspace=root).manifest.target is OPENVINO
    assert [choice.target for choice in record(root).choices] == [OPENVINO]
