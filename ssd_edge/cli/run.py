"""``ssd-edge run``: detect objects in cameras, network streams, videos or images."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ssd_edge.cli.console import bars, exit_incomplete, show_table
from ssd_edge.cli.service import SystemdNotifier, own_command, supervise
from ssd_edge.cli.signals import SignalReload, SignalStop
from ssd_edge.core.choices import Goal, OnFailure
from ssd_edge.core.errors import InputError
from ssd_edge.workflows.stream_config import RunConfig

if TYPE_CHECKING:
    from ssd_edge.workflows.run_streams import RunResult

_source, _inference, _outputs, _recovery = (
    partial(typer.Option, rich_help_panel=panel) for panel in ("Source", "Inference", "Output", "Recovery")
)


def run(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SOURCE]...",
            help="Image, folder, video, camera number, csi://0, RTSP or HTTP URL, or GStreamer pipeline; any number.",
        ),
    ] = None,
    camera: Annotated[int | None, _source("--camera", min=0, help="Camera number (default without SOURCE: 0).")] = None,
    config: Annotated[
        Path | None,
        _source("--config", metavar="PATH", help="Sources and options from a streams.toml; read again on SIGUSR1."),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", "-m", help="An .engine or .onnx file (default: the current engine of engines/)."),
    ] = None,
    output: Annotated[
        Path | None,
        _outputs(
            "--output", "-o", help="Video (.mp4, .avi, .webm, .mkv), image or folder; for several sources a folder."
        ),
    ] = None,
    json_path: Annotated[
        str | None,
        _outputs(
            "--json",
            metavar="PATH|-",
            help="Write JSON lines, one per frame; - for stdout, DIR/ for a file per source.",
        ),
    ] = None,
    threshold: Annotated[
        float,
        typer.Option("--threshold", "--score-threshold", "-t", help="Show detections with a score above this, 0 to 1."),
    ] = RunConfig.score_threshold,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes",
            metavar="LABEL[=SCORE],...",
            help="Classes to show, each with a threshold if you like: stop=0.6,yield.",
        ),
    ] = None,
    serve: Annotated[
        str | None,
        _outputs(
            "--serve",
            metavar="[HOST:]PORT",
            help="Show frames in web browsers at http://HOST:PORT/ (default HOST: this machine only).",
        ),
    ] = None,
    window: Annotated[
        bool | None,
        _outputs("--window/--no-window", help="Show a window (default: if there is a display and no other output)."),
    ] = None,
    width: Annotated[int | None, _source("--width", min=1, help="Requested camera width in pixels.")] = None,
    height: Annotated[int | None, _source("--height", min=1, help="Requested camera height in pixels.")] = None,
    fps: Annotated[float | None, _source("--fps", min=0.1, help="Requested camera rate in frames per second.")] = None,
    pace: Annotated[
        float | None,
        _source("--pace", metavar="FPS", help="Play a file at this rate and drop late frames, as a camera does."),
    ] = None,
    loop: Annotated[bool, _source("--loop", help="Repeat a file or folder without end.")] = RunConfig.loop,
    max_frames: Annotated[
        int | None, _source("--max-frames", min=1, help="Stop after this many frames of each source.")
    ] = None,
    every: Annotated[int, _inference("--every", min=1, help="Infer every N-th frame.")] = RunConfig.every,
    detect_fps: Annotated[
        float | None, _inference("--detect-fps", help="Infer at most this many frames per second of each source.")
    ] = None,
    motion: Annotated[
        float | None,
        _inference("--motion", help="Infer only if this share of the scene has changed, 0 to 1, and once in 5 s."),
    ] = None,
    scale_in_decoder: Annotated[
        bool,
        _inference("--scale-in-decoder", help="RTSP at the network's size from a board's decoder; for --json only."),
    ] = RunConfig.scale_in_decoder,
    optimize_for: Annotated[
        Goal | None,
        _inference(
            "--optimize-for",
            help="latency: all cores on one frame; throughput: one core per frame (measured for several sources).",
        ),
    ] = None,
    device: Annotated[
        str | None,
        _inference(
            "--device", metavar="DEVICE", help="Device of an OpenVINO engine: cpu (default), gpu, gpu:1, npu or auto."
        ),
    ] = RunConfig.device,
    batch_wait: Annotated[
        float,
        _inference("--batch-wait", metavar="MS", min=0, help="Milliseconds to wait for frames of other sources."),
    ] = RunConfig.batch_wait_ms,
    max_batch: Annotated[
        int | None, _inference("--max-batch", min=1, help="Largest batch size (default: measured for several sources).")
    ] = None,
    rtsp_latency: Annotated[
        int, _source("--rtsp-latency", metavar="MS", min=0, help="Jitter buffer of a network stream, in milliseconds.")
    ] = RunConfig.rtsp_latency_ms,
    max_retries: Annotated[
        int | None,
        _recovery("--max-retries", min=0, help="Attempts to reopen a source (default: no limit)."),
    ] = None,
    wait: Annotated[
        bool, _recovery("--wait", help="Wait for a local camera that is absent at the start.")
    ] = RunConfig.wait,
    stall_timeout: Annotated[
        float,
        _recovery("--stall-timeout", metavar="S", min=0.1, help="Seconds without a frame until a source is reopened."),
    ] = RunConfig.stall_timeout,
    max_frame_age: Annotated[
        float,
        _recovery("--max-frame-age", metavar="S", min=0.1, help="Seconds until a frame of a live source is dropped."),
    ] = RunConfig.max_frame_age,
    hang_timeout: Annotated[
        float,
        _recovery(
            "--hang-timeout",
            metavar="S",
            min=1,
            help="Seconds after which an inference counts as hung; the run ends with exit code 75.",
        ),
    ] = RunConfig.hang_timeout,
    cut: Annotated[
        str | None,
        _outputs(
            "--cut", metavar="TIME|SIZE", help="New files every 10m, 1h, 1d (UTC) or 500MB; the time is in their names."
        ),
    ] = None,
    keep_days: Annotated[
        float | None, _outputs("--keep-days", help="Remove files of --cut that are older, in days.")
    ] = None,
    keep_gb: Annotated[
        float | None,
        _outputs(
            "--keep-gb", help="Remove the oldest files of --cut while together they take more gigabytes than this."
        ),
    ] = None,
    fsync: Annotated[
        float | None,
        _outputs("--fsync", min=0, help="Wait for the disk at most so often, in seconds; 0 after each line."),
    ] = None,
    on_failure: Annotated[
        OnFailure, _outputs("--on-failure", help="When an output cannot be written: go on without it, or stop.")
    ] = RunConfig.on_failure,
    masks: Annotated[
        list[str] | None,
        _outputs(
            "--mask", metavar="X,Y X,Y X,Y", help="Polygon that is black to the model and everywhere; any number."
        ),
    ] = None,
    blur: Annotated[
        str | None, _outputs("--blur", metavar="LABEL,...", help="Blur these in what is shown and kept.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Where there is no model yet, fetch and export one that knows COCO's classes.")
    ] = False,
    supervised: Annotated[
        bool, _recovery("--supervise", help="Restart the run if it crashes or an inference hangs.")
    ] = False,
) -> None:
    """Detect objects in every frame. Ctrl-C, or q in the window, ends with complete files and exit code 0."""
    if supervised and cut is None and (output is not None or json_path not in (None, "-")):
        raise InputError("--supervise would replace what was written before a restart", do="Add --cut 1h.")
    if supervised:
        raise typer.Exit(supervise(own_command()))
    from ssd_edge.workflows.run_streams import run_streams

    if sources and camera is not None:
        raise InputError(
            "SOURCE and --camera are both given", got=f"{sources[0]} and --camera {camera}", wanted="one of them"
        )
    if config is not None and (sources or camera is not None):
        raise InputError("SOURCE and --config are both given", wanted="one of them", do=f"Write it into {config}.")
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
        "scale_in_decoder": scale_in_decoder,
        "optimize_for": optimize_for,
        "device": device,
        "batch_wait_ms": batch_wait,
        "max_batch": max_batch,
        "rtsp_latency_ms": rtsp_latency,
        "max_retries": max_retries,
        "wait": wait,
        "stall_timeout": stall_timeout,
        "max_frame_age": max_frame_age,
        "hang_timeout": hang_timeout,
        "cut": cut,
        "keep_days": keep_days,
        "keep_gb": keep_gb,
        "fsync": fsync,
        "on_failure": on_failure,
        "masks": tuple(masks or ()),
        "blur": tuple(filter(None, (part.strip() for part in (blur or "").split(",")))),
    }
    systemd = SystemdNotifier()
    if yes and model is None and config is None:
        from ssd_edge.workflows.pretrained import ensure_model

        with bars() as progress:
            ensure_model(progress=progress)
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
    exit_incomplete(result.left_out)
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
