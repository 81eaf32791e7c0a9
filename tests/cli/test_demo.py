"""The whole chain, every step of it real, in seconds."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from ssd_edge.core.errors import InputError, ParityError
from ssd_edge.core.manifest import EngineManifest, manifest_path
from ssd_edge.demo.plan import FULL, QUICK, DemoFiles, DemoPlan

pytest.importorskip("torch")

STEPS = ["synth", "film", "train", "export", "build", "run", "preview", "eval"]


def run_demo(folder: Path, *options: str):
    return CliRunner().invoke(app, ["demo", "--quick", "--folder", str(folder), *options])


def done_again(stderr: str) -> list[str]:
    return [name for name in STEPS if f"{name} …" in stderr.splitlines()]


@pytest.fixture(scope="module", autouse=True)
def _one_core() -> Iterator[None]:
    """Tests run side by side; PyTorch's threads would wait for one another's turn on the same cores."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ssd_edge.backends.cpu.physical_cores", lambda: 1)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[DemoFiles, str]:
    folder = tmp_path_factory.mktemp("demo") / "demo"
    result = run_demo(folder)
    assert result.exit_code == 0, result.stderr
    assert done_again(result.stderr) == STEPS
    return DemoFiles(folder), result.stdout


@pytest.fixture
def copied(finished: tuple[DemoFiles, str], tmp_path: Path) -> DemoFiles:
    """A finished demo of one's own."""
    shutil.copytree(finished[0].folder, tmp_path / "demo")
    return DemoFiles(tmp_path / "demo")


def test_the_chain_leaves_a_workspace_with_everything_in_it(finished: tuple[DemoFiles, str]) -> None:
    files, _ = finished
    assert files.checkpoint.is_file()
    assert (files.run / "metrics.csv").is_file()
    manifest = EngineManifest.load(manifest_path(files.engine))
    manifest.refuse_if_changed(files.engine)
    assert manifest.spec.name == "signs"
    assert len(manifest.spec.class_names) == 8
    assert len(list(files.stills.glob("*.jpg"))) == QUICK.stills


@pytest.mark.parametrize(
    ("film", "frames", "size"), [("annotated", 8, (160, 96)), ("preview", 4, (80, 48)), ("video", 8, (160, 96))]
)
def test_the_films_play(finished: tuple[DemoFiles, str], film: str, frames: int, size: tuple[int, int]) -> None:
    capture = cv2.VideoCapture(str(getattr(finished[0], film)))
    shown = 0
    while True:
        read, image = capture.read()
        if not read:
            break
        assert (image.shape[1], image.shape[0]) == size
        shown += 1
    assert shown == frames


def test_every_frame_has_a_line(finished: tuple[DemoFiles, str]) -> None:
    lines = [json.loads(line) for line in finished[0].lines.read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(QUICK.video_frames))


def test_checkpoint_onnx_and_engine_are_equally_accurate(finished: tuple[DemoFiles, str]) -> None:
    figures = json.loads(finished[0].figures.read_text(encoding="utf-8"))
    first, *others = figures["models"]
    assert figures["images"] == QUICK.test
    assert len(others) == 2
    assert all(entry["map"] == pytest.approx(first["map"], abs=5e-4) for entry in others)


def test_figures_are_printed_and_on_the_page(finished: tuple[DemoFiles, str]) -> None:
    files, stdout = finished
    page = files.report.read_text(encoding="utf-8")
    for entry in json.loads(files.figures.read_text(encoding="utf-8"))["models"]:
        assert f"{entry['map']:.4f}" in stdout
        assert f"<td>{entry['map']:.4f}</td>" in page
    assert 'src="preview.webm"' in page
    assert 'href="detections.jsonl"' in page
    assert "trained for 2 epochs, or 0.2 minutes, on 32 generated images, evaluated on 12" in page


def nothing(files: DemoFiles) -> None:
    pass


def lose_the_lines(files: DemoFiles) -> None:
    files.lines.unlink()


def lose_the_engine(files: DemoFiles) -> None:
    files.engine.unlink()


def edit_the_page(files: DemoFiles) -> None:
    files.report.write_text("mine")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (nothing, []),
        (lose_the_lines, ["run"]),
        (lose_the_engine, ["build"]),
        (edit_the_page, ["eval"]),
    ],
)
def test_a_second_run_does_only_what_changed(
    copied: DemoFiles, change: Callable[[DemoFiles], None], expected: list[str]
) -> None:
    change(copied)
    result = run_demo(copied.folder)
    assert result.exit_code == 0, result.stderr
    assert done_again(result.stderr)[: len(expected) or None] == expected  # later steps only where their input changed
    assert "train: unchanged, reused: mAP@0.5" in result.stderr


def test_an_int8_build_in_its_workspace_needs_no_further_argument(
    copied: DemoFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copied.folder)
    result = CliRunner().invoke(app, ["build", "--int8"])
    assert result.exit_code == 0, result.stderr
    assert "using the training data of signs: " in result.stderr
    assert list((copied.folder / "engines/signs").glob("*.int8.onnxruntime.engine"))


def test_a_step_that_fails_keeps_what_was_there_before(copied: DemoFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    from ssd_edge.exporting import export_onnx as export_room

    def fail(*arguments: object, **options: object) -> None:
        raise ParityError("no two alike")

    copied.onnx.unlink()
    checkpoint = copied.checkpoint.read_bytes()
    with monkeypatch.context() as broken:
        broken.setattr(export_room, "export_onnx", fail)
        result = run_demo(copied.folder)
    assert result.exit_code == 1
    assert "ssd-edge: no two alike" in result.stderr
    assert copied.checkpoint.read_bytes() == checkpoint
    assert copied.report.is_file()
    again = run_demo(copied.folder)
    assert again.exit_code == 0
    assert done_again(again.stderr)[0] == "export"
    assert copied.onnx.is_file()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    result = run_demo(tmp_path / "file" / "demo")
    assert result.exit_code == 1
    assert "demo cannot be written" in result.stderr
    assert "Traceback" not in result.stderr


def test_without_pytorch_it_says_what_to_install(copied: DemoFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(copied.run)
    monkeypatch.setitem(sys.modules, "torch", None)
    result = run_demo(copied.folder)
    assert result.exit_code == 1
    assert "training needs PyTorch" in result.stderr
    assert "pip install 'ssd-edge[train,export]'" in result.stderr


@pytest.mark.parametrize(("quick", "plan"), [(True, QUICK), (False, FULL)])
def test_the_time_to_train_can_be_chosen(monkeypatch: pytest.MonkeyPatch, quick: bool, plan: DemoPlan) -> None:
    asked: list[DemoPlan] = []

    def stop(plan: DemoPlan, *_: object, **__: object) -> None:
        asked.append(plan)
        raise InputError("enough")

    monkeypatch.setattr("ssd_edge.demo.steps.run_demo", stop)
    for minutes in ([], ["--minutes", "2.5"]):
        result = CliRunner().invoke(app, ["demo", *(["--quick"] if quick else []), *minutes])
        assert (result.exit_code, result.stderr) == (1, "ssd-edge: enough\n")
    assert asked == [plan, dataclasses.replace(plan, minutes=2.5)]
