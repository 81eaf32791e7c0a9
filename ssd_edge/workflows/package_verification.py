"""Verify a package: ``ssd-edge package --verify``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssd_edge.backends.detector import open_detector
from ssd_edge.core.choices import Host, Precision
from ssd_edge.core.config import AnyPath
from ssd_edge.core.errors import InputError, ParityError
from ssd_edge.core.files import path_kind
from ssd_edge.core.images import read_image
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.manifest import EngineManifest, manifest_path
from ssd_edge.core.resources import with_named_resources
from ssd_edge.packaging import selfcheck
from ssd_edge.packaging.digests import SUMS_NAME, check_sums
from ssd_edge.packaging.record import CHECKS, RECORD_NAME, PackageRecord, SelfCheck
from ssd_edge.packaging.verify import check_models, package_folder

_ENGINE_TOLERANCES = {Precision.FP32: (2e-3, 2e-3), Precision.FP16: (0.02, 0.05)}
_INT8_TOLERANCES = (0.1, 0.3)


@dataclass(frozen=True)
class VerifyPackageResult:
    """A package that is as it was packed.

    Attributes:
        path: its folder, or its archive.
        host: where it runs.
        model: its name.
        files: of the package, but for the digests.
        detections: that its models, and the engine where one was named, were held to and gave.
        left_out: empty, as a package is whole or is not.
    """

    path: Path
    host: Host
    model: str
    files: tuple[str, ...]
    detections: int
    left_out: tuple[LeftOut, ...] = ()


@with_named_resources
def verify_package(path: AnyPath, *, engine: AnyPath | None = None) -> VerifyPackageResult:
    """Compare a package with its digests, and what its models find with what they found when they were packed.

    Args:
        path: a folder or a ``.tar.gz`` that :func:`~ssd_edge.workflows.package.package` wrote.
        engine: an engine of the packed model on this machine, to be compared as well; what half precision and INT8
            cost is allowed for.

    Raises:
        InputError: it cannot be read, or is no package.
        ArtifactError: a file differs, is missing or was added; the message names it.
        ParityError: a model or the engine finds something else.
    """
    place = Path(path)
    _refuse_no_package(place)
    with package_folder(place) as folder:
        names = check_sums(folder, origin=place)
        record = PackageRecord.load(folder)
        count = check_models(folder, record)
        if engine is not None:
            count += _check_engine(Path(engine), folder, record)
    return VerifyPackageResult(place, record.host, record.model, names, count)


def _refuse_no_package(path: Path) -> None:
    kind = path_kind(path)
    if kind == "absent" or (kind == "folder" and not any((path / name).exists() for name in (SUMS_NAME, RECORD_NAME))):
        raise InputError(
            f"{path} is not a package",
            got="no file or folder" if kind == "absent" else "a folder without digests",
            wanted="a folder or a .tar.gz that ssd-edge package wrote",
        )


def _check_engine(engine: Path, folder: Path, record: PackageRecord) -> int:
    check = SelfCheck.load(folder / CHECKS / f"{record.checks[0]}.json")
    precision = EngineManifest.load(manifest_path(engine)).precision
    box, score = _ENGINE_TOLERANCES.get(precision, _INT8_TOLERANCES)
    image = read_image(folder / CHECKS / check.image)
    with open_detector(engine) as detector:
        found = detector.detect(image)
    corners = (found.boxes / np.array((image.shape[1], image.shape[0]) * 2)).tolist()
    rows: list[selfcheck.Row] = [
        (float(kind), float(points), x1, y1, x2, y2)
        for kind, points, (x1, y1, x2, y2) in zip(found.class_ids, found.scores, corners, strict=True)
    ]
    faults = selfcheck.differences(check.detections, rows, check.floor, box, score)
    if faults:
        raise ParityError(
            f"{engine} does not give the same detections as the packaged model",
            got=f"{len(faults)} differences, for example {faults[0]}",
            wanted=f"{len(check.detections)} detections, boxes within {box:g} of the image and scores within {score:g}",
            do="Build the engine from the packaged model, or measure its accuracy: ssd-edge eval",
        )
    return len(check.detections)
