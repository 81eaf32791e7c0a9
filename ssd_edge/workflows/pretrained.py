"""A detector for a workspace that has none: imported with its weights, and exported."""

from __future__ import annotations

from pathlib import Path

from ssd_edge.core.config import AnyPath
from ssd_edge.core.log import log
from ssd_edge.core.progress import ProgressCallback, no_progress
from ssd_edge.core.workspace import PRETRAINED, has_model
from ssd_edge.workflows.export import export
from ssd_edge.workflows.import_model import import_model


def ensure_model(*, progress: ProgressCallback = no_progress, workspace: AnyPath = ".") -> Path | None:
    """Import and export a detector of COCO's classes where the workspace has no model; return what was exported.

    Args:
        progress: of the import and of the export.
        workspace: folder with ``engines/`` and ``runs/``.

    Returns:
        The ONNX; None where there is a model already.

    Raises:
        InputError: the weights cannot be fetched, or the folder cannot be written.
        MissingPackageError: PyTorch or what exporting needs is not installed.
    """
    if has_model(Path(workspace)):
        return None
    log.info(f"there is no model in this workspace: downloading {PRETRAINED}, trained on the classes of COCO")
    imported = import_model(source=PRETRAINED, progress=progress, workspace=workspace)
    return export(imported.path, progress=progress, workspace=workspace).path
