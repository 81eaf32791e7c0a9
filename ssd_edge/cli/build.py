"""``ssd-edge build``: an exported ONNX to an engine, in the precision and for the runtime that is asked for."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from ssd_edge.cli.console import bars, say
from ssd_edge.core import choices
from ssd_edge.core.choices import NmsBody, Precision
from ssd_edge.core.errors import InputError
from ssd_edge.core.shell import quoted
from ssd_edge.workflows.build.options import BATCH, TIMING_CACHE, AccuracyGate

_PRECISIONS = {
    (False, False): Precision.FP32,
    (False, True): Precision.FP16,
    (True, False): Precision.INT8,
    (True, True): Precision.INT8_FP16,
}


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
    split: Annotated[str, typer.Option("--split", help="Part of --data to judge on.")] = AccuracyGate.split,
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
    batch: Annotated[str, typer.Option("--batch", help="TensorRT: pictures at a time, N or MIN:OPT:MAX.")] = str(
        BATCH.best
    ),
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
    nms: Annotated[
        NmsBody | None,
        typer.Option("--nms", help="TensorRT: form of the NMS; by default the plugin, else rounds written out."),
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="Defaults of a board: engines/targets/<device>.toml.")
    ] = None,
    timing_cache: Annotated[
        Path, typer.Option("--timing-cache", help="TensorRT: file of what it measured.")
    ] = TIMING_CACHE,
    keep_graph: Annotated[
        bool, typer.Option("--keep-graph", help="Write the lowered graph as .onnx too, for eval and inspect.")
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Build FP32 and FP16 too, time all of them here, and say which to use.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Build even where the engine is there already.")] = False,
) -> None:
    """Turn an exported ONNX into an engine for this machine, with its manifest."""
    from ssd_edge.workflows.build import build as workflow

    batches = workflow.Batch.parse(batch)
    config = workflow.BuildConfig(
        precision=_PRECISIONS[int8, fp16],
        target=None if target is Target.AUTO else choices.Target(target.value),
        output=output,
        ranges=table,
        images=images,
        keep_float=frozenset(keep_float or ()),
        refine=improve,
        sensitivity=sensitivity,
        accuracy=AccuracyGate(data, split, max_drop) if data else None,
        tensorrt=workflow.TrtOptions(
            batch=batches,
            workspace_gib=workspace,
            level=opt_level,
            dla=dla,
            implicit=implicit,
            compute_capabilities=_capabilities(compute_capability),
            version_compatible=version_compatible,
            hardware_compatible=hardware_compatible,
            nms=nms,
        ),
        board=device,
        timing_cache=timing_cache,
        keep_graph=keep_graph,
        compare=compare,
        force=force,
    )
    if max_drop is not None and data is None:
        raise InputError("--max-drop needs --int8 and --data", wanted="labelled images to judge the INT8 model on")
    with bars() as progress:
        made = workflow.build(onnx, config=config, progress=progress)
    say(f"manifest {made.path.with_suffix('.json')}")
    if batches.least > 1:
        say("run and eval take one picture at a time, so this engine is for programs of your own; for them: --batch 1")
    else:
        say(f"next: ssd-edge run --model {quoted(made.path)} --camera 0")


def _capabilities(text: str | None) -> tuple[int, ...]:
    parts = [part.strip().replace(".", "") for part in (text or "").split(",") if part.strip()]
    if not all(part.isdigit() for part in parts):
        raise InputError("--compute-capability is not understood", got=repr(text), wanted="numbers as in 86,120")
    return tuple(dict.fromkeys(int(part) for part in parts))
