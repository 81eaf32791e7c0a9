"""Detections of every form of a packaged model: ``python -m bench.packages MODEL.onnx IMAGES [--count 50]``.

The model is packaged for each host; each form runs on ONNX Runtime on the images, and its detections are compared with
those of the exported model: as many rows as the host reads, corners as fractions of the image.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnxruntime

import ssd_edge as ssd
from bench._options import run
from ssd_edge.core.images import list_images, read_image
from ssd_edge.core.preprocess import preprocess
from ssd_edge.packaging.record import CHECKS, PackageRecord, SelfCheck
from ssd_edge.packaging.selfcheck import input_of, rows_of


def compared(
    path: Path, check: SelfCheck, pixels: list[np.ndarray], wanted: list[np.ndarray]
) -> tuple[int, float, float]:
    """How many detections a form gives, and how far corners and scores are off at most."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    form, (height, width) = check.form.value, pixels[0].shape[:2]
    count, box, score = 0, 0.0, 0.0
    for image, rows in zip(pixels, wanted, strict=True):
        outputs = session.run(list(check.outputs), {check.input: input_of(form, image)})
        found = np.array(rows_of(form, outputs, (width, height))).reshape(-1, 6)
        ours = rows[: len(found)]
        assert len(found) == min(len(rows), 20) or len(found) == len(rows), "another number of detections"
        assert np.array_equal(found[:, 0], ours[:, 0]), "another class"
        difference = np.abs(found - ours)
        count += len(found)
        score = max(score, float(difference[:, 1].max(initial=0)))
        box = max(box, float(difference[:, 2:].max(initial=0)))
    return count, box, score


def main(model: Path, images: Path, *, count: int = 50) -> None:
    paths = list_images(images, below=True)[:count]
    with ssd.load(model) as detect:
        entry = detect.spec.input
        pixels = [preprocess(read_image(path), entry) for path in paths]
        sides = np.array([entry.width, entry.height] * 2)
        wanted = [
            np.column_stack([found.class_ids, found.scores, found.boxes / sides]) for found in map(detect, pixels)
        ]
    print(f"{len(paths)} images; form, detections, largest difference of a corner and of a score")
    with tempfile.TemporaryDirectory() as folder:
        for host in ssd.Host:
            package = ssd.package(model, host=host, image=paths[0], workspace=folder).path
            for name in PackageRecord.load(package).checks:
                check = SelfCheck.load(package / CHECKS / f"{name}.json")
                found, box, score = compared(package / CHECKS / check.model, check, pixels, wanted)
                print(f"{host.value:11} {name:12} {check.form.value:16} {found:6} {box:.1e} {score:.1e}")


if __name__ == "__main__":
    run(main)
