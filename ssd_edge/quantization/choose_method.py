"""The calibration method that serves a model best: each is tried on images that no range was measured on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ssd_edge.core.choices import Method, Precision, Target
from ssd_edge.core.images import read_image
from ssd_edge.core.log import log
from ssd_edge.core.preprocess import preprocess
from ssd_edge.core.progress import Progress, silent
from ssd_edge.graph.source import SourceModel
from ssd_edge.quantization.image_set import ImageSet
from ssd_edge.quantization.lowering import Lowering
from ssd_edge.quantization.output_error import OutputError
from ssd_edge.quantization.range_estimators import METHODS, StreamingHistogram, make_table

_FOR_ORT, _FOR_TENSORRT = (Lowering(Precision.INT8, target) for target in (Target.ONNXRUNTIME, Target.TENSORRT))


def best_method(
    source: SourceModel,
    histograms: Mapping[str, StreamingHistogram],
    chosen: ImageSet,
    held_out: Sequence[Path],
    progress: Progress = silent,
) -> Method:
    """Return the method whose worse output error, of ONNX Runtime's form and TensorRT's, is the least.

    One table serves the engines of both, here and on the board. All errors are logged; they are measured on images
    that no range was measured on. Of very few images none is held out, and the last one that was measured must do.
    """
    tried_on = held_out or chosen.paths[-1:]
    measure = OutputError(source.model, [preprocess(read_image(image), source.spec.input) for image in tried_on])
    errors: dict[Method, tuple[float, float]] = {}
    for number, method in enumerate(METHODS, start=1):
        table = make_table(histograms, method, source, chosen)
        for_ort, for_tensorrt = (lower(source.model, table) for lower in (_FOR_ORT, _FOR_TENSORRT))
        errors[method] = measure(for_ort), measure(for_tensorrt)
        progress(number, len(METHODS), f"choosing the method: {method.value}")
    best = min(errors, key=lambda method: max(errors[method]))
    where = (
        f"{len(held_out)} held-out pictures" if held_out else "a picture that was measured, for none can be held out"
    )
    log.info(f"output error on {where}: {_listed(errors)}; {best.value} is taken, whose worse error is the least")
    return best


def _listed(errors: Mapping[Method, tuple[float, float]]) -> str:
    return ", ".join(
        f"{method.value} {for_ort:.4f} (TensorRT {for_tensorrt:.4f})"
        for method, (for_ort, for_tensorrt) in errors.items()
    )
