"""From a data set to an INT8 engine that keeps its accuracy: ``python data_to_engine.py DATASET``.

The data set is checked first; the engine is built only if INT8 loses at most half a point of mAP, and evaluated.
"""

from __future__ import annotations

import logging
import sys

import ssd_edge as ssd


def main(
    dataset: str, preset: str = "ssd300-mobilenet-v1", minutes: float = 20.0, input_size: int | None = None
) -> None:
    """Print the mAP of the checkpoint, the ONNX and the engine."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    report = ssd.check_data(dataset)
    print(f"{len(report.issues)} issues in {dataset}")
    run = ssd.train(dataset, preset=preset, minutes=minutes, input_size=input_size)
    model = ssd.export(run.path)
    gate = ssd.AccuracyGate(dataset, split="val", max_drop_points=0.5)
    engine = ssd.build(model.path, precision="int8", accuracy=gate)
    found = ssd.evaluate([run.path, model.path, engine.path], dataset, split="val")
    for one in found.models:
        print(f"{one.path}: mAP@0.5 {one.evaluation.accuracy.mean_ap:.3f}")


if __name__ == "__main__":
    main(sys.argv[1])
