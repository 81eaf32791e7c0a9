"""CUDA by pycuda and by cuda-python: on the emulated GPU, and where there is none."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssd_edge.backends.cuda import GraphDriver, load_driver
from ssd_edge.core.errors import DeviceError, MissingPackageError
from tests.backends.tensorrt.test_trt import nothing_left
from tools.emulator.rehearse import needs_emulator, rehearse
from tools.emulator.surroundings import without_pycuda

HERE = "tests.backends.gpu_rehearsals"


def test_without_either_binding_both_reasons_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycuda.driver", None)  # as Python does it for what is not there
    monkeypatch.setitem(sys.modules, "ssd_edge.backends.cuda_python", None)
    with pytest.raises(MissingPackageError) as missing:
        load_driver()
    for part in ("pycuda.driver", "ssd_edge.backends.cuda_python"):
        assert part in missing.value.got
    assert "pip install cuda-bindings" in missing.value.do


def test_an_array_that_is_not_one_piece_of_memory_is_not_copied() -> None:
    """The driver would take the bytes between its rows along."""
    pytest.importorskip("cuda.bindings.driver", reason="cuda-python is not installed: pip install cuda-bindings")
    from ssd_edge.backends.cuda_python import _address

    whole = np.arange(24, dtype=np.float32).reshape(4, 6)
    assert ctypes.string_at(_address(whole[1:3]), 48) == whole[1:3].tobytes()
    for pieces in (whole[:, ::2], whole.T, whole[::-1]):
        with pytest.raises(DeviceError, match=r"got strides .*wanted a contiguous array"):
            _address(pieces)


class StuckDriver:
    """It shows a context, and will not take it off the thread."""

    popped = 0

    def cuCtxGetCurrent(self, context: Any) -> int:  # noqa: N802 - the driver's name
        context._obj.value = 4711
        return 0

    def cuCtxPopCurrent_v2(self, _: Any) -> int:  # noqa: N802 - the driver's name
        self.popped += 1
        return 201  # CUDA_ERROR_INVALID_CONTEXT


def test_a_context_that_cannot_be_taken_off_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = StuckDriver()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: stuck)
    GraphDriver().pop_context()
    assert stuck.popped == 1


@needs_emulator
def test_only_its_owner_closes_what_it_has_open() -> None:
    (other, owner), report = rehearse(f"{HERE}:closed_by_another_thread")
    assert "does not own the CUDA context" in other[0]
    assert owner == []
    assert report["faults"] == []
    assert nothing_left(report)


@needs_emulator
@pytest.mark.parametrize("binding", ["pycuda.driver", "ssd_edge.backends.cuda_python"])
def test_the_stages_of_an_engine_are_timed_by_either_binding(tmp_path: Path, binding: str) -> None:
    env = {}
    if binding != "pycuda.driver":
        pytest.importorskip("cuda.bindings", reason="cuda-python is not installed: pip install cuda-bindings")
        env = without_pycuda("10.3")
    found, report = rehearse(f"{HERE}:stages", env=env, folder=str(tmp_path))
    assert found["binding"] == binding
    assert (found["modes"], found["counts"]) == (["enqueue", "graph"], [3])
    assert found["least"] >= 0
    assert found["outputs"] == 1, "a graph finds what plain enqueue finds"
    assert found["held"] == {}
    assert report["faults"] == []
    assert nothing_left(report)


@needs_emulator
def test_a_gpu_that_fails_while_its_stages_are_timed_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    answers, _ = rehearse(f"{HERE}:stages_of_a_gpu_that_fails", folder=str(tmp_path))
    assert answers
    for answer in answers:
        assert "bright.fp32.tensorrt.engine" in answer["error"] or "TensorRT" in answer["error"], answer
        assert answer["held"] == {}, answer
        assert answer["report"]["faults"] == [], answer
        assert nothing_left(answer["report"]), answer


@needs_emulator
def test_an_engine_with_other_tensors_is_refused(tmp_path: Path) -> None:
    said, report = rehearse(f"{HERE}:other_tensors", folder=str(tmp_path))
    assert said.startswith("ArtifactError: ")
    assert "does not have the inputs and outputs of an ssd-edge model: got " in said
    assert "boxes FLOAT" in said.partition("wanted")[0]
    assert "nmsed_boxes FLOAT" in said.partition("wanted")[2]
    assert report["faults"] == []
    assert nothing_left(report)
