"""Real encoded videos whose frames can be distinguished, and results to write."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from ssd_edge.core.detections import Detections
from ssd_edge.core.frame import Frame

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # is read once, with the first video, which may be one of ours

STEP = 10  # of gray, from frame to frame: far more than a codec changes


def write_film(path: Path, frames: int, *, size: tuple[int, int] = (96, 64), fps: float = 25.0) -> Path:
    """Frame n is gray of level ``n * STEP``."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, size)
    for number in range(frames):
        writer.write(np.full((size[1], size[0], 3), number * STEP, np.uint8))
    writer.release()
    return path


def write_bright_film(path: Path, frames: int, *, size: tuple[int, int] = (128, 64), fps: float = 25.0) -> Path:
    """A bright square of a quarter of the width in the upper left corner of a dark ground, for the tiny model."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, size)
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    picture[: size[1] // 2, : size[0] // 4] = 255
    for _ in range(frames):
        writer.write(picture)
    writer.release()
    return path


def write_moving_video(path: Path, frames: int, *, dark: range = range(0), fps: float = 25.0) -> Path:
    """A bright square that goes from left to right, 4 pixels a frame, for the tiny model; not there in dark frames."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (256, 64))
    for number in range(frames):
        image = np.zeros((64, 256, 3), np.uint8)
        if number not in dark:
            image[16:48, 4 * number : 4 * number + 32] = 255
        writer.write(image)
    writer.release()
    return path


def number_of(image: np.ndarray) -> int:
    """The number of a frame of :func:`write_film`."""
    return round(float(image.mean()) / STEP)


def read_film(path: Path) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    pictures = []
    while True:
        read, picture = capture.read()
        if not read:
            return pictures
        pictures.append(picture)


def frame_at(seconds: float, index: int = 0, *, level: int = 0, size: tuple[int, int] = (96, 64)) -> Frame:
    return Frame(np.full((size[1], size[0], 3), level, np.uint8), index, seconds, "camera 0")


def one_box(box: tuple[float, float, float, float] = (8, 8, 40, 40), score: float = 0.5) -> Detections:
    return Detections(
        np.array([box], np.float32), np.array([score], np.float32), np.array([1], np.int64), ("cat", "Fußgänger")
    )
