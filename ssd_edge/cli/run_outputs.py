"""Where the results of ``ssd-edge run`` go: opened, kept from overwriting anything, and reported."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.cli.console import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ssd_edge.stream.sink import PictureSink, Sink
    from ssd_edge.stream.source import SourceInfo
    from ssd_edge.stream.stop import StopRequest


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
    output: Path | None,
    json_path: str | None,
    window: bool | None,
    stop: StopRequest,
) -> Outputs:
    """Open what was asked for, and a window where nothing was and there is a display; ``stack`` closes it.

    Raises:
        InputError: an output is one of ``inputs`` or another output, or it cannot be written.
        DeviceError: a window was asked for, and there is no display.
    """
    from ssd_edge.stream.json_sink import JsonLinesSink
    from ssd_edge.stream.outputs import open_pictures
    from ssd_edge.stream.sink import AnnotatedSink

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
    pictures += _open_window(stack, info, stop, window, wanted_by_default=output is None and json_path is None)
    if pictures:
        sinks.append(AnnotatedSink(class_names, pictures))
    return Outputs(sinks, files)


def _refuse_overwriting(outputs: Sequence[Path], inputs: Sequence[Path]) -> None:
    from ssd_edge.core.files import path_kind
    from ssd_edge.stream.overwriting import refuse_input, refuse_shared

    refuse_shared(outputs)
    for path in outputs:
        for source in inputs:
            refuse_input(path, source)
        if path_kind(path) == "file":
            say(f"{path} exists and is replaced")


def _open_window(
    stack: ExitStack, info: SourceInfo, stop: StopRequest, window: bool | None, *, wanted_by_default: bool
) -> list[PictureSink]:
    from ssd_edge.stream.display import why_no_window
    from ssd_edge.stream.window_sink import WindowSink

    if window is None and wanted_by_default and (reason := why_no_window()) is not None:
        say(f"no window: {reason}; --output or --json keeps the detections, here only the figures are shown")
        return []
    if window or (window is None and wanted_by_default):
        return [stack.enter_context(WindowSink(f"ssd-edge: {info.name}", stop))]
    return []
