"""Say what a file is and what it can run on: ``ssd-edge inspect``. PyTorch is imported for a checkpoint only."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import onnx
from onnx import TensorProto

from ssd_edge.backends.cpu import Threads
from ssd_edge.backends.detector import read_manifest_for_here
from ssd_edge.backends.openvino.compiled import compile_engine
from ssd_edge.backends.openvino.layers import executed_layers
from ssd_edge.backends.openvino.module import PROCESSOR, Settings
from ssd_edge.backends.tensorrt.layers import LAYERS_FORMAT, LAYERS_SUFFIX, EngineLayer, load_layers, read_layers
from ssd_edge.core.calibration_table import RANGES_SUFFIX, CalibrationTable
from ssd_edge.core.choices import Target
from ssd_edge.core.config import AnyPath
from ssd_edge.core.errors import ArtifactError, InputError, SsdEdgeError
from ssd_edge.core.files import file_digest, path_kind
from ssd_edge.core.graph_contract import NMS_OP
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.manifest import EngineManifest, manifest_path
from ssd_edge.core.requirements import require_torch
from ssd_edge.core.resources import with_named_resources
from ssd_edge.core.shell import quoted
from ssd_edge.core.spec import ModelSpec
from ssd_edge.core.workspace_records import refuse_record
from ssd_edge.graph.source import lowered_to, read_graph
from ssd_edge.quantization.image_set import SET_SUFFIX, ImageSet
from ssd_edge.quantization.sensitivity import SENSITIVITY_SUFFIX, RankedLayers

_CONVOLUTIONS = ("Conv", "QLinearConv", "ConvTranspose", "FusedConv", "NhwcFusedConv")
_NAMED = 8


@dataclass(frozen=True)
class CheckpointFacts:
    """A checkpoint, ``.pt``.

    Attributes:
        parameters: that are trained.
        digest: ``sha256:…`` of the file, as everywhere below.
    """

    spec: ModelSpec
    parameters: int
    digest: str


@dataclass(frozen=True)
class OnnxFacts:
    """An exported model, or the graph that a build made of one.

    Attributes:
        lowered_to: what a build made of it, in words; empty of an exported model.
        opset: version of ONNX's own operators.
        layers: the convolutions, by the names that ``build --keep-float`` takes.
        has_nms_node: the NMS is the node of TensorRT's plugin; otherwise it is part of the graph.
        has_nms_body: the node has its portable body.
    """

    spec: ModelSpec
    digest: str
    lowered_to: str
    opset: int
    layers: tuple[EngineLayer, ...]
    has_nms_node: bool
    has_nms_body: bool


@dataclass(frozen=True)
class EngineFacts:
    """An engine and its manifest.

    Attributes:
        layers: with the precision of each; None where they cannot be known here.
        layers_from: the file itself, the runtime that was asked here, or what TensorRT said when the engine was built.
        layers_unknown: why TensorRT cannot be asked; empty where the layers are known.
        refusal: why the engine cannot run here; empty where it can.
        size_bytes: of the file.
    """

    manifest: EngineManifest
    layers: tuple[EngineLayer, ...] | None
    layers_from: Literal["file", "openvino", "tensorrt", "build"]
    layers_unknown: str
    refusal: str
    size_bytes: int


@dataclass(frozen=True)
class LayersFacts:
    """The layers that were written beside a TensorRT engine when it was built."""

    engine: Path
    layers: tuple[EngineLayer, ...]


AnyFacts = (
    CheckpointFacts
    | OnnxFacts
    | EngineFacts
    | LayersFacts
    | EngineManifest
    | CalibrationTable
    | ImageSet
    | RankedLayers
)
Kind = Literal["checkpoint", "onnx", "engine", "manifest", "table", "images", "sensitivity", "layers"]


@dataclass(frozen=True)
class InspectResult:
    """Contents of a file.

    Attributes:
        path: the file.
        kind: says which type ``facts`` has: ``checkpoint``, ``onnx``, ``engine`` and ``layers`` those of this module,
            ``manifest`` an EngineManifest, ``table`` a CalibrationTable, ``images`` an ImageSet, ``sensitivity`` a
            RankedLayers.
        facts: what it holds.
        left_out: empty, as a file is read whole.
    """

    path: Path
    kind: Kind
    facts: AnyFacts
    left_out: tuple[LeftOut, ...] = ()


@with_named_resources
def inspect(path: AnyPath) -> InspectResult:
    """Read a file of ssd-edge and return what it is.

    Args:
        path: a ``.pt``, ``.onnx``, ``.engine``, manifest, calibration table, calibration set, ranking or list of
            layers; which of them, its name says, and then its content must be that.

    Raises:
        InputError: it cannot be read, or its name is none that ssd-edge gives.
        ArtifactError: it is damaged, foreign or stale.
        MissingPackageError: it is a checkpoint and PyTorch is not installed.
    """
    file = Path(path)
    _check_file(file)
    refuse_record(file, "To see what it names: ssd-edge inspect")
    found = _reader_of(file)
    if found is None:
        raise InputError(
            f"{path} is not a file that ssd-edge wrote",
            got=f"suffix {file.suffix!r}",
            wanted=", ".join(suffix for suffix, _, _ in _READERS),
            do=f"If it contains weights of another project: ssd-edge import {quoted(path)}",
        )
    kind, read = found
    return InspectResult(file, kind, read(file))


def runs_on(manifest: EngineManifest) -> str:
    """Return in words on which releases and machines an engine runs."""
    options = manifest.options
    release = f"{manifest.runtime} {manifest.runtime_version}"
    if options.version_compatible:
        release += " and later"
    if manifest.target is Target.TENSORRT_RTX:
        wanted = ",".join(map(str, options.compute_capabilities))
        machine = f"GPUs of compute capability {wanted}" if wanted else "every RTX GPU from Ampere on"
    else:
        machine = "every GPU from Ampere on" if options.hardware_compatible else manifest.device
    plugin = f", NMS: {options.nms}" if options.nms else ""
    return f"{release}{plugin}, on {machine}"


def _check_file(path: Path) -> None:
    """Raise InputError where no file lies at ``path``; of a folder the files are named that can be shown."""
    kind = path_kind(path)
    if kind == "folder":
        held = sorted(entry.name for entry in path.iterdir() if entry.is_file() and _reader_of(entry) is not None)
        named = f"one file in it: {', '.join(held[:_NAMED])}" if held else "a model, an engine or a calibration table"
        more = f" and {len(held) - _NAMED} more" if len(held) > _NAMED else ""
        raise InputError(f"{path} is a folder", wanted=named + more)
    if kind != "file":
        what = "does not exist" if kind == "absent" else "is a device, a pipe or a socket"
        raise InputError(f"{path} {what}", wanted="a model, an engine or a calibration table")


def _reader_of(path: Path) -> tuple[Kind, Callable[[Path], Any]] | None:
    return next(((kind, read) for suffix, kind, read in _READERS if path.name.endswith(suffix)), None)


def _read_checkpoint(path: Path) -> CheckpointFacts:
    require_torch()
    from ssd_edge.model.checkpoint import load_checkpoint

    loaded = load_checkpoint(path)
    parameters = sum(value.numel() for value in loaded.model.parameters())
    return CheckpointFacts(loaded.spec, parameters, file_digest(path))


def _read_onnx(path: Path) -> OnnxFacts:
    source = read_graph(path)
    model = source.model
    return OnnxFacts(
        source.spec,
        source.digest,
        lowered_to(model),
        opset=max((entry.version for entry in model.opset_import if entry.domain == ""), default=0),
        layers=_convolutions(model),
        has_nms_node=any(node.op_type == NMS_OP for node in model.graph.node),
        has_nms_body=bool(model.functions),
    )


def _read_engine(path: Path) -> EngineFacts:
    manifest = EngineManifest.load(manifest_path(path))
    manifest.refuse_if_changed(path)
    layers: Sequence[EngineLayer] | None
    layers_from: Literal["file", "openvino", "tensorrt", "build"] = "file"
    unknown = ""
    if manifest.target.is_tensorrt:
        try:
            layers, layers_from = read_layers(path), "tensorrt"
        except SsdEdgeError as error:
            layers, layers_from = load_layers(path, manifest.engine_digest), "build"
            unknown = str(error) if layers is None else ""
    else:
        layers = _convolutions(read_graph(path).model)
        if manifest.target is Target.OPENVINO and not _refusal(path):
            layers, layers_from = _as_executed(layers, path, manifest), "openvino"
    known = None if layers is None else tuple(layers)
    return EngineFacts(manifest, known, layers_from, unknown, _refusal(path), path.stat().st_size)


def _as_executed(layers: Sequence[EngineLayer], path: Path, manifest: EngineManifest) -> list[EngineLayer]:
    """Return convolutions with the kernel that OpenVINO chose for each on the processor, and what it computes in."""
    settings = Settings(PROCESSOR, manifest.precision, Threads.for_latency())
    compiled = compile_engine(path, manifest.engine_digest, settings)
    executed = {name: layer for layer in executed_layers(compiled) for name in layer.names}
    return [
        EngineLayer(layer.name, found.kernel, found.precision) if (found := executed.get(layer.name)) else layer
        for layer in layers
    ]


def _refusal(path: Path) -> str:
    try:
        read_manifest_for_here(path)
    except SsdEdgeError as error:
        return str(error)
    return ""


def _read_layers_file(path: Path) -> LayersFacts:
    engine = path.with_name(f"{path.name.removesuffix(LAYERS_SUFFIX)}.engine")
    layers = load_layers(engine, file_digest(engine))
    if layers is None:
        raise ArtifactError(
            f"{path} does not list the layers of {engine}", wanted=LAYERS_FORMAT, do="Build it again: ssd-edge build"
        )
    return LayersFacts(engine, tuple(layers))


def _convolutions(model: onnx.ModelProto) -> tuple[EngineLayer, ...]:
    """Return the convolutions of a graph: by integer kernels, by what is dequantized, by the type of the weights."""
    weights = {entry.name: entry.data_type for entry in model.graph.initializer}
    makers = {output: node.op_type for node in model.graph.node for output in node.output}

    def precision(node: onnx.NodeProto) -> str:
        if node.op_type.startswith("QLinearConv"):
            return "int8"
        if all(makers.get(name) == "DequantizeLinear" for name in node.input[:2]):
            return "int8"
        return "fp16" if weights.get(node.input[1]) == TensorProto.FLOAT16 else "fp32"

    return tuple(
        EngineLayer(_exported_name(node.name), node.op_type, precision(node))
        for node in model.graph.node
        if node.op_type in _CONVOLUTIONS
    )


def _exported_name(name: str) -> str:
    """Return a layer's name without what ONNX Runtime adds to it: ``conv2_nchwc``, ``conv1_token_2``."""
    return re.sub(r"(_nchwc|_token_\d+)+$", "", name)


_READERS: tuple[tuple[str, Kind, Callable[[Path], Any]], ...] = (  # the longer suffixes come first
    (RANGES_SUFFIX, "table", CalibrationTable.load),
    (SET_SUFFIX, "images", ImageSet.load),
    (SENSITIVITY_SUFFIX, "sensitivity", RankedLayers.load),
    (LAYERS_SUFFIX, "layers", _read_layers_file),
    (".json", "manifest", EngineManifest.load),
    (".engine", "engine", _read_engine),
    (".onnx", "onnx", _read_onnx),
    (".pt", "checkpoint", _read_checkpoint),
)
