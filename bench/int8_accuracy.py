"""What INT8 and FP16 keep of the mean AP of trained models, each lowering evaluated as it will run.

    python -m bench.int8_accuracy DATASET ENGINES/MODEL/MODEL.onnx ... [--split test] [--calibration calibration]

The tables are those that ``ssd-edge calibrate`` wrote; they must not come from the evaluated split. A lowering for
TensorRT is evaluated on ONNX Runtime, in the very graph that TensorRT gets; OpenVINO's by OpenVINO, where that is
installed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import onnx

from bench._options import run
from ssd_edge.backends.openvino.module import is_installed
from ssd_edge.core.calibration_table import CalibrationTable, ranges_path
from ssd_edge.core.choices import Precision, Target
from ssd_edge.engines.build import build_lowered
from ssd_edge.engines.builder import Lowered
from ssd_edge.engines.openvino_build import OpenVinoBuilder
from ssd_edge.graph.source import read_onnx
from ssd_edge.quantization import lowering as to_openvino
from ssd_edge.quantization import qdq_ort, qdq_tensorrt
from ssd_edge.quantization.fp16 import to_half
from ssd_edge.quantization.qdq_ort import Scheme
from ssd_edge.workflows.evaluate import evaluate

Lowering = Callable[[onnx.ModelProto, CalibrationTable], onnx.ModelProto]
LOWERINGS: dict[str, Lowering] = {
    "float32": lambda model, _: model,
    "ONNX Runtime INT8 (u8s8)": lambda model, table: qdq_ort.quantize(model, table, scheme=Scheme.U8S8),
    "ONNX Runtime INT8 (u8s8-paired)": lambda model, table: qdq_ort.quantize(model, table, scheme=Scheme.U8S8_PAIRED),
    "TensorRT INT8 (s8s8)": qdq_tensorrt.quantize,
    "TensorRT FP16": lambda model, _: to_half(model),
    "TensorRT INT8 + FP16": lambda model, table: to_half(qdq_tensorrt.quantize(model, table)),
}

OF_OPENVINO: dict[str, Lowering] = {
    "OpenVINO INT8": to_openvino.Lowering(Precision.INT8, Target.OPENVINO),
    "TensorRT INT8 (s8s8) in OpenVINO": qdq_tensorrt.quantize,
}


def judge(path: Path, calibration: Path, dataset: Path, split: str) -> None:
    source = read_onnx(path)
    table = CalibrationTable.load(ranges_path(calibration, source.spec.name))
    table.refuse_if_foreign(ranges_path(calibration, source.spec.name), path, source.digest, source.spec.input)
    print(f"{source.spec.name} on {dataset.name}, split {split}; {table.method} of {table.image_count} images")
    whole = None
    with tempfile.TemporaryDirectory() as folder:
        for name, lower in LOWERINGS.items():
            lowered = Path(folder) / "lowered.onnx"
            onnx.save(lower(source.model, table), lowered)
            found = mean_ap(lowered, dataset, split)
            whole = found if whole is None else whole
            tell(name, found, whole)
        for name, lower in OF_OPENVINO.items() if is_installed() and whole is not None else ():
            made = Lowered(lower(source.model, table), Precision.INT8)
            engine = build_lowered(source, made, OpenVinoBuilder(Precision.INT8), Path(folder) / "int8.engine").engine
            tell(name, mean_ap(engine, dataset, split), whole)


def mean_ap(model: Path, dataset: Path, split: str) -> float:
    return evaluate(model, dataset, split=split).models[0].evaluation.accuracy.mean_ap


def tell(name: str, found: float, whole: float) -> None:
    print(f"  {name:34} mAP@0.5 {found:.4f}  {100 * found / whole:6.2f} %", flush=True)


def main(
    dataset: Path, models: tuple[Path, ...], *, split: str = "test", calibration: Path = Path("calibration")
) -> None:
    for path in models:
        judge(path, calibration, dataset, split)


if __name__ == "__main__":
    run(main)
