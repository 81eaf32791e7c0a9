"""Synthesize: a drawn data set of road signs in any layout, and a drawn video with the truth about every frame."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
from typing_extensions import Unpack

from ssd_edge.core.config import AnyPath, config_from
from ssd_edge.core.errors import InputError, keyword
from ssd_edge.core.files import folder_written_beside, written_beside
from ssd_edge.core.images import write_image
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.progress import Progress, ProgressCallback, no_progress, stage
from ssd_edge.core.resources import with_named_resources
from ssd_edge.core.sample import LabelledObject
from ssd_edge.core.text_parsers import parse_json
from ssd_edge.data.video_truth import truth_line, truth_path
from ssd_edge.data.writers import open_writer
from ssd_edge.scenes.drive import FPS, draw_video
from ssd_edge.scenes.scene import DRAWING_VERSION, LARGEST_SPLIT, Scene, draw_series
from ssd_edge.scenes.signs import SIGN_KINDS
from ssd_edge.workflows.synthesize_config import SynthesizeConfig, SynthesizeOptions

MARKER = "synth.json"  # says that the folder was drawn, and what was asked for
_MIN_SIDE, _MAX_SIDE = 32, 8192
_CODECS = {".mp4": "mp4v", ".avi": "MJPG"}


@dataclass(frozen=True)
class SynthesizeResult:
    """Result of drawing a data set.

    Attributes:
        path: the folder of the data set; None where only a video was asked for.
        is_new: False where the folder held this very data set already and was left as it is.
        class_names: in the order of their numbers.
        video: the drawn video, if one was asked for.
        truth: what is to be seen in its frames, as JSON lines.
        left_out: always empty.
    """

    path: Path | None
    is_new: bool
    class_names: tuple[str, ...]
    video: Path | None = None
    truth: Path | None = None
    left_out: tuple[LeftOut, ...] = ()


@with_named_resources
def synthesize(
    folder: AnyPath | None,
    *,
    config: SynthesizeConfig | None = None,
    progress: ProgressCallback = no_progress,
    **options: Unpack[SynthesizeOptions],
) -> SynthesizeResult:
    """Draw a labelled data set of road signs into ``folder``, and a video if one is asked for.

    Image n of a split depends on the seed, the split, n and the size only: a larger set begins with the smaller one,
    and the splits share no image. Signs of which less than 0.3 shows are marked difficult (left out in YOLO's format,
    which cannot say so).

    The truth beside the video has a line for each frame, like those of ``ssd-edge run``: a detection of score 1 for
    each sign, in pixels, with ``difficult`` where less than 0.3 of the sign shows or it is still lost in the haze.

    Args:
        folder: new or empty, or one that was drawn before, which is then replaced; None for a video alone.
        config: what to draw; or its fields as keywords.
        progress: receives every image (``drawing``) and frame (``filming``).
        options: fields of the config.

    Raises:
        InputError: a number or a suffix makes no sense, or the folder holds something else or cannot be written.
            Folder, video and truth are then as they were before.
    """
    config = config_from(SynthesizeConfig, config, options)
    target = None if folder is None else Path(folder)
    if target is None and config.video is None:
        raise InputError("it is not said what to generate", wanted="a folder for a data set, or the argument video")
    if target is not None:
        _check_set(config)
    if config.video is not None:
        _check_video(config.video, config)
    is_new = False
    if target is not None:
        with stage(progress, "drawing") as report:
            is_new = _write_set(target, config, report)
    truth = None
    if config.video is not None:
        with stage(progress, "filming") as report:
            truth = _write_video(config.video, config, report)
    return SynthesizeResult(target, is_new, SIGN_KINDS, config.video, truth)


def _write_set(folder: Path, config: SynthesizeConfig, progress: Progress) -> bool:
    """Draw the data set; return False where the folder holds this very one already."""
    request = _request(config)
    if not config.overwrite and _read_marker(folder) == request:
        return False
    target = folder.resolve()
    _check_replaceable(target, folder, overwrite=config.overwrite)
    with folder_written_beside(target, durable=False) as partial:
        _draw_into(partial, config, progress)
        (partial / MARKER).write_text(json.dumps(request, indent=1) + "\n", encoding="utf-8")
    return True


def _request(config: SynthesizeConfig) -> dict[str, str | int]:
    """Return what a folder was asked to be, as it is stored in it."""
    width, height = config.size
    counts = {"train": config.train, "val": config.val, "test": config.test}
    shape = {"width": width, "height": height, "seed": config.seed, "drawing": DRAWING_VERSION}
    return {"format": config.format.value, **counts, **shape}


def _draw_into(folder: Path, config: SynthesizeConfig, progress: Progress) -> None:
    writer = open_writer(config.format, folder, SIGN_KINDS)
    counts = {"train": config.train, "val": config.val, "test": config.test}
    images = [(split, number) for split, count in counts.items() for number in range(count)]
    paths = [writer.image_path(split, f"{split}_{number:06d}") for split, number in images]

    def save(place: int, scene: Scene) -> tuple[LabelledObject, ...]:
        write_image(paths[place], scene.image)
        return scene.objects

    workers = config.workers or os.cpu_count() or 1
    drawn = draw_series(images, config.size, config.seed, save, workers=workers)
    try:
        for done, objects in enumerate(drawn):
            writer.add(images[done][0], paths[done], config.size, objects)
            progress(done + 1, len(images))
    finally:
        drawn.close()  # its threads, before the folder goes
    writer.close()


def _read_marker(folder: Path) -> object:
    try:
        return parse_json((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _check_replaceable(target: Path, folder: Path, *, overwrite: bool) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise InputError(f"{folder} is a file", wanted="a new or empty folder")
    if target == Path.cwd() or target in Path.cwd().parents:
        raise InputError(
            f"{folder} is the current folder or contains it",
            wanted="a new or empty folder",
            do="Choose a new folder inside it.",
        )
    count = sum(1 for _ in target.iterdir())
    if count and not overwrite and not (target / MARKER).is_file():
        raise InputError(
            f"{folder} is not empty and was not generated by ssd-edge",
            got=f"{count} files and folders",
            wanted="a new or empty folder",
            do=f"Choose another folder, or replace its contents: {keyword('overwrite', True)}.",
        )


def _check_set(config: SynthesizeConfig) -> None:
    counts, sides = (config.train, config.val, config.test), config.size
    rules = (
        (min(counts) >= 0 and sum(counts) > 0, f"{counts} images", "at least one image, and no negative count"),
        (max(counts) <= LARGEST_SPLIT, f"{max(counts)} images", f"at most {LARGEST_SPLIT} in a split"),
        (all(_MIN_SIDE <= side <= _MAX_SIDE for side in sides), "{} x {}".format(*sides), "sides of 32 to 8192 pixels"),
        (config.seed >= 0, f"seed {config.seed}", "0 or more"),
    )
    for holds, got, wanted in rules:
        if not holds:
            raise InputError("this data set cannot be generated", got=got, wanted=wanted)


def _write_video(path: Path, config: SynthesizeConfig, progress: Progress) -> Path:
    with (
        written_beside(truth_path(path)) as truth,
        written_beside(path) as video,
        truth.open("w", encoding="utf-8") as lines,
        _video_writer(video, path, config.video_size) as writer,
    ):
        for frame, (seconds, scene) in enumerate(draw_video(config.frames, config.video_size, config.seed)):
            writer.write(scene.image)
            lines.write(truth_line(frame, seconds, str(path), scene.objects, SIGN_KINDS))
            progress(frame + 1, config.frames)
    return truth_path(path)


@contextmanager
def _video_writer(video: Path, path: Path, size: tuple[int, int]) -> Iterator[cv2.VideoWriter]:
    codec = _CODECS[path.suffix.lower()]
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*codec), FPS, size)
    try:
        if not writer.isOpened():
            raise InputError(f"{path} cannot be encoded", got=f"an OpenCV without the codec {codec}")
        yield writer
    finally:
        writer.release()


def _check_video(path: Path, config: SynthesizeConfig) -> None:
    size = config.video_size
    rules = (
        (path.suffix.lower() in _CODECS, repr(path.suffix), " or ".join(_CODECS)),
        (config.frames >= 1, f"{config.frames} frames", "1 or more"),
        (all(32 <= side <= 8192 and side % 2 == 0 for side in size), "{} x {}".format(*size), "even sides, 32 to 8192"),
        (config.seed >= 0, f"seed {config.seed}", "0 or more"),
    )
    for holds, got, wanted in rules:
        if not holds:
            raise InputError(f"{path} cannot be generated", got=got, wanted=wanted)
