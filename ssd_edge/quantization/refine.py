"""Equalisation and bias correction on pictures: what ``build --int8 --improve`` tries, and keeps if it helps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ssd_edge.core.errors import InputError
from ssd_edge.core.log import log
from ssd_edge.core.progress import Progress
from ssd_edge.core.temp_dir import scratch_folder

if TYPE_CHECKING:
    import onnx

    from ssd_edge.core.calibration_table import CalibrationTable
    from ssd_edge.graph.source import SourceModel
    from ssd_edge.quantization.image_set import ImageSet

Lower = Callable[["onnx.ModelProto", "CalibrationTable"], "onnx.ModelProto"]
_HELD_OUT, _CORRECTING = 8, 8


@dataclass(frozen=True)
class Improved:
    """A float model whose INT8 form errs less, with the ranges of it.

    Attributes:
        steps: what was kept: ``equalised``, ``corrected``, both or none.
    """

    model: onnx.ModelProto
    table: CalibrationTable
    steps: tuple[str, ...] = ()


def refuse_too_few(chosen: ImageSet) -> None:
    """Raise InputError where there are too few pictures to hold some out."""
    if len(chosen.images) < 2 * _HELD_OUT:
        raise InputError(
            "--improve needs pictures to hold out",
            got=str(len(chosen.images)),
            wanted=f"at least {2 * _HELD_OUT}",
            do="Name more of them (--images), or leave out --improve.",
        )


def improve(
    source: SourceModel, table: CalibrationTable, chosen: ImageSet, lower: Lower, progress: Progress
) -> Improved:
    """Equalise the layers, then correct the biases; each is kept where pictures that it did not see show a gain.

    Raises:
        InputError: there are too few pictures to hold some out.
    """
    from ssd_edge.core.images import read_image
    from ssd_edge.core.preprocess import preprocess
    from ssd_edge.quantization.bias_correction import correct_biases
    from ssd_edge.quantization.equalization import equalise
    from ssd_edge.quantization.output_error import OutputError

    refuse_too_few(chosen)
    pictures = [preprocess(read_image(path), source.spec.input) for path in chosen.paths[-_HELD_OUT - _CORRECTING :]]
    seen, held_out = pictures[:_CORRECTING], pictures[_CORRECTING:]
    measure = OutputError(source.model, held_out)
    best, error = Improved(source.model, table), measure(lower(source.model, table))
    equalised = equalise(source.model, table)
    if equalised.scales:
        ranges = _observed_anew(source, equalised.model, table, chosen, progress)
        best, error = _better(best, error, Improved(equalised.model, ranges), "equalised", lower, measure)
    corrected = correct_biases(best.model, lambda model: lower(model, best.table), seen, progress=progress)
    return _better(best, error, Improved(corrected, best.table, best.steps), "corrected", lower, measure)[0]


def _better(
    best: Improved, error: float, made: Improved, step: str, lower: Lower, measure: Callable[[onnx.ModelProto], float]
) -> tuple[Improved, float]:
    """Return what errs less, and its error; both errors are printed."""
    after = measure(lower(made.model, made.table))
    verdict = "kept" if after < error else "not kept"
    log.info(f"{step}: output error on {_HELD_OUT} held-out pictures {error:.4f} before, {after:.4f} after; {verdict}")
    return (replace(made, steps=(*best.steps, step)), after) if after < error else (best, error)


def _observed_anew(
    source: SourceModel, model: onnx.ModelProto, table: CalibrationTable, chosen: ImageSet, progress: Progress
) -> CalibrationTable:
    """Return the ranges of an equalised model, by the first table's method, on all pictures that are not held out."""
    import onnx

    from ssd_edge.core.choices import Method
    from ssd_edge.quantization.observer import Observer, observed_tensors
    from ssd_edge.quantization.range_estimators import make_table

    with scratch_folder() as folder:
        path = folder / source.path.name
        onnx.save(model, path)
        observer = Observer(path, observed_tensors(model), source.spec.input)
        observer.observe(chosen.paths[:-_HELD_OUT], progress=progress)
        return make_table(observer.histograms, Method(table.method), onnx=path, spec=source.spec, images=chosen)
