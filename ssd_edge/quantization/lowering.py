"""Lowering: an exported float graph to the graph that a runtime gets, in the precision that was asked for."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from ssd_edge.backends.cpu import cpu_device
from ssd_edge.core.calibration_table import CalibrationTable
from ssd_edge.core.choices import Precision, Target
from ssd_edge.core.errors import InputError
from ssd_edge.quantization import qdq_ort, qdq_tensorrt
from ssd_edge.quantization.fp16 import mixed, to_half

LOWERING_VERSION = 4
"""Goes up with every change by which the same model, table and choices give another graph: the build cache keys by it.

What counts is this room: lowering, refinement, fallback and ranking. ``tests/quantization/test_lowering.py`` holds it.
"""


@dataclass(frozen=True)
class Lowering:
    """Lowers a float graph when called.

    Attributes:
        precision: of the lowered graph.
        target: the runtime that it is for.
        is_weakly_typed: flags of the runtime choose the types, and not the graph.
        takes_cache: INT8 goes into the runtime as a calibration cache, and the graph stays float.
        keep_float: names of the layers that the user keeps in float32.
    """

    precision: Precision
    target: Target = Target.ONNXRUNTIME
    is_weakly_typed: bool = False
    takes_cache: bool = False
    keep_float: frozenset[str] = frozenset()

    def __call__(
        self, model: onnx.ModelProto, table: CalibrationTable | None = None, fallback: frozenset[str] = frozenset()
    ) -> onnx.ModelProto:
        """Return the lowered graph.

        Args:
            model: as exported.
            table: its activation ranges, for INT8.
            fallback: names of layers that leave INT8 for the accuracy's sake, beside those that the user keeps.

        Raises:
            InputError: INT8 without a table.
        """
        if self.precision is Precision.BF16 or (self.target is Target.OPENVINO and not self.precision.is_int8):
            return model  # OpenVINO gets the float type as an option when it compiles
        if not self.precision.is_int8:
            return to_half(model, keep_float=self.keep_float) if self.precision.has_fp16 else model
        if table is None:
            raise InputError(f"{self.precision} needs a calibration table", do="Create one: ssd-edge calibrate")
        if self.takes_cache:
            return model
        kept = self.keep_float | fallback
        if self.target is Target.ONNXRUNTIME:
            return qdq_ort.quantize(model, table, scheme=ort_scheme(), keep_float=kept)
        if self.target is Target.OPENVINO:
            saturates = openvino_scheme().saturates
            return qdq_tensorrt.quantize(model, table, keep_float=kept, unsigned=True, saturates=saturates)
        weak = self.is_weakly_typed
        lowered = qdq_tensorrt.quantize(model, table, keep_float=kept, stored_weights=not weak)
        # A layer of the fallback is as good in half precision; what the user kept is float32.
        has_half = self.precision.has_fp16
        return mixed(lowered, weakly_typed=weak, keep_float=self.keep_float) if has_half else lowered


def ort_scheme() -> qdq_ort.Scheme:
    """Return how ONNX Runtime stores INT8 on this processor."""
    return qdq_ort.scheme_for(cpu_device())


def openvino_scheme() -> qdq_ort.Scheme:
    """Return how OpenVINO stores INT8 on this processor: it saturates where ONNX Runtime does."""
    is_arm = ort_scheme() is qdq_ort.Scheme.S8S8
    return qdq_ort.Scheme.U8S8 if is_arm else ort_scheme()


def scheme_of(target: Target) -> str:
    """Return how a runtime of the processor stores INT8 here; empty for TensorRT, which has one way only."""
    if target.is_tensorrt:
        return ""
    return (openvino_scheme() if target is Target.OPENVINO else ort_scheme()).value
