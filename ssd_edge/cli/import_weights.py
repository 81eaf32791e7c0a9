"""The part of ``ssd-edge import`` for PyTorch's files of weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.cli.console import say, show_table

if TYPE_CHECKING:
    from ssd_edge.importing.weights import ImportReport


def fetch_weights(source: str) -> Path:
    """Return the file that ``--from`` stands for.

    Raises:
        InputError: no such source, or it cannot be reached.
        MissingPackageError: PyTorch is not installed.
    """
    _need_torch(source)
    from ssd_edge.importing.fetch import fetch

    path = fetch(source)
    say(f"using {path}")
    return path


def import_weight_file(file: Path, output: Path | None, labels: Path | None, name: str) -> None:
    """Turn a file of weights into a checkpoint, and say what it was taken for.

    Raises:
        InputError: a file cannot be read or written, or the labels do not fit.
        ArtefactError: the file is damaged, or of no known SSD.
        MissingPackageError: PyTorch is not installed.
    """
    _need_torch(str(file))
    from ssd_edge.importing.weights import import_weights

    report = import_weights(file, output or _unused(name), labels=labels, name=name)
    _show(report)
    say(f"imported {report.path}")
    say(f"next: ssd-edge export {report.path}")


def _need_torch(what: str) -> None:
    from ssd_edge.core.errors import MissingPackageError

    try:
        import torch  # noqa: F401
        import torchvision  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(
            f"{what} needs PyTorch", got=str(error), do="Install it: pip install 'ssd-edge[train]'"
        ) from error


def _unused(name: str) -> Path:
    """Return ``runs/<name>/best.pt``, which must not be there: it may have been trained."""
    from ssd_edge.core.errors import InputError

    path = Path("runs") / name / "best.pt"
    if path.exists():
        raise InputError(
            f"{path} is there already",
            wanted="a new file",
            do=f"Choose another --name, or replace it: --output {path}",
        )
    return path


def _show(report: ImportReport) -> None:
    spec = report.spec
    origin = "as given" if report.labels_given else "built-in names, by their number; or give --labels"
    say(f"{len(spec.class_names)} classes, {spec.class_names[0]} to {spec.class_names[-1]}: {origin}")
    nms = spec.nms
    rows = [
        ("network", f"{report.family} ({report.source})"),
        ("input", f"{spec.input.width} x {spec.input.height}, {spec.input.color_order}"),
        ("mean, std", f"{_plain(spec.input.mean)}, {_plain(spec.input.std)}"),
        ("default boxes", f"{spec.anchors.count:,}"),
        ("NMS", f"score > {nms.score_threshold:g}, overlap {nms.iou_threshold:g}, at most {nms.keep_top_k}"),
        ("boxes", "cut off at the edges" if nms.clip_boxes else "may reach beyond the edges"),
        ("file", report.digest[: len("sha256:") + 12]),
    ]
    show_table(f"{spec.name}: recognised by its tensors", ("", "found"), rows)


def _plain(values: tuple[float, float, float]) -> str:
    return " ".join(f"{value:g}" for value in (values[:1] if len(set(values)) == 1 else values))
