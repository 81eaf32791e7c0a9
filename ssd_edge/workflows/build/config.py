"""Config and result of ``build``, and all checks of the config that need no work."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypedDict

from ssd_edge.backends.cuda_driver import describe_gpu
from ssd_edge.backends.tensorrt.module import is_installed
from ssd_edge.core.choices import FloatType, Precision, Target
from ssd_edge.core.config import AnyPath
from ssd_edge.core.errors import InputError
from ssd_edge.core.files import path_kind
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.log import log
from ssd_edge.core.manifest import Accuracy, EngineManifest
from ssd_edge.core.shell import quoted
from ssd_edge.engines.boards import find_board, load_profile
from ssd_edge.engines.build import engine_path, graph_path, refuse_name
from ssd_edge.engines.options import TrtOptions
from ssd_edge.engines.tensorrt.release import is_strongly_typed
from ssd_edge.graph.source import SourceModel
from ssd_edge.workflows.build.options import TIMING_CACHE, AccuracyGate


@dataclass(frozen=True)
class BuildConfig:
    """Options of a build.

    Attributes:
        precision: what it computes in. ``int8`` is INT8 with the target's best float type for the rest: float16 in
            strongly typed networks of TensorRT (9.0 and later) and TensorRT-RTX, float32 elsewhere. ``bf16`` is
            OpenVINO's, on processors that have it.
        float_type: what is not INT8 computes in; by default the target's best.
        target: the runtime that it is for; by default TensorRT where it is installed and there is a GPU, else ONNX
            Runtime, or OpenVINO where that is installed too and was measured to be faster here.
        output: the engine; by default ``<model>.<precision>.<target>.engine`` beside the ONNX.
        ranges: calibration table for INT8; by default the model's, made where it is missing.
        images: images to calibrate with, where there is not a table yet: a folder, a data set, or a written set. The
            model's own table must have been measured on them; with ``ranges`` they are what ``refine`` and
            ``sensitivity`` use.
        keep_float: names of layers to keep in FP32.
        refine: equalize layers and correct biases for INT8, where held-out images gain.
        sensitivity: rank the layers by the error that each adds in INT8, and write the ranking beside the ONNX.
        accuracy: measure the lowered model before it is built, and hold it to a limit.
        tensorrt: what TensorRT builds with.
        board: name of a board profile with defaults for ``tensorrt``; by default that of the board that this runs on.
        timing_cache: file of what TensorRT measured; by default ``engines/timing.cache`` of the workspace.
        keep_graph: write the lowered graph as ``.onnx`` too.
        compare: build the float precisions too, where they are missing, and time all of them here.
        force: build even where the engine is there already.
    """

    precision: Precision = Precision.FP32
    float_type: FloatType | None = None
    target: Target | None = None
    output: Path | None = None
    ranges: Path | None = None
    images: Path | None = None
    keep_float: frozenset[str] = frozenset()
    refine: bool = False
    sensitivity: bool = False
    accuracy: AccuracyGate | None = None
    tensorrt: TrtOptions = field(default_factory=TrtOptions)
    board: str | None = None
    timing_cache: Path | None = None
    keep_graph: bool = False
    compare: bool = False
    force: bool = False

    @property
    def takes_cache(self) -> bool:
        """Whether INT8 goes into TensorRT as a calibration cache: then there is no lowered graph."""
        return self.precision.is_int8 and self.tensorrt.takes_cache

    @property
    def uses_images(self) -> bool:
        """Whether more than the table is needed of its images: to refine with, or to rank layers on."""
        return self.refine or (self.sensitivity and self.accuracy is None)

    @property
    def max_drop(self) -> float | None:
        """Points of mAP that INT8 may lose; None for no limit."""
        return self.accuracy.max_drop_points if self.accuracy else None

    @property
    def runtime(self) -> Target:
        """The target, once it is resolved."""
        if self.target is None:
            raise InputError("the target is not resolved yet", do="Give it: target=")
        return self.target

    @property
    def engine(self) -> Path:
        """Path of the engine; the config must be resolved."""
        if self.output is None:
            raise InputError("the engine's path is not resolved yet", do="Give it: output=")
        return self.output

    @property
    def graph(self) -> Path:
        """Path of the lowered graph that ``keep_graph`` writes."""
        return graph_path(self.engine, self.runtime)


class BuildOptions(TypedDict, total=False):
    """The fields of :class:`BuildConfig`, as keywords."""

    precision: Precision | Literal["fp32", "fp16", "bf16", "int8", "int8-fp16"]
    float_type: FloatType | Literal["fp32", "fp16"] | None
    target: Target | Literal["onnxruntime", "openvino", "tensorrt", "tensorrt-rtx"] | None
    output: AnyPath | None
    ranges: AnyPath | None
    images: AnyPath | None
    keep_float: Iterable[str]
    refine: bool
    sensitivity: bool
    accuracy: AccuracyGate | None
    tensorrt: TrtOptions
    board: str | None
    timing_cache: AnyPath | None
    keep_graph: bool
    compare: bool
    force: bool


@dataclass(frozen=True)
class BuildResult:
    """An engine.

    Attributes:
        path: the engine.
        manifest: what it is, where it came from, how accurate and how quick it is.
        reused: it was there already.
        graph: the lowered graph, where it was to be kept.
        left_out: images that could not be used, of those to calibrate with and of those to evaluate on.
    """

    path: Path
    manifest: EngineManifest
    reused: bool = False
    graph: Path | None = None
    left_out: tuple[LeftOut, ...] = ()

    @property
    def accuracy(self) -> Accuracy | None:
        """Accuracy of the precision; None if it was not measured."""
        return self.manifest.accuracy

    @property
    def times_ms(self) -> dict[Precision, float]:
        """Milliseconds an image of the precisions that were timed side by side on this machine."""
        return dict(self.manifest.times_ms)


@dataclass(frozen=True)
class FailedGate:
    """Result in an :class:`~ssd_edge.core.errors.AccuracyError` of a build: the accuracy gate was not met, no engine.

    Attributes:
        accuracy: with all these layers in float.
        keep_float: their names.
    """

    accuracy: Accuracy
    keep_float: tuple[str, ...]
    path: None = field(default=None, init=False)
    left_out: tuple[LeftOut, ...] = ()


def resolved(config: BuildConfig, source: SourceModel, workspace: Path) -> BuildConfig:
    """Return the config with target, engine and board as they are meant here; without a GPU ONNX Runtime is meant.

    Raises:
        InputError: what is asked for does not go together, or the target cannot do it.
    """
    if config.board:
        board = load_profile(config.board, workspace)
        config = replace(config, tensorrt=config.tensorrt.on_board(board, config.target))
    _check_quantization(config)
    _check_images(config)
    _check_layers(config, source)
    config = replace(config, target=config.target or _target_here())
    config = _on_this_board(config, workspace)
    config = replace(config, precision=_precision(config))
    _check_target(config)
    config = replace(
        config,
        output=config.output or engine_path(source, config.precision, config.runtime),
        timing_cache=config.timing_cache or workspace / TIMING_CACHE,
    )
    refuse_name(config.engine)
    if config.keep_graph and config.graph.resolve() == source.path.resolve():
        raise InputError(
            f"--keep-graph would overwrite {source.path}", do="Choose another name for the engine with --output."
        )
    _check_comparable(config)
    return config


def _precision(config: BuildConfig) -> Precision:
    """Return the precision with the float type that the rest of INT8 has on the target."""
    if config.precision is not Precision.INT8 or config.float_type is FloatType.FP32:
        return config.precision
    if config.float_type is FloatType.FP16:
        return Precision.INT8_FP16
    if not config.runtime.is_tensorrt or config.takes_cache or not is_strongly_typed(config.runtime):
        return Precision.INT8
    log.info("precision int8-fp16: layers that are not INT8 compute in FP16 (with --fp32, in FP32)")
    return Precision.INT8_FP16


def _on_this_board(config: BuildConfig, workspace: Path) -> BuildConfig:
    """Return the config with the profile of the very board, where none is named: TensorRT builds for where it runs."""
    name = find_board(workspace) if config.board is None and config.target is Target.TENSORRT else ""
    if not name:
        return config
    profile = load_profile(name, workspace)
    tensorrt = config.tensorrt.on_board(profile, config.target)
    memory = f", builder memory {tensorrt.builder_memory_gib:g} GiB" if tensorrt.builder_memory_gib else ""
    log.info(f"board {name}: {profile.description}{memory}; to choose another profile: --board")
    return replace(config, board=name, tensorrt=tensorrt)


def _target_here() -> Target:
    if not (is_installed(Target.TENSORRT.value) and isinstance(describe_gpu(), dict)):
        return Target.ONNXRUNTIME
    log.info("target tensorrt: it is installed, and there is a GPU")
    return Target.TENSORRT


def _check_quantization(config: BuildConfig) -> None:
    """Raise InputError if an option has no effect on a build of this precision."""
    int8 = config.precision.is_int8
    if config.max_drop is not None and not int8:
        raise InputError(
            "--max-drop needs --int8", got=f"precision {config.precision}", do="Add --int8, or leave out --max-drop."
        )
    if config.refine and (not int8 or config.takes_cache):
        raise InputError(
            "--refine needs --int8, without --dla and --implicit", do="Add --int8, and leave out --dla and --implicit."
        )
    if config.sensitivity and not int8:
        raise InputError("--sensitivity needs --int8", do="Add --int8, or leave out --sensitivity.")
    if not int8 and (config.ranges or config.images):
        raise InputError("--ranges and --images need --int8", do="Add --int8, or leave out --ranges and --images.")
    if config.float_type is not None and config.precision is not Precision.INT8:
        raise InputError(
            "float_type is only for precision int8", got=f"precision {config.precision}", do="Leave out float_type."
        )
    if config.precision is Precision.FP32 and config.keep_float:
        raise InputError(
            "--keep-float needs --int8 or --fp16",
            got="a build in which every layer is FP32",
            do="Leave out --keep-float.",
        )


def _check_images(config: BuildConfig) -> None:
    """Raise InputError where images are named that are not there, or that nothing would look at."""
    if config.images is None:
        return
    if path_kind(config.images) == "absent":
        raise InputError(
            f"{config.images} does not exist", wanted="a folder of images, a data set or a *.images.json file"
        )
    if config.ranges is not None and not config.uses_images:
        raise InputError(
            "--images has no effect when --ranges names a calibration table",
            do="Leave out one of the two options, or calibrate on these images: "
            f"ssd-edge calibrate --images {quoted(config.images)} -o {quoted(config.ranges)}",
        )


def _check_layers(config: BuildConfig, source: SourceModel) -> None:
    names = {node.name for node in source.model.graph.node}
    unknown = sorted(config.keep_float - names)
    if unknown:
        near = difflib.get_close_matches(unknown[0], names, n=3, cutoff=0.3)
        raise InputError(
            f"{source.path} has no layer {unknown[0]!r}, which --keep-float names",
            wanted=", ".join(near) or f"one of its {len(names)} layers",
            do=f"To list all layers: ssd-edge inspect {quoted(source.path)}",
        )


def _check_target(config: BuildConfig) -> None:
    if config.tensorrt.dla is not None:
        _check_dla(config)
    if config.tensorrt.implicit:
        _check_implicit(config)
    if config.takes_cache:
        _check_with_cache(config)
    if config.precision is Precision.BF16 and config.target is not Target.OPENVINO:
        raise InputError(
            "ssd-edge builds bfloat16 engines only for OpenVINO",
            got=f"--target {config.target}",
            wanted="--target openvino",
            do="Leave out --bf16, or add --target openvino.",
        )
    if not config.runtime.is_tensorrt:
        _check_on_processor(config)


def _check_on_processor(config: BuildConfig) -> None:
    if config.target is Target.OPENVINO and not config.precision.is_int8 and config.keep_float:
        raise InputError(
            "--keep-float with --fp16 is not possible on OpenVINO, which chooses the FP16 layers itself",
            wanted="--keep-float with --int8",
            do="Leave out --keep-float.",
        )
    if config.target is Target.ONNXRUNTIME and config.precision is Precision.INT8_FP16:
        raise InputError(
            "ONNX Runtime cannot mix INT8 and FP16 on a CPU", wanted="--int8 without --fp16", do="Leave out --fp16."
        )
    if config.board or config.tensorrt != TrtOptions():
        raise InputError(
            "these options need TensorRT: --batch, --builder-memory, --opt-level, --dla, --implicit, --board, "
            "--compute-capabilities, --version-compatible, --hardware-compatible",
            got=f"--target {config.target}",
            do="Leave out these options, or add --target tensorrt or tensorrt-rtx.",
        )


def _check_dla(config: BuildConfig) -> None:
    """Raise InputError for what a DLA cannot run."""
    if config.target is not Target.TENSORRT:
        raise InputError(f"--dla needs TensorRT, not {config.target}", do="Add --target tensorrt, or leave out --dla.")
    if config.precision is Precision.FP32:
        raise InputError("a DLA cannot compute in FP32", do="Add --int8 or --fp16.")
    least, _, most = config.tensorrt.batch.sizes
    if least != most:
        raise InputError(
            "a DLA needs a fixed batch size",
            got=":".join(map(str, config.tensorrt.batch.sizes)),
            do=f"Give one batch size: --batch {most}",
        )


def _check_implicit(config: BuildConfig) -> None:
    if config.target is not Target.TENSORRT:
        raise InputError(
            f"--implicit needs TensorRT, not {config.target}", do="Add --target tensorrt, or leave out --implicit."
        )
    if not config.precision.is_int8:
        raise InputError("--implicit needs --int8", do="Add --int8, or leave out --implicit.")


def _check_with_cache(config: BuildConfig) -> None:
    """Raise InputError for what nobody can know before TensorRT has built: with a cache, it lowers the graph itself."""
    if config.accuracy or config.keep_float or config.keep_graph or config.sensitivity:
        raise InputError(
            "--data, --max-drop, --keep-float, --keep-graph and --sensitivity need INT8 as Q/DQ "
            "(quantize/dequantize) nodes",
            got="INT8 from a calibration cache, which --dla and --implicit use",
            do="Leave out these options, or --dla and --implicit.",
        )


def _check_comparable(config: BuildConfig) -> None:
    """Raise InputError where engines are to be compared and nothing here could run them."""
    if not config.compare or not config.runtime.is_tensorrt:
        return
    gpu = describe_gpu()
    if not isinstance(gpu, dict):
        raise InputError(
            "--compare must run the engines, which need a GPU",
            got=gpu or "no CUDA driver on this machine",
            do="Build on the machine that will run them, or leave out --compare.",
        )
