"""Calibrate: images and an exported model to the activation ranges that INT8 needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from typing_extensions import Unpack

from ssd_edge.core.choices import Method
from ssd_edge.core.config import AnyPath, config_from
from ssd_edge.core.errors import InputError, keyword
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.progress import ProgressCallback, no_progress
from ssd_edge.core.resources import with_named_resources
from ssd_edge.core.tolerance import Tolerance
from ssd_edge.core.workspace import named_or_newest, newest_onnx
from ssd_edge.graph.source import read_onnx
from ssd_edge.quantization.calibrate import CalibrationFiles, calibrate_model, find_image_set, refuse_name
from ssd_edge.workflows.calibrate_config import CalibrateConfig, CalibrateOptions

_FEWEST = 2


@dataclass(frozen=True)
class CalibrateResult:
    """A calibration table.

    Attributes:
        path: the table.
        image_set: the list of the images that it was measured on.
        onnx: the model that it is of.
        model: that model's name.
        method: how its ranges were chosen.
        range_count: tensors that have a range.
        image_count: images that it was measured on.
        is_default: the table lies where ``build`` looks for it.
        left_out: images that could not be used when they were chosen.
    """

    path: Path
    image_set: Path
    onnx: Path
    model: str
    method: Method
    range_count: int
    image_count: int
    is_default: bool
    left_out: tuple[LeftOut, ...] = ()


@with_named_resources
def calibrate(
    onnx: AnyPath | None = None,
    images: AnyPath | None = None,
    *,
    config: CalibrateConfig | None = None,
    progress: ProgressCallback = no_progress,
    workspace: AnyPath = ".",
    **options: Unpack[CalibrateOptions],
) -> CalibrateResult:
    """Measure the range of every tensor that INT8 stores in 8 bits, and write the table and the list of the images.

    Args:
        onnx: the exported model; by default the workspace's newest.
        images: a folder of images, a data set, or a set that was written before (``*.images.json``); by default the
            set that the model has, else what it was trained on.
        config: see :class:`CalibrateConfig`; or its fields as keywords.
        progress: receives the stages ``images`` and ``calibrating``.
        workspace: where ``calibration/``, ``runs/`` and ``engines/`` lie.

    Raises:
        SsdEdgeError: an image or the model cannot be used.
    """
    config, root = config_from(CalibrateConfig, config, options), Path(workspace)
    if config.output is not None:
        refuse_name(config.output)
    if config.max_images is not None and config.max_images < _FEWEST:
        raise InputError(
            f"{keyword('max_images')} is too small", got=str(config.max_images), wanted=f"at least {_FEWEST} images"
        )
    source = read_onnx(named_or_newest(onnx, newest_onnx, root))
    files = CalibrationFiles.of(source, root)
    chosen = find_image_set(
        None if images is None else Path(images),
        files,
        split=config.split,
        limit=config.max_images,
        seed=config.seed,
        tolerance=Tolerance(config.max_bad, config.strict),
        progress=progress,
    )
    path = config.output or files.table
    table = calibrate_model(
        source, chosen, config.method, files, path, keep_images=config.keep_images, progress=progress
    )
    return CalibrateResult(
        path=path,
        image_set=files.image_set,
        onnx=source.path,
        model=table.model,
        method=Method(table.method),
        range_count=len(table.ranges),
        image_count=table.image_count,
        is_default=path == files.table,
        left_out=chosen.left_out,
    )
