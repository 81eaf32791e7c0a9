from __future__ import annotations

import json
from pathlib import Path

import pytest

from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.files import text_digest
from ssd_edge.core.manifest import EngineManifest, manifest_path
from tests.core.factories import manifest


def test_file_returns_the_same_manifest(tmp_path: Path) -> None:
    manifest().save(tmp_path / "tiny.json")
    assert EngineManifest.load(tmp_path / "tiny.json") == manifest()


def test_changed_engine_is_refused_with_the_command_that_mends_it(tmp_path: Path) -> None:
    engine = tmp_path / "tiny.fp32.onnxruntime.engine"
    engine.write_text("engine")
    manifest(engine_digest=text_digest("engine")).refuse_if_changed(engine)
    engine.write_text("another")
    with pytest.raises(ArtifactError, match=r"is not the file that its manifest .*ssd-edge build .*/tiny\.onnx"):
        manifest(engine_digest=text_digest("engine")).refuse_if_changed(engine)


def test_engine_of_an_older_onnx_is_refused_with_the_command_that_mends_it(tmp_path: Path) -> None:
    engine = tmp_path / "tiny.fp32.onnxruntime.engine"
    found = manifest(onnx_digest=text_digest("exported"))
    found.refuse_if_stale(engine)  # on a board the ONNX need not lie beside
    (tmp_path / "tiny.onnx").write_text("exported")
    found.refuse_if_stale(engine)
    (tmp_path / "tiny.onnx").write_text("exported again")
    with pytest.raises(
        ArtifactError, match=r"was built from another version of .*/tiny\.onnx: .*ssd-edge build .*/tiny\.onnx"
    ):
        found.refuse_if_stale(engine)


def test_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"a\.json does not exist.*Copy it next to the engine"):
        EngineManifest.load(tmp_path / "a.json")


@pytest.mark.parametrize("text", ["{", "[]", '{"format": "ssd-edge/engine/3"}'])
def test_damaged_manifest_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"a\.json is a damaged manifest: got .*Build the engine again"):
        EngineManifest.load(tmp_path / "a.json")


@pytest.mark.parametrize(
    "changes",
    [
        {"target": None},
        {"target": "a newer one"},
        {"onnx": 5},
        {"batch": [1]},
        {"options": {"nms": 1}},
        {"accuracy": {"map_50_float": 0.5, "map_50": "0.5"}},
        {"times_ms": {"int7": 1.0}},
    ],
)
def test_manifest_with_fields_of_other_types_is_named(tmp_path: Path, changes: dict[str, object]) -> None:
    manifest().save(tmp_path / "a.json")
    (tmp_path / "a.json").write_text(json.dumps({**json.loads((tmp_path / "a.json").read_text()), **changes}))
    with pytest.raises(ArtifactError, match=r"a\.json is a damaged manifest: got "):
        EngineManifest.load(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("found", "do"),
    [
        ("ssd-edge/engine/2", r"Build the engine again: ssd-edge build$"),
        ("ssd-edge/engine/7", r"It was written by a newer ssd-edge: update ssd-edge"),
    ],
)
def test_other_format_is_refused(tmp_path: Path, found: str, do: str) -> None:
    manifest().save(tmp_path / "a.json")
    fields = json.loads((tmp_path / "a.json").read_text())
    (tmp_path / "a.json").write_text(json.dumps({**fields, "format": found}))
    with pytest.raises(ArtifactError, match=rf"got '{found}'; wanted ssd-edge/engine/3\. {do}"):
        EngineManifest.load(tmp_path / "a.json")


def test_manifest_lies_beside_the_engine() -> None:
    assert manifest_path(Path("engines/m/m.int8.onnxruntime.engine")) == Path("engines/m/m.int8.onnxruntime.json")


@pytest.mark.parametrize("name", ["x" * 300 + ".onnx", "y/" * 3000 + "a.onnx", "a\0b.onnx"])
def test_of_an_onnx_that_no_file_can_be_called_nothing_is_said(tmp_path: Path, name: str) -> None:
    manifest(onnx=name).refuse_if_stale(tmp_path / "tiny.fp32.onnxruntime.engine")
