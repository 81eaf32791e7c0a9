"""``ssd-edge run``: boxes on cameras, streams, videos or images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ssd_edge.cli.console import bars, show_table
from ssd_edge.cli.service import SystemdNotifier, own_command, supervise
from ssd_edge.cli.signals import SignalReload, SignalStop
from ssd_edge.core.choices import Goal
from ssd_edge.core.errors import InputError
from ssd_edge.workflows.stream_config import RunConfig

if TYPE_CHECKING:
    from ssd_edge.workflows.run_streams import RunResult


def run(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SOURCE]...",
            help="Image, folder, video, camera number, csi://0, RTSP or HTTP URL, or GStreamer pipeline; any number.",
        ),
    ] = None,
    camera: Annotated[
        int | None, typer.Option("--camera", min=0, help="Camera number; 0 where SOURCE is left out.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="PATH", help="Sources and options from a streams.toml; read again on SIGUSR1."
        ),
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", "-m", help="An .engine or .onnx; by default the newest in engines/.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Video (.mp4, .avi, .webm, .mkv), image, or folder; of several sources a folder."
        ),
    ] = None,
    json_path: Annotated[
        str | None,
        typer.Option(
            "--json", metavar="PATH", help="JSON lines, one a frame; - for stdout, DIR/ for a file of each source."
        ),
    ] = None,
    threshold: Annotated[
        float, typer.Option("--threshold", "-t", help="Show what scores more, from 0 to 1.")
    ] = RunConfig.score_threshold,
    classes: Annotated[
        str | None,
        typer.Option("--classes", metavar="LABEL[=SCORE],...", help="Keep these only, each with its threshold."),
    ] = None,
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
    max_frames: Annotated[
        int | None, typer.Option("--max-frames", min=1, help="End after this many of each source.")
    ] = None,
    every: Annotated[int, typer.Option("--every", min=1, help="Infer each N-th frame.")] = RunConfig.every,
    detect_fps: Annotated[
        float | None, typer.Option("--detect-fps", help="Infer at most this many frames a second of each source.")
    ] = None,
    motion: Annotated[
        float | None,
        typer.Option("--motion", help="Infer where this share of the scene has changed, 0 to 1, and once in 5 s."),
    ] = None,
    threads: Annotated[
        Goal | None,
        typer.Option(
            "--threads", help="All cores on one frame, or a core on each of several; measured for several sources."
        ),
    ] = None,
    batch_wait: Annotated[
        float,
        typer.Option("--batch-wait", min=0, help="Milliseconds that a frame may wait for those of other sources."),
    ] = RunConfig.batch_wait_ms,
    max_batch: Annotated[
        int | None, typer.Option("--max-batch", min=1, help="Frames inferred together; measured for several sources.")
    ] = None,
    rtsp_latency: Annotated[
        int, typer.Option("--rtsp-latency", min=0, help="Milliseconds that a stream may hold frames back.")
    ] = RunConfig.rtsp_latency_ms,
    max_retries: Annotated[
        int | None,
        typer.Option(
            "--max-retries", "--reconnect", min=0, help="Tries to open a source again; without a limit if left out."
        ),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for a local camera that is absent at the beginning, too.")
    ] = RunConfig.wait,
    stall_timeout: Annotated[
        float, typer.Option("--stall-timeout", min=0.1, help="Seconds without a frame that are a stall.")
    ] = RunConfig.stall_timeout,
    max_frame_age: Annotated[
        float, typer.Option("--max-frame-age", min=0.1, help="Seconds; older frames of live sources are dropped.")
    ] = RunConfig.max_frame_age,
    hang_timeout: Annotated[
        float, typer.Option("--hang-timeout", min=1, help="Seconds after which an inference has hung: exit code 75.")
    ] = RunConfig.hang_timeout,
    supervised: Annotated[
        bool, typer.Option("--supervise", help="Start the run anew when it crashes or its inference hangs.")
    ] = False,
) -> None:
    """Detect on every frame. Ctrl-C, or q in the window, ends the run with whole files, the summary and exit code 0."""
    if supervised:
        raise typer.Exit(supervise(own_command()))
    from ssd_edge.workflows.run_streams import run_streams

    if sources and camera is not None:
        raise InputError(
            "a source and a camera are too many", got=f"{sources[0]} and --camera {camera}", wanted="one of them"
        )
    if config is not None and (sources or camera is not None):
        raise InputError("a source and --config are too many", wanted="one of them", do=f"Write it into {config}.")
    labels, thresholds = _classes(classes)
    options: dict[str, Any] = {
        "output": output,
        "json_path": json_path,
        "score_threshold": threshold,
        "classes": labels,
        "thresholds": thresholds,
        "serve": serve,
        "window": window,
        "width": width,
        "height": height,
        "fps": fps,
        "pace": pace,
        "loop": loop,
        "max_frames": max_frames,
        "every": every,
        "detect_fps": detect_fps,
        "motion": motion,
        "threads": threads,
        "batch_wait_ms": batch_wait,
        "max_batch": max_batch,
        "rtsp_latency_ms": rtsp_latency,
        "max_retries": max_retries,
        "wait": wait,
        "stall_timeout": stall_timeout,
        "max_frame_age": max_frame_age,
        "hang_timeout": hang_timeout,
    }
    systemd = SystemdNotifier()
    with bars() as progress:
        result = run_streams(
            sources or camera,
            model,
            streams_file=config,
            progress=progress,
            stop=SignalStop(),
            reload=SignalReload(),
            status=systemd.alive,
            **(_given(options) if config is not None else options),
        )
    systemd.stopping()
    _show(result, stderr=json_path == "-")
    if result.failed:
        raise typer.Exit(1)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given: beside a file of streams, none may be."""
    defaults = RunConfig()
    kept = {name: value for name, value in options.items() if value not in (getattr(defaults, name), None)}
    kept.pop("window", None)
    return kept


def _classes(text: str | None) -> tuple[tuple[str, ...] | None, dict[str, float]]:
    """Return the labels, and the thresholds of those that have one."""
    if text is None:
        return None, {}
    labels, thresholds = [], {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        label, equals, score = part.partition("=")
        labels.append(label)
        if equals:
            try:
                thresholds[label] = float(score)
            except ValueError as error:
                raise InputError(
                    f"--classes {part} has no threshold", got=score, wanted="LABEL or LABEL=0.6"
                ) from error
    return tuple(labels), thresholds


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
    if len(result.streams) > 1:
        _show_streams(result, stderr=stderr)


def _show_streams(result: RunResult, *, stderr: bool) -> None:
    rows = []
    for stream in result.streams:
        status = stream.status
        counts = (status.dropped, status.skipped, status.repeated, status.stalls, status.retries)
        state = f"{status.state.value}{f' ({status.reason.value})' if status.reason else ''}"
        rows.append((stream.name, str(stream.frames), f"{stream.fps:.1f}", *map(str, counts), state))
    heads = ("stream", "frames", "FPS", "dropped", "skipped", "repeated", "stalls", "retries", "state")
    show_table("streams", heads, rows, stderr=stderr)
