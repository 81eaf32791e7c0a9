"""Times of engines by a stand-in detector, which notes its calls."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from ssd_edge.core.choices import Precision, Target
from ssd_edge.core.manifest import manifest_path
from ssd_edge.engines import benchmark
from ssd_edge.engines.build import build_engine
from ssd_edge.engines.options import TrtOptions
from ssd_edge.engines.processor import processor_builder
from ssd_edge.graph.source import SourceModel, read_onnx
from tests.quantization.square_model import write_square_model


class Detector:
    def __init__(self, name: str, calls: list[str]) -> None:
        self.name, self.calls = name, calls

    def detect_batch(self, images: Sequence[object]) -> None:
        self.calls.append(self.name)


@pytest.mark.parametrize(("seconds", "rounds"), [(2.0, 100), (0.0, 7)])
def test_quick_engines_have_many_rounds_and_slow_ones_some(
    monkeypatch: pytest.MonkeyPatch, seconds: float, rounds: int
) -> None:
    """Of 25 calls of 2 ms one neighbor decides: the choice of a runtime is kept for good."""
    calls: list[str] = []
    monkeypatch.setattr(benchmark, "_SECONDS", seconds)
    monkeypatch.setattr(benchmark, "open_detector", lambda path: nullcontext(Detector(path.name, calls)))
    assert len(benchmark.median_times([Path("a"), Path("b")])) == 2
    assert calls[2:] == ["a", "a", "b", "b"] * rounds, "an untimed call of its own before each timed one"


@pytest.fixture
def source(tmp_path: Path) -> SourceModel:
    return read_onnx(write_square_model(tmp_path / "squares.onnx"))


def built(source: SourceModel, precision: Precision) -> Path:
    return build_engine(source.path, builder=processor_builder(Target.ONNXRUNTIME, precision)).engine


def missing(source: SourceModel) -> tuple[list[Path], tuple[Precision, ...]]:
    found = benchmark.find_alternatives(source, Precision.INT8, Target.ONNXRUNTIME, TrtOptions())
    return list(found.there.values()), found.missing


def test_an_engine_of_the_same_model_is_compared_with(source: SourceModel) -> None:
    assert missing(source) == ([], (Precision.FP32,))
    engine = built(source, Precision.FP32)
    assert missing(source) == ([engine], ())
    assert missing(replace(source, digest="sha256:0")) == ([], (Precision.FP32,))


@pytest.mark.parametrize("spoilt", ["manifest", "no manifest", "engine"])
def test_a_damaged_engine_is_as_good_as_none(source: SourceModel, spoilt: str) -> None:
    engine = built(source, Precision.FP32)
    if spoilt == "engine":
        engine.write_bytes(engine.read_bytes() + b"more")
    elif spoilt == "manifest":
        manifest_path(engine).write_text('{"format": "ssd-edge')
    else:
        manifest_path(engine).unlink()
    assert missing(source) == ([], (Precision.FP32,))
