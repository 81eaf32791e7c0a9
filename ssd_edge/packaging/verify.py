"""Is a package still what was packed? Its digests, and the detections of its models on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ssd_edge.core.errors import ArtifactError, ParityError
from ssd_edge.core.files import path_kind
from ssd_edge.core.images import read_image
from ssd_edge.graph.sizes import check_file
from ssd_edge.packaging.archive import unpacked
from ssd_edge.packaging.contents import CheckedImage, faults_of
from ssd_edge.packaging.record import CHECKS, PackageRecord, SelfCheck


@contextmanager
def package_folder(path: Path) -> Iterator[Path]:
    """Yield the folder of a package: itself, or what its archive unfolds to.

    Raises:
        InputError: it cannot be read.
        ArtifactError: the archive is damaged.
    """
    if path_kind(path) == "folder":
        yield path
        return
    with unpacked(path) as folder:
        yield folder


def check_models(folder: Path, record: PackageRecord) -> int:
    """Return how many detections of a package's models are where they should be: all.

    Raises:
        ArtifactError: a self-check is damaged, or a model cannot be run.
        ParityError: a model finds something else.
    """
    count = 0
    for name in record.checks:
        place = _inside(folder, folder / CHECKS / f"{name}.json")
        check = SelfCheck.load(place)
        model, image = (_inside(folder, place.parent / file) for file in (check.model, check.image))
        check_file(model)
        checked = CheckedImage(read_image(image), check.detections, check.floor)
        faults = faults_of(model, check.form, checked, check.box_tolerance, check.score_tolerance)
        if faults:
            raise ParityError(
                f"{place.relative_to(folder)}: the model does not give the same detections as when it was packaged",
                got=f"{len(faults)} differences, for example {faults[0]}",
                wanted=f"{len(check.detections)} detections within {check.box_tolerance:g} of the image",
                do="Please report this with the version of onnxruntime.",
            )
        count += len(check.detections)
    return count


def _inside(folder: Path, path: Path) -> Path:
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ArtifactError(f"a self-check of {folder} names a file outside of the package", got=str(path))
    return path
