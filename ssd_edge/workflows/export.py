"""Export a checkpoint to one ONNX with its NMS inside, checked against PyTorch: ``ssd-edge export``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from typing_extensions import Unpack

from ssd_edge.core.config import NMS_LIMITS, AnyPath, check_limits, config_from
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.progress import ProgressCallback, no_progress, stage
from ssd_edge.core.requirements import require
from ssd_edge.core.resources import with_named_resources
from ssd_edge.core.spec import ModelSpec
from ssd_edge.core.workspace import named_or_newest, newest_checkpoint
from ssd_edge.core.workspace_records import EXPORTED_NAME, check_note, set_exported

if TYPE_CHECKING:
    from ssd_edge.exporting.parity import ParityReport

_DRAWN_OR_SEEN, _MOST_READ = 8, 32  # images to compare on: by default, and of a folder that is named


@dataclass(frozen=True)
class ExportConfig:
    """Options of an export.

    Attributes:
        output: the ONNX; by default ``engines/<model>/<model>.onnx`` in the workspace.
        check_images: folder of images on which ONNX and PyTorch are compared; by default validation images of the
            run, or drawn scenes.
        score_threshold: detections score more, 0 to 1; by default as in the checkpoint, like all below.
        iou_threshold: a box that overlaps a better one of its class by more is dropped, 0 to 1.
        top_k: boxes that the NMS keeps of each class before it suppresses.
        keep_top_k: detections of an image.
        max_candidates: best (box, class) pairs that are looked at where there is no plugin.
    """

    output: Path | None = None
    check_images: Path | None = None
    score_threshold: float | None = None
    iou_threshold: float | None = None
    top_k: int | None = None
    keep_top_k: int | None = None
    max_candidates: int | None = None

    def __post_init__(self) -> None:
        check_limits(self, NMS_LIMITS)

    @property
    def _nms_changes(self) -> dict[str, Any]:
        """Fields of :class:`~ssd_edge.core.spec.NmsSpec` that differ from the checkpoint's."""
        names = ("score_threshold", "iou_threshold", "top_k", "keep_top_k", "max_candidates")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


class ExportOptions(TypedDict, total=False):
    """The fields of :class:`ExportConfig` as keywords."""

    output: AnyPath | None
    check_images: AnyPath | None
    score_threshold: float | None
    iou_threshold: float | None
    top_k: int | None
    keep_top_k: int | None
    max_candidates: int | None


@dataclass(frozen=True)
class ExportResult:
    """An exported model.

    Attributes:
        path: the ONNX.
        checkpoint: that it was made from.
        spec: as the ONNX holds it, thresholds changed as was asked.
        parity: how near its detections are to those of PyTorch.
        left_out: empty, as a model is exported whole or not at all.
    """

    path: Path
    checkpoint: Path
    spec: ModelSpec
    parity: ParityReport
    left_out: tuple[LeftOut, ...] = ()


@with_named_resources
def export(
    checkpoint: AnyPath | None = None,
    *,
    config: ExportConfig | None = None,
    progress: ProgressCallback = no_progress,
    workspace: AnyPath = ".",
    **options: Unpack[ExportOptions],
) -> ExportResult:
    """Turn a checkpoint into one ONNX with its NMS inside, and check that it gives the same detections.

    Args:
        checkpoint: the trained model; by default the newest ``runs/*/best.pt`` of the workspace.
        config: see :class:`ExportConfig`; or its fields as keywords.
        progress: receives the images compared.
        workspace: the folder with ``runs/`` and ``engines/``.

    Raises:
        InputError: a file cannot be read or written, a threshold is out of range, or there is no checkpoint.
        ArtifactError: the checkpoint is damaged.
        ParityError: the detections differ, or there are none; nothing is written.
        MissingPackageError: PyTorch or onnxsim is not installed.
    """
    config, root = config_from(ExportConfig, config, options), Path(workspace)
    require("export", "exporting needs PyTorch and onnxsim", "Install them: pip install 'ssd-edge[export]'")
    from ssd_edge.exporting.export_onnx import export_onnx
    from ssd_edge.exporting.parity_images import check_images

    check_note(root, EXPORTED_NAME, config.output)
    path = named_or_newest(checkpoint, newest_checkpoint, root)
    most = _DRAWN_OR_SEEN if config.check_images is None else _MOST_READ
    images = check_images(config.check_images, most=most, run=path.parent)
    with stage(progress, "comparing") as report:
        made = export_onnx(path, config.output, images, root=root, nms_changes=config._nms_changes, progress=report)
    set_exported(root, made.onnx)
    return ExportResult(made.onnx, path, made.spec, made.parity)
