"""``ssd-edge build``: an exported ONNX to an engine, in the precision and for the runtime that is asked for."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from ssd_edge.cli.console import say


class Target(str, Enum):
    """Where the engine shall run; auto: TensorRT where it and a GPU are there, else ONNX Runtime."""

    AUTO = "auto"
    ONNXRUNTIME = "onnxruntime"
    TENSORRT = "tensorrt"
    TENSORRT_RTX = "tensorrt-rtx"


def build(
    onnx: Annotated[
        Path | None, typer.Argument(help="The exported model; by default the newest engines/*/*.onnx.")
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="8-bit integers, by calibration/<model>.ranges.json.")] = False,
    fp16: Annotated[bool, typer.Option("--fp16", help="Half precision; with --int8, for what stays float.")] = False,
    target: Annotated[Target, typer.Option("--target", help="The runtime that the engine is for.")] = Target.AUTO,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The engine; by default <model>.<precision>.<target>.engine beside it."),
    ] = None,
    table: Annotated[
        Path | None, typer.Option("--ranges", help="The table for --int8; by default the model's, made where missing.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option("--images", help="Pictures to calibrate with, where there is no table yet.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Labelled images: judge the lowered model before it is built.")
    ] = None,
    split: Annotated[str, typer.Option("--split", help="Part of --data to judge on.")] = "val",
    max_drop: Annotated[
        float | None,
        typer.Option("--max-drop", min=0.0, help="Points of mAP that may be lost; the worst layers stay float for it."),
    ] = None,
    keep_float: Annotated[
        list[str] | None, typer.Option("--keep-float", metavar="LAYER", help="A layer to leave in float; repeatable.")
    ] = None,
    improve: Annotated[
        bool,
        typer.Option("--improve", help="Equalise layers and correct biases for --int8, where held-out pictures gain."),
    ] = False,
    sensitivity: Annotated[
        bool,
        typer.Option("--sensitivity", help="Rank the layers by the error of each in INT8: <model>.sensitivity.*"),
    ] = False,
    batch: Annotated[str, typer.Option("--batch", help="TensorRT: pictures at a time, N or MIN:OPT:MAX.")] = "1",
    workspace: Annotated[float | None, typer.Option("--workspace", help="TensorRT: GiB that a kernel may use.")] = None,
    opt_level: Annotated[int | None, typer.Option("--opt-level", help="TensorRT: 0 (quick) to 5.")] = None,
    dla: Annotated[int | None, typer.Option("--dla", min=0, help="TensorRT: core of a Jetson's DLA.")] = None,
    implicit: Annotated[
        bool, typer.Option("--implicit", help="TensorRT up to 10: it places INT8 itself, from a calibration cache.")
    ] = False,
    compute_capability: Annotated[
        str | None, typer.Option("--compute-capability", help="TensorRT-RTX: of the GPUs, e.g. 86,120.")
    ] = None,
    version_compatible: Annotated[
        bool, typer.Option("--version-compatible", help="TensorRT: runs on later releases too, with NMS as plain ONNX.")
    ] = False,
    hardware_compatible: Annotated[
        bool, typer.Option("--hardware-compatible", help="TensorRT: runs on every GPU from Ampere on.")
    ] = False,
    device: Annotated[
        str | None, typer.Option("--device", help="Defaults of a board: engines/targets/<device>.toml.")
    ] = None,
    timing_cache: Annotated[Path, typer.Option("--timing-cache", help="TensorRT: file of what it measured.")] = Path(
        "engines/timing.cache"
    ),
    keep_graph: Annotated[
        bool, typer.Option("--keep-graph", help="Write the lowered graph as .onnx too, for eval and inspect.")
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Build FP32 and FP16 too, time all of them here, and say which to use.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Build even where the engine is there already.")] = False,
) -> None:
    """Turn an exported ONNX into an engine for this machine, with its manifest."""
    from ssd_edge.cli.build_options import trt_options
    from ssd_edge.core.workspace import newest_onnx
    from ssd_edge.graph.source import read_onnx
    from ssd_edge.workflows.build.build import run_build
    from ssd_edge.workflows.build.config import BuildPlan

    if onnx is None:
        choice = newest_onnx(Path())
        say(choice.note)
        onnx = choice.path
    plan = BuildPlan(
        source=read_onnx(onnx),
        int8=int8,
        fp16=fp16,
        target=target.value,
        output=output,
        table=table,
        images=images,
        judged=(data, split) if data else None,
        max_drop=max_drop,
        keep_float=frozenset(keep_float or ()),
        improve=improve,
        sensitivity=sensitivity,
        device=device or "",
        options=trt_options(
            device,
            target=target.value,
            batch=batch,
            workspace_gib=workspace,
            level=opt_level,
            dla=dla,
            implicit=implicit,
            compute_capabilities=compute_capability,
            version_compatible=version_compatible,
            hardware_compatible=hardware_compatible,
        ),
        timing_cache=timing_cache,
        keep_graph=keep_graph,
        compare=compare,
        force=force,
    )
    run_build(plan)
