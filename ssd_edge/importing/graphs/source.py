"""Somebody else's ONNX file: read whole, its input understood, brought to our operator set.

What can never become a detector here is refused by what it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx.inliner
import onnx.version_converter
from onnx import TensorProto

from ssd_edge.core.errors import ArtifactError, InputError, one_line
from ssd_edge.core.files import read_regular
from ssd_edge.core.graph_contract import SPEC_KEY
from ssd_edge.core.shell import quoted
from ssd_edge.graph.nms import OPSET
from ssd_edge.graph.onnx_file import NotOnnxError, parse_onnx
from ssd_edge.graph.sizes import check_sizes

_STARTS = (
    (b"PK\x03\x04", "a zip archive: a PyTorch checkpoint or a Keras file"),
    (b"\x80", "a pickle: a PyTorch checkpoint of the old format"),
    (b"\x89HDF", "an HDF5 file: Keras weights"),
    (b"version https://git-lfs", "a Git LFS pointer: the file itself was not downloaded"),
    (b"ftrt", "a TensorRT engine"),
    (b"<", "a web page"),
)
_TFLITE_MARK = slice(4, 8)
_QUANTISED = {
    *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"),
    *("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"),
}
_HALF = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
_STANDARD_DOMAINS = ("", "ai.onnx")
OLDEST_OPSET = 9  # what PyTorch 1.1 to 1.6 wrote by default, and with it the first files of jetson-inference
_IR_VERSION = 8  # the first that knows model-local functions
_ONNX_ERRORS = (
    onnx.checker.ValidationError,
    onnx.shape_inference.InferenceError,
    onnx.version_converter.ConvertError,
)
_WANTED = "one input of type float32 and shape (batch, 3, height, width)"


def read_foreign(path: Path) -> onnx.ModelProto:
    """Return the model with its weights loaded, its local functions inlined and no weight among its inputs.

    Raises:
        InputError: the file cannot be read.
        ArtifactError: it is no ONNX, ours already, quantized, in half precision, or needs operators of others.
    """
    model = _parse(path)
    if any(entry.key == SPEC_KEY for entry in model.metadata_props):
        raise ArtifactError(
            f"{path} is already an ONNX file of ssd-edge and need not be imported",
            do=f"Build an engine from it: ssd-edge build {quoted(path)}",
        )
    if model.functions:
        model = _inlined(model, path)
    _refuse_precision(model, path)
    _refuse_domains(model, path)
    weights = {entry.name for entry in model.graph.initializer}
    inputs = [entry for entry in model.graph.input if entry.name not in weights]  # IR 3 lists weights there as well
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    return model


def _inlined(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    try:
        return onnx.inliner.inline_local_functions(model)
    except (RuntimeError, ValueError, *_ONNX_ERRORS) as error:
        raise ArtifactError(
            f"{path} has functions that cannot be followed",
            got=one_line(error),
            wanted="functions that fit the nodes that call them",
            do="Export the model again.",
        ) from error


def _parse(path: Path) -> onnx.ModelProto:
    try:
        data = read_regular(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error})", wanted="an ONNX file") from error
    try:
        model = parse_onnx(data, path, weights_beside=True)
    except NotOnnxError as error:
        raise _not_onnx(path, data) from error
    if not model.graph.node or not model.ir_version:
        raise _not_onnx(path, data)
    check_sizes(model, path)
    return model


def _not_onnx(path: Path, data: bytes) -> ArtifactError:
    kinds = [kind for start, kind in _STARTS if data.startswith(start)]
    if data[_TFLITE_MARK] == b"TFL3":
        kinds.append("a TensorFlow Lite model")
    unknown = f"{len(data)} bytes that are truncated or damaged" if data else "an empty file"
    return ArtifactError(
        f"{path} is not a complete ONNX file",
        got=kinds[0] if kinds else unknown,
        wanted="an ONNX model",
        do="Copy or export the file again.",
    )


def _refuse_precision(model: onnx.ModelProto, path: Path) -> None:
    quantized = sorted({node.op_type for node in model.graph.node} & _QUANTISED)
    if quantized:
        raise ArtifactError(
            f"{path} is already quantized",
            got=", ".join(quantized),
            wanted="a model in FP32",
            do="Import the FP32 model from which this file was made. ssd-edge build --int8 then quantizes it.",
        )
    half = [entry.name for entry in model.graph.initializer if entry.data_type in _HALF]
    half += [entry.name for entry in model.graph.input if entry.type.tensor_type.elem_type in _HALF]
    if half:
        raise ArtifactError(
            f"{path} is in FP16 or bfloat16",
            got=f"{len(half)} tensors of 16 bits, the first {half[0]}",
            wanted="a model in FP32",
            do="Export the model again in FP32.",
        )


def _refuse_domains(model: onnx.ModelProto, path: Path) -> None:
    others = sorted(
        {f"{node.domain}.{node.op_type}" for node in model.graph.node if node.domain not in _STANDARD_DOMAINS}
    )
    if others:
        raise ArtifactError(
            f"{path} needs operators that are not part of ONNX",
            got=", ".join(others),
            wanted="only standard operators",
            do="Export the model again without plugins and without its NMS.",
        )


@dataclass(frozen=True)
class SourceInput:
    """Input of the imported graph.

    Attributes:
        batch_is_free: it says that it takes any number of images; otherwise it takes one.
    """

    name: str
    height: int
    width: int
    batch_is_free: bool


def source_input(model: onnx.ModelProto, path: Path, size: tuple[int, int] | None) -> SourceInput:
    """Return the input of the graph; ``size`` (height, width) is needed where the graph leaves them free.

    Raises:
        ArtifactError: it takes something else, more than one image at a time, or another size.
    """
    inputs = list(model.graph.input)
    if len(inputs) != 1:
        raise _refusal(path, f"{len(inputs)} inputs: {', '.join(map(_described, inputs))}", "Export only the network.")
    shape = inputs[0].type.tensor_type.shape.dim
    if inputs[0].type.tensor_type.elem_type != TensorProto.FLOAT or len(shape) != 4 or shape[1].dim_value not in (0, 3):
        in_rows = len(shape) == 4 and shape[3].dim_value == 3
        do = "Export it with NCHW input: it takes images as NHWC, as TensorFlow does." if in_rows else ""
        raise _refusal(path, _described(inputs[0]), do or "Export it with float32 pixels as input.")
    if shape[0].dim_value > 1:
        raise _refusal(path, _described(inputs[0]), "Export it again with a batch size of 1 or a dynamic one.")
    height, width = _size(inputs[0], path, size)
    return SourceInput(inputs[0].name, height, width, batch_is_free=shape[0].dim_value == 0)


def _size(value: onnx.ValueInfoProto, path: Path, asked: tuple[int, int] | None) -> tuple[int, int]:
    own = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim[2:])
    size = asked or (own[0], own[1])
    if 0 in size:
        raise _refusal(
            path, _described(value), "Give the input size that the network was trained with: --input-size WIDTHxHEIGHT"
        )
    if any(fixed not in (0, wish) for fixed, wish in zip(own, size, strict=True)):
        raise ArtifactError(
            f"{path} has a different input size",
            got=f"--input-size {size[1]}x{size[0]}",
            wanted=f"{own[1] or 'any'}x{own[0] or 'any'} (width x height)",
        )
    return size


def _refusal(path: Path, got: str, do: str) -> ArtifactError:
    return ArtifactError(f"{path} does not take one image as its input", got=got, wanted=_WANTED, do=do)


def _described(value: onnx.ValueInfoProto) -> str:
    kind = value.type.tensor_type
    dims = ", ".join(str(dim.dim_value or dim.dim_param or "?") for dim in kind.shape.dim)
    known = kind.elem_type in TensorProto.DataType.values()
    type_name = TensorProto.DataType.Name(kind.elem_type).lower() if known else f"of the unknown type {kind.elem_type}"
    return f"{value.name} {type_name} ({dims})"


def in_our_opset(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """Return the model in the operator set of the NMS function; ``path`` names it in errors.

    Raises:
        ArtifactError: it is too old, names no operator set, or holds an operator that has no form in ours.
    """
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    wanted = f"one operator set of ONNX, {OLDEST_OPSET} or later"
    if len(versions) != 1:
        several = f"{len(versions)} operator sets of ONNX: {', '.join(map(str, versions))}"
        raise _opset_refusal(path, several if versions else "no operator set of ONNX", wanted)
    if versions[0] < OLDEST_OPSET:
        raise _opset_refusal(path, f"operator set {versions[0]}", f"operator set {OLDEST_OPSET} or later")
    try:
        converted = onnx.version_converter.convert_version(model, OPSET)
        converted.ir_version = _IR_VERSION
        onnx.checker.check_model(converted, full_check=True)
    except (RuntimeError, ValueError, *_ONNX_ERRORS) as error:
        got = f"operator set {versions[0]} ({one_line(error)})"
        raise _opset_refusal(path, got, f"operator set {OPSET}") from error
    return converted


def _opset_refusal(path: Path, got: str, wanted: str) -> ArtifactError:
    return ArtifactError(
        f"{path} cannot be converted to ONNX operator set {OPSET}",
        got=got,
        wanted=wanted,
        do=f"Export the model again: torch.onnx.export(…, opset_version={OPSET})",
    )
