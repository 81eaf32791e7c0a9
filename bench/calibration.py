"""Memory and time of calibration: ``python -m bench.calibration [PRESET] [IMAGES ...]``.

Each count of images runs in a process of its own; the float network alone runs the same images beside it, and ONNX
Runtime's entropy calibrator as many as its memory lets it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx

from bench._figures import report
from bench._models import write_random_onnx
from bench._options import run
from ssd_edge.core.choices import Method
from ssd_edge.core.graph_contract import INPUT_NAME
from ssd_edge.core.images import read_image
from ssd_edge.core.preprocess import preprocess
from ssd_edge.core.timing import Stopwatch
from ssd_edge.graph.source import read_onnx
from ssd_edge.quantization.calibrate import measure_ranges
from ssd_edge.quantization.image_set import ImageSet
from ssd_edge.workflows.synthesize import synthesize

THEIRS_AT_MOST = 12  # their memory grows with each


def pictures(folder: Path, count: int) -> list[Path]:
    return sorted((folder / "drawn/JPEGImages").iterdir())[:count]


def ours(path: Path, images: list[Path]) -> None:
    chosen = ImageSet("", "", 0, tuple(map(str, images)), ("",) * len(images))
    measure_ranges(read_onnx(path), chosen, Method.ENTROPY)


def plain(path: Path, images: list[Path]) -> None:
    from ssd_edge.backends.ort import OrtBackend

    with OrtBackend(path) as backend:
        for image in images:
            backend.infer(preprocess(read_image(image), backend.spec.input)[None])


def theirs(path: Path, images: list[Path]) -> None:
    from onnxruntime.quantization.calibrate import CalibrationDataReader, CalibrationMethod, create_calibrator

    source = read_onnx(path)
    nms = source.model.graph.node.pop()  # their tools know no model-local functions
    del source.model.functions[:], source.model.graph.output[:]
    source.model.graph.output.extend(onnx.helper.make_tensor_value_info(name, 1, None) for name in nms.input)

    class Pictures(CalibrationDataReader):
        def __init__(self) -> None:
            self._left = list(images)

        def get_next(self) -> dict[str, np.ndarray] | None:
            if not self._left:
                return None
            return {INPUT_NAME: preprocess(read_image(self._left.pop()), source.spec.input)[None]}

    with tempfile.TemporaryDirectory() as folder:
        onnx.save(source.model, Path(folder) / "plain.onnx")
        calibrator = create_calibrator(
            str(Path(folder) / "plain.onnx"),
            augmented_model_path=str(Path(folder) / "augmented.onnx"),
            calibrate_method=CalibrationMethod.Entropy,
        )
        calibrator.collect_data(Pictures())


ROADS = {"ours": ours, "plain": plain, "theirs": theirs}


def child(road: str, path: str, count: int) -> None:
    """Run in a process of its own: print time and memory of one way."""
    images = pictures(Path(path).parent, count)
    watch = Stopwatch()
    with watch:
        ROADS[road](Path(path), images)
    seconds = watch.timing.total_s
    # getrusage would tell the parent's peak too, which survives fork and exec
    status = Path("/proc/self/status").read_text()
    peak = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
    report(f"calibration.{road}.{count}.ms", 1000 * seconds / count)
    report(f"calibration.{road}.{count}.MiB", peak)
    print(
        f"{road:<7}{count:>5} pictures: {seconds:7.1f} s, {1000 * seconds / count:6.0f} ms each, peak {peak:6.0f} MiB"
    )


def main(preset: str = "ssd300-vgg16", counts: tuple[int, ...] = (50, 500)) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        synthesize(folder / "drawn", train=max(counts), val=0, test=0, size=(320, 240))
        write_random_onnx(preset, folder / "model.onnx")
        few = min(THEIRS_AT_MOST, *counts)
        jobs = [(road, count) for count in counts for road in ("ours", "plain")] + [
            ("theirs", few // 2),
            ("theirs", few),
        ]
        for road, count in jobs:
            call = f"from bench.calibration import child; child({road!r}, {str(folder / 'model.onnx')!r}, {count})"
            subprocess.run([sys.executable, "-c", call], check=False)


if __name__ == "__main__":
    run(main)
