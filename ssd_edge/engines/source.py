"""The exported ONNX as the builder takes it: one of ours, read whole, with its spec."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from ssd_edge.core.errors import ArtefactError, InputError
from ssd_edge.core.files import bytes_digest
from ssd_edge.core.graph import SPEC_KEY
from ssd_edge.core.spec import ModelSpec


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
    """Read an exported ONNX.

    Raises:
        InputError: the file cannot be read.
        ArtefactError: it is no ONNX, or was not exported by ssd-edge.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read", got=error.strerror or str(error), wanted="a file that ssd-edge export wrote"
        ) from error
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise ArtefactError(f"{path} is not an ONNX file", got=str(error), do="Export one: ssd-edge export") from error
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if SPEC_KEY not in metadata:
        raise ArtefactError(
            f"{path} was not exported by ssd-edge",
            wanted=f"an ONNX with {SPEC_KEY!r} in its metadata",
            do=f"If it is an SSD, import it: ssd-edge import {path}",
        )
    return SourceModel(path, model, ModelSpec.from_json(metadata[SPEC_KEY], origin=str(path)), bytes_digest(data))
