"""Checkpoint to one self-describing ONNX with its NMS inside, written only when it gives the same detections."""

from __future__ import annotations

import dataclasses
import inspect
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor

from ssd_edge import __version__
from ssd_edge.backends.ort import OrtBackend
from ssd_edge.core.environment import no_telemetry
from ssd_edge.core.files import file_digest, written_beside
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.graph_contract import DIGEST_KEY, INPUT_NAME, ROUNDS_KEY, SPEC_KEY, VERSION_KEY
from ssd_edge.core.log import log
from ssd_edge.core.progress import Progress, silent
from ssd_edge.core.spec import ModelSpec, NmsSpec
from ssd_edge.core.temp_dir import scratch_folder
from ssd_edge.exporting.parity import ParityReport, check_parity
from ssd_edge.graph.nms import OPSET, attach_nms
from ssd_edge.graph.onnx_file import parse_onnx
from ssd_edge.model.checkpoint import load_checkpoint
from ssd_edge.model.predict import DecodedSSD
from ssd_edge.model.ssd import SSD
from ssd_edge.model.weights import with_weights

_LIMITS = ("keep_top_k", "max_candidates", "top_k")  # each at most the next
_OUTPUTS = ("boxes", "scores")
_BATCH = "batch"


@dataclass(frozen=True)
class ExportReport:
    """Result of an export.

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
        images: BGR images of any size, on which PyTorch and ONNX Runtime are compared.
        root: of the workspace.
        nms_changes: fields of :class:`~ssd_edge.core.spec.NmsSpec` that must differ from the checkpoint's.
        progress: receives the images compared.

    Raises:
        InputError: a file cannot be read or written.
        ArtifactError: the checkpoint is damaged, or a changed value is out of range.
        ParityError: the detections differ, or there are none; ``output`` is left as it was.
    """
    model = _model_of(checkpoint, nms_changes or {})
    output = output or root / "engines" / model.spec.name / f"{model.spec.name}.onnx"
    with written_beside(output) as partial:
        graph = onnx_model(model, file_digest(checkpoint))
        onnx.save(graph, partial)
        with OrtBackend(partial) as backend:
            parity = check_parity(model, backend, images, progress=progress)
        parity.refuse_if_broken(checkpoint, output)
        graph.metadata_props.add(key=ROUNDS_KEY, value=str(parity.nms_rounds))
        onnx.save(graph, partial)
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
    spec = dataclasses.replace(loaded.spec, nms=changed_nms(loaded.spec.nms, nms_changes))
    return with_weights(spec, loaded.model.state_dict(), origin=str(checkpoint))


def changed_nms(nms: NmsSpec, changes: Mapping[str, Any]) -> NmsSpec:
    """Return the spec with these changes; what is not among them gives way to keep_top_k <= max_candidates <= top_k.

    Changes that contradict each other stay; :class:`~ssd_edge.core.spec.ModelSpec` refuses them.
    """
    fitted = dict(changes)
    for place, name in enumerate(_LIMITS):
        now = getattr(nms, name)
        least = max((changes[other] for other in _LIMITS[:place] if other in changes), default=now)
        most = min((changes[other] for other in _LIMITS[place + 1 :] if other in changes), default=max(now, least))
        if name not in changes and (value := min(max(now, least), most)) != now:
            log.info(f"{name} is {value} in place of {now}, to suit {' and '.join(sorted(changes))}")
            fitted[name] = value
    return dataclasses.replace(nms, **fitted)


class _SharedLocations(DecodedSSD):
    """The decoded network with an axis for BatchedNMS, which could take boxes of their own for every class."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        boxes, scores = super().forward(images)
        return boxes.unsqueeze(2), scores


def decoded_graph(model: SSD) -> onnx.ModelProto:
    """Return the graph images (B, H, W, 3) uint8 -> boxes (B, A, 1, 4), scores (B, A, C), simplified.

    Only the batch axis is free. The anchors are constants.
    """
    traced, entry = _SharedLocations(model).eval(), model.spec.input
    images = torch.zeros(1, entry.height, entry.width, 3, dtype=torch.uint8)
    with scratch_folder() as folder, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        path = folder / "traced.onnx"
        torch.onnx.export(
            traced,
            (images,),
            path,
            opset_version=OPSET,
            input_names=[INPUT_NAME],
            output_names=list(_OUTPUTS),
            dynamic_axes={name: {0: _BATCH} for name in (INPUT_NAME, *_OUTPUTS)},
            **_tracing_exporter(),
        )
        raw = parse_onnx(path.read_bytes(), path)
    with no_telemetry():
        import onnxsim
    simplified: onnx.ModelProto = onnxsim.simplify(raw)[0]
    return simplified


def _tracing_exporter() -> dict[str, Any]:
    """Choose the tracing exporter where there are two: the newer cannot write opset 17, and needs onnxscript."""
    return {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
