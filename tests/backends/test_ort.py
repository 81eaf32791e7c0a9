from __future__ import annotations

import builtins
import dataclasses
import errno
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from ssd_edge.backends.cpu import Threads
from ssd_edge.backends.ort import OrtBackend
from ssd_edge.backends.ort_session import open_session, ort_errors
from ssd_edge.core.errors import ArtifactError, InputError, MissingPackageError
from tests.backends.tiny_onnx import KEPT, SIZE, tiny_spec, write_tiny_onnx
from tests.full_disk import full_after


def picture(x1: int, y1: int, x2: int, y2: int) -> np.ndarray:
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    image[y1:y2, x1:x2] = 255
    return image


def test_a_foreign_onnx_is_refused_by_what_it_looks_like(tmp_path: Path) -> None:
    path = write_tiny_onnx(tmp_path / "foreign.onnx", with_spec=False)
    with pytest.raises(
        ArtifactError, match=r"not exported by ssd-edge: got images uint8 \(batch, 64, 64, 3\) -> num_"
    ) as it:
        OrtBackend(path)
    assert str(it.value).endswith(f"ssd-edge import {path}")


@pytest.mark.parametrize(("old", "new"), [("images", "input_0"), ("nmsed_scores", "scores")])
def test_other_names_break_the_contract(tiny_onnx: Path, old: str, new: str) -> None:
    model = onnx.load(tiny_onnx)
    for entry in [*model.graph.input, *model.graph.output]:
        entry.name = new if entry.name == old else entry.name
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]
    onnx.save(model, tiny_onnx)
    with pytest.raises(
        ArtifactError, match=rf"does not have the inputs and outputs of an ssd-edge model: got .*{new}.*wanted .*{old}"
    ):
        OrtBackend(tiny_onnx)


def test_rows_other_than_the_specs_break_the_contract(tiny_onnx: Path) -> None:
    model = onnx.load(tiny_onnx)
    spec = tiny_spec()
    spec = dataclasses.replace(spec, nms=dataclasses.replace(spec.nms, keep_top_k=KEPT + 1))
    onnx.helper.set_model_props(model, {"ssd_edge.spec": spec.to_json()})
    onnx.save(model, tiny_onnx)
    with pytest.raises(ArtifactError, match="with 4 rows"):
        OrtBackend(tiny_onnx)


def test_a_damaged_onnx_is_named(tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_text("this is no model")
    with pytest.raises(ArtifactError, match=r"ONNX Runtime .* cannot run .*text\.onnx: got "):
        OrtBackend(path)


def test_metadata_that_are_no_text_are_named(tiny_onnx: Path) -> None:
    content = tiny_onnx.read_bytes()
    assert content.count(b'"mean"') == 1
    tiny_onnx.write_bytes(content.replace(b'"mean"', b'"m\x80an"'))
    with pytest.raises(ArtifactError, match="cannot run .*: got 'utf-8' codec"):
        OrtBackend(tiny_onnx)


def test_a_missing_onnx_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.onnx does not exist"):
        OrtBackend(tmp_path / "absent.onnx")


def test_a_graph_that_fails_while_it_runs_is_named(tiny_onnx: Path) -> None:
    model = onnx.load(tiny_onnx)
    for constant in model.graph.initializer:
        if constant.name == "per_pixel":  # five values cannot be multiplied with the four corners
            constant.CopyFrom(onnx.numpy_helper.from_array(np.ones(5, np.float32), "per_pixel"))
    del model.graph.value_info[:]
    with pytest.raises(ArtifactError, match="cannot run"):
        onnx.save(model, tiny_onnx)
        OrtBackend(tiny_onnx).infer(picture(0, 0, 9, 9)[None])


def test_missing_onnxruntime_is_named(tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name.startswith("onnxruntime"):
            raise ImportError("No module named 'onnxruntime'")
        return original(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingPackageError, match="pip install onnxruntime"):
        OrtBackend(tiny_onnx)


@pytest.mark.parametrize("spin", [True, False])
def test_threads_spin_for_a_tenth_of_a_millisecond_or_not_at_all(
    tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch, spin: bool
) -> None:
    made = onnxruntime.InferenceSession
    seen: list[tuple[str, str, str]] = []
    entries = ("intra_op.allow_spinning", "intra_op.spin_duration_us", "force_spinning_stop")

    def noted(model: str, options: onnxruntime.SessionOptions, **others: object) -> onnxruntime.InferenceSession:
        seen.append(tuple(options.get_session_config_entry(f"session.{name}") for name in entries))  # type: ignore[arg-type]
        return made(model, options, **others)

    monkeypatch.setattr("onnxruntime.InferenceSession", noted)
    with OrtBackend(tiny_onnx, Threads(1, per_worker=2, spin=spin)) as backend:
        backend.infer(np.zeros((1, SIZE, SIZE, 3), np.uint8))
    assert seen == [("1" if spin else "0", "100", "1")]


def test_an_optimized_graph_that_the_disk_refuses_is_the_disks_error(tiny_onnx: Path) -> None:
    """ONNX Runtime says only that it failed."""
    path = tiny_onnx.with_suffix(".engine")
    with full_after(100), pytest.raises(OSError, match="too large") as refused:
        open_session(tiny_onnx, threads=1, optimize=True, save_to=path)
    assert (refused.value.errno, refused.value.filename) == (errno.EFBIG, str(path))


def test_where_the_disk_has_room_again_what_onnx_runtime_said_is_kept(tiny_onnx: Path) -> None:
    path = tiny_onnx.with_suffix(".engine")
    for save_to, kind in ((path, OSError), (None, ArtifactError)):
        with pytest.raises(kind, match="Protobuf serialization failed"), ort_errors(tiny_onnx, save_to):
            raise RuntimeError("Protobuf serialization failed")
