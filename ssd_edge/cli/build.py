"""``ssd-edge build``: turn an exported ONNX model into an engine."""

from __future__ import annotations

import re
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ssd_edge.cli.console import bars, say
from ssd_edge.core import choices
from ssd_edge.core.choices import FloatType, NmsBody, Precision
from ssd_edge.core.errors import InputError
from ssd_edge.core.log import counted
from ssd_edge.core.shell import quoted
from ssd_edge.workflows.build.options import BATCH, TIMING_CACHE, AccuracyGate

_precision, _calibration, _accuracy, _tensorrt = (
    partial(typer.Option, rich_help_panel=panel)
    for panel in ("Precision", "INT8 calibration", "Accuracy", "TensorRT and TensorRT-RTX")
)


class Target(str, Enum):
    """The runtime of an engine. ``auto`` is TensorRT if there is a GPU for it, else the processor's fastest."""

    AUTO = "auto"
    ONNXRUNTIME = "onnxruntime"
    OPENVINO = "openvino"
    TENSORRT = "tensorrt"
    TENSORRT_RTX = "tensorrt-rtx"


def build(
    onnx: Annotated[
        Path | None, typer.Argument(help="Exported model (default: the newest engines/*/*.onnx).", metavar="ONNX")
    ] = None,
    target: Annotated[
        Target,
        typer.Option(
            "--target",
            help="Runtime that executes the engine. auto: TensorRT if it is usable here, else the fastest one, as "
            "measured.",
        ),
    ] = Target.AUTO,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Engine file (default: <model>.<precision>.<target>.engine next to the ONNX)."
        ),
    ] = None,
    keep_graph: Annotated[
        bool,
        typer.Option(
            "--keep-graph",
            help="Also write the converted graph from which the engine is built, as an .onnx file for eval and "
            "inspect.",
        ),
    ] = False,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Also build the other precisions, time all engines here, and recommend one."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Build again even if an up-to-date engine exists.")] = False,
    int8: Annotated[
        bool,
        _precision(
            "--int8", help="Compute in INT8 where possible, elsewhere in the runtime's best float type (FP16 or FP32)."
        ),
    ] = False,
    fp16: Annotated[
        bool, _precision("--fp16", help="Compute in FP16; with --int8, only the layers that are not INT8.")
    ] = False,
    bf16: Annotated[
        bool, _precision("--bf16", help="Compute in bfloat16; only with --target openvino, on a CPU that supports it.")
    ] = False,
    fp32: Annotated[
        bool,
        _precision("--fp32", help="Compute in FP32 (the default); with --int8, only the layers that are not INT8."),
    ] = False,
    keep_float: Annotated[
        list[str] | None,
        _precision(
            "--keep-float",
            metavar="LAYER",
            help="Name of a layer to keep in FP32 (`ssd-edge inspect` lists the names); repeatable.",
        ),
    ] = None,
    refine: Annotated[
        bool,
        _precision(
            "--refine",
            help="Equalize layers and correct biases for INT8; kept only if the results on held-out images improve.",
        ),
    ] = False,
    sensitivity: Annotated[
        bool,
        _precision(
            "--sensitivity",
            help="Measure the output error of each layer when only it is INT8; writes <model>.sensitivity.*",
        ),
    ] = False,
    table: Annotated[
        Path | None,
        _calibration(
            "--ranges",
            help="Calibration table for --int8 (default: calibration/<model>.ranges.json, created if missing).",
        ),
    ] = None,
    images: Annotated[
        Path | None, _calibration("--images", help="Calibration images: a folder, a data set or a *.images.json file.")
    ] = None,
    data: Annotated[
        Path | None,
        _accuracy("--data", help="Labelled images to evaluate the converted model on, before the engine is built."),
    ] = None,
    split: Annotated[str, _accuracy("--split", help="Split of --data to evaluate on.")] = AccuracyGate.split,
    max_drop: Annotated[
        float | None,
        _accuracy(
            "--max-drop",
            metavar="POINTS",
            min=0.0,
            help="Largest allowed loss of mAP, in points (0.01 mAP); layers return to FP32 or FP16 until it is met.",
        ),
    ] = None,
    batch: Annotated[
        str,
        _tensorrt(
            "--batch",
            metavar="N|MIN:OPT:MAX",
            help="Batch size; or the smallest size, the size to optimize for and the largest, e.g. 1:4:8.",
        ),
    ] = str(BATCH.best),
    builder_memory: Annotated[
        float | None,
        _tensorrt(
            "--builder-memory",
            metavar="GIB",
            help="Scratch memory that one kernel may use (TensorRT's workspace), in GiB (default: from the board "
            "profile; without a profile, an eighth of the memory on a Jetson, else TensorRT's own limit).",
        ),
    ] = None,
    opt_level: Annotated[
        int | None,
        _tensorrt(
            "--opt-level", help="Builder optimization level, from 0 (fastest build) to 5 (fastest engine) (default: 3)."
        ),
    ] = None,
    dla: Annotated[
        int | None,
        _tensorrt("--dla", min=0, metavar="CORE", help="Core of a Jetson's deep learning accelerator (DLA) to run on."),
    ] = None,
    implicit: Annotated[
        bool,
        _tensorrt(
            "--implicit", help="Let TensorRT (up to 10.x) choose the INT8 layers itself, from a calibration cache."
        ),
    ] = False,
    compute_capabilities: Annotated[
        str | None,
        _tensorrt(
            "--compute-capabilities",
            metavar="LIST",
            help="Compute capabilities of the GPUs that a TensorRT-RTX engine is for, e.g. 86,120.",
        ),
    ] = None,
    version_compatible: Annotated[
        bool,
        _tensorrt(
            "--version-compatible",
            help="Make an engine that runs on later TensorRT releases too; its NMS uses plain ONNX operators.",
        ),
    ] = False,
    hardware_compatible: Annotated[
        bool,
        _tensorrt("--hardware-compatible", help="Make an engine that runs on every NVIDIA GPU from Ampere on; slower."),
    ] = False,
    nms: Annotated[
        NmsBody | None,
        _tensorrt("--nms", help="Implementation of the NMS (default: plugin if TensorRT has it, else rounds)."),
    ] = None,
    board: Annotated[
        str | None,
        _tensorrt(
            "--board",
            metavar="NAME",
            help="Name of a board profile (engines/boards/<NAME>.toml) that supplies defaults (default on a Jetson: "
            "its own profile).",
        ),
    ] = None,
    timing_cache: Annotated[
        Path, _tensorrt("--timing-cache", help="File for TensorRT's kernel timings; it makes later builds faster.")
    ] = TIMING_CACHE,
) -> None:
    """Build an engine from an exported ONNX model, with its manifest."""
    from ssd_edge.workflows.build import build as workflow

    batches = workflow.Batch.parse(batch)
    config = workflow.BuildConfig(
        precision=_chosen(int8=int8, fp16=fp16, bf16=bf16, fp32=fp32),
        float_type=_float_type(fp16=fp16, fp32=fp32) if int8 else None,
        target=None if target is Target.AUTO else choices.Target(target.value),
        output=output,
        ranges=table,
        images=images,
        keep_float=frozenset(keep_float or ()),
        refine=refine,
        sensitivity=sensitivity,
        accuracy=AccuracyGate(data, split, max_drop) if data else None,
        tensorrt=workflow.TrtOptions(
            batch=batches,
            builder_memory_gib=builder_memory,
            opt_level=opt_level,
            dla=dla,
            implicit=implicit,
            compute_capabilities=_capabilities(compute_capabilities),
            version_compatible=version_compatible,
            hardware_compatible=hardware_compatible,
            nms=nms,
        ),
        board=board,
        timing_cache=timing_cache,
        keep_graph=keep_graph,
        compare=compare,
        force=force,
    )
    if max_drop is not None and data is None:
        raise InputError(
            "--max-drop needs --data", wanted="labelled images to evaluate the INT8 model on", do="Add --data DATASET."
        )
    with bars() as progress:
        made = workflow.build(onnx, config=config, progress=progress)
    if made.left_out:
        say(f"{counted(len(made.left_out), 'image')} left out, for example {made.left_out[0]}")
    say(f"manifest {made.path.with_suffix('.json')}")
    if batches.least > 1:
        say(
            f"the engine takes at least {batches.least} images: run and eval add black images to smaller batches; to "
            "avoid this: --batch 1"
        )
    say(f"next: ssd-edge run --model {quoted(made.path)} --camera 0")


def _chosen(*, int8: bool, fp16: bool, bf16: bool, fp32: bool) -> Precision:
    named = {"--fp16": fp16, "--fp32": fp32, "--bf16": bf16, "--int8": int8 and bf16}
    asked = [name for name, is_asked in named.items() if is_asked]
    if len(asked) > 1:
        raise InputError(f"{' and '.join(asked)} cannot be combined", do="Leave out one of the two.")
    if bf16:
        return Precision.BF16
    return Precision.INT8 if int8 else Precision.FP16 if fp16 else Precision.FP32


def _float_type(*, fp16: bool, fp32: bool) -> FloatType | None:
    return FloatType.FP16 if fp16 else FloatType.FP32 if fp32 else None


def _capabilities(text: str | None) -> tuple[int, ...]:
    parts = [part.strip().replace(".", "") for part in (text or "").split(",") if part.strip()]
    if not all(re.fullmatch("[0-9]{1,4}", part) for part in parts):
        raise InputError("--compute-capabilities is invalid", got=repr(text), wanted="numbers such as 86,120")
    return tuple(dict.fromkeys(int(part) for part in parts))
