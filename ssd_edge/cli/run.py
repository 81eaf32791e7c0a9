"""``ssd-edge run``: detect objects in cameras, network streams, videos or images."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from ssd_edge.cli.console import bars, exit_incomplete
from ssd_edge.cli.run_tables import show_run
from ssd_edge.cli.service import SystemdNotifier, own_command, supervise
from ssd_edge.cli.signals import SignalReload, SignalStop
from ssd_edge.core.choices import Goal, OnFailure
from ssd_edge.core.errors import InputError
from ssd_edge.core.native_memory import limit_arenas
from ssd_edge.workflows.stream_config import RunConfig

_source, _inference, _outputs, _recovery = (
    partial(typer.Option, rich_help_panel=panel) for panel in ("Source", "Inference", "Output", "Recovery")
)


def run(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SOURCE]...",
            help="Image, folder, video, camera number, csi://0, RTSP or HTTP URL, or GStreamer pipeline; several "
            "are possible. Several images are one source.",
        ),
    ] = None,
    camera: Annotated[
        int | None, _source("--camera", min=0, help="Camera number (default: 0 if there is no SOURCE).")
    ] = None,
    config: Annotated[
        Path | None,
        _source(
            "--config",
            metavar="PATH",
            help="Take sources and options from a streams.toml file; SIGUSR1 makes the run read it again.",
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", "-m", help="An .engine or .onnx file (default: the current engine of engines/)."),
    ] = None,
    output: Annotated[
        Path | None,
        _outputs(
            "--output",
            "-o",
            help="Video (.mp4, .avi, .webm, .mkv), image or folder of images to write; for several sources, a folder.",
        ),
    ] = None,
    json_path: Annotated[
        str | None,
        _outputs(
            "--json",
            metavar="PATH|-",
            help="Write JSON lines, one per frame; - for stdout, DIR/ for one file per source.",
        ),
    ] = None,
    threshold: Annotated[
        float,
        typer.Option("--threshold", "--score-threshold", "-t", help="Keep detections with a score above this, 0 to 1."),
    ] = RunConfig.score_threshold,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes",
            metavar="LABEL[=SCORE],...",
            help="Classes to keep in all outputs; each may have its own score threshold: stop=0.6,yield.",
        ),
    ] = None,
    serve: Annotated[
        str | None,
        _outputs(
            "--serve",
            metavar="[HOST:]PORT",
            help="Show frames in web browsers at http://HOST:PORT/ (without HOST: only on this machine).",
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        _outputs(
            "--metrics",
            metavar="[HOST:]PORT",
            help="Serve Prometheus metrics at /metrics, and health at /live and /ready (without HOST: only on this "
            "machine).",
        ),
    ] = None,
    mqtt: Annotated[
        str | None,
        _outputs(
            "--mqtt",
            metavar="URL",
            help="Publish detections and states at an MQTT broker: mqtt://USER@HOST, with /PREFIX for the topics, or "
            "mqtts:// for TLS.",
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
        _source(
            "--pace",
            metavar="FPS",
            help="Play a file at this many frames per second and drop late frames, as a camera does.",
        ),
    ] = None,
    loop: Annotated[bool, _source("--loop", help="Repeat a file or folder endlessly.")] = RunConfig.loop,
    max_frames: Annotated[
        int | None, _source("--max-frames", min=1, help="Stop after this many frames of each source.")
    ] = None,
    every: Annotated[
        int, _inference("--every", min=1, help="Run inference only on every N-th frame.")
    ] = RunConfig.every,
    detect_fps: Annotated[
        float | None,
        _inference("--detect-fps", help="Run inference on at most this many frames per second of each source."),
    ] = None,
    motion: Annotated[
        float | None,
        _inference("--motion", help="Run inference only if this share of the image has changed, 0 to 1, or after 5 s."),
    ] = None,
    track: Annotated[
        bool,
        _inference(
            "--track", help="Give each object an id that stays the same from frame to frame, and count objects."
        ),
    ] = RunConfig.track,
    track_timeout: Annotated[
        float,
        _inference(
            "--track-timeout",
            metavar="S",
            min=0,
            help="Seconds that a track lives without a detection of its object, at least three frame intervals.",
        ),
    ] = RunConfig.track_timeout,
    scale_in_decoder: Annotated[
        bool,
        _inference(
            "--scale-in-decoder",
            help="Let the board's decoder scale RTSP frames to the network's size; only with --json.",
        ),
    ] = RunConfig.scale_in_decoder,
    optimize_for: Annotated[
        Goal | None,
        _inference(
            "--optimize-for",
            help="latency: all cores on one frame; throughput: one core per frame (default: latency for a "
            "camera, throughput for a file or folder, measured for several sources).",
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
        _inference(
            "--batch-wait",
            metavar="MS",
            min=0,
            help="Milliseconds that a frame may wait for frames of other sources, to form a batch.",
        ),
    ] = RunConfig.batch_wait_ms,
    max_batch: Annotated[
        int | None, _inference("--max-batch", min=1, help="Largest batch size (default: measured for several sources).")
    ] = None,
    rtsp_latency: Annotated[
        int,
        _source(
            "--rtsp-latency",
            metavar="MS",
            min=0,
            help="Milliseconds of a network stream to buffer (jitter buffer); less means less delay but more dropouts.",
        ),
    ] = RunConfig.rtsp_latency_ms,
    max_retries: Annotated[
        int | None,
        _recovery(
            "--max-retries", min=0, help="Maximum number of attempts in a row to reopen a source (default: no limit)."
        ),
    ] = None,
    wait: Annotated[
        bool, _recovery("--wait", help="Wait for a local camera that is missing at the start.")
    ] = RunConfig.wait,
    stall_timeout: Annotated[
        float,
        _recovery(
            "--stall-timeout",
            metavar="S",
            min=0.1,
            help="Seconds without a frame that count as a stall; after as long again, the source is reopened.",
        ),
    ] = RunConfig.stall_timeout,
    max_frame_age: Annotated[
        float,
        _recovery(
            "--max-frame-age",
            metavar="S",
            min=0.1,
            help="Drop a frame of a live source that is older than this, in seconds.",
        ),
    ] = RunConfig.max_frame_age,
    hang_timeout: Annotated[
        float,
        _recovery(
            "--hang-timeout",
            metavar="S",
            min=1,
            help="Seconds after which an inference counts as hung; the run then ends with exit code 75.",
        ),
    ] = RunConfig.hang_timeout,
    cut: Annotated[
        str | None,
        _outputs(
            "--cut",
            metavar="TIME|SIZE",
            help="Start new output files every 10m, 1h or 1d (UTC), or at 500MB; their names contain the time.",
        ),
    ] = None,
    keep_days: Annotated[
        float | None,
        _outputs("--keep-days", help="Delete files made with --cut that were started more than N days ago."),
    ] = None,
    keep_gb: Annotated[
        float | None,
        _outputs(
            "--keep-gb",
            help="Maximum total size in gigabytes of the files made with --cut; the oldest are deleted first.",
        ),
    ] = None,
    fsync: Annotated[
        float | None,
        _outputs(
            "--fsync",
            min=0,
            help="Flush output files to the disk (fsync) every so many seconds; 0: after each line (default: never).",
        ),
    ] = None,
    on_failure: Annotated[
        OnFailure, _outputs("--on-failure", help="If an output cannot be written: go on without it, or stop the run.")
    ] = RunConfig.on_failure,
    masks: Annotated[
        list[str] | None,
        _outputs(
            "--mask",
            metavar="X,Y X,Y X,Y",
            help="Polygon that is blackened before inference and in all outputs; repeatable.",
        ),
    ] = None,
    blur: Annotated[
        str | None,
        _outputs(
            "--blur",
            metavar="LABEL,...",
            help="Labels of objects to blur in all images and videos that are shown or saved.",
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="If there is no model yet, download one for COCO's classes and export it.")
    ] = False,
    supervised: Annotated[
        bool, _recovery("--supervise", help="Restart the run if it crashes or an inference hangs.")
    ] = False,
) -> None:
    """Detect objects in images, videos and cameras. Ctrl-C, or q in the window, completes the files; exit code 0."""
    if supervised and cut is None and (output is not None or json_path not in (None, "-")):
        raise InputError("after a restart, --supervise would overwrite what was written before", do="Add --cut 1h.")
    if supervised:
        raise typer.Exit(supervise(own_command()))
    from ssd_edge.workflows.run_streams import run_streams

    if sources and camera is not None:
        raise InputError(
            "SOURCE and --camera cannot be combined",
            got=f"{sources[0]} and --camera {camera}",
            wanted="one of the two",
            do=f"For both, give the camera as a SOURCE too: {sources[0]} {camera}",
        )
    if config is not None and (sources or camera is not None):
        raise InputError("SOURCE and --config cannot be combined", do=f"Write the source into {config}.")
    labels, thresholds = _classes(classes)
    options: dict[str, Any] = {
        "output": output,
        "json_path": json_path,
        "score_threshold": threshold,
        "classes": labels,
        "thresholds": thresholds,
        "serve": serve,
        "metrics": metrics,
        "mqtt": mqtt,
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
        "track": track,
        "track_timeout": track_timeout,
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
    limit_arenas()
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
    show_run(result, stderr=json_path == "-")
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
                    f"the threshold in --classes {part} is not a number from 0 to 1",
                    got=repr(score),
                    wanted="LABEL or LABEL=SCORE, such as stop=0.6",
                ) from error
    return tuple(labels), thresholds
