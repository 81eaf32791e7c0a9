"""The engine beside its own lowered graph on the processor: the prediction by which its accuracy was judged."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.cli.console import say
from ssd_edge.core.files import file_digest
from ssd_edge.core.manifest import EngineManifest, manifest_path

if TYPE_CHECKING:
    from ssd_edge.core.frame import UInt8Array
    from ssd_edge.doctor.verdict import Verdict


def with_prediction(verdict: Verdict, engine: Path, pictures: Sequence[UInt8Array]) -> Verdict:
    """Add how far the engine is from its graph, where ``build --keep-graph`` has left it; else say what to type.

    The graph of float32 is the ONNX itself; for a DLA and from a calibration cache TensorRT lowers it: there is none.
    """
    from ssd_edge.backends.detector import open_detector
    from ssd_edge.doctor.selftest import differences
    from ssd_edge.doctor.verdict import PREDICTED_TOLERANCES, Prediction

    manifest = EngineManifest.load(manifest_path(engine))
    if manifest.precision == "fp32" or {"dla", "calibration_cache"} & manifest.options.keys():
        return verdict
    graph = _kept_graph(engine, manifest)
    if graph is None:
        return verdict
    allowed = PREDICTED_TOLERANCES[verdict.precision]
    with open_detector(engine) as tested, open_detector(graph) as predicted:
        found = differences(tested, predicted, pictures, allowed)
    prediction = Prediction(str(graph), allowed, found.lost, found.worst_box, found.worst_score)
    return dataclasses.replace(verdict, prediction=prediction)


def _kept_graph(engine: Path, manifest: EngineManifest) -> Path | None:
    """Return the lowered graph that the engine was built from, where it lies beside it."""
    from ssd_edge.engines.build import graph_path

    graph = graph_path(engine, manifest.target)
    if graph.is_file() and file_digest(graph) == manifest.graph_digest:
        return graph
    why = f"{graph} is of another build" if graph.is_file() else f"{graph} is not there"
    say(f"{why}: build with --keep-graph to compare {engine} with the prediction")
    return None
