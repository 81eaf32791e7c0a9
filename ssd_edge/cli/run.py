"""``ssd-edge run``: boxes on a camera, a stream, a film or pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssd_edge.cli.console import bars, show_table
from ssd_edge.cli.signals import SignalStop
from ssd_edge.core.choices import Goal
from ssd_edge.core.errors import InputError
from ssd_edge.workflows.stream_config import RunConfig

if TYPE_CHECKING:
    from ssd_edge.workflows.run_streams import RunResult


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
    threshold: Annotated[
        float, typer.Option("--threshold", "-t", help="Show what scores more, from 0 to 1.")
    ] = RunConfig.score_threshold,
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
    loop: Annotated[bool, typer.Option("--loop", help="Play a file or folder for ever.")] = RunConfig.loop,
    max_frames: Annotated[int | None, typer.Option("--max-frames", min=1, help="End after this many.")] = None,
    threads: Annotated[
        Goal, typer.Option("--threads", help="All cores on one frame, or one core on each of several frames.")
    ] = RunConfig.threads,
    rtsp_latency: Annotated[
        int, typer.Option("--rtsp-latency", min=0, help="Milliseconds that a stream may hold frames back.")
    ] = RunConfig.rtsp_latency_ms,
    reconnect: Annotated[
        int, typer.Option("--reconnect", min=0, help="Tries to open a camera or stream again that stopped.")
    ] = RunConfig.reconnect,
) -> None:
    """Detect on every frame. Ctrl-C, or q in the window, ends the run with whole files, the summary and exit code 0."""
    from ssd_edge.workflows.run_streams import run_streams

    if source is not None and camera is not None:
        raise InputError(
            "a source and a camera are too many", got=f"{source} and --camera {camera}", wanted="one of them"
        )
    with bars() as progress:
        result = run_streams(
            camera if source is None else source,
            model,
            output=output,
            json_path=json_path,
            score_threshold=threshold,
            serve=serve,
            window=window,
            width=width,
            height=height,
            fps=fps,
            pace=pace,
            loop=loop,
            max_frames=max_frames,
            threads=threads,
            rtsp_latency_ms=rtsp_latency,
            reconnect=reconnect,
            progress=progress,
            stop=SignalStop(),
        )
    _show(result, stderr=json_path == "-")


def _show(result: RunResult, *, stderr: bool) -> None:
    ending = " (stopped)" if result.stopped else ""
    dropped = f", {result.dropped} dropped" if result.live else ""
    title = f"{result.source}: {result.frames} frames in {result.seconds:.2f} s, {result.fps:.1f} FPS{dropped}{ending}"
    rows = [
        (
            times.stage.replace("_", " "),
            *(f"{value:.2f}" for value in (times.mean_ms, times.p50_ms, times.p95_ms, times.p99_ms, times.max_ms)),
        )
        for times in result.stages
    ]
    show_table(title, ("stage, ms", "mean", "p50", "p95", "p99", "max"), rows, stderr=stderr)
