"""Outputs of a run: opens the sinks and checks that nothing is overwritten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from ssd_edge.core.choices import OnFailure
from ssd_edge.core.errors import InputError
from ssd_edge.core.files import path_kind
from ssd_edge.core.images import IMAGE_SUFFIXES
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.log import log
from ssd_edge.core.shutdown import StopRequest
from ssd_edge.streaming.privacy import Blur
from ssd_edge.streaming.sinks.base import AnnotatedSink, ImageSink, Sink
from ssd_edge.streaming.sinks.conflicts import check_distinct, check_keeps_input
from ssd_edge.streaming.sinks.images import ImageFileSink, ImageFolderSink
from ssd_edge.streaming.sinks.json_lines import JsonLinesSink, Lines
from ssd_edge.streaming.sinks.lasting import OutputGroup
from ssd_edge.streaming.sinks.line_file import LineFile
from ssd_edge.streaming.sinks.pieces import Cut, Retention
from ssd_edge.streaming.sinks.video import CODECS, VideoSink
from ssd_edge.streaming.sinks.window import WindowSink, why_no_window
from ssd_edge.streaming.sources.base import STILLS_FPS, SourceInfo

STDOUT = Path("-")
"""In place of a file of JSON lines."""

_FASTEST_LIVE_FILM = 30.0
_MOST_OF_ONE_INDEX = 200_000  # frames: the index of an ordinary MP4 is held in memory until it is closed


@dataclass(frozen=True)
class OutputOptions:
    """Output options.

    Attributes:
        output: video, image or folder of images with the boxes drawn in.
        json_path: file of JSON lines, one a frame; ``-`` for stdout.
        serve: ``[HOST:]PORT`` for web browsers.
        window: whether to show a window; None for one where nothing else is asked for and there is a display.
        lines: in place of ``json_path``: lines that several streams share, closed by their owner.
        cut: when a video or a file of JSON lines goes on in another one; None for one file.
        retention: which old pieces go; one for all outputs that share a limit.
        fsync_s: wait for the disk to have what was written, at most this often in seconds; None for never.
        on_failure: what becomes of the run when an output can no longer be written.
        blur: labels of objects that are unrecognizable in what is shown and kept.
        stream: name of the stream, for each of its lines; empty where it is the only one.
        published: the results are published at a broker too, by somebody else.
    """

    output: Path | None = None
    json_path: Path | None = None
    serve: str | None = None
    window: bool | None = None
    lines: Lines | None = None
    cut: Cut | None = None
    retention: Retention = field(default_factory=Retention)
    fsync_s: float | None = None
    on_failure: OnFailure = OnFailure.GO_ON
    blur: frozenset[str] = frozenset()
    stream: str = ""
    published: bool = False

    @property
    def files(self) -> list[Path]:
        """The files and folders that are written."""
        return [path for path in (self.output, self.json_path) if path is not None and path != STDOUT]

    @property
    def any(self) -> bool:
        """Whether something besides a window is asked for."""
        return self.published or any(choice is not None for choice in (self.output, self.json_path, self.serve))


_DEFAULT = OutputOptions()


@dataclass(frozen=True)
class Outputs:
    """Opened outputs.

    Attributes:
        sinks: for the pipeline.
        files: those of them that keep something, by the path that was asked for.
        group: which of them have failed.
    """

    sinks: Sequence[Sink]
    files: Mapping[Path, JsonLinesSink | ImageSink]
    group: OutputGroup = field(default_factory=OutputGroup)

    def written(self, path: Path | None) -> Path | None:
        """Return a path that was asked for, or its last piece, where something was written; once all are closed."""
        if path is None or path not in self.files or not self.files[path].written:
            return None
        return self.files[path].last or path

    def left_out(self) -> tuple[LeftOut, ...]:
        """Return the outputs that lack frames, once all are closed."""
        return self.group.left_out()

    def reports(self) -> Iterator[str]:
        """Yield a line on each file, once all are closed."""
        for path, sink in self.files.items():
            yield report_on(path, sink.pieces or sink.written, sink.last)


def open_outputs(
    stack: ExitStack, info: SourceInfo, inputs: Sequence[Path], options: OutputOptions, stop: StopRequest
) -> Outputs:
    """Open what is asked for, and a window where nothing is and there is a display; ``stack`` closes it.

    Raises:
        InputError: an output is one of ``inputs`` or another output, or it cannot be written.
        DeviceError: a window is asked for, and there is no display; or nothing can be served at the address.
    """
    _check_overwrites_nothing(options.files if options.cut is None else [], inputs)
    group, is_cut = OutputGroup(options.on_failure), options.cut is not None
    sinks: list[Sink] = []
    shown: list[ImageSink] = []
    files: dict[Path, JsonLinesSink | ImageSink] = {}
    if options.lines is not None:
        sinks.append(
            group.sink(JsonLinesSink(options.lines, stream=options.stream), options.lines.name, retries=is_cut)
        )
    elif options.json_path == STDOUT:
        sinks.append(group.sink(JsonLinesSink(None, stream=options.stream), "stdout"))
    elif options.json_path is not None:
        lines = JsonLinesSink(open_lines(stack, options.json_path, options), stream=options.stream)
        sinks.append(group.sink(lines, str(options.json_path), retries=is_cut))
        files[options.json_path] = lines
    if options.output is not None:
        kept = stack.enter_context(open_image_sinks(options.output, info, options))
        shown.append(group.images(kept, str(options.output), retries=is_cut))
        files[options.output] = kept
    if options.serve is not None:
        shown.append(_open_server(stack, info, options.serve))
    if _wants_window(options):
        shown.append(stack.enter_context(WindowSink(f"ssd-edge: {info.name}", stop)))
    if shown:
        sinks.append(AnnotatedSink(shown, Blur(options.blur) if options.blur else None))
    return Outputs(sinks, files, group)


def report_on(path: Path, pieces: int, last: Path | None) -> str:
    """Return a line on a file, which may have been cut into pieces."""
    if pieces > 1 and last is not None:
        return f"wrote {path} in {pieces} files, the last {last}"
    return f"wrote {last or path}" if pieces else f"nothing was written to {path}: no frame came"


def open_lines(stack: ExitStack, path: Path, options: OutputOptions) -> LineFile:
    """Open a file of lines, for one stream or for several; ``stack`` closes it.

    Raises:
        InputError: it cannot be written.
    """
    lines = LineFile(path, cut=options.cut, retention=options.retention, fsync_s=options.fsync_s)
    stack.callback(lines.close)
    return lines


def open_image_sinks(path: Path, info: SourceInfo, options: OutputOptions = _DEFAULT) -> ImageSink:
    """Return the sink for drawn frames: a video or an image by the suffix of ``path``, a folder where it has none.

    Raises:
        InputError: another suffix, a single image for many frames, or a place that cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix in CODECS:
        return VideoSink(
            path,
            video_rate(info),
            by_time=not info.stills,
            finite=info.frames is not None and info.frames <= _MOST_OF_ONE_INDEX,
            cut=options.cut,
            retention=options.retention,
            fsync_s=options.fsync_s,
        )
    if suffix in IMAGE_SUFFIXES:
        if info.frames != 1:
            raise InputError(
                f"{path} can hold only one image",
                got=f"the many frames of {info.name}",
                do="Give --output a folder or a video file.",
            )
        return ImageFileSink(path)
    if suffix and path_kind(path) != "folder":
        raise InputError(
            f"{path} is not a known kind of output",
            got=f"suffix {path.suffix!r}",
            wanted=f"{', '.join(CODECS)}, an image, or a folder",
        )
    return ImageFolderSink(path, named_by_source=info.stills)


def video_rate(info: SourceInfo) -> float:
    """Return the rate of a video of the source: its own; a camera's up to 30; ten images a second for stills."""
    if info.stills and not info.live:
        return STILLS_FPS
    rate = info.fps or _FASTEST_LIVE_FILM
    return min(rate, _FASTEST_LIVE_FILM) if info.live else rate


def _check_overwrites_nothing(outputs: Sequence[Path], inputs: Sequence[Path]) -> None:
    check_distinct(outputs)
    for path in outputs:
        for source in inputs:
            check_keeps_input(path, source)
        if path_kind(path) == "file":
            log.info(f"{path} already exists and is replaced")


def _open_server(stack: ExitStack, info: SourceInfo, address: str) -> ImageSink:
    from ssd_edge.streaming.sinks.mjpeg import BrowserSink
    from ssd_edge.streaming.web.access import Address

    sink = BrowserSink(Address.parse(address), info.name)
    stack.enter_context(sink)
    port = sink.address.port
    if sink.token_file is None:
        log.info(
            f"to watch, open {sink.address.url}; to watch from other machines, with a token: --serve 0.0.0.0:{port}"
        )
    else:
        log.info(f"to watch, open {sink.address.url} with the parameter token, whose value is in {sink.token_file}")
    return sink


def _wants_window(options: OutputOptions) -> bool:
    """Whether to show a window; by default where nothing else is asked for, and there is a display."""
    if options.window is not None or options.any:
        return bool(options.window)
    if (reason := why_no_window()) is not None:
        log.info(
            f"no window: {reason}; only the figures are shown. To see the frames in a browser: --serve 8080; to save "
            "the detections: --output or --json"
        )
    return reason is None
