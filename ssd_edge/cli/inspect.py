"""``ssd-edge inspect``: show what a file contains and what it can run on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ssd_edge.cli.console import put, write_json

if TYPE_CHECKING:
    from ssd_edge.core.manifest import EngineManifest
    from ssd_edge.core.spec import ModelSpec
    from ssd_edge.workflows.inspect import CheckpointFacts, EngineFacts, InspectResult, LayersFacts, OnnxFacts

Facts = dict[str, object]
_SHOWN_RANGES = 3
_LOWERED = "ONNX Runtime, for eval; engines are built from the exported model"


_SHOWN_AS = {"default boxes": "anchors", "pictures": "images", "table of ranges": "calibration table"}
"""Words of the terminal for names and values that ``--json`` keeps from earlier releases."""


class Lines(list[str]):
    """A fact with many parts, one per line."""


def inspect(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A .pt, .onnx or .engine file, or a .json that calibrate, build or --sensitivity wrote.",
        ),
    ],
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="PATH|-", help="Write the facts as JSON; - for stdout.")
    ] = None,
) -> None:
    """Show what a file contains: classes, shapes, precision of layers, ranges, digests, and what it runs on."""
    from ssd_edge.workflows.inspect import inspect as inspect_file

    facts = _listed(inspect_file(path))
    if json_path is not None:
        write_json(json_path, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
        return
    shown = {_SHOWN_AS.get(name, name): value for name, value in facts.items()}
    wide = max(len(name) for name, value in shown.items() if not isinstance(value, Lines))
    for name, value in shown.items():
        if isinstance(value, Lines):
            put("\n".join([name, *(f"  {line}" for line in value)]))
        else:
            put(f"{name:<{wide}}  {_text(value)}")


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {entry}" for name, entry in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return _SHOWN_AS.get(str(value), str(value))


def _listed(result: InspectResult) -> Facts:
    """Return the facts to show, by name."""
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
        "NMS": f"score > {nms.score_threshold:g}, IoU {nms.iou_threshold:g}, at most {nms.keep_top_k} per image",
    }


def _checkpoint(facts: CheckpointFacts) -> Facts:
    return {
        "kind": "checkpoint",
        **_spec(facts.spec),
        "parameters": f"{facts.parameters:,}",
        "runs on": "PyTorch; for other runtimes: ssd-edge export",
        "digest": facts.digest,
    }


def _onnx(facts: OnnxFacts) -> Facts:
    made = facts.lowered_to
    node = "BatchedNMSDynamic_TRT" + (", with portable body" if facts.has_nms_body else "")
    return {
        "kind": f"graph of an engine ({made}), not an exported model" if made else "ONNX",
        **_spec(facts.spec),
        "opset": facts.opset,
        **_convolutions(facts.layers),
        "NMS node": node if facts.has_nms_node else "none: NMS is written out in the graph",
        "runs on": _LOWERED if made else "ONNX Runtime; for TensorRT build an engine: ssd-edge build",
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
    """Return the precision of each layer: read from the graph, or reported by the runtime."""
    if facts.layers is not None and facts.layers_from in ("file", "openvino"):
        return _convolutions(facts.layers)
    if facts.layers is not None:
        return _reported(facts.layers, "" if facts.layers_from == "tensorrt" else ", when it was built")
    kept = " ".join(facts.manifest.options.keep_float)
    built = f"built as {facts.manifest.precision.value}" + (f", float layers: {kept}" if kept else "")
    return {"layers": f"{built}; layers are unknown without TensorRT: {facts.layers_unknown}"}


def _manifest(manifest: EngineManifest) -> Facts:
    return {**_built(manifest), "kind": "engine manifest"}


def _built(manifest: EngineManifest) -> Facts:
    from ssd_edge.workflows.inspect import runs_on

    return {
        "kind": "engine",
        **_spec(manifest.spec),
        "precision": manifest.precision.value,
        "runs on": runs_on(manifest),
        "batch": "{}, optimized for {}, at most {}".format(*manifest.batch[:2], manifest.batch[2] or "any number"),
        "options": manifest.options.listed(),
        "measured": _measured(manifest),
        "built": manifest.built_at,
        "ONNX": f"{manifest.onnx}, {manifest.onnx_digest}",
        "ranges": manifest.table_digest or "none",
        "digest": manifest.engine_digest,
    }


def _measured(manifest: EngineManifest) -> dict[str, float]:
    """Return an engine's measurements under the names that ``inspect --json`` has had since its first release."""
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
        "split": chosen.split or "a folder of images",
        "seed": chosen.seed,
        "pictures": len(chosen.images),
        "copies": "next to the list" if chosen.kept else "none",
        "digest": chosen.digest,
    }


def _sensitivity(ranked: Any) -> Facts:
    """Return the facts of a layer ranking."""
    return {
        "kind": "layer ranking: output error of each layer in INT8 alone",
        "model": ranked.model,
        "layers": len(ranked.layers),
        "ONNX": ranked.onnx_digest,
        "each layer": Lines(f"{entry.error:8.4f}  {entry.name}" for entry in ranked.layers),
    }


def _layers_file(facts: LayersFacts) -> Facts:
    return {
        "kind": "engine layers",
        "engine": str(facts.engine),
        **_reported(facts.layers, ", when it was built"),
    }


def _convolutions(layers: Iterable[Any]) -> Facts:
    """Return the number of convolutions per precision, and each by the name that ``--keep-float`` takes."""
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
