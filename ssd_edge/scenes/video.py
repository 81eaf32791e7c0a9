"""A drawn film: a camera drives past signs, and the truth about every frame is known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import written_beside
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.progress import Progress, silent
from ssd_edge.data.video_truth import truth_line, truth_path
from ssd_edge.scenes.drive import Drive
from ssd_edge.scenes.signs import SIGN_KINDS

FPS = 30.0

_SPEED_M_PER_S = 8.0
_NOISE = 4.0  # deviation, in levels
_NOISE_ROOM = 64  # the noise is one plane, seen at another offset in each frame
_CODECS = {".mp4": "mp4v", ".avi": "MJPG"}


def synth_video(
    path: Path,
    *,
    frames: int = 300,
    size: tuple[int, int] = (1280, 720),
    seed: int = 0,
    progress: Progress = silent,
) -> Path:
    """Draw a film of ``frames`` frames at 30 a second, and beside it the truth: ``<name>.truth.jsonl``.

    Each line of the truth is like one of ``ssd-edge run``: a detection of score 1 for each sign, in pixels, with
    ``difficult`` where less than 0.3 of the sign shows or it is still lost in the haze.

    Args:
        path: the film; ``.mp4`` or ``.avi``.
        frames: 1 or more.
        size: (width, height), even numbers.
        seed: of the road and everything on it.
        progress: told after each frame.

    Returns:
        The file with the truth.

    Raises:
        InputError: a number or the suffix makes no sense, or the files cannot be written. Both files are then as they
            were before.
    """
    _refuse_senseless(path, frames, size, seed)
    width, height = size
    drive = Drive(height, width, length=frames / FPS * _SPEED_M_PER_S, seed=seed)
    noise = _noise_plane(height, width, seed)
    rng = np.random.default_rng([seed, 1])
    with (
        written_beside(truth_path(path)) as truth,
        written_beside(path) as film,
        truth.open("w", encoding="utf-8") as lines,
        _video_writer(film, path, size) as writer,
    ):
        for frame in range(frames):
            seconds = frame / FPS
            scene = drive.view(seconds * _SPEED_M_PER_S, seconds)
            writer.write(_noisy(scene.image, noise, rng))
            lines.write(truth_line(frame, seconds, str(path), scene.objects, SIGN_KINDS))
            progress(frame + 1, frames)
    return truth_path(path)


@contextmanager
def _video_writer(film: Path, path: Path, size: tuple[int, int]) -> Iterator[cv2.VideoWriter]:
    codec = cv2.VideoWriter.fourcc(*_CODECS[path.suffix.lower()])
    writer = cv2.VideoWriter(str(film), codec, FPS, size)
    try:
        if not writer.isOpened():
            raise InputError(
                f"{path} cannot be encoded", got=f"OpenCV without the codec {_CODECS[path.suffix.lower()]}"
            )
        yield writer
    finally:
        writer.release()


def _noise_plane(height: int, width: int, seed: int) -> npt.NDArray[np.int16]:
    shape = (height + _NOISE_ROOM, width + _NOISE_ROOM, 1)
    plane = np.random.default_rng([seed, 2]).standard_normal(shape, dtype=np.float32) * _NOISE
    return np.repeat(np.rint(plane).astype(np.int16), 3, axis=2)


def _noisy(image: UInt8Array, noise: npt.NDArray[np.int16], rng: np.random.Generator) -> UInt8Array:
    top, left = (int(value) for value in rng.integers(0, _NOISE_ROOM, 2))
    window = noise[top : top + image.shape[0], left : left + image.shape[1]]
    return np.asarray(cv2.add(image, window, dtype=cv2.CV_8U), np.uint8)


def _refuse_senseless(path: Path, frames: int, size: tuple[int, int], seed: int) -> None:
    rules = (
        (path.suffix.lower() in _CODECS, repr(path.suffix), " or ".join(_CODECS)),
        (frames >= 1, f"{frames} frames", "1 or more"),
        (all(32 <= side <= 8192 and side % 2 == 0 for side in size), "{} x {}".format(*size), "even sides, 32 to 8192"),
        (seed >= 0, f"seed {seed}", "0 or more"),
    )
    for holds, got, wanted in rules:
        if not holds:
            raise InputError(f"{path} cannot be drawn", got=got, wanted=wanted)
