"""What ``inspect`` tells of an engine: what it is, what its layers compute in, and where it can run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.backends.ort import TARGET as ORT
from ssd_edge.backends.trt_module import NMS_OPTION, NMS_PLUGIN, TENSORRT_RTX
from ssd_edge.cli.inspect_files import Lines, layer_facts, spec_facts
from ssd_edge.core.errors import ArtefactError, SsdEdgeError

if TYPE_CHECKING:
    from ssd_edge.backends.trt_layers import EngineLayer
    from ssd_edge.core.manifest import EngineManifest


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
    from ssd_edge.backends.trt_layers import LAYERS_FORMAT, LAYERS_SUFFIX, load_layers
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
    if "version_compatible" in options:
        release += " and later"
    if manifest.target == TENSORRT_RTX:
        wanted = options.get("compute_capabilities")
        machine = f"GPUs of compute capability {wanted}" if wanted else "every RTX GPU from Ampere on"
    else:
        machine = "every GPU from Ampere on" if "hardware_compatible" in options else manifest.device
    plugin = ", with its plugin for NMS" if options.get(NMS_OPTION) == NMS_PLUGIN else ""
    return f"{release}{plugin}, on {machine}"


def _manifest_facts(manifest: EngineManifest) -> dict[str, object]:
    return {
        "kind": "engine",
        **spec_facts(manifest.spec),
        "precision": manifest.precision,
        "runs on": runs_on(manifest),
        "batch": "{}, tuned for {}, at most {}".format(*manifest.batch[:2], manifest.batch[2] or "any number"),
        "options": manifest.options,
        "measured": manifest.measured,
        "built": manifest.built_at,
        "ONNX": f"{manifest.onnx}, {manifest.onnx_digest}",
        "ranges": manifest.table_digest or "none",
        "digest": manifest.engine_digest,
    }


def _layer_facts(path: Path, manifest: EngineManifest) -> dict[str, object]:
    """Return the precisions of the layers: of ONNX Runtime's graph, or as TensorRT reports them or once did."""
    if manifest.target == ORT:
        import onnx

        return layer_facts(onnx.load(path))
    from ssd_edge.backends.trt import TARGETS
    from ssd_edge.backends.trt_layers import load_layers, read_layers

    if manifest.target not in TARGETS:
        return {"layers": f"built as {manifest.precision}, for a target that this version does not know"}
    try:
        return _reported(read_layers(path), "")
    except SsdEdgeError as error:
        why = str(error)
    layers = load_layers(path, manifest.engine_digest)
    if layers is not None:
        return _reported(layers, ", when it was built")
    kept = manifest.options.get("keep_float")
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
    from ssd_edge.backends import ort, trt

    try:
        (trt if manifest.target in trt.TARGETS else ort).check_engine(path)
    except SsdEdgeError as error:
        return f"no: {error}"
    return "yes"
