"""``ssd-edge run``: boxes on a camera, a stream, a film or pictures."""

from __future__ import annotations

from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssd_edge.cli.console import bar, say, show_table
from ssd_edge.streaming.outputs import Wishes, open_outputs

if TYPE_CHECKING:
    from ssd_edge.streaming.sources.base import SourceInfo
    from ssd_edge.streaming.timing import RunSummary


class Goal(str, Enum):
    """What the cores are spread for."""

    LATENCY = "latency"
    THROUGHPUT = "throughput"


def run(
    source: Annotated[
        str | None,
        typer.Argument(help="Image, folder, video, camera number, csi://0, RTSP or HTTP URL, or GStreamer pipeline."),
    ] = None,
    camera: Annotated[
        int | None, typer.Option("--camera", min=0, help="Camera number; 0 where SOURCE is left out.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", "-m", help="An .engine or .onnx; by default the newest in engines/.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Film (.mp4, .avi, .webm, .mkv), image, or folder of images.")
    ] = None,
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="PATH", help="JSON lines, one a frame; - for stdout.")
    ] = None,
    threshold: Annotated[float, typer.Option("--threshold", "-t", help="Show what scores more, from 0 to 1.")] = 0.5,
    serve: Annotated[
        str | None,
        typer.Option(
            "--serve",
            metavar="[HOST:]PORT",
            help="Show the frames in web browsers, at http://HOST:PORT/; without HOST only on this machine.",
        ),
    ] = None,
    window: Annotated[
        bool | None,
        typer.Option("--window/--no-window", help="By default where there is a display and no other output."),
    ] = None,
    width: Annotated[int | None, typer.Option("--width", min=1, help="Ask the camera for this width.")] = None,
    height: Annotated[int | None, typer.Option("--height", min=1, help="Ask the camera for this height.")] = None,
    fps: Annotated[float | None, typer.Option("--fps", min=0.1, help="Ask the camera for this rate.")] = None,
    pace: Annotated[
        float | None, typer.Option("--pace", help="Play a file at this many frames a second, as a camera would.")
    ] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Play a file or folder for ever.")] = False,
    max_frames: Annotated[int | None, typer.Option("--max-frames", min=1, help="End after this many.")] = None,
    threads: Annotated[
        Goal, typer.Option("--threads", help="All cores on one frame, or one core on each of several frames.")
    ] = Goal.LATENCY,
    rtsp_latency: Annotated[
        int, typer.Option("--rtsp-latency", min=0, help="Milliseconds that a stream may hold frames back.")
    ] = 200,
    reconnect: Annotated[
        int, typer.Option("--reconnect", min=0, help="Tries to open a camera or stream again that stopped.")
    ] = 5,
) -> None:
    """Detect on every frame. Ctrl-C, or q in the window, ends the run with whole files, the summary and exit code 0."""
    from ssd_edge.backends.cpu import Threads
    from ssd_edge.backends.detector import open_detector
    from ssd_edge.core.shutdown import StopRequest, stopped_by_signals
    from ssd_edge.streaming.pipeline import Pipeline
    from ssd_edge.streaming.sources.camera import CameraMode
    from ssd_edge.streaming.sources.factory import open_source
    from ssd_edge.streaming.sources.live import Reconnect
    from ssd_edge.streaming.sources.uri import file_of

    uri, stop = _source_uri(source, camera), StopRequest()
    with ExitStack() as stack:
        frames = stack.enter_context(
            open_source(
                uri,
                mode=CameraMode(width, height, fps),
                loop=loop,
                pace=pace,
                rtsp_latency_ms=rtsp_latency,
                reconnect=Reconnect(reconnect),
                report=say,
            )
        )
        spread = Threads.for_latency() if threads is Goal.LATENCY else Threads.for_throughput()
        chosen = _newest_model() if model is None else _usable(model)
        detector = stack.enter_context(open_detector(chosen, spread, threshold))
        if threshold < detector.spec.nms.score_threshold:
            say(f"the model itself shows only what scores more than {detector.spec.nms.score_threshold:g}")
        stack.enter_context(stopped_by_signals(stop))
        inputs = [chosen, *file_of(uri)]
        wishes = Wishes(output, json_path, serve, window)
        outputs = open_outputs(stack, frames.info, inputs, detector.spec.class_names, wishes, stop)
        progress = stack.enter_context(bar(frames.info.name))
        summary = Pipeline(frames, detector, outputs.sinks, max_frames=max_frames, stop=stop, progress=progress).run()
    for line in outputs.reports():
        say(line)
    _show(summary, frames.info, stderr=json_path == "-")


def _source_uri(source: str | None, camera: int | None) -> str:
    from ssd_edge.core.errors import InputError

    if source is not None and camera is not None:
        raise InputError(
            "a source and a camera are too many", got=f"{source} and --camera {camera}", wanted="one of them"
        )
    if source is None and camera is None:
        say("using camera 0")
    return source if source is not None else str(camera or 0)


def _usable(model: Path) -> Path:
    from ssd_edge.core.files import path_kind

    path_kind(model)  # names a path of which nobody can tell what lies there; the rest is the backend's to judge
    return model


def _newest_model() -> Path:
    """The newest engine for this machine that takes one picture at a time, or else the newest ONNX."""
    from ssd_edge.backends.detector import usable_here
    from ssd_edge.core.errors import InputError
    from ssd_edge.core.manifest import EngineManifest, manifest_path
    from ssd_edge.core.workspace import newest_engine, newest_onnx

    try:
        choice = newest_engine(
            Path(), lambda path: usable_here(path) and EngineManifest.load(manifest_path(path)).batch[0] <= 1
        )
    except InputError:
        choice = newest_onnx(Path())
        say(f"no engine for this machine in engines/; to build one: ssd-edge build {choice.path}")
    say(choice.note)
    return choice.path


def _show(summary: RunSummary, info: SourceInfo, *, stderr: bool) -> None:
    ending = " (stopped)" if summary.stopped else ""
    dropped = f", {summary.dropped} dropped" if info.live else ""
    title = f"{info.name}: {summary.frames} frames in {summary.seconds:.2f} s, {summary.fps:.1f} FPS{dropped}{ending}"
    rows = [
        (
            times.stage.replace("_", " "),
            *(f"{value:.2f}" for value in (times.mean_ms, times.p50_ms, times.p95_ms, times.p99_ms, times.max_ms)),
        )
        for times in summary.stages
    ]
    show_table(title, ("stage, ms", "mean", "p50", "p95", "p99", "max"), rows, stderr=stderr)
