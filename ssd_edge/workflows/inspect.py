"""What ``inspect`` tells of each kind of file, as plain facts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.backends.ort import TARGET as ORT
from ssd_edge.backends.tensorrt.module import NMS_PLUGIN, TENSORRT_RTX
from ssd_edge.core.errors import ArtefactError, SsdEdgeError
from ssd_edge.core.files import file_digest
from ssd_edge.core.spec import ModelSpec

if TYPE_CHECKING:
    import onnx

    from ssd_edge.backends.tensorrt.layers import EngineLayer
    from ssd_edge.core.manifest import EngineManifest


_SHOWN_RANGES = 3
_CONVOLUTIONS = ("Conv", "QLinearConv", "ConvTranspose", "FusedConv", "NhwcFusedConv")
_LOWERED = "ONNX Runtime, for eval; the engine itself is built from the exported model"


class Lines(list[str]):
    """A fact of many parts, each of which is shown on a line of its own."""


def spec_facts(spec: ModelSpec) -> dict[str, object]:
    """Return what a spec says of the network."""
    entry, nms = spec.input, spec.nms
    return {
        "model": spec.name,
        "architecture": spec.architecture,
        "classes": list(spec.class_names),
        "input": f"{entry.width} x {entry.height} {entry.color_order}, mean {entry.mean}, std {entry.std}",
        "default boxes": spec.anchors.count,
        "NMS": f"score > {nms.score_threshold:g}, IoU {nms.iou_threshold:g}, the best {nms.keep_top_k} of a picture",
    }


def checkpoint_facts(path: Path) -> dict[str, object]:
    """Return the facts of a ``.pt``.

    Raises:
        ArtefactError: it is no checkpoint of ours.
        MissingPackageError: PyTorch is not installed.
    """
    from ssd_edge.core.requirements import require_torch

    require_torch()
    from ssd_edge.model.checkpoint import load_checkpoint

    loaded = load_checkpoint(path)
    parameters = sum(value.numel() for value in loaded.model.parameters())
    return {
        "kind": "checkpoint",
        **spec_facts(loaded.spec),
        "parameters": f"{parameters:,}",
        "runs on": "PyTorch; export it for anything else: ssd-edge export",
        "digest": file_digest(path),
    }


def onnx_facts(path: Path) -> dict[str, object]:
    """Return the facts of an exported or lowered ONNX.

    Raises:
        ArtefactError: it is no ONNX of ours.
    """
    from ssd_edge.graph.source import lowered_to, read_graph

    source = read_graph(path)
    made = lowered_to(source.model)
    return {
        "kind": f"graph of an engine ({made}), no exported model" if made else "ONNX",
        **spec_facts(source.spec),
        "opset": max((entry.version for entry in source.model.opset_import if entry.domain == ""), default=0),
        **layer_facts(source.model),
        "NMS node": _nms_node(source.model),
        "runs on": _LOWERED if made else "ONNX Runtime as it is; for TensorRT build it: ssd-edge build",
        "digest": source.digest,
    }


def _nms_node(model: onnx.ModelProto) -> str:
    from ssd_edge.core.graph_contract import NMS_OP

    if not any(node.op_type == NMS_OP for node in model.graph.node):
        return "none: it is part of the graph"
    return f"{NMS_OP}, with its portable body" if model.functions else NMS_OP


def layer_facts(model: onnx.ModelProto) -> dict[str, object]:
    """Return how many convolutions compute in each precision, and which, by the names that ``--keep-float`` takes."""
    convolutions = [node for node in model.graph.node if node.op_type in _CONVOLUTIONS]
    precisions = _precisions(model, convolutions)
    counts, pairs = Counter(precisions), zip(precisions, convolutions, strict=True)
    return {
        "layers": {f"{name} convolutions": count for name, count in sorted(counts.items())},
        "each layer": Lines(f"{name:<7} {node.op_type:<16} {_exported_name(node.name)}" for name, node in pairs),
    }


def _precisions(model: onnx.ModelProto, convolutions: Sequence[onnx.NodeProto]) -> list[str]:
    """Tell each convolution's precision: by integer kernels, by what is dequantised, by the weights' type."""
    from onnx import TensorProto

    weights = {entry.name: entry.data_type for entry in model.graph.initializer}
    makers = {output: node.op_type for node in model.graph.node for output in node.output}

    def precision(node: onnx.NodeProto) -> str:
        if node.op_type.startswith("QLinearConv"):
            return "int8"
        if all(makers.get(name) == "DequantizeLinear" for name in node.input[:2]):
            return "int8"
        return "fp16" if weights.get(node.input[1]) == TensorProto.FLOAT16 else "fp32"

    return [precision(node) for node in convolutions]


def _exported_name(name: str) -> str:
    """Return a layer's name without what ONNX Runtime adds to it: ``conv2_nchwc``, ``conv1_token_2``."""
    return re.sub(r"(_nchwc|_token_\d+)+$", "", name)


def ranges_facts(path: Path) -> dict[str, object]:
    """Return the facts of a table of ranges.

    Raises:
        ArtefactError: it is damaged.
    """
    from ssd_edge.core.calibration_table import CalibrationTable

    table = CalibrationTable.load(path)
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


def image_set_facts(path: Path) -> dict[str, object]:
    """Return the facts of a calibration set.

    Raises:
        ArtefactError: it is none.
    """
    from ssd_edge.quantization.image_set import ImageSet

    chosen = ImageSet.load(path)
    return {
        "kind": "calibration set",
        "source": chosen.source,
        "split": chosen.split or "a folder of pictures",
        "seed": chosen.seed,
        "pictures": len(chosen.images),
        "copies": "beside the list" if chosen.kept else "none",
        "digest": chosen.digest,
    }


def sensitivity_facts(path: Path) -> dict[str, object]:
    """Return the facts of a ranking of layers.

    Raises:
        ArtefactError: it is none.
    """
    from ssd_edge.quantization.sensitivity import RankedLayers

    ranked = RankedLayers.load(path)
    return {
        "kind": "layers by the output error that each adds in INT8 alone",
        "model": ranked.model,
        "layers": len(ranked.layers),
        "ONNX": ranked.onnx_digest,
        "each layer": Lines(f"{entry.error:8.4f}  {entry.name}" for entry in ranked.layers),
    }


def engine_facts(path: Path) -> dict[str, object]:
    """Return the facts of an engine: what its manifest says, and what its file holds where that can be read.

    Raises:
        ArtefactError: the manifest is missing or damaged, or belongs to another file.
    """
    from ssd_edge.core.manifest import EngineManifest, manifest_path

    manifest = EngineManifest.load(manifest_path(path))
    manifest.refuse_if_changed(path)
    return {
        **_manifest_facts(manifest),
        **_layer_facts(path, manifest),
        "runs here": _runs_here(path, manifest),
        "size": f"{path.stat().st_size / 1e6:.1f} MB",
    }


def manifest_facts(path: Path) -> dict[str, object]:
    """Return the facts of a manifest.

    Raises:
        ArtefactError: it is none, or damaged.
    """
    from ssd_edge.core.manifest import EngineManifest

    return {**_manifest_facts(EngineManifest.load(path)), "kind": "manifest of an engine"}


def layers_facts(path: Path) -> dict[str, object]:
    """Return the facts of the layers that were written beside an engine when it was built.

    Raises:
        ArtefactError: the file is damaged, or the engine beside it is another.
    """
    from ssd_edge.backends.tensorrt.layers import LAYERS_FORMAT, LAYERS_SUFFIX, load_layers
    from ssd_edge.core.files import file_digest

    engine = path.with_name(f"{path.name.removesuffix(LAYERS_SUFFIX)}.engine")
    layers = load_layers(engine, file_digest(engine))
    if layers is None:
        raise ArtefactError(
            f"{path} does not tell the layers of {engine}", wanted=LAYERS_FORMAT, do="Build it anew: ssd-edge build"
        )
    return {"kind": "layers of an engine", "engine": str(engine), **_reported(layers, ", when it was built")}


def runs_on(manifest: EngineManifest) -> str:
    """Return in words on which releases and machines an engine runs."""
    options = manifest.options
    release = f"{manifest.runtime} {manifest.runtime_version}"
    if options.version_compatible:
        release += " and later"
    if manifest.target == TENSORRT_RTX:
        wanted = ",".join(map(str, options.compute_capabilities))
        machine = f"GPUs of compute capability {wanted}" if wanted else "every RTX GPU from Ampere on"
    else:
        machine = "every GPU from Ampere on" if options.hardware_compatible else manifest.device
    plugin = ", with its plugin for NMS" if options.nms == NMS_PLUGIN else ""
    return f"{release}{plugin}, on {machine}"


def _manifest_facts(manifest: EngineManifest) -> dict[str, object]:
    return {
        "kind": "engine",
        **spec_facts(manifest.spec),
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
        **{f"{precision}_ms": ms for precision, ms in manifest.times_ms.items()},
    }


def _layer_facts(path: Path, manifest: EngineManifest) -> dict[str, object]:
    """Return the precisions of the layers: of ONNX Runtime's graph, or as TensorRT reports them or once did."""
    if manifest.target == ORT:
        import onnx

        return layer_facts(onnx.load(path))
    from ssd_edge.backends.tensorrt.layers import load_layers, read_layers

    try:
        return _reported(read_layers(path), "")
    except SsdEdgeError as error:
        why = str(error)
    layers = load_layers(path, manifest.engine_digest)
    if layers is not None:
        return _reported(layers, ", when it was built")
    kept = " ".join(manifest.options.keep_float)
    built = f"built as {manifest.precision}" + (f", in float: {kept}" if kept else "")
    return {"layers": f"{built}; TensorRT itself cannot be asked here: {why}"}


def _reported(layers: list[EngineLayer], when: str) -> dict[str, object]:
    counts = Counter(layer.precision for layer in layers)
    return {
        "layers": {f"{name} layers": count for name, count in sorted(counts.items())},
        f"each layer, as TensorRT reports it{when}": Lines(
            f"{layer.precision:<7} {layer.kind:<16} {layer.name}".rstrip() for layer in layers
        ),
    }


def _runs_here(path: Path, manifest: EngineManifest) -> str:
    from ssd_edge.backends import ort
    from ssd_edge.backends.tensorrt import backend as trt

    try:
        (trt if manifest.target in trt.TARGETS else ort).check_engine(path)
    except SsdEdgeError as error:
        return f"no: {error}"
    return "yes"
