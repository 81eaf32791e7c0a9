"""Writes what every package has: the exported model, its labels, and a self-check of each form of the model."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import onnx

from ssd_edge import __version__
from ssd_edge.backends.ort import OrtBackend
from ssd_edge.backends.ort_session import open_session, ort_errors
from ssd_edge.core.choices import Host, VariantForm
from ssd_edge.core.errors import InputError, ParityError, keyword
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.graph_contract import INPUT_NAME, OUTPUT_NAMES
from ssd_edge.core.preprocess import preprocess
from ssd_edge.core.spec import ModelSpec
from ssd_edge.graph.source import SourceModel
from ssd_edge.graph.variants import ROWS_NAME, make_variant
from ssd_edge.packaging import selfcheck
from ssd_edge.packaging.record import CHECKS, PackageRecord, SelfCheck

BOX_TOLERANCE, SCORE_TOLERANCE = 1e-3, 1e-4
LABELS_NAME = "labels.txt"
_IMAGE_NAME = "image.png"
_MOST_ROWS = 10
_CLEAR_GAP, _LEAST_GAP = 0.02, 10 * SCORE_TOLERANCE
_TEMPLATES, _PLACE = Path(__file__).with_name("templates"), re.compile(r"@\{([a-z_0-9]+)\}")
_TO_ROWS = (VariantForm.FRIGATE_SSD, VariantForm.FRIGATE_YOLONAS)


@dataclass(frozen=True)
class CheckedImage:
    """An image of the network's size, and the best detections of the exported model in it.

    Attributes:
        pixels: (H, W, 3) uint8, BGR.
        rows: class, score and corners in 0..1 of each.
        floor: a score below those of all, in the middle of a gap.
    """

    pixels: UInt8Array
    rows: tuple[selfcheck.Row, ...]
    floor: float


@dataclass(frozen=True)
class PackagedModel:
    """An exported model and the image that its package is checked on."""

    source: SourceModel
    checked: CheckedImage

    @property
    def spec(self) -> ModelSpec:
        """Of the model."""
        return self.source.spec

    @property
    def name(self) -> str:
        """Of the model."""
        return self.source.spec.name


def choose_image(source: SourceModel, images: Sequence[UInt8Array]) -> CheckedImage:
    """Return the image with the most detections that a gap of scores separates from the rest, so that none is in doubt.

    Args:
        source: the exported model.
        images: BGR images of any size.

    Raises:
        InputError: no image has a detection that stands out.
    """
    best: CheckedImage | None = None
    with OrtBackend(source.path) as backend:
        for image in images:
            pixels = preprocess(image, source.spec.input)
            rows = selfcheck.rows_of("", backend.infer(pixels[None]), _size(source.spec))
            count, floor = _clear_ones([row[1] for row in rows], source.spec.nms.score_threshold)
            if count > (len(best.rows) if best else 0):
                best = CheckedImage(pixels, tuple(rows[:count]), floor)
    if best is None:
        raise InputError(
            f"{source.path} detects nothing that a package could be checked with",
            got=f"no clear detection in {len(images)} images",
            wanted="an image with objects of the model's classes",
            do=f"Give an image: {keyword('image', 'PATH')}",
        )
    return best


def _clear_ones(scores: Sequence[float], threshold: float) -> tuple[int, float]:
    """Return how many of the best detections lie above a clear gap of scores, and the middle of that gap."""
    steps = [*scores, threshold][: _MOST_ROWS + 1]
    gaps = [above - below for above, below in pairwise(steps)]
    clear = [number for number, gap in enumerate(gaps, 1) if gap >= min(_CLEAR_GAP, max(gaps)) > _LEAST_GAP]
    return (clear[-1], steps[clear[-1]] + gaps[clear[-1] - 1] / 2) if clear else (0, 0.0)


def _size(spec: ModelSpec) -> tuple[int, int]:
    return spec.input.width, spec.input.height


def write_variant(model: PackagedModel, form: VariantForm, path: Path) -> None:
    """Write the model in another form, where it gives the same detections.

    Raises:
        ParityError: it does not.
    """
    write_onnx(make_variant(model.source.model, model.spec, form), path)
    check_detections(model, form, path)


def write_onnx(graph: onnx.ModelProto, path: Path) -> None:
    """Write a graph; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(graph, path)


def copy_exported(model: PackagedModel, path: Path) -> None:
    """Copy the exported model as it is; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(model.source.path, path)


def check_detections(model: PackagedModel, form: VariantForm, path: Path) -> None:
    """Raise ParityError where ONNX Runtime finds other detections with a model of the package."""
    faults = faults_of(path, form, model.checked)
    if faults:
        raise ParityError(
            f"{path.name} does not give the same detections as {model.source.path}",
            got=f"{len(faults)} differences, for example {faults[0]}",
            do="Please report this with the version of onnxruntime.",
        )


def faults_of(
    path: Path, form: VariantForm, checked: CheckedImage, box: float = BOX_TOLERANCE, score: float = SCORE_TOLERANCE
) -> list[str]:
    """Return in words how the detections of a model of a package differ on ONNX Runtime.

    Raises:
        ArtifactError: ONNX Runtime cannot open or run it.
    """
    session = open_session(path, threads=1, optimize=True, spin=False)
    with ort_errors(path):
        outputs = session.run(list(outputs_of(form)), {INPUT_NAME: selfcheck.input_of(form.value, checked.pixels)})
    height, width = checked.pixels.shape[:2]
    found = selfcheck.rows_of(form.value, outputs, (width, height))
    return selfcheck.differences(checked.rows, found, checked.floor, box, score)


def outputs_of(form: VariantForm) -> tuple[str, ...]:
    """Return the names of the outputs of a form."""
    return (ROWS_NAME,) if form in _TO_ROWS else OUTPUT_NAMES


def write_common(folder: Path, host: Host, model: PackagedModel, models: Mapping[str, tuple[VariantForm, str]]) -> None:
    """Write what is the same in all packages: labels, self-check, record.

    Args:
        folder: of the package.
        host: where it runs.
        model: the exported one.
        models: form and file, relative to the package, of each model to check, by the name of its check.
    """
    (folder / LABELS_NAME).write_text("".join(f"{name}\n" for name in model.spec.class_names), encoding="utf-8")
    checks = folder / CHECKS
    checks.mkdir()
    cv2.imwrite(str(checks / _IMAGE_NAME), model.checked.pixels)
    shutil.copyfile(selfcheck.__file__, checks / "selfcheck.py")
    for name, (form, file) in models.items():
        _check_of(model, form, Path(os.path.relpath(folder / file, checks)).as_posix()).save(checks / f"{name}.json")
    PackageRecord(host, model.name, model.source.digest, __version__, tuple(models)).save(folder)


def _check_of(model: PackagedModel, form: VariantForm, file: str) -> SelfCheck:
    return SelfCheck(
        image=_IMAGE_NAME,
        model=file,
        name=model.name,
        form=form,
        input=INPUT_NAME,
        outputs=outputs_of(form),
        labels=model.spec.class_names,
        floor=model.checked.floor,
        box_tolerance=BOX_TOLERANCE,
        score_tolerance=SCORE_TOLERANCE,
        detections=model.checked.rows,
    )


def write_template(name: str, path: Path, values: Mapping[str, object], *, executable: bool = False) -> None:
    """Write a text of ``templates/`` with ``@{name}`` replaced by values; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = _PLACE.sub(lambda place: str(values[place[1]]), (_TEMPLATES / name).read_text(encoding="utf-8"))
    path.write_text(text, encoding="utf-8")
    if executable:
        path.chmod(0o755)
