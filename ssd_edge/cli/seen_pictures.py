"""Which labelled pictures INT8 has seen: what an engine was calibrated with says nothing of how accurate it is."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.backends.ort import ENGINE_SUFFIX
from ssd_edge.core.files import file_digest
from ssd_edge.core.manifest import EngineManifest, manifest_path

if TYPE_CHECKING:
    from ssd_edge.data.sample import LabelledSet


def picture_digests(labelled: LabelledSet) -> list[str]:
    """Return ``sha256:…`` of each picture's file."""
    with ThreadPoolExecutor() as pool:  # hashing needs no GIL
        return list(pool.map(file_digest, [sample.image for sample in labelled.samples]))


def count_seen(models: Sequence[Path], labelled: LabelledSet) -> dict[Path, int]:
    """Return of each engine that says what it was calibrated with how many of the labelled pictures are among that.

    Raises:
        ArtefactError: an engine's manifest is missing or damaged.
    """
    engines = [path for path in models if path.suffix == ENGINE_SUFFIX]
    known = {path: set(EngineManifest.load(manifest_path(path)).calibrated_on) for path in engines}
    known = {path: seen for path, seen in known.items() if seen}
    digests = picture_digests(labelled) if known else []
    return {path: sum(digest in seen for digest in digests) for path, seen in known.items()}
