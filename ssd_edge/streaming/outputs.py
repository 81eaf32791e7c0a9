"""Where the results of ``ssd-edge run`` go: opened, kept from overwriting anything, and reported."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import path_kind
from ssd_edge.core.images import IMAGE_SUFFIXES
from ssd_edge.core.log import log
from ssd_edge.streaming.sinks.base import PictureSink
from ssd_edge.streaming.sinks.images import ImageFileSink, ImageFolderSink
from ssd_edge.streaming.sinks.video import CODECS, VideoSink
from ssd_edge.streaming.sources.base import SourceInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ssd_edge.core.shutdown import StopRequest
    from ssd_edge.streaming.sinks.base import PictureSink, Sink
    from ssd_edge.streaming.sources.base import SourceInfo


_FASTEST_LIVE_FILM = 30.0
_FILM_OF_STILLS_FPS = 10.0


def open_pictures(path: Path, info: SourceInfo) -> PictureSink:
    """Return the sink for drawn frames: a film or an image by the suffix of ``path``, a folder where it has none.

    Raises:
        InputError: another suffix, a single image for many frames, or a place that cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix in CODECS:
        return VideoSink(path, film_rate(info), real_time=info.live)
    if suffix in IMAGE_SUFFIXES:
        if info.frames != 1:
            raise InputError(
                f"{path} is one image", got=f"many frames from {info.name}", do="Give --output a folder or a film."
            )
        return ImageFileSink(path)
    if suffix and path_kind(path) != "folder":
        raise InputError(
            f"{path} is no known kind of output",
            got=f"suffix {path.suffix!r}",
            wanted=f"{', '.join(CODECS)}, an image, or a folder",
        )
    return ImageFolderSink(path, named_by_source=info.stills)


def film_rate(info: SourceInfo) -> float:
    """Return the rate of a film of the source: its own; a camera's up to 30; ten pictures a second for stills."""
    if info.stills and not info.live:
        return _FILM_OF_STILLS_FPS
    rate = info.fps or _FASTEST_LIVE_FILM
    return min(rate, _FASTEST_LIVE_FILM) if info.live else rate


@dataclass(frozen=True)
class Wishes:
    """What the user asked for.

    Attributes:
        output: film, image or folder.
        json_path: of JSON lines; ``-`` for stdout.
        serve: address for web browsers.
        window: None for one where nothing else is asked for and there is a display.
    """

    output: Path | None
    json_path: str | None
    serve: str | None
    window: bool | None

    @property
    def any(self) -> bool:
        """Whether something besides a window is asked for."""
        return any(wish is not None for wish in (self.output, self.json_path, self.serve))


@dataclass(frozen=True)
class Outputs:
    """What was opened.

    Attributes:
        sinks: for the pipeline.
        files: those of them that keep something, by the path that the user gave.
    """

    sinks: Sequence[Sink]
    files: Mapping[Path, Sink | PictureSink]

    def reports(self) -> Iterator[str]:
        """Yield a line on each file, once all are closed."""
        for path, sink in self.files.items():
            yield f"wrote {path}" if sink.written else f"nothing was written to {path}: no frame came"


def open_outputs(
    stack: ExitStack,
    info: SourceInfo,
    inputs: Sequence[Path],
    class_names: Sequence[str],
    wishes: Wishes,
    stop: StopRequest,
) -> Outputs:
    """Open what was asked for, and a window where nothing was and there is a display; ``stack`` closes it.

    Raises:
        InputError: an output is one of ``inputs`` or another output, or it cannot be written.
        DeviceError: a window was asked for, and there is no display; or nothing can be served at the address.
    """
    from ssd_edge.streaming.sinks.base import AnnotatedSink
    from ssd_edge.streaming.sinks.json_lines import JsonLinesSink

    output, json_path = wishes.output, wishes.json_path
    lines_path = None if json_path in (None, "-") else Path(str(json_path))
    _refuse_overwriting([path for path in (output, lines_path) if path is not None], inputs)
    sinks: list[Sink] = []
    pictures: list[PictureSink] = []
    files: dict[Path, Sink | PictureSink] = {}
    if json_path is not None:
        film_fps = None if info.live or info.stills else info.fps
        sinks.append(stack.enter_context(JsonLinesSink(lines_path, class_names, film_fps)))
    if lines_path is not None:
        files[lines_path] = sinks[0]
    if output is not None:
        pictures.append(stack.enter_context(open_pictures(output, info)))
        files[output] = pictures[0]
    if wishes.serve is not None:
        pictures.append(_open_server(stack, info, wishes.serve))
    pictures += _open_window(stack, info, stop, wishes.window, wanted_by_default=not wishes.any)
    if pictures:
        sinks.append(AnnotatedSink(class_names, pictures))
    return Outputs(sinks, files)


def _refuse_overwriting(outputs: Sequence[Path], inputs: Sequence[Path]) -> None:
    from ssd_edge.core.files import path_kind
    from ssd_edge.streaming.overwriting import refuse_input, refuse_shared

    refuse_shared(outputs)
    for path in outputs:
        for source in inputs:
            refuse_input(path, source)
        if path_kind(path) == "file":
            log.info(f"{path} exists and is replaced")


def _open_server(stack: ExitStack, info: SourceInfo, address: str) -> PictureSink:
    from ssd_edge.streaming.sinks.mjpeg import Address, BrowserSink

    sink = BrowserSink(Address.parse(address), info.name)
    stack.enter_context(sink)
    others = f"; for other machines, without protection: --serve 0.0.0.0:{sink.address.port}"
    log.info(f"watch at {sink.address.url}{'' if sink.address.is_open else others}")
    return sink


def _open_window(
    stack: ExitStack, info: SourceInfo, stop: StopRequest, window: bool | None, *, wanted_by_default: bool
) -> list[PictureSink]:
    from ssd_edge.streaming.sinks.window import WindowSink, why_no_window

    if window is None and wanted_by_default and (reason := why_no_window()) is not None:
        log.info(
            f"no window: {reason}; --serve 8080 shows the frames in a browser, --output or --json keeps the "
            "detections, here only the figures are shown"
        )
        return []
    if window or (window is None and wanted_by_default):
        return [stack.enter_context(WindowSink(f"ssd-edge: {info.name}", stop))]
    return []
