"""Import what others trained or exported as an artifact of ours: ``ssd-edge import``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import Unpack

from ssd_edge.core.config import AnyPath, config_from
from ssd_edge.core.errors import InputError
from ssd_edge.core.files import file_digest
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.log import log
from ssd_edge.core.progress import ProgressCallback, no_progress, stage
from ssd_edge.core.requirements import require_torch
from ssd_edge.core.resources import with_named_resources
from ssd_edge.core.runs import BEST_NAME, record_run
from ssd_edge.core.shell import quoted
from ssd_edge.core.spec import BoxCoding, ModelSpec, NmsSpec
from ssd_edge.core.workspace_records import set_exported
from ssd_edge.exporting.parity_images import check_images
from ssd_edge.importing.graphs.import_onnx import ARCHITECTURE, GraphImport, Hints, import_onnx
from ssd_edge.importing.graphs.normalization import Normalization
from ssd_edge.workflows.import_config import ImportConfig, ImportOptions

_COMPARED_ON = 4  # images, of a folder or drawn
_FOR_ANY_FILE = ("source", "output", "name", "labels", "input_size")


@dataclass(frozen=True)
class ImportResult:
    """An imported model.

    Attributes:
        path: the checkpoint, or the ONNX of a foreign graph.
        family: the network as its own project calls it, e.g. ``mb1-ssd``; ``foreign-onnx`` of a graph.
        project: whose weights these are; empty of a graph.
        spec: of the detector.
        digest: ``sha256:…`` of the file that was read.
        labels_given: the classes were named; otherwise they have built-in names, chosen by their number.
        graph: what was found in a foreign graph and how near both are; None of weights.
        left_out: empty, as a model is imported whole or not at all.
    """

    path: Path
    family: str
    project: str
    spec: ModelSpec
    digest: str
    labels_given: bool
    graph: GraphImport | None = None
    left_out: tuple[LeftOut, ...] = ()


@with_named_resources
def import_model(
    file: AnyPath | None = None,
    *,
    config: ImportConfig | None = None,
    progress: ProgressCallback = no_progress,
    workspace: AnyPath = ".",
    **options: Unpack[ImportOptions],
) -> ImportResult:
    """Turn an SSD from elsewhere into one of ours, and check that it finds the same objects.

    Args:
        file: weights of a PyTorch SSD, recognized by their tensors, or an SSD in ONNX that was exported elsewhere;
            None where ``source`` is given.
        config: see :class:`ImportConfig`; or its fields as keywords.
        progress: called when it begins and ends.
        workspace: the folder with ``runs/`` and ``engines/``.

    Raises:
        InputError: a file cannot be read or written, or something that the file cannot say is missing or does not fit.
        ArtifactError: the file is damaged, or of no known SSD.
        ParityError: the new graph finds something else than the foreign one; nothing is written.
        MissingPackageError: weights are given and PyTorch is not installed.
    """
    config, root = config_from(ImportConfig, config, options), Path(workspace)
    path = _source_file(file, config)
    labels = config.labels or _labels_beside(path)
    with stage(progress, "importing"):
        if path.suffix == ".onnx":
            return _import_graph(path, config, labels, root)
        _check_no_graph_options(path, config)
        return _import_weights(path, config, labels, root)


def _source_file(file: AnyPath | None, config: ImportConfig) -> Path:
    if file is not None and config.source is None:
        return Path(file)
    if file is not None or config.source is None:
        raise InputError(
            "import needs either FILE or --from",
            got="both" if file else "neither of the two",
        )
    require_torch(f"{config.source} needs PyTorch")
    from ssd_edge.importing.fetch import fetch

    path = fetch(config.source)
    log.info(f"using {path}")
    return path


def _labels_beside(file: Path) -> Path | None:
    """Return the labels.txt that jetson-inference keeps beside its models."""
    beside = file.with_name("labels.txt")
    if not beside.is_file():
        return None
    log.info(f"using {beside}")
    return beside


def _check_no_graph_options(path: Path, config: ImportConfig) -> None:
    """Raise InputError where something is set that has no effect on weights."""
    for entry in dataclasses.fields(config):
        if entry.name not in _FOR_ANY_FILE and getattr(config, entry.name) != entry.default:
            option = entry.name.replace("_", "-")
            raise InputError(
                f"--{option} is only for an .onnx file", got=str(path), do="Leave it out: weights define it themselves."
            )


def _import_weights(path: Path, config: ImportConfig, labels: Path | None, root: Path) -> ImportResult:
    require_torch(f"{path} needs PyTorch")
    from ssd_edge.importing.weights import import_weights

    name = config.name or (path.stem if config.source is None else config.source.rpartition(":")[2])
    made = import_weights(path, config.output or _unused(root, name), labels=labels, name=name, size=config.input_size)
    if made.path.name == BEST_NAME:
        record_run(made.path, "imported", str(path))
    return ImportResult(made.path, made.family, made.source, made.spec, made.digest, made.labels_given)


def _unused(root: Path, name: str) -> Path:
    """Return ``runs/<name>/best.pt``, which must not be there: it may have been trained."""
    path = root / "runs" / name / BEST_NAME
    if path.exists():
        raise InputError(
            f"{path} already exists, and it may be a trained model",
            wanted="the path of a new file",
            do=f"Choose another name: --name NAME. To overwrite this file nevertheless, add: --output {quoted(path)}",
        )
    return path


def _import_graph(path: Path, config: ImportConfig, labels: Path | None, root: Path) -> ImportResult:
    hints = Hints(
        name=config.name,
        labels=labels,
        normalization=_normalization(config),
        size=_rows_first(config.input_size),
        anchors=config.anchors,
        coding=BoxCoding(config.variances, float("inf")),
        scores=config.scores,
        boxes=config.boxes,
        activation=config.activation.value,
        layout=config.box_layout,
        nms=NmsSpec(
            score_threshold=config.score_threshold, iou_threshold=config.iou_threshold, clip_boxes=config.clip_boxes
        ),
    )
    made = import_onnx(path, config.output, check_images(config.check_images, most=_COMPARED_ON), hints, root=root)
    set_exported(root, made.onnx)
    return ImportResult(made.onnx, ARCHITECTURE, "", made.spec, file_digest(path), labels is not None, made)


def _rows_first(size: tuple[int, int] | None) -> tuple[int, int] | None:
    """Return (height, width) of (width, height)."""
    return None if size is None else (size[1], size[0])


def _normalization(config: ImportConfig) -> Normalization | None:
    if (config.mean is None) != (config.std is None):
        raise InputError("--mean and --std must be given together", got="only one of the two")
    if config.mean is None or config.std is None:
        return None
    return Normalization(config.mean, config.std, config.color.value)
