"""Peers beside ours: the same images and, where the network is the same, the same weights, by each one's own means."""

from __future__ import annotations

import io
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ssd_edge.backends.cpu import cpu_device
from ssd_edge.backends.openvino.module import load_openvino
from ssd_edge.backends.ort_session import load_runtime
from ssd_edge.benchmarking.peers.detectors import NETWORKS
from ssd_edge.benchmarking.task import Task
from ssd_edge.core.choices import Peer, Precision, Target
from ssd_edge.core.environment import no_telemetry
from ssd_edge.core.errors import InputError, MissingPackageError, SsdEdgeError
from ssd_edge.core.graph_contract import INPUT_NAME
from ssd_edge.core.images import list_images, read_image
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.preprocess import preprocess
from ssd_edge.engines.ort_build import use_non_max_suppression
from ssd_edge.graph.cut import head_tensors, heads_only, nms_only
from ssd_edge.graph.editor import needed_nodes
from ssd_edge.graph.nms_bodies import inline_function
from ssd_edge.graph.onnx_file import parse_onnx
from ssd_edge.graph.source import SourceModel, read_graph
from ssd_edge.quantization.calibrate import measure_ranges
from ssd_edge.quantization.image_set import choose_images
from ssd_edge.quantization.lowering import Lowering
from ssd_edge.workflows.benchmark.entries import Entry

_PACKAGE = {
    Peer.TORCHVISION: "torchvision",
    Peer.ONNXRUNTIME: "onnxruntime",
    Peer.OPENVINO: "openvino",
    Peer.OPENCV_DNN: "cv2",
    Peer.ULTRALYTICS: "ultralytics",
}
_YOLO = "yolo11n.yaml"  # its smallest detector that has a definition without weights, which would be downloaded
_ANOTHER = "another network with random weights: compare only the times, not the boxes"
_WARNINGS, _ERRORS = 2, 3  # of ONNX Runtime's log; it begins with the first
_OUR_NMS = "its network, followed by our NMS"
_ITS_NMS = "our ONNX model with fixed shapes, its own NMS"


def peer_entries(peers: Sequence[Peer], ours: Sequence[Entry], folder: Path) -> tuple[list[Entry], list[LeftOut]]:
    """Return the contestants of peers beside the groups of ours, and those that cannot take part.

    Args:
        peers: that were asked for.
        ours: contestants, with their sources.
        folder: for the graphs that peers read.
    """
    found: list[Entry] = []
    left_out: list[LeftOut] = []
    groups = list(dict.fromkeys(entry.group for entry in ours))
    for peer in peers:
        for group in groups[:1] if peer is Peer.ULTRALYTICS else groups:
            has_int8 = any(entry.group == group and Precision.INT8.value in entry.precision for entry in ours)
            try:
                found += _of_peer(peer, _best_known(ours, group), has_int8, folder)
            except SsdEdgeError as error:
                left_out.append(LeftOut(f"{peer} beside {group}", str(error)))
    return found, left_out


def _best_known(ours: Sequence[Entry], group: str) -> Entry:
    """Return the first of a group, with the source and the checkpoint that any of it has."""
    members = [entry for entry in ours if entry.group == group]
    source = next((entry.source for entry in members if entry.source is not None), None)
    checkpoint = next((entry.checkpoint for entry in members if entry.checkpoint is not None), None)
    return replace(members[0], source=source, checkpoint=checkpoint)


def _of_peer(peer: Peer, entry: Entry, has_int8: bool, folder: Path) -> list[Entry]:
    if find_spec(_PACKAGE[peer]) is None:
        raise MissingPackageError(f"{_PACKAGE[peer]} is not installed", do=f"Install it: pip install {_PACKAGE[peer]}")
    makers: dict[Peer, Callable[[Entry, bool, Path], Iterator[Entry]]] = {
        Peer.TORCHVISION: _torchvision,
        Peer.ONNXRUNTIME: _onnxruntime,
        Peer.OPENVINO: _openvino,
        Peer.OPENCV_DNN: _opencv,
        Peer.ULTRALYTICS: _ultralytics,
    }
    return list(makers[peer](entry, has_int8, folder))


def _torchvision(entry: Entry, has_int8: bool, folder: Path) -> Iterator[Entry]:  # noqa: ARG001 - one signature
    if entry.checkpoint is None:
        raise InputError(
            f"torchvision needs the checkpoint that {entry.name} was exported from",
            do="Give its .pt file too, or run this in the workspace where it was trained.",
        )
    from ssd_edge.model.checkpoint import load_checkpoint

    architecture = load_checkpoint(entry.checkpoint).spec.architecture
    if architecture not in NETWORKS:
        raise InputError(f"torchvision has no network {architecture!r}", wanted=", ".join(NETWORKS))
    yield _peer(entry, Peer.TORCHVISION, entry.checkpoint, "fp32", {}, "eager mode")


def _onnxruntime(entry: Entry, has_int8: bool, folder: Path) -> Iterator[Entry]:
    source = _source(entry)
    path = folder / f"{entry.group}.operator.onnx"
    onnx.save(_with_operator(source.model), path)
    yield _peer(entry, Peer.ONNXRUNTIME, path, "fp32", _spec(source), "a plain session, its own NMS")
    if has_int8:
        path = folder / f"{entry.group}.ort-static.onnx"
        _quantize_by_onnxruntime(source, entry.task, path)
        yield _peer(entry, Peer.ONNXRUNTIME, path, "int8", _spec(source), "its own static quantization")


def _openvino(entry: Entry, has_int8: bool, folder: Path) -> Iterator[Entry]:
    source = _source(entry)
    path = folder / f"{entry.group}.inlined.onnx"
    onnx.save(_with_operator(source.model), path)
    kinds = ["f32"]
    if {"avx512_bf16", "amx_bf16", "bf16"} & set(cpu_device().split("+")):
        kinds.append("bf16")
    for kind in kinds:
        name = "fp32" if kind == "f32" else kind
        yield _peer(entry, Peer.OPENVINO, path, name, {**_spec(source), "float": kind}, _ITS_NMS)
    if has_int8:
        yield from _openvino_int8(entry, source, folder)


def _with_operator(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a graph as runtimes are quickest with it: NMS by ONNX's operator, as in other exports; no function."""
    return inline_function(use_non_max_suppression(model))


def _openvino_int8(entry: Entry, source: SourceModel, folder: Path) -> Iterator[Entry]:
    table = measure_ranges(source, choose_images(Path(entry.task.images[0]).parent))
    for target in (Target.ONNXRUNTIME, Target.TENSORRT):
        path = folder / f"{entry.group}.int8.{target}.inlined.onnx"
        onnx.save(_with_operator(Lowering(Precision.INT8, target)(source.model, table)), path)
        made = _peer(entry, Peer.OPENVINO, path, "int8", _spec(source), f"our Q/DQ as {target} has it")
        yield replace(made, name=f"{made.name} ({target} Q/DQ)")
    if find_spec("nncf") is not None:
        path = folder / f"{entry.group}.nncf.xml"
        _quantize_by_nncf(source, entry.task, folder / f"{entry.group}.inlined.onnx", path)
        made = _peer(entry, Peer.OPENVINO, path, "int8", _spec(source), "NNCF's own quantization")
        yield replace(made, name=f"{made.name} (NNCF)")


def _opencv(entry: Entry, has_int8: bool, folder: Path) -> Iterator[Entry]:  # noqa: ARG001 - one signature
    source = _source(entry)
    tensors = head_tensors(source.model)
    cut = heads_only(source.model, tensors, source.spec)
    if cut is None:
        raise InputError(
            f"{source.path} cannot be cut in front of its NMS",
            wanted="a network with the heads of an SSD",
            do="Leave out --against opencv-dnn for this model.",
        )
    heads, nms = folder / f"{entry.group}.heads.onnx", folder / f"{entry.group}.nms.onnx"
    onnx.save(cut, heads)
    onnx.save(nms_only(use_non_max_suppression(source.model), source.spec.nms.keep_top_k), nms)
    settings = {**_spec(source), "boxes": tensors[0], "scores": tensors[1], "nms": str(nms)}
    yield _peer(entry, Peer.OPENCV_DNN, heads, "fp32", settings, _OUR_NMS)


def _ultralytics(entry: Entry, has_int8: bool, folder: Path) -> Iterator[Entry]:  # noqa: ARG001 - one signature
    made = _peer(entry, Peer.ULTRALYTICS, Path(_YOLO), "fp32", {"network": _YOLO, "side": "320"}, _ANOTHER)
    yield replace(made, name=f"ultralytics {Path(_YOLO).stem} 320", same_network=False)


def _peer(entry: Entry, peer: Peer, model: Path, precision: str, settings: dict[str, str], note: str) -> Entry:
    task = replace(entry.task, kind=peer.value, model=str(model), settings=settings)
    name = f"{entry.group} {peer} {precision}"
    return Entry(name, entry.group, task, precision, peer.value, entry.source, entry.checkpoint, note)


def _source(entry: Entry) -> SourceModel:
    if entry.source is None:
        raise InputError(
            f"the exported ONNX file of {entry.name} is missing", do="Copy the ONNX file next to the engine."
        )
    return read_graph(entry.source)


def _spec(source: SourceModel) -> dict[str, str]:
    return {"spec": source.spec.to_json()}


def _inputs(source: SourceModel, task: Task) -> list[Any]:
    """Return the images of a run, and those beside them, as the graph takes them."""
    paths = list_images(Path(task.images[0]).parent)
    return [preprocess(read_image(path), source.spec.input)[None] for path in paths]


class _Reader:
    """Gives ONNX Runtime's quantizer its images; its base class is ONNX Runtime's only on paper."""

    def __init__(self, inputs: Sequence[Any]) -> None:
        self._inputs = list(inputs)

    def get_next(self) -> dict[str, Any] | None:
        """Return the next image, None behind the last."""
        return {INPUT_NAME: self._inputs.pop(0)} if self._inputs else None


def _quantize_by_onnxruntime(source: SourceModel, task: Task, path: Path) -> None:
    """Quantize as ONNX Runtime's documentation says for a processor: prepared, QDQ, per channel; U8S8 on x86."""
    runtime = load_runtime()
    with no_telemetry():
        tools = import_module("onnxruntime.quantization")
        prepare = import_module("onnxruntime.quantization.shape_inference").quant_pre_process
    inlined, prepared = path.with_suffix(".inlined.onnx"), path.with_suffix(".prepared.onnx")
    onnx.save(_with_operator(source.model), inlined)
    runtime.set_default_logger_severity(_ERRORS)  # it warns of constants that it folded itself
    try:
        prepare(str(inlined), str(prepared), skip_symbolic_shape=True)
        _quantize_prepared(tools, source, task, prepared, path)
    except Exception as error:  # a tool of others, which raises whatever it meets
        raise InputError("ONNX Runtime's quantizer cannot quantize the network", got=str(error)) from error
    finally:
        runtime.set_default_logger_severity(_WARNINGS)


def _quantize_prepared(tools: Any, source: SourceModel, task: Task, prepared: Path, path: Path) -> None:
    """Quantize all up to the boxes and scores: the NMS stays in float."""
    nodes = list(parse_onnx(prepared.read_bytes(), prepared).graph.node)
    kept = {node.output[0] for node in needed_nodes(nodes, list(head_tensors(source.model)))}
    is_x86 = platform.machine().lower() in ("x86_64", "amd64")
    tools.quantize_static(
        str(prepared),
        str(path),
        _Reader(_inputs(source, task)),
        quant_format=tools.QuantFormat.QDQ,
        activation_type=tools.QuantType.QUInt8 if is_x86 else tools.QuantType.QInt8,
        weight_type=tools.QuantType.QInt8,
        per_channel=True,
        nodes_to_exclude=[node.name for node in nodes if node.output[0] not in kept],
    )


def _quantize_by_nncf(source: SourceModel, task: Task, inlined: Path, path: Path) -> None:
    """Quantize by NNCF's defaults, which leave the outputs' part in float."""
    openvino = load_openvino()  # first: NNCF imports it too
    nncf = import_module("nncf")
    try:
        images = nncf.Dataset(_inputs(source, task), lambda image: {INPUT_NAME: np.asarray(image)})
        with redirect_stdout(io.StringIO()):  # it draws bars there, where data may be written
            quantized = nncf.quantize(openvino.Core().read_model(str(inlined)), images)
        openvino.save_model(quantized, str(path))
    except Exception as error:  # a tool of others, which raises whatever it meets
        raise InputError("NNCF cannot quantize the network", got=str(error)) from error
