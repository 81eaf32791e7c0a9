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
from ssd_edge.core.graph_contract import SPEC_KEY
from ssd_edge.core.spec import ModelSpec
from ssd_edge.graph.nms import batched_nms_function, nms_node
from ssd_edge.workflows.evaluate import evaluate
from ssd_edge.workflows.export import export


def load(path: Path, folder: Path) -> onnx.ModelProto:
    return onnx.load(path if path.suffix == ".onnx" else export(path, output=folder / "exported.onnx").path)


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


def main(
    model: Path, dataset: Path, *, split: str = "test", candidates: tuple[int, ...] = (100, 200, 400, 1000, 3000)
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        graph, varied = load(model, Path(folder)), Path(folder) / "varied.onnx"
        for count in candidates:
            onnx.save(with_candidates(graph, count), varied)
            result = evaluate(varied, dataset, split=split)
            if count == candidates[0]:
                print(f"{model} on {len(result.labelled)} images of {result.labelled.origin}")
                print(f"{'M':>6}{'mAP@0.5':>12}{'mAP@.50:.95':>14}{'ms an image':>16}")
            found = result.models[0].evaluation
            figures = f"{found.accuracy.mean_ap:>12.4f}{found.accuracy.mean_ap_50_95:>14.4f}{found.median_ms:>16.2f}"
            print(f"{count:>6}{figures}", flush=True)


if __name__ == "__main__":
    run(main)
