"""Evaluates the lowerings of a model on labelled images: OpenVINO's by OpenVINO, all others on ONNX Runtime.

For TensorRT that is the very graph that it gets.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from functools import cached_property, partial
from pathlib import Path

import onnx

from ssd_edge.backends.cpu import Threads
from ssd_edge.backends.detector import Detector, open_detector
from ssd_edge.backends.openvino.backend import OpenVinoBackend
from ssd_edge.core.choices import Metric, Precision, Target
from ssd_edge.core.errors import InputError
from ssd_edge.core.files import text_digest
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.log import log
from ssd_edge.core.manifest import Accuracy
from ssd_edge.core.temp_dir import scratch_folder
from ssd_edge.data.find import open_dataset
from ssd_edge.engines.build import build_lowered
from ssd_edge.engines.builder import Lowered
from ssd_edge.engines.openvino_build import OpenVinoBuilder
from ssd_edge.evaluation.calibration_overlap import image_digests
from ssd_edge.evaluation.evaluate import class_numbers, evaluate
from ssd_edge.graph.source import SourceModel
from ssd_edge.quantization.fallback import Fallback, GateError, fall_back
from ssd_edge.quantization.sensitivity import Quantize
from ssd_edge.workflows.build.config import BuildConfig, FailedGate
from ssd_edge.workflows.build.options import AccuracyGate

_MUCH = 0.01


class AccuracyChecker:
    """Measures mean AP at IoU 0.5 (VOC, area under the curve) of a model and of its lowerings.

    The labelled images are read once, here.

    Args:
        source: the exported model.
        gate: the labelled images.

    Raises:
        InputError: the images cannot be used, or show classes that the model does not know.
    """

    def __init__(self, source: SourceModel, gate: AccuracyGate) -> None:
        self._source = source
        self._labelled = open_dataset(Path(gate.dataset), gate.split)
        class_numbers(source.spec.class_names, self._labelled)

    @cached_property
    def digest(self) -> str:
        """``sha256:…`` of the images and their labels, wherever they lie."""
        return text_digest("\n".join([self._labelled.digest, *self._image_digests]))

    @cached_property
    def _image_digests(self) -> list[str]:
        """``sha256:…`` of each image's file."""
        return image_digests(self._labelled)

    def refuse_seen(self, calibrated: Set[str]) -> None:
        """Raise InputError where an image of these digests would be evaluated on: INT8 would be too optimistic."""
        seen = len(calibrated & set(self._image_digests))
        if seen:
            raise InputError(
                f"{seen} images of {self._labelled.origin} were used for calibration, so the accuracy would be too "
                "optimistic",
                wanted="images that were not used for calibration",
                do="Choose other images for evaluation (--data, --split) or for calibration (ssd-edge calibrate "
                "--images).",
            )

    @cached_property
    def map_float(self) -> float:
        """Mean AP of the model as it was exported, on ONNX Runtime."""
        return self.mean_ap(self._source.model)

    def mean_ap(
        self, model: onnx.ModelProto, precision: Precision = Precision.FP32, target: Target = Target.ONNXRUNTIME
    ) -> float:
        """Return a model's mean AP, 0 to 1, as the target computes it in a precision."""
        with scratch_folder() as folder, self._opened(model, precision, target, folder) as detector:
            names = detector.spec.class_names
            return evaluate(detector.detect, names, self._labelled, metric=Metric.VOC).accuracy.mean_ap

    def compare(self, model: onnx.ModelProto, precision: Precision, target: Target) -> Accuracy:
        """Say what a lowering costs, and return the figures for the manifest."""
        is_float = model is self._source.model and target is not Target.OPENVINO
        figures = self._figures(self.map_float if is_float else self.mean_ap(model, precision, target))
        log.info(accuracy_line(figures, precision, target))
        return figures

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Labelled images and objects that cannot be used."""
        return self._labelled.left_out

    def _opened(self, model: onnx.ModelProto, precision: Precision, target: Target, folder: Path) -> Detector:
        """Return a model on the runtime that shows what it costs; only OpenVINO knows what it makes of a float type."""
        if target is Target.OPENVINO:
            lowered, builder = Lowered(model, precision), OpenVinoBuilder(precision)
            engine = build_lowered(self._source, lowered, builder, folder / "lowered.engine").engine
            return Detector(OpenVinoBackend(engine, Threads.for_latency(), keep=False))
        path = folder / "lowered.onnx"
        onnx.save(model, path)
        return open_detector(path, Threads.for_latency())

    def images(self, count: int) -> tuple[Path, ...]:
        """Return the files of the first so many images."""
        return tuple(sample.image for sample in self._labelled.samples[:count])

    def fall_back(
        self, quantize: Quantize, config: BuildConfig, max_drop: float, ranked: Callable[[], list[str]]
    ) -> tuple[Fallback, Accuracy]:
        """Return the INT8 model of a config that loses at most ``max_drop`` points, and how accurate it is.

        Raises:
            AccuracyError: there is none; the error's ``result`` is a :class:`FailedGate`.
        """
        log.info(f"FP32: mAP {self.map_float:.4f} on {self._labelled.origin}")
        try:
            mean_ap = partial(self.mean_ap, precision=config.precision, target=config.runtime)
            found = fall_back(quantize, mean_ap, ranked, map_float=self.map_float, max_drop=max_drop)
        except GateError as error:
            closest = error.closest
            error.result = FailedGate(self._figures(closest.map_lowered), tuple(sorted(closest.keep_float)))
            raise
        return found, self._figures(found.map_lowered)

    def _figures(self, lowered: float) -> Accuracy:
        """Return what a manifest keeps of a lowering's mean AP."""
        return Accuracy(round(self.map_float, 6), round(lowered, 6), self.digest)


def accuracy_line(figures: Accuracy, precision: Precision, target: Target) -> str:
    """Return in words what a lowering costs."""
    where = ", of the same graph on ONNX Runtime" if target.is_tensorrt else ""
    before, after = figures.map_50_float, figures.map_50
    return f"mAP {before:.4f} in FP32, {after:.4f} in {precision}{where}: {figures.drop_points:.2f} points lost"


def log_remedy(config: BuildConfig, figures: Accuracy) -> None:
    """Say what may win back what INT8 costs, where that is much and neither of the two was asked for."""
    if not config.precision.is_int8 or config.refine or config.max_drop is not None:
        return
    if figures.map_50 < (1 - _MUCH) * figures.map_50_float:
        log.info(
            f"more than {100 * _MUCH:g} % of the mAP is lost. --refine may recover part of it; --max-drop 0.5 keeps "
            "the worst layers in FP32 or FP16, so that at most 0.5 points are lost"
        )
