"""What a run writes for its contestants, and what it says of files that are damaged or of another network."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from ssd_edge.backends.detector import open_detector
from ssd_edge.core.errors import InputError, MissingPackageError
from ssd_edge.core.files import file_digest
from ssd_edge.core.graph_contract import DIGEST_KEY, INPUT_NAME
from ssd_edge.graph.cut import head_tensors
from ssd_edge.model.checkpoint import save_checkpoint
from ssd_edge.workflows.benchmark import prepare
from ssd_edge.workflows.benchmark.benchmark import bench
from ssd_edge.workflows.benchmark.config import BenchConfig
from ssd_edge.workflows.benchmark.entries import Entry, of_files
from ssd_edge.workflows.benchmark.prepare import read_source, with_sources, write_heads
from ssd_edge.workflows.load import load
from tests.exporting.models import lively_model, pictures
from tests.quantization.square_model import square_model, write_square_model


def entry_of(path: Path) -> Entry:
    (entry,) = of_files([path], BenchConfig(), ("a.jpg",), 1)
    return entry


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "best.pt"
    save_checkpoint(path, lively_model("ssd192-tiny", input_size=64))
    return path


def test_peers_of_a_checkpoint_get_its_network_exported_once(tmp_path: Path, checkpoint: Path) -> None:
    first, second = with_sources([entry_of(checkpoint), entry_of(checkpoint)], tmp_path, tmp_path)
    assert first.source is not None
    assert (first.checkpoint, first.task) == (checkpoint, entry_of(checkpoint).task)
    assert first.source == second.source
    assert [*tmp_path.iterdir()] == [first.source]
    (digest,) = [entry.value for entry in onnx.load(first.source).metadata_props if entry.key == DIGEST_KEY]
    assert digest == file_digest(checkpoint)
    (image,) = pictures(1)
    with open_detector(first.source) as exported, load(checkpoint, device="cpu") as ours:
        found, wanted = exported.detect(image), ours.detect(image)
    assert len(found) == len(wanted) > 0
    np.testing.assert_allclose(found.boxes, wanted.boxes, atol=0.05)
    np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-4)


def test_another_checkpoint_is_exported_beside_the_first(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ssd_edge.exporting.export_onnx.onnx_model", lambda *_: square_model())
    other = lively_model("ssd192-tiny", input_size=64)
    with torch.no_grad():
        next(other.parameters()).mul_(2)
    save_checkpoint(tmp_path / "other.pt", other)
    (folder := tmp_path / "scratch").mkdir()
    entries = with_sources([entry_of(checkpoint), entry_of(tmp_path / "other.pt")], tmp_path, folder)
    assert len({entry.source for entry in entries}) == len([*folder.iterdir()]) == 2


def test_without_pytorch_a_checkpoint_is_refused_with_what_to_install(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(extra: str, what: str, do: str) -> None:
        raise MissingPackageError(f"{what}: {extra}", do=do)

    monkeypatch.setattr(prepare, "require", lacking)
    with pytest.raises(MissingPackageError, match=r"best\.pt must be exported.*pip install"):
        with_sources([entry_of(checkpoint)], tmp_path, tmp_path)
    assert [*tmp_path.iterdir()] == []


def test_a_damaged_source_is_no_source(tmp_path: Path) -> None:
    """Its engine can be measured all the same, without stages and multiply-adds."""
    entry = entry_of(write_square_model(tmp_path / "squares.onnx"))
    source = read_source(entry)
    assert source is not None
    assert source.digest == file_digest(tmp_path / "squares.onnx")
    (tmp_path / "damaged.onnx").write_bytes(b"no model")
    for gone in (tmp_path / "damaged.onnx", tmp_path / "absent.onnx"):
        damaged = dataclasses.replace(entry, source=gone)
        assert read_source(damaged) is None
        assert write_heads(damaged, tmp_path) is None
        (found,) = with_sources([damaged], tmp_path, tmp_path)
        assert (found.source, found.checkpoint) == (gone, None)
    assert read_source(dataclasses.replace(entry, source=None)) is None
    assert [*tmp_path.glob("heads-*")] == []


def test_a_network_is_cut_where_its_boxes_and_scores_are(tmp_path: Path) -> None:
    heads = write_heads(entry_of(write_square_model(tmp_path / "squares.onnx")), tmp_path)
    assert heads is not None
    cut = onnx.load(heads)
    assert tuple(output.name for output in cut.graph.output) == head_tensors(square_model())
    assert [entry.name for entry in cut.graph.input] == [INPUT_NAME]


def test_a_graph_with_other_names_is_not_cut(tmp_path: Path) -> None:
    entry = entry_of(write_square_model(tmp_path / "squares.onnx"))
    model = onnx.load(tmp_path / "squares.onnx")
    name = head_tensors(model)[0]
    for node in model.graph.node:
        node.input[:] = ["another" if name == old else old for old in node.input]
        node.output[:] = ["another" if name == old else old for old in node.output]
    onnx.save(model, tmp_path / "renamed.onnx")
    renamed = dataclasses.replace(entry.task, model=str(tmp_path / "renamed.onnx"))
    assert write_heads(dataclasses.replace(entry, task=renamed), tmp_path) is None
    assert [*tmp_path.glob("heads-*")] == []


def test_an_empty_list_of_precisions_is_refused_before_anything_is_opened(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no precision is given.*int8"):
        bench("ssd192-tiny", precisions=(), workspace=tmp_path)
