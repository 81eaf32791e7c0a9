"""``ssd-edge inspect``: what a file is, and what it can run on."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ssd_edge.cli.console import put

if TYPE_CHECKING:
    from ssd_edge.core.manifest import EngineManifest
    from ssd_edge.core.spec import ModelSpec
    from ssd_edge.workflows.inspect import CheckpointFacts, EngineFacts, InspectResult, LayersFacts, OnnxFacts

Facts = dict[str, object]
_SHOWN_RANGES = 3
_LOWERED = "ONNX Runtime, for eval; the engine itself is built from the exported model"


class Lines(list[str]):
    """A fact of many parts, each of which is shown on a line of its own."""


def inspect(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A .pt, .onnx, .engine, manifest, table of ranges, calibration set or ranking of layers.",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Show what a file is: classes, shapes, precision of its layers, ranges, digests, and what it can run on."""
    from ssd_edge.workflows.inspect import inspect as inspect_file

    facts = _listed(inspect_file(path))
    if as_json:
        sys.stdout.write(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
        return
    wide = max(len(name) for name, value in facts.items() if not isinstance(value, Lines))
    for name, value in facts.items():
        if isinstance(value, Lines):
            put("\n".join([name, *(f"  {line}" for line in value)]))
        else:
            put(f"{name:<{wide}}  {_text(value)}")


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {entry}" for name, entry in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def _listed(result: InspectResult) -> Facts:
    """Return what is shown of a file, by name."""
    lists: dict[str, Callable[[Any], Facts]] = {
        "checkpoint": _checkpoint,
        "onnx": _onnx,
        "engine": _engine,
        "manifest": _manifest,
        "table": _table,
        "images": _images,
        "sensitivity": _sensitivity,
        "layers": _layers_file,
    }
    return lists[result.kind](result.facts)


def _spec(spec: ModelSpec) -> Facts:
    entry, nms = spec.input, spec.nms
    return {
        "model": spec.name,
        "architecture": spec.architecture,
        "classes": list(spec.class_names),
        "input": f"{entry.width} x {entry.height} {entry.color_order}, mean {entry.mean}, std {entry.std}",
        "default boxes": spec.anchors.count,
        "NMS": f"score > {nms.score_threshold:g}, IoU {nms.iou_threshold:g}, the best {nms.keep_top_k} of a picture",
    }


def _checkpoint(facts: CheckpointFacts) -> Facts:
    return {
        "kind": "checkpoint",
        **_spec(facts.spec),
        "parameters": f"{facts.parameters:,}",
        "runs on": "PyTorch; export it for anything else: ssd-edge export",
        "digest": facts.digest,
    }


def _onnx(facts: OnnxFacts) -> Facts:
    made = facts.lowered_to
    node = "BatchedNMSDynamic_TRT" + (", with its portable body" if facts.has_nms_body else "")
    return {
        "kind": f"graph of an engine ({made}), no exported model" if made else "ONNX",
        **_spec(facts.spec),
        "opset": facts.opset,
        **_convolutions(facts.layers),
        "NMS node": node if facts.has_nms_node else "none: it is part of the graph",
        "runs on": _LOWERED if made else "ONNX Runtime as it is; for TensorRT build it: ssd-edge build",
        "digest": facts.digest,
    }


def _engine(facts: EngineFacts) -> Facts:
    return {
        **_built(facts.manifest),
        **_layers_of(facts),
        "runs here": f"no: {facts.refusal}" if facts.refusal else "yes",
        "size": f"{facts.size_bytes / 1e6:.1f} MB",
    }


def _layers_of(facts: EngineFacts) -> Facts:
    """Return the precisions of the layers: of ONNX Runtime's graph, or as TensorRT reports them or once did."""
    if facts.layers is not None and facts.layers_from == "file":
        return _convolutions(facts.layers)
    if facts.layers is not None:
        return _reported(facts.layers, "" if facts.layers_from == "tensorrt" else ", when it was built")
    kept = " ".join(facts.manifest.options.keep_float)
    built = f"built as {facts.manifest.precision.value}" + (f", in float: {kept}" if kept else "")
    return {"layers": f"{built}; TensorRT itself cannot be asked here: {facts.layers_unknown}"}


def _manifest(manifest: EngineManifest) -> Facts:
    return {**_built(manifest), "kind": "manifest of an engine"}


def _built(manifest: EngineManifest) -> Facts:
    from ssd_edge.workflows.inspect import runs_on

    return {
        "kind": "engine",
        **_spec(manifest.spec),
        "precision": manifest.precision.value,
        "runs on": runs_on(manifest),
        "batch": "{}, tuned for {}, at most {}".format(*manifest.batch[:2], manifest.batch[2] or "any number"),
        "options": manifest.options.listed(),
        "measured": _measured(manifest),
        "built": manifest.built_at,
        "ONNX": f"{manifest.onnx}, {manifest.onnx_digest}",
        "ranges": manifest.table_digest or "none",
        "digest": manifest.engine_digest,
    }


def _measured(manifest: EngineManifest) -> dict[str, float]:
    """Return what was measured of an engine, by the names that ``inspect --json`` has always had."""
    accuracy, cost = manifest.accuracy, manifest.fallback_cost_ms
    return {
        **({"map_50_float": accuracy.map_50_float, "map_50": accuracy.map_50} if accuracy else {}),
        **({} if cost is None else {"guard_cost": cost}),
        **{f"{precision.value}_ms": ms for precision, ms in manifest.times_ms.items()},
    }


def _table(table: Any) -> Facts:
    """Return the facts of a calibration table."""
    widest = sorted(table.ranges.items(), key=lambda entry: -entry[1].amax)
    return {
        "kind": "table of ranges",
        "model": table.model,
        "method": table.method,
        "pictures": f"{table.image_count}, {table.images_digest}",
        "tensors": len(table.ranges),
        "widest": {name: f"{entry.low:.4g} to {entry.high:.4g}" for name, entry in widest[:_SHOWN_RANGES]},
        "ONNX": table.onnx_digest,
        "preprocessing": table.preprocessing_digest,
        "digest": table.digest,
        "each tensor": Lines(
            f"{entry.low:>10.4g} to {entry.high:>10.4g}  {name}" for name, entry in table.ranges.items()
        ),
    }


def _images(chosen: Any) -> Facts:
    """Return the facts of a calibration set."""
    return {
        "kind": "calibration set",
        "source": chosen.source,
        "split": chosen.split or "a folder of pictures",
        "seed": chosen.seed,
        "pictures": len(chosen.images),
        "copies": "beside the list" if chosen.kept else "none",
        "digest": chosen.digest,
    }


def _sensitivity(ranked: Any) -> Facts:
    """Return the facts of a ranking of layers."""
    return {
        "kind": "layers by the output error that each adds in INT8 alone",
        "model": ranked.model,
        "layers": len(ranked.layers),
        "ONNX": ranked.onnx_digest,
        "each layer": Lines(f"{entry.error:8.4f}  {entry.name}" for entry in ranked.layers),
    }


def _layers_file(facts: LayersFacts) -> Facts:
    return {
        "kind": "layers of an engine",
        "engine": str(facts.engine),
        **_reported(facts.layers, ", when it was built"),
    }


def _convolutions(layers: Iterable[Any]) -> Facts:
    """Return how many convolutions compute in each precision, and which, by the names that ``--keep-float`` takes."""
    counts = Counter(layer.precision for layer in layers)
    return {
        "layers": {f"{name} convolutions": count for name, count in sorted(counts.items())},
        "each layer": Lines(f"{layer.precision:<7} {layer.kind:<16} {layer.name}" for layer in layers),
    }


def _reported(layers: Iterable[Any], when: str) -> Facts:
    """Return the layers of a TensorRT engine."""
    counts = Counter(layer.precision for layer in layers)
    return {
        "layers": {f"{name} layers": count for name, count in sorted(counts.items())},
        f"each layer, as TensorRT reports it{when}": Lines(
            f"{layer.precision:<7} {layer.kind:<16} {layer.name}".rstrip() for layer in layers
        ),
    }
