"""Plan of each stream: name, source and options, from a command or a ``streams.toml``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import path_kind
from ssd_edge.core.images import IMAGE_SUFFIXES
from ssd_edge.streaming.outputs import STDOUT
from ssd_edge.streaming.privacy import Blur, PrivacyMask, parse_polygon
from ssd_edge.streaming.selection import MOTION_REST_S, DetectionFilter, FrameSelection
from ssd_edge.streaming.sources.base import Source, SourceInfo
from ssd_edge.streaming.sources.camera import CameraMode, Recovery
from ssd_edge.streaming.sources.factory import open_images, open_source
from ssd_edge.streaming.sources.uri import file_of, parse_uri
from ssd_edge.streaming.tracking.stream_tracker import StreamTracker
from ssd_edge.streaming.tracking.tracker import LOW_SCORE, Tracker
from ssd_edge.workflows.stream_config import RunConfig, StreamConfig

OneSource = str | PathLike[str] | int
Sources = OneSource | Sequence[OneSource]
"""An image, folder, video, URL or GStreamer pipeline, or the number of a camera; or a list of these."""

_VIDEO_SUFFIX = ".mkv"  # of which a power cut leaves what was written
_REST_SLACK = 1.2  # frames come a little later than they are due
_UNFIT = re.compile(r"[^\w.-]+")


@dataclass(frozen=True)
class StreamPlan:
    """One stream.

    Attributes:
        name: in messages, and of its files.
        uri: of its source; of several images, the first one's.
        config: its options.
        images: files that are its source together; empty for one that ``uri`` names alone.
    """

    name: str
    uri: str
    config: RunConfig
    images: tuple[Path, ...] = ()

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The files and folders that its source reads."""
        return self.images or file_of(self.uri)


def uris_of(sources: Sources) -> list[str]:
    """Return sources as URIs; a camera's number as text.

    Raises:
        InputError: there is none.
    """
    found = [sources] if isinstance(sources, (str, PathLike, int)) else list(sources)
    if not found:
        raise InputError("no source is given", wanted="at least one")
    return [str(source) if isinstance(source, int) else fspath(source) for source in found]


def plans_of(sources: Sources, config: RunConfig, *, json_folder: bool = False) -> list[StreamPlan]:
    """Return a plan for each source, with the outputs of several apart; sources that are all images are one.

    Args:
        sources: one, or several.
        config: options of all.
        json_folder: ``json_path`` was written as a folder (:func:`means_folder`).

    Raises:
        InputError: there is none, or several would be written to one output that takes only one.
    """
    uris = uris_of(sources)
    if images := images_of(uris):
        name = _file_name(images[0].parent.name if len({image.parent for image in images}) == 1 else "", "images")
        return [StreamPlan(name, uris[0], with_own_lines(config, name, json_folder=json_folder), images)]
    names = _distinct(_short_name(uri) for uri in uris)
    if len(uris) == 1:
        return [StreamPlan(names[0], uris[0], with_own_lines(config, names[0], json_folder=json_folder))]
    json_folder = json_folder or _is_new_folder(config.json_path)
    return [
        StreamPlan(name, uri, _own_outputs(config, name, number, json_folder=json_folder))
        for number, (name, uri) in enumerate(zip(names, uris, strict=True))
    ]


def means_folder(written: object) -> bool:
    """Whether a path, as text, can only mean a folder: it ends in a slash, which ``Path`` drops."""
    return isinstance(written, str) and written.endswith(("/", os.sep))


def with_own_lines(config: RunConfig, name: str, *, json_folder: bool) -> RunConfig:
    """Return the config of a stream; where ``json_path`` is a folder, with a file in it.

    Args:
        config: its options.
        name: of the stream.
        json_folder: it is a folder even where there is none yet.
    """
    path = config.json_path
    if path is None or not (json_folder or (path != STDOUT and path_kind(path) == "folder")):
        return config
    return replace(config, json_path=path / f"{_file_name(name, 'stream')}.jsonl")


def images_of(uris: Sequence[str]) -> tuple[Path, ...]:
    """Return the files of several sources that all are images, as a shell lists them; nothing where they are not."""
    paths = tuple(path for uri in uris for path in file_of(uri) if path.suffix.lower() in IMAGE_SUFFIXES)
    is_list = len(uris) > 1 and len(paths) == len(uris)
    return paths if is_list and not any(path_kind(path) == "folder" for path in paths) else ()


def open_stream_source(
    uri: str, config: StreamConfig, input_size: tuple[int, int] | None = None, images: Sequence[Path] = ()
) -> Source:
    """Open a source as the config says.

    Args:
        uri: of the source.
        config: its options.
        input_size: of the network, which ``scale_in_decoder`` needs.
        images: several files that are the source together, in place of ``uri``.

    Raises:
        InputError: the file or folder cannot be read, or an option does not fit the source.
        DeviceError: a local camera is absent.
    """
    mode = CameraMode(config.width, config.height, config.fps)
    if images and not config.scale_in_decoder:
        return open_images(images, mode=mode, loop=config.loop, pace=config.pace)
    return open_source(
        uri,
        mode=mode,
        loop=config.loop,
        pace=config.pace,
        rtsp_latency_ms=config.rtsp_latency_ms,
        scale_to=input_size if config.scale_in_decoder else None,
        recovery=Recovery(config.max_retries, config.wait, config.stall_timeout, config.max_frame_age),
    )


def filter_of(config: StreamConfig, score_threshold: float) -> DetectionFilter:
    """Return what a stream keeps of the detections."""
    classes = None if config.classes is None else frozenset(config.classes)
    return DetectionFilter(score_threshold, classes, dict(config.thresholds))


def tracker_of(config: StreamConfig, score_threshold: float, info: SourceInfo) -> StreamTracker | None:
    """Return what tracks the objects of a stream; None where nobody asks for it.

    With ``motion`` a track outlives the time in which a scene at rest is not inferred.
    """
    if not config.track:
        return None
    rest_s = 0.0 if config.motion is None else _REST_SLACK * MOTION_REST_S
    tracker = Tracker(
        score_threshold,
        thresholds=config.thresholds,
        classes=config.classes,
        timeout=max(config.track_timeout, rest_s),
    )
    return StreamTracker(tracker, info)


def lowest_score(config: StreamConfig, score_threshold: float) -> float:
    """Return the score below which a stream uses no detection: a tracked one uses more than it reports."""
    lowest = filter_of(config, score_threshold).lowest
    return min(lowest, LOW_SCORE) if config.track else lowest


def check_classes(plans: Sequence[StreamPlan], class_names: tuple[str, ...]) -> None:
    """Raise InputError where a stream names a class that the model lacks."""
    for plan in plans:
        filter_of(plan.config, plan.config.score_threshold).check(class_names)
        Blur(frozenset(plan.config.blur)).check(class_names)


def labels_of(plans: Sequence[StreamPlan]) -> frozenset[str]:
    """Return the classes that streams name, which an engine must know."""
    kept = (filter_of(plan.config, plan.config.score_threshold).labels for plan in plans)
    return frozenset[str]().union(*kept, *(plan.config.blur for plan in plans))


def mask_of(config: StreamConfig) -> PrivacyMask | None:
    """Return what of each frame is black; None for nothing.

    Raises:
        InputError: a mask is no list of corners.
    """
    return PrivacyMask([parse_polygon(text) for text in config.masks]) if config.masks else None


def selection_of(config: StreamConfig) -> FrameSelection:
    """Return which frames of a stream are inferred."""
    return FrameSelection(config.every, config.detect_fps, config.motion)


def _is_new_folder(path: Path | None) -> bool:
    """Whether ``--json`` of several sources means a folder that is still to be made: it has no suffix."""
    return path is not None and path != STDOUT and not path.suffix and path_kind(path) == "absent"


def _own_outputs(config: RunConfig, name: str, number: int, *, json_folder: bool) -> RunConfig:
    output, serve = config.output, config.serve
    if output is not None:
        if output.suffix and path_kind(output) != "folder":
            raise InputError(
                f"{output} can take only one source",
                got="several sources",
                wanted="a folder, for one video per source",
                do="Use: --output DIR/",
            )
        output = output / f"{name}{_VIDEO_SUFFIX}"
    if serve is not None:
        serve = _next_port(serve, number)
    if config.window:
        raise InputError(
            "a window can show only one source", got="several sources", do="Show them in a browser: --serve 8080"
        )
    config = replace(config, output=output, serve=serve, window=False)
    return with_own_lines(config, name, json_folder=json_folder)


def _next_port(address: str, number: int) -> str:
    head, colon, port = address.rpartition(":")
    return f"{head}{colon}{int(port) + number}" if port.isascii() and port.isdigit() else address


def _short_name(uri: str) -> str:
    parsed = parse_uri(uri)
    if parsed.kind == "file":
        text = Path(parsed.target).stem
    elif parsed.kind == "url":
        text = re.sub(r"^\w+://([^/@]*@)?", "", parsed.shown.partition("?")[0])
    else:
        text = parsed.shown[:40]
    return _file_name(text, "stream")


def _file_name(text: str, otherwise: str) -> str:
    return _UNFIT.sub("-", text).strip("-.")[:60] or otherwise


def _distinct(names: Iterable[str]) -> list[str]:
    """Return the names, those that come again with a number."""
    found: list[str] = []
    for name in names:
        number = 2
        chosen = name
        while chosen in found:
            chosen, number = f"{name}-{number}", number + 1
        found.append(chosen)
    return found
