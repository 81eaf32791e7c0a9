"""Refinement after calibration: equalization and bias correction, each kept if it helps (``build --refine``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import onnx

from ssd_edge.core.calibration_table import CalibrationTable
from ssd_edge.core.choices import Method
from ssd_edge.core.errors import InputError
from ssd_edge.core.images import read_image
from ssd_edge.core.log import log
from ssd_edge.core.preprocess import preprocess
from ssd_edge.core.progress import Progress, silent
from ssd_edge.graph.source import SourceModel
from ssd_edge.quantization.bias_correction import correct_biases
from ssd_edge.quantization.calibrate import measure_ranges
from ssd_edge.quantization.equalization import equalize
from ssd_edge.quantization.image_set import ImageSet
from ssd_edge.quantization.output_error import Measure, OutputError

Lower = Callable[[onnx.ModelProto, CalibrationTable], onnx.ModelProto]
_HELD_OUT, _CORRECTING = 8, 8


@dataclass(frozen=True)
class Refined:
    """A float model whose INT8 form errs less, with the ranges of it.

    Attributes:
        steps: what was kept: ``equalised``, ``corrected``, both or none.
    """

    model: onnx.ModelProto
    table: CalibrationTable
    steps: tuple[str, ...] = ()


def refuse_too_few(chosen: ImageSet) -> None:
    """Raise InputError where there are too few images to hold some out."""
    if len(chosen.images) < 2 * _HELD_OUT:
        raise InputError(
            "--refine needs more calibration images",
            got=str(len(chosen.images)),
            wanted=f"at least {2 * _HELD_OUT}, as it holds some of them out",
            do="Give more images (--images), or leave out --refine.",
        )


def refine(
    source: SourceModel, table: CalibrationTable, chosen: ImageSet, lower: Lower, progress: Progress = silent
) -> Refined:
    """Equalize the layers, then correct the biases; each is kept where images that it did not see show a gain.

    Raises:
        InputError: there are too few images to hold some out.
    """
    refuse_too_few(chosen)
    images = [preprocess(read_image(path), source.spec.input) for path in chosen.paths[-_HELD_OUT - _CORRECTING :]]
    seen, held_out = images[:_CORRECTING], images[_CORRECTING:]
    measure = OutputError(source.model, held_out)
    if not measure.compares:
        log.warning(f"not refined: {measure.nothing_compared}")
        return Refined(source.model, table)
    best, error = Refined(source.model, table), measure(lower(source.model, table))
    equalized = equalize(source.model, table)
    if equalized.scales:
        # By the first table's method, on all images that are not held out.
        anew = replace(source, model=equalized.model)
        ranges = measure_ranges(anew, chosen, Method(table.method), held_out=_HELD_OUT, progress=progress)
        best, error = better_of(best, error, Refined(equalized.model, ranges), "equalised", lower, measure)
    corrected = correct_biases(best.model, lambda model: lower(model, best.table), seen, progress=progress)
    return better_of(best, error, Refined(corrected, best.table, best.steps), "corrected", lower, measure)[0]


def better_of(
    best: Refined, error: float, made: Refined, step: str, lower: Lower, measure: Measure
) -> tuple[Refined, float]:
    """Return what errs less on held-out images, and its error; both errors are logged."""
    after = measure(lower(made.model, made.table))
    verdict = "kept" if after < error else "not kept"
    log.info(f"{step}: output error on {_HELD_OUT} held-out images {error:.4f} before, {after:.4f} after; {verdict}")
    return (replace(made, steps=(*best.steps, step)), after) if after < error else (best, error)
