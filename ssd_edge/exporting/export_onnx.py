"""Checkpoint to one self-describing ONNX with its NMS inside, written only when it gives the same detections."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from ssd_edge import __version__
from ssd_edge.backends.ort import OrtBackend
from ssd_edge.core.files import file_digest, written_beside
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.graph_contract import DIGEST_KEY, SPEC_KEY, VERSION_KEY
from ssd_edge.core.progress import Progress, silent
from ssd_edge.core.spec import ModelSpec
from ssd_edge.exporting.parity import ParityReport, check_parity
from ssd_edge.exporting.torch_graph import decoded_graph
from ssd_edge.graph.nms import attach_nms
from ssd_edge.model.checkpoint import load_checkpoint
from ssd_edge.model.ssd import SSD
from ssd_edge.model.weights import with_weights


@dataclass(frozen=True)
class ExportReport:
    """What an export gave.

    Attributes:
        onnx: the file.
        spec: as it is written in the file, thresholds changed as was asked.
        parity: how near its detections are to those of PyTorch.
    """

    onnx: Path
    spec: ModelSpec
    parity: ParityReport


def export_onnx(
    checkpoint: Path,
    output: Path | None,
    images: Sequence[UInt8Array],
    *,
    root: Path = Path(),
    nms_changes: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> ExportReport:
    """Write the ONNX of a checkpoint (docs: "The graph contract"), if it holds what the checkpoint does.

    Args:
        checkpoint: a file written by :func:`~ssd_edge.model.checkpoint.save_checkpoint`.
        output: the ONNX; by default ``engines/<name>/<name>.onnx`` below ``root``.
        images: BGR pictures of any size, on which PyTorch and ONNX Runtime are compared.
        root: of the workspace.
        nms_changes: fields of :class:`~ssd_edge.core.spec.NmsSpec` that shall differ from the checkpoint's.
        progress: told of the pictures compared.

    Raises:
        InputError: a file cannot be read or written.
        ArtefactError: the checkpoint is damaged, or a changed value is out of range.
        ParityError: the detections differ, or there are none; ``output`` is left as it was.
    """
    model = _model_of(checkpoint, nms_changes or {})
    output = output or root / "engines" / model.spec.name / f"{model.spec.name}.onnx"
    with written_beside(output) as partial:
        onnx.save(onnx_model(model, file_digest(checkpoint)), partial)
        with OrtBackend(partial) as backend:
            parity = check_parity(model, backend, images, progress=progress)
        parity.refuse_if_broken(checkpoint, output)
    return ExportReport(output, model.spec, parity)


def onnx_model(model: SSD, checkpoint_digest: str) -> onnx.ModelProto:
    """Return the complete ONNX of a network; the same weights and spec give the same bytes."""
    graph = attach_nms(decoded_graph(model), model.spec)
    graph.graph.name = model.spec.name
    graph.producer_name, graph.producer_version = "ssd-edge", __version__
    metadata = {SPEC_KEY: model.spec.to_json(), DIGEST_KEY: checkpoint_digest, VERSION_KEY: __version__}
    onnx.helper.set_model_props(graph, metadata)
    onnx.checker.check_model(graph, full_check=True)
    return graph


def _model_of(checkpoint: Path, nms_changes: Mapping[str, Any]) -> SSD:
    """Load the network, its spec changed as was asked."""
    loaded = load_checkpoint(checkpoint)
    if not nms_changes:
        return loaded.model
    nms = dataclasses.replace(loaded.spec.nms, **nms_changes)
    spec = dataclasses.replace(loaded.spec, nms=nms)
    return with_weights(spec, loaded.model.state_dict(), origin=str(checkpoint))
