"""Which way of choosing ranges serves a model best: each is tried on pictures that no range was measured on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.cli.console import bar
from ssd_edge.core.log import log

if TYPE_CHECKING:
    import onnx

    from ssd_edge.core.calibration_table import CalibrationTable
    from ssd_edge.core.choices import Method
    from ssd_edge.graph.source import SourceModel
    from ssd_edge.quantization.image_set import ImageSet
    from ssd_edge.quantization.range_estimators import StreamingHistogram


def best_method(
    source: SourceModel,
    path: Path,
    histograms: Mapping[str, StreamingHistogram],
    chosen: ImageSet,
    held_out: list[Path],
) -> Method:
    """Return the method whose worse output error, of ONNX Runtime's form and TensorRT's, is the least.

    One table serves the engines of both, here and on the board. All errors are shown; they are measured on pictures
    that no range was measured on. Of very few pictures none is held out, and the last one that was measured must do.
    """
    from ssd_edge.core.images import read_image
    from ssd_edge.core.preprocess import preprocess
    from ssd_edge.quantization.output_error import OutputError
    from ssd_edge.quantization.range_estimators import METHODS, make_table

    model, spec = source.model, source.spec
    judged_on = held_out or chosen.paths[-1:]
    measure = OutputError(model, [preprocess(read_image(image), spec.input) for image in judged_on])
    errors: dict[Method, tuple[float, float]] = {}
    with bar("choosing the method") as progress:
        for number, method in enumerate(METHODS, start=1):
            table = make_table(histograms, method, onnx=path, spec=spec, images=chosen)
            for_ort, for_tensorrt = _lowered(model, table)
            errors[method] = measure(for_ort), measure(for_tensorrt)
            progress(number, len(METHODS), method.value)
    best = min(errors, key=lambda method: max(errors[method]))
    where = (
        f"{len(held_out)} held-out pictures" if held_out else "a picture that was measured, for none can be held out"
    )
    log.info(f"output error on {where}: {_listed(errors)}; {best.value} is taken, whose worse error is the least")
    return best


def _lowered(model: onnx.ModelProto, table: CalibrationTable) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """Return the model in INT8 for this processor, and for TensorRT."""
    from ssd_edge.backends.cpu import cpu_device
    from ssd_edge.quantization import qdq_ort, qdq_tensorrt

    for_ort = qdq_ort.quantise(model, table, scheme=qdq_ort.scheme_for(cpu_device()))
    return for_ort, qdq_tensorrt.quantise(model, table)


def _listed(errors: Mapping[Method, tuple[float, float]]) -> str:
    return ", ".join(
        f"{method.value} {for_ort:.4f} (TensorRT {for_tensorrt:.4f})"
        for method, (for_ort, for_tensorrt) in errors.items()
    )
