"""The layers of a TensorRT engine and what each computes in, as TensorRT's own inspector reports them."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssd_edge.backends.cuda import Cuda
from ssd_edge.backends.tensorrt.backend import read_manifest_for_gpu
from ssd_edge.backends.tensorrt.engine import TrtEngine, forget_frames
from ssd_edge.core.artifact import Format, read_artifact
from ssd_edge.core.errors import ArtifactError, SsdEdgeError
from ssd_edge.core.files import written_beside
from ssd_edge.core.text_parsers import parse_json

LAYERS_FORMAT = "ssd-edge/layers/1"
_FORM = Format(LAYERS_FORMAT, "list of layers", "Build the engine again: ssd-edge build")
LAYERS_SUFFIX = ".layers.json"
UNKNOWN = "unknown"
# 8.x writes whole sentences, 10.x one word, 11 the type apart from the layout.
_TYPE_KEYS = ("Datatype", "DataType", "Format/Datatype")
_TYPES = (
    ("uint8", r"uint8"), ("int8", r"int8"), ("fp8", r"fp8"), ("int4", r"int4"), ("fp4", r"fp4"),
    ("bf16", r"bf16|bfloat"), ("fp16", r"fp16|half|float16"), ("int64", r"int64"), ("int32", r"int32"),
    ("bool", r"bool"), ("fp32", r"fp32|float"),
)  # fmt: skip


@dataclass(frozen=True)
class EngineLayer:
    """A layer as TensorRT fused it.

    Attributes:
        name: of all layers of the ONNX that went into it, as TensorRT joins them.
        kind: TensorRT's word for it, e.g. ``CaskConvolution``; empty where it does not say.
        precision: what it computes in, e.g. ``int8``; ``unknown`` where TensorRT does not say.
    """

    name: str
    kind: str
    precision: str


def read_layers(engine: Path) -> list[EngineLayer]:
    """Ask the installed TensorRT for the layers of an engine that this GPU may run.

    Raises:
        SsdEdgeError: the engine cannot be opened here.
    """
    manifest = read_manifest_for_gpu(engine)
    cuda = Cuda()
    try:
        with cuda.errors(f"{engine} cannot be opened"):
            opened = TrtEngine(engine, manifest, keeps_cache=False)
            try:
                return parse_layers(opened.layer_information())
            finally:
                opened.close()
    except SsdEdgeError as error:
        failure = forget_frames(error)
    finally:
        cuda.close()
    raise failure


def parse_layers(text: str) -> list[EngineLayer]:
    """Return the layers of an inspector's JSON, of any release from 8.5 on.

    Raises:
        ArtifactError: it is none.
    """
    try:
        layers: Sequence[Any] = parse_json(text)["Layers"]
        return [_layer(entry) for entry in layers]
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            "the output of TensorRT's engine inspector cannot be read",
            got=f"{text[:80]!r}",
            wanted="JSON with a list 'Layers'",
            do="Please report this with the version of TensorRT.",
        ) from error


def layers_path(engine: Path) -> Path:
    """Return ``<engine>.layers.json`` beside the engine."""
    return engine.with_suffix(LAYERS_SUFFIX)


@dataclass(frozen=True)
class _LayersFile:
    """Files next to an engine."""

    engine_digest: str
    layers: tuple[EngineLayer, ...]


def save_layers(engine: Path, engine_digest: str, layers: Sequence[EngineLayer]) -> None:
    """Write the layers beside an engine, for machines that cannot open it."""
    content = _LayersFile(engine_digest, tuple(layers))
    with written_beside(layers_path(engine)) as partial:
        fields = {"format": LAYERS_FORMAT, **dataclasses.asdict(content)}
        partial.write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")


def load_layers(engine: Path, engine_digest: str) -> list[EngineLayer] | None:
    """Return the layers that were written when the engine was built; None where they are not those of this engine."""
    try:
        found = read_artifact(layers_path(engine), _LayersFile, _FORM)
    except ArtifactError:
        return None
    return list(found.layers) if found.engine_digest == engine_digest else None


def _layer(entry: Any) -> EngineLayer:
    """Read one layer: the weights' type is what it computes in, without weights its first input's, or its output's."""
    if not isinstance(entry, Mapping):  # an engine that was built without details has names alone
        return EngineLayer(str(entry), "", UNKNOWN)
    weights = entry.get("Weights")
    texts = [str(weights.get("Type", ""))] if isinstance(weights, Mapping) else []
    texts += [_tensor_type(tensor) for key in ("Inputs", "Outputs") for tensor in entry.get(key) or ()]
    found = (_type_in(text) for text in texts)
    return EngineLayer(
        str(entry.get("Name", "")), str(entry.get("LayerType", "")), next((name for name in found if name), UNKNOWN)
    )


def _tensor_type(tensor: Any) -> str:
    if not isinstance(tensor, Mapping):
        return ""
    return next((str(tensor[key]) for key in _TYPE_KEYS if tensor.get(key)), "")


def _type_in(text: str) -> str:
    return next((name for name, pattern in _TYPES if re.search(pattern, text, re.IGNORECASE)), "")
