"""Who takes part under which name and in which group, and which engines of a workspace are the same model's."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.manifest import manifest_path
from ssd_edge.workflows.benchmark.config import BenchConfig
from ssd_edge.workflows.benchmark.entries import Entry, default_models, of_files, with_same_groups
from ssd_edge.workflows.build.build import build
from ssd_edge.workflows.workspace import use_engine
from tests.quantization.square_model import write_square_model


def entries_of(*paths: Path) -> list[Entry]:
    return of_files(paths, BenchConfig(score_threshold=0.4), ("a.jpg", "b.jpg"), 3)


def test_a_checkpoint_is_in_the_group_of_its_run() -> None:
    best, other = entries_of(Path("runs/signs/best.pt"), Path("exports/signs-v2.pt"))
    assert [(entry.group, entry.precision, entry.runtime) for entry in (best, other)] == [
        ("signs", "fp32", "torch"),
        ("signs-v2", "fp32", "torch"),
    ]
    assert (best.checkpoint, best.source) == (Path("runs/signs/best.pt"), None)
    assert (best.task.images, best.task.threads, best.task.score_threshold) == (("a.jpg", "b.jpg"), 3, 0.4)
    assert best.is_ours


def test_two_files_of_one_name_are_told_apart_by_their_folders() -> None:
    names = [entry.name for entry in entries_of(Path("runs/a/best.pt"), Path("runs/b/best.pt"), Path("runs/b/best.pt"))]
    assert names == ["runs/a/best.pt", "runs/b/best.pt #1", "runs/b/best.pt #2"]


def test_an_engine_says_what_it_is_and_joins_the_group_of_its_model(tmp_path: Path) -> None:
    source = write_square_model(tmp_path / "signs.onnx")
    engine = build(source, target="onnxruntime", workspace=tmp_path).path
    made, exported = with_same_groups(entries_of(engine, source))
    assert (made.name, made.precision, made.runtime) == (engine.stem, "fp32", "onnxruntime")
    assert made.source is not None
    assert made.source.resolve() == source.resolve()
    assert made.group == exported.group == "selftest"
    source.unlink()
    (alone,) = entries_of(engine)
    assert alone.source is None
    manifest_path(engine).write_text("{}")
    with pytest.raises(ArtifactError):
        entries_of(engine)


def test_an_engine_whose_manifest_is_damaged_is_none_of_the_same_model(tmp_path: Path) -> None:
    source = write_square_model(tmp_path / "engines/squares/squares.onnx")
    first = build(source, target="onnxruntime", workspace=tmp_path).path
    second = build(source, target="onnxruntime", workspace=tmp_path, output=first.with_name("second.engine")).path
    use_engine(first, workspace=tmp_path)
    assert default_models(tmp_path) == [first, second]
    manifest_path(second).write_text('{"format": "ssd-edge/engine/99"}')
    assert default_models(tmp_path) == [first]
    first.unlink()
    assert [path.resolve() for path in default_models(tmp_path)] == [source.resolve()]
