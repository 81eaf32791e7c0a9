"""Labelled images that INT8 was calibrated with: accuracy measured on them is too optimistic."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.files import file_digest
from ssd_edge.core.manifest import ENGINE_SUFFIX, EngineManifest, manifest_path
from ssd_edge.core.sample import LabelledSet


def image_digests(labelled: LabelledSet) -> list[str]:
    """Return ``sha256:…`` of each image's file."""
    with ThreadPoolExecutor() as pool:  # hashing needs no GIL
        return list(pool.map(file_digest, [sample.image for sample in labelled.samples]))


def count_calibrated(models: Sequence[Path], labelled: LabelledSet) -> dict[Path, int]:
    """Return how many of the labelled images each model was calibrated with, where it is known to be calibrated.

    An engine's manifest says it; of a graph that a build has kept, the manifest of its engine.

    Raises:
        ArtifactError: an engine's manifest is missing or damaged.
    """
    known = {path: seen for path in models if (seen := _calibrated_on(path))}
    digests = image_digests(labelled) if known else []
    return {path: sum(digest in seen for digest in digests) for path, seen in known.items()}


def _calibrated_on(model: Path) -> frozenset[str]:
    if model.suffix == ENGINE_SUFFIX:
        return frozenset(EngineManifest.load(manifest_path(model)).calibrated_on)
    if model.suffix != ".onnx":
        return frozenset()
    beside = [found for path in sorted(model.parent.glob("*.json")) if (found := _manifest(path)) is not None]
    digest = file_digest(model) if beside else ""
    return frozenset(image for made in beside if made.graph_digest == digest for image in made.calibrated_on)


def _manifest(path: Path) -> EngineManifest | None:
    try:
        return EngineManifest.load(path)
    except ArtifactError:  # another kind of JSON
        return None
