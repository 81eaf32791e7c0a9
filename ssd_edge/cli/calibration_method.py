"""Which way of choosing ranges serves a model best: each is tried on pictures that no range was measured on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.cli.console import bar, say

if TYPE_CHECKING:
    from ssd_edge.calibration.histogram import StreamingHistogram
    from ssd_edge.calibration.images import ImageSet
    from ssd_edge.calibration.method import Method
    from ssd_edge.engines.source import SourceModel


def best_method(
    source: SourceModel,
    path: Path,
    histograms: Mapping[str, StreamingHistogram],
    chosen: ImageSet,
    held_out: list[Path],
) -> Method:
    """Return the method of the least output error on pictures that no range was measured on; all errors are shown.

    Of very few pictures none is held out, and the last one that was measured must do.
    """
    from ssd_edge.backends.cpu import cpu_device
    from ssd_edge.calibration.methods import METHODS
    from ssd_edge.calibration.table import make_table
    from ssd_edge.core.images import read_image
    from ssd_edge.core.preprocess import preprocess
    from ssd_edge.precision.output_error import OutputError
    from ssd_edge.precision.qdq_ort import quantise, scheme_for

    model, spec = source.model, source.spec
    judged_on = held_out or chosen.paths[-1:]
    measure = OutputError(model, [preprocess(read_image(image), spec.input) for image in judged_on])
    scheme = scheme_for(cpu_device())
    errors: dict[Method, float] = {}
    with bar("choosing the method") as progress:
        for number, method in enumerate(METHODS, start=1):
            table = make_table(histograms, method, onnx=path, spec=spec, images=chosen)
            errors[method] = measure(quantise(model, table, scheme=scheme))
            progress(number, len(METHODS), method.value)
    listed = ", ".join(f"{method.value} {error:.4f}" for method, error in errors.items())
    best = min(errors, key=lambda method: errors[method])
    where = (
        f"{len(held_out)} held-out pictures" if held_out else "a picture that was measured, for none can be held out"
    )
    say(f"output error on {where}: {listed}; {best.value} is taken")
    return best
