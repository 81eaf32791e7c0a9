"""What the tests of findings run on the emulated GPU: builds and runs as a user would start them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from ssd_edge.backends.detector import open_detector
from ssd_edge.doctor.sample_model import sample_frames, write_sample_model
from ssd_edge.engines.options import Batch, TrtOptions
from ssd_edge.workflows.build.build import BuildConfig, build
from tools.emulator.surroundings import capability


def listened() -> list[str]:
    """Return what is logged from now on."""
    lines: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    logger = logging.getLogger("ssd_edge")
    logger.setLevel(logging.INFO)
    logger.addHandler(Keeper())
    return lines


def build_and_detect(folder: str, in_release: str, nms: str | None = None, images: int = 5) -> dict[str, Any]:
    """Build the sample model, and compare an engine's detections with those of ONNX Runtime."""
    source = write_sample_model(Path(folder) / "squares.onnx").path
    lines = listened()
    target = "tensorrt-rtx" if in_release == "rtx" else "tensorrt"
    chosen = {"compute_capabilities": (capability(in_release),)} if in_release == "rtx" else {}
    options = TrtOptions(Batch(), nms=nms, **chosen)
    made = build(source, config=BuildConfig(target=target, tensorrt=options), workspace=folder)
    frames = [frame.image for frame in sample_frames(images, 5)]
    with open_detector(made.path) as engine, open_detector(source) as reference:
        pairs = [(engine.detect(image), reference.detect(image)) for image in frames]
    same = all(
        np.array_equal(one.class_ids, other.class_ids) and np.allclose(one.boxes, other.boxes, atol=1e-3)
        for one, other in pairs
    )
    return {"nms": made.manifest.options.nms, "same": same, "found": len(pairs[0][1]), "lines": lines}
