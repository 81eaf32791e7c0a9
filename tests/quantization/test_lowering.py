"""Every lowering through one door, and its version held to what it gives."""

from __future__ import annotations

import pytest

from ssd_edge.core.choices import Precision, Target
from ssd_edge.core.errors import InputError
from ssd_edge.core.files import text_digest
from ssd_edge.quantization import lowering as module
from ssd_edge.quantization.equalization import equalize
from ssd_edge.quantization.lowering import LOWERING_VERSION, Lowering
from ssd_edge.quantization.qdq_ort import Scheme
from ssd_edge.quantization.trt_cache import write_cache
from tests.graph_digest import graph_digest
from tests.quantization.fake_table import table_for
from tests.quantization.gated_model import gated_model
from tests.quantization.square_model import rescaled, square_model

RECORDED_OPENVINO = "sha256:7cb011085e01e4055d8599591a92dea10ee4a84754191431f687d4c4ec5860bd"
KEPT, FALLBACK = frozenset({"conv2"}), frozenset({"conv3"})
RECORDED = {4: "sha256:747049fc0c7352140cc5d066b2de0e51980409aa24e019616c790843c9631ba7"}


def lowered(precision: Precision, target: Target, *, weak: bool = False, kept: frozenset[str] = frozenset()) -> str:
    model = square_model()
    lower = Lowering(precision, target, weak, keep_float=kept)
    return graph_digest(lower(model, table_for(model), FALLBACK if kept else frozenset()))


def all_lowerings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found = [lowered(Precision.FP16, Target.TENSORRT), lowered(Precision.FP16, Target.TENSORRT, kept=KEPT)]
    for scheme in Scheme:
        monkeypatch.setattr(module, "ort_scheme", lambda scheme=scheme: scheme)
        found += [lowered(Precision.INT8, Target.ONNXRUNTIME, kept=kept) for kept in (frozenset(), KEPT)]
        for gated in (gated_model(), gated_model(mean="{123, 117, 104}")):
            found.append(graph_digest(Lowering(Precision.INT8)(gated, table_for(gated))))
    for precision in (Precision.INT8, Precision.INT8_FP16):
        for weak in (False, True):
            found += [lowered(precision, Target.TENSORRT, weak=weak, kept=kept) for kept in (frozenset(), KEPT)]
    found.append(graph_digest(equalize(rescaled(square_model()), table_for(square_model())).model))
    cache = write_cache(table_for(square_model()), square_model(), version="10.3.0")
    return [*found, text_digest(cache.decode())]


def test_the_version_stands_for_what_the_lowering_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else an engine of the old lowering would be called already built."""
    found = text_digest("\n".join(all_lowerings(monkeypatch)))
    assert RECORDED[LOWERING_VERSION] == found, (
        "the lowered graphs are others than those of this version: "
        "bump LOWERING_VERSION in ssd_edge/quantization/lowering.py, and record the new digest here"
    )


def test_the_version_stands_for_what_openvino_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for scheme in (Scheme.U8S8, Scheme.U8S8_PAIRED):
        monkeypatch.setattr(module, "ort_scheme", lambda scheme=scheme: scheme)
        for low in (-4.0, 0.0):  # signed, and unsigned
            lower = Lowering(Precision.INT8, Target.OPENVINO, keep_float=KEPT)
            found.append(graph_digest(lower(square_model(), table_for(square_model(), low))))
    assert len(set(found)) == 4
    assert text_digest("\n".join(found)) == RECORDED_OPENVINO, "bump LOWERING_VERSION, and record all digests"


def test_each_choice_gives_another_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    found = all_lowerings(monkeypatch)
    assert len(set(found)) == len(found) - 2  # of a weakly typed network flags choose FP16, and not the graph


def test_float32_and_a_calibration_cache_leave_the_graph_as_it_is() -> None:
    model = square_model()
    assert Lowering(Precision.FP32)(model) is model
    assert Lowering(Precision.INT8, Target.TENSORRT, takes_cache=True)(model, table_for(model)) is model


def test_int8_needs_a_table() -> None:
    with pytest.raises(InputError, match="int8 needs a calibration table. Create one: ssd-edge calibrate"):
        Lowering(Precision.INT8)(square_model())
