from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.progress import ProgressEvent
from ssd_edge.core.runs import record_run
from ssd_edge.core.workspace import newest_onnx
from ssd_edge.model.checkpoint import save_checkpoint
from ssd_edge.workflows.export import ExportConfig, ExportOptions, export
from tests.exporting.models import lively_model


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("workspace")
    for name in ("last", "first"):
        save_checkpoint(root / f"runs/{name}/best.pt", lively_model("ssd192-tiny", input_size=64))
    for name in ("first", "last"):
        record_run(root / f"runs/{name}/best.pt", "trained")
    return root


def test_the_keywords_are_the_fields_of_the_config() -> None:
    assert set(ExportOptions.__annotations__) == {field.name for field in dataclasses.fields(ExportConfig)}


def test_a_workspace_elsewhere_is_exported_in_silence(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    events: list[ProgressEvent] = []
    result = export(workspace=workspace, progress=events.append, score_threshold=0.02)
    assert result.checkpoint == workspace / "runs/last/best.pt"
    assert result.path == workspace / "engines/lively/lively.onnx"
    assert newest_onnx(workspace).path == result.path
    assert result.spec.nms.score_threshold == 0.02
    assert result.parity.holds
    assert result.left_out == ()
    assert {event.stage for event in events} == {"comparing"}
    assert (events[-1].done, events[-1].total, events[-1].is_over) == (8, 8, True)
    assert capfd.readouterr() == ("", "")


def test_options_go_into_the_config_or_beside_it() -> None:
    with pytest.raises(InputError, match="options are given twice: config= and top_k"):
        export("runs/a/best.pt", config=ExportConfig(), top_k=5)


@pytest.mark.parametrize(
    ("options", "limits"),
    [
        ({"max_candidates": 1000}, (100, 1000, 1000)),
        ({"max_candidates": 50}, (50, 50, 400)),
        ({"top_k": 60}, (60, 60, 60)),
        ({"keep_top_k": 500}, (500, 500, 500)),
        ({"keep_top_k": 20}, (20, 400, 400)),
        ({"keep_top_k": 20, "top_k": 2000}, (20, 400, 2000)),
        ({"keep_top_k": 450, "top_k": 2000}, (450, 450, 2000)),
    ],
)
def test_limits_that_are_not_named_give_way(
    workspace: Path, tmp_path: Path, options: ExportOptions, limits: tuple[int, int, int]
) -> None:
    found = export(workspace=workspace, output=tmp_path / "a.onnx", **options).spec.nms
    assert (found.keep_top_k, found.max_candidates, found.top_k) == limits


@pytest.mark.parametrize(
    "options", [{"max_candidates": 1000, "top_k": 500}, {"keep_top_k": 300, "max_candidates": 200}]
)
def test_limits_that_contradict_each_other_are_refused(workspace: Path, tmp_path: Path, options: ExportOptions) -> None:
    with pytest.raises(ArtifactError, match="is out of range"):
        export(workspace=workspace, output=tmp_path / "a.onnx", **options)
    assert not (tmp_path / "a.onnx").exists()


def test_a_note_that_cannot_be_written_ends_it_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "engines").mkdir()
    os.mkfifo(tmp_path / "engines/exported.json")
    with pytest.raises(InputError, match=r"exported\.json is not a regular file"):
        export(tmp_path / "best.pt", workspace=tmp_path)
    assert [path.name for path in (tmp_path / "engines").iterdir()] == ["exported.json"]


def test_notes_that_the_work_does_not_write_do_not_hinder_it(workspace: Path, tmp_path: Path) -> None:
    for name in ("current.json", "exported.json"):
        (tmp_path / "engines" / name).mkdir(parents=True)
    made = export(workspace / "runs/first/best.pt", workspace=tmp_path, output=tmp_path / "a.onnx")
    assert made.path == tmp_path / "a.onnx"
    assert made.path.is_file()
