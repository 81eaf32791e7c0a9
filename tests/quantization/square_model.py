"""The detector of squares, exported, with images and ranges: INT8 of it can be evaluated by the truth."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import onnx

from ssd_edge.core.boxes import iou_matrix
from ssd_edge.core.calibration_table import CalibrationTable
from ssd_edge.core.choices import Method
from ssd_edge.core.files import file_digest
from ssd_edge.core.sample import LabelledObject
from ssd_edge.data.writers import VocWriter
from ssd_edge.doctor.sample_model import sample_frames, sample_graph, sample_spec
from ssd_edge.graph.nms import attach_nms
from ssd_edge.graph.source import SourceModel, read_onnx
from ssd_edge.quantization.image_set import ImageSet
from ssd_edge.quantization.observer import Observer, observed_tensors
from ssd_edge.quantization.range_estimators import StreamingHistogram, make_table


@cache
def square_model() -> onnx.ModelProto:
    return attach_nms(sample_graph(), sample_spec())


def write_square_model(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(square_model(), path)
    return path


def write_pictures(folder: Path, count: int = 8, seed: int = 3) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, frame in enumerate(sample_frames(count, seed)):
        paths.append(folder / f"{number:03}.png")
        cv2.imwrite(str(paths[-1]), frame.image)
    return paths


def write_labelled(folder: Path, split: str = "val", count: int = 8, seed: int = 5) -> Path:
    """Squares with their objects, as Pascal VOC."""
    names = sample_spec().class_names
    writer = VocWriter(folder, names)
    for number, frame in enumerate(sample_frames(count, seed)):
        path = writer.image_path(split, f"{number:03}")
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), frame.image)
        objects = [
            LabelledObject.of_box(names[label], tuple(map(float, box)))
            for label, box in zip(frame.class_ids, frame.boxes, strict=True)
        ]
        writer.add(split, path, (frame.image.shape[1], frame.image.shape[0]), objects)
    writer.close()
    return folder


def observed(
    folder: Path, count: int = 8, *, optimize: bool = True
) -> tuple[SourceModel, ImageSet, dict[str, StreamingHistogram]]:
    source = read_onnx(write_square_model(folder / "squares.onnx"))
    images = write_pictures(folder / "images", count)
    observer = Observer(source, observed_tensors(square_model()), optimize=optimize)
    observer.observe(images)
    chosen = ImageSet(str(folder), "", 0, tuple(map(str, images)), tuple(map(file_digest, images)))
    return source, chosen, observer.histograms


def table_of(folder: Path, method: Method = Method.MINMAX) -> CalibrationTable:
    source, chosen, histograms = observed(folder)
    return make_table(histograms, method, source, chosen)


def observed_table(folder: Path, model: onnx.ModelProto) -> CalibrationTable:
    """The least and largest values of another model with the same input."""
    folder.mkdir(parents=True)
    onnx.save(model, folder / "model.onnx")
    images = write_pictures(folder / "images")
    source = read_onnx(folder / "model.onnx")
    observer = Observer(source, observed_tensors(model))
    observer.observe(images)
    chosen = ImageSet(str(folder), "", 0, tuple(map(str, images)), tuple(map(file_digest, images)))
    return make_table(observer.histograms, Method.MINMAX, source, chosen)


def squares_missed(detector, seed: int = 11, count: int = 30) -> int:
    """How many squares are not found, or found as another color, and how many are found where none is."""
    missed = 0
    for frame in sample_frames(count, seed):
        found = detector.detect(frame.image)
        missed += abs(len(found.scores) - len(frame.class_ids))
        overlaps = iou_matrix(frame.boxes, found.boxes)
        if len(found.scores):
            best = overlaps.argmax(axis=1)
            right = (overlaps.max(axis=1) > 0.5) & (found.class_ids[best] == frame.class_ids)
            missed += int((~right).sum())
    return missed


def rescaled(model: onnx.ModelProto, factor: float = 200.0) -> onnx.ModelProto:
    """The same function with one channel of conv2 ``factor`` times as large and conv3's share of it as much smaller."""
    hostile = onnx.ModelProto()
    hostile.CopyFrom(model)
    for entry in hostile.graph.initializer:
        if entry.name in ("conv2.weight", "conv3.weight"):
            value = onnx.numpy_helper.to_array(entry).copy()
            value[(0,) if entry.name == "conv2.weight" else (slice(None), 0)] *= (
                factor if entry.name == "conv2.weight" else 1 / factor
            )
            entry.CopyFrom(onnx.numpy_helper.from_array(np.asarray(value, np.float32), entry.name))
    return hostile
