"""The exported ONNX as the builder takes it: one of ours, read whole, with its spec."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx.checker
from onnx import TensorProto

from ssd_edge.core.errors import ArtifactError, InputError, one_line
from ssd_edge.core.files import bytes_digest, read_regular
from ssd_edge.core.graph_contract import SPEC_KEY
from ssd_edge.core.shell import quoted
from ssd_edge.core.spec import ModelSpec
from ssd_edge.graph.onnx_file import parse_onnx
from ssd_edge.graph.sizes import check_sizes

_EIGHT_BITS = ("QuantizeLinear", "DequantizeLinear", "QLinear", "ConvInteger")  # beginnings of operators' names
_ORT_DOMAIN = "com.microsoft"


@dataclass(frozen=True)
class SourceModel:
    """An exported model.

    Attributes:
        digest: ``sha256:…`` of the file as it was read.
    """

    path: Path
    model: onnx.ModelProto
    spec: ModelSpec
    digest: str


def read_onnx(path: Path) -> SourceModel:
    """Read an exported ONNX; every node has a name of its own, which a foreign graph that was imported need not have.

    Raises:
        InputError: the file cannot be read.
        ArtifactError: it is no ONNX, was not exported by ssd-edge, or is what a build made of such a one.
    """
    source = read_graph(path)
    made = lowered_to(source.model)
    if made:
        exported = path.with_name(f"{source.spec.name}.onnx")
        raise ArtifactError(
            f"{path} was written by ssd-edge build, not by ssd-edge export",
            got=f"the graph of an engine: {made}",
            wanted="an exported model",
            do=f"Use the exported model: {exported}" if exported.is_file() else "Export the model: ssd-edge export",
        )
    _name_nodes(source.model.graph)
    return source


def read_graph(path: Path) -> SourceModel:
    """Read any ONNX of ours: an exported one, or a graph that a build made of it.

    Raises:
        InputError: the file cannot be read.
        ArtifactError: it is no ONNX, or none of ssd-edge.
    """
    try:
        data = read_regular(path)
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror or error})", wanted="a file that ssd-edge export wrote"
        ) from error
    model = parse_onnx(data, path)
    _check_graph(model, path)
    check_sizes(model, path)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if SPEC_KEY not in metadata:
        raise ArtifactError(
            f"{path} was not exported by ssd-edge",
            wanted=f"an ONNX file with {SPEC_KEY!r} in its metadata",
            do=f"If it is an SSD of another project, import it: ssd-edge import {quoted(path)}",
        )
    return SourceModel(path, model, ModelSpec.from_json(metadata[SPEC_KEY], origin=str(path)), bytes_digest(data))


def _check_graph(model: onnx.ModelProto, path: Path) -> None:
    """Raise ArtifactError where nodes, tensors and opsets do not go together: all that follows builds upon them."""
    try:
        onnx.checker.check_model(model)
    except Exception as error:  # what a damaged graph makes onnx raise has no common base
        raise ArtifactError(
            f"{path} is damaged",
            got=one_line(error),
            wanted="a valid ONNX graph",
            do="Export the model again: ssd-edge export",
        ) from error


def lowered_to(model: onnx.ModelProto) -> str:
    """Return in words what a build made of an exported model; empty where it is as it was exported."""
    nodes = model.graph.node
    found = {
        "INT8": any(node.op_type.startswith(_EIGHT_BITS) for node in nodes),
        "FP16": any(entry.data_type == TensorProto.FLOAT16 for entry in model.graph.initializer),
        "optimized by ONNX Runtime": any(entry.domain == _ORT_DOMAIN for entry in model.opset_import),
    }
    return ", ".join(name for name, is_so in found.items() if is_so)


def _name_nodes(graph: onnx.GraphProto) -> None:
    """Name the nodes that have no name, or another's, by what they give: layers are distinguished by their names."""
    taken = {node.name for node in graph.node}
    met = {""}
    for node in graph.node:
        if node.name in met:
            name = node.output[0]
            while name in taken:
                name += "_"
            taken.add(name)
            node.name = name
        met.add(node.name)
