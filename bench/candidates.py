"""How many candidates does the NMS in the graph need? Accuracy and time of one model for several M.

    python -m bench.candidates MODEL DATASET [--split test] [--candidates 100 200 400 1000 3000]

MODEL is a checkpoint (.pt) or an exported .onnx. Only ``max_candidates`` differs between the rows (and the rows of the
output, where M is smaller); 3840 is the most that TensorRT sorts.
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import onnx

from bench._options import run
from ssd_edge.backends.detector import open_detector
from ssd_edge.core.files import file_digest
from ssd_edge.core.graph_contract import SPEC_KEY
from ssd_edge.core.sample import LabelledSet
from ssd_edge.core.spec import ModelSpec
from ssd_edge.data.find import open_dataset
from ssd_edge.evaluation.evaluate import Evaluation, evaluate
from ssd_edge.graph.nms import batched_nms_function, nms_node


def load(path: Path) -> onnx.ModelProto:
    if path.suffix == ".onnx":
        return onnx.load(path)
    from ssd_edge.exporting.export_onnx import onnx_model
    from ssd_edge.model.checkpoint import load_checkpoint

    return onnx_model(load_checkpoint(path).model, file_digest(path))


def with_candidates(model: onnx.ModelProto, candidates: int) -> onnx.ModelProto:
    """The same model with another M in its NMS and its spec."""
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    spec = ModelSpec.from_json(metadata[SPEC_KEY], origin="the model")
    nms = dataclasses.replace(
        spec.nms,
        max_candidates=candidates,
        top_k=max(candidates, spec.nms.top_k),
        keep_top_k=min(candidates, spec.nms.keep_top_k),
    )
    spec = dataclasses.replace(spec, nms=nms)
    varied = onnx.ModelProto()
    varied.CopyFrom(model)
    old, classes = varied.graph.node[-1], len(spec.class_names)
    old.CopyFrom(nms_node(*old.input, classes, nms))
    function = batched_nms_function(spec.anchors.count, classes, max_candidates=candidates, keep_top_k=nms.keep_top_k)
    varied.functions[0].CopyFrom(function)
    for output in varied.graph.output[1:]:
        output.type.tensor_type.shape.dim[1].dim_value = nms.keep_top_k
    onnx.helper.set_model_props(varied, {**metadata, SPEC_KEY: spec.to_json()})
    return varied


def judge(model: onnx.ModelProto, labelled: LabelledSet, folder: Path) -> Evaluation:
    path = folder / "varied.onnx"
    onnx.save(model, path)
    with open_detector(path) as detector:
        return evaluate(detector.detect, detector.spec.class_names, labelled)


def main(
    model: Path, dataset: Path, *, split: str = "test", candidates: tuple[int, ...] = (100, 200, 400, 1000, 3000)
) -> None:
    labelled, graph = open_dataset(dataset, split), load(model)
    print(f"{model} on {len(labelled.samples)} images of {labelled.origin}")
    print(f"{'M':>6}{'mAP@0.5':>12}{'mAP@.50:.95':>14}{'ms a picture':>16}")
    with tempfile.TemporaryDirectory() as folder:
        for count in candidates:
            varied = with_candidates(graph, count)
            judged = judge(varied, labelled, Path(folder))
            accuracy = judged.accuracy
            print(
                f"{count:>6}{accuracy.mean_ap:>12.4f}{accuracy.mean_ap_50_95:>14.4f}{judged.median_ms:>16.2f}",
                flush=True,
            )


if __name__ == "__main__":
    run(main)
