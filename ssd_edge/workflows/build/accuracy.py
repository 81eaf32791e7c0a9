"""Judges the lowerings of a model on labelled images, on ONNX Runtime; for TensorRT it is the very graph it gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.backends.ort import TARGET as ORT
from ssd_edge.core.errors import InputError
from ssd_edge.core.log import log
from ssd_edge.core.temp_dir import scratch_folder

if TYPE_CHECKING:
    import onnx

    from ssd_edge.graph.source import SourceModel
    from ssd_edge.quantization.fallback import Guarded
    from ssd_edge.quantization.sensitivity import Quantise
    from ssd_edge.workflows.build.config import BuildPlan

_MUCH = 0.01


def accuracy_line(figures: Mapping[str, float], precision: str, target: str) -> str:
    """Return in words what a lowering costs, from what a manifest keeps of it."""
    before, after = figures["map_50_float"], figures["map_50"]
    where = "" if target == ORT else ", the very graph, on ONNX Runtime"
    lost = f"{100 * (before - after):.2f} points lost"
    return f"mAP {before:.4f} in float32, {after:.4f} in {precision}{where}: {lost}"


def tell_remedy(plan: BuildPlan, figures: Mapping[str, float]) -> None:
    """Say what may win back what INT8 costs, where that is much and neither of the two was asked for."""
    if not plan.int8 or plan.improve or plan.max_drop is not None or "map_50_float" not in figures:
        return
    if figures["map_50"] < (1 - _MUCH) * figures["map_50_float"]:
        log.info(
            f"more than {100 * _MUCH:g} % of the mAP is lost: --improve may win some of it back, and --max-drop 0.5 "
            "keeps the worst layers in float until no more than half a point is lost"
        )


class Judge:
    """Judges by mean AP at IoU 0.5 (VOC, area under the curve).

    Args:
        source: the exported model.
        dataset: labelled images.
        split: the part to judge on.

    Raises:
        InputError: the images cannot be used, or show classes that the model does not know.
    """

    def __init__(self, source: SourceModel, dataset: Path, split: str) -> None:
        from ssd_edge.data.find import open_dataset
        from ssd_edge.evaluation.evaluate import class_numbers

        self._source = source
        self._labelled = open_dataset(dataset, split)
        class_numbers(source.spec.class_names, self._labelled)

    @cached_property
    def digest(self) -> str:
        """``sha256:…`` of the pictures and their labels, wherever they lie."""
        from ssd_edge.core.files import text_digest

        return text_digest("\n".join([self._labelled.digest, *self._pictures]))

    @cached_property
    def _pictures(self) -> list[str]:
        """``sha256:…`` of each picture's file."""
        from ssd_edge.evaluation.calibration_overlap import picture_digests

        return picture_digests(self._labelled)

    def refuse_seen(self, calibrated: Set[str]) -> None:
        """Raise InputError where a picture of these digests is judged on: INT8 would be flattered."""
        seen = len(calibrated & set(self._pictures))
        if seen:
            raise InputError(
                f"{seen} pictures of {self._labelled.origin} were calibrated with",
                wanted="other pictures to judge on, or the accuracy of the INT8 model would be flattered",
                do="Judge on others (--data, --split), or calibrate on others: ssd-edge calibrate --images",
            )

    @cached_property
    def map_float(self) -> float:
        """Mean AP of the model as it was exported."""
        return self.mean_ap(self._source.model)

    def mean_ap(self, model: onnx.ModelProto) -> float:
        """Return a model's mean AP, 0 to 1."""
        import onnx

        from ssd_edge.core.choices import Metric
        from ssd_edge.workflows.open_model import evaluate_file

        with scratch_folder() as folder:
            path = folder / "lowered.onnx"
            onnx.save(model, path)
            return evaluate_file(path, self._labelled, metric=Metric.VOC).accuracy.mean_ap

    def compare(self, model: onnx.ModelProto, precision: str, target: str) -> dict[str, float]:
        """Say what a lowering costs, and return the figures for the manifest."""
        figures = self.figures(self.map_float if model is self._source.model else self.mean_ap(model))
        log.info(accuracy_line(figures, precision, target))
        return figures

    def figures(self, lowered: float) -> dict[str, float]:
        """Return what a manifest keeps of a lowering's mean AP."""
        return {"map_50_float": round(self.map_float, 6), "map_50": round(lowered, 6)}

    def pictures(self, count: int) -> tuple[Path, ...]:
        """Return the files of the first so many pictures."""
        return tuple(sample.image for sample in self._labelled.samples[:count])

    def guard(self, quantise: Quantise, max_drop: float, ranked: Callable[[], list[str]]) -> Guarded:
        """Return the INT8 model that loses at most ``max_drop`` points; see ``quantization.fallback``."""
        from ssd_edge.quantization.fallback import guard

        log.info(f"float32: mAP {self.map_float:.4f} on {self._labelled.origin}")
        return guard(quantise, self.mean_ap, ranked, map_float=self.map_float, max_drop=max_drop, told=log.info)
