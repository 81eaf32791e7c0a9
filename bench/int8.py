"""INT8 against float32 on ONNX Runtime, from image to boxes: ``python -m bench.int8 [PRESET ...]``.

Weights are random, which changes no time, and the threshold lets through what a trained network would.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import cv2

from bench._figures import report
from bench._models import write_random_onnx
from bench._options import run
from ssd_edge.backends.cpu import Threads
from ssd_edge.backends.detector import open_detector
from ssd_edge.core.choices import Precision
from ssd_edge.core.timing import Timing, time_calls
from ssd_edge.engines.build import build_lowered
from ssd_edge.engines.builder import Lowered
from ssd_edge.engines.ort_build import OrtBuilder
from ssd_edge.graph.source import SourceModel, read_onnx
from ssd_edge.quantization.calibrate import measure_ranges
from ssd_edge.quantization.image_set import choose_images
from ssd_edge.quantization.lowering import Lowering
from ssd_edge.workflows.synthesize import synthesize

PRESETS = ("ssd300-vgg16", "ssd300-mobilenet-v1", "ssdlite300-mobilenet-v2", "ssdlite320-mobilenet-v3-large")
ROUNDS, IMAGES = 25, 8


def engines(source: SourceModel, pictures: Path) -> list[Path]:
    table = measure_ranges(source, choose_images(pictures, limit=IMAGES))
    int8 = Lowering(Precision.INT8)(source.model, table)
    models = (Lowered(source.model), Lowered(int8, Precision.INT8))
    return [build_lowered(source, lowered, OrtBuilder()).engine for lowered in models]


def times(paths: list[Path], threads: int) -> list[Timing]:
    """Time a 640 x 480 image from pixels to boxes."""
    picture = cv2.imread(str(next((paths[0].parent / "drawn/JPEGImages").iterdir())))
    picture = cv2.resize(picture, (640, 480))
    with ExitStack() as stack:
        detectors = [stack.enter_context(open_detector(path, Threads(1, per_worker=threads))) for path in paths]
        calls = {number: partial(detector.detect, picture) for number, detector in enumerate(detectors)}
        return list(time_calls(calls, rounds=ROUNDS, warm_up=2).values())


def main(presets: tuple[str, ...] = PRESETS) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        synthesize(folder / "drawn", train=IMAGES, val=0, test=0, size=(320, 240))
        for preset in presets:
            write_random_onnx(preset, folder / f"{preset}.onnx")
            paths = engines(read_onnx(folder / f"{preset}.onnx"), folder / "drawn")
            for threads in (1, 2):
                whole, small = times(paths, threads)
                place = f"int8.{preset}.{threads}-thread{'s' if threads > 1 else ''}"
                report(f"{place}.fp32.ms", whole.median_ms)
                report(f"{place}.int8.ms", small.median_ms)
                report(f"{place}.ratio", whole.ratio_to(small))
                print(
                    f"{preset}, {threads} threads: float32 {whole.median_ms:.2f} ms, "
                    f"int8 {small.median_ms:.2f} ms, ratio {whole.ratio_to(small):.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    run(main)
