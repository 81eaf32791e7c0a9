"""Files that a run needs and has not: drawn images, presets with random weights, graphs without their NMS."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import onnx

from ssd_edge.benchmarking.task import OURS, Task
from ssd_edge.core.choices import Precision, Target
from ssd_edge.core.errors import InputError, SsdEdgeError
from ssd_edge.core.files import file_digest, path_kind
from ssd_edge.core.graph_contract import DIGEST_KEY
from ssd_edge.core.images import list_images, read_image, write_image
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.log import errors_only, log
from ssd_edge.core.progress import ProgressCallback, no_progress
from ssd_edge.core.requirements import require
from ssd_edge.core.runs import list_runs
from ssd_edge.graph.cut import head_tensors, heads_only
from ssd_edge.graph.onnx_file import parse_onnx
from ssd_edge.graph.source import SourceModel, read_graph
from ssd_edge.scenes.scene import draw_scene
from ssd_edge.workflows.benchmark.config import BenchConfig
from ssd_edge.workflows.benchmark.entries import PT, Entry
from ssd_edge.workflows.build.build import build
from ssd_edge.workflows.build.config import BuildResult

DRAWN_SIZE = (480, 640)
_DRAWN_SEED, _DRAWN, _MOST_IMAGES = 2016, 4, 8
_CALIBRATED_ON = 16  # drawn images, for the ranges of a network with random weights


def find_images(images: Path | None, folder: Path) -> tuple[tuple[Path, ...], tuple[LeftOut, ...]]:
    """Return the files that are measured on, linked or drawn into an empty folder, eight at most; and unreadable ones.

    Raises:
        InputError: there is no image that can be read.
    """
    if images is not None and path_kind(images) == "absent":
        raise InputError(f"{images} does not exist", wanted="an image or a folder of images")
    folder.mkdir()
    if images is None:
        return _draw(folder, _DRAWN), ()
    found = list_images(images) if path_kind(images) == "folder" else [images]
    chosen: list[Path] = []
    left_out = []
    for path in found[:_MOST_IMAGES]:
        try:
            read_image(path)
        except InputError as error:
            left_out.append(LeftOut(str(path), str(error)))
            continue
        chosen.append(folder / f"{len(chosen):02}{path.suffix.lower()}")
        chosen[-1].symlink_to(path.resolve())
    if not chosen:
        raise InputError(
            f"{images} contains no image that can be read", got=str(left_out[0]) if left_out else "no image file"
        )
    return tuple(chosen), tuple(left_out)


def _draw(folder: Path, count: int) -> tuple[Path, ...]:
    folder.mkdir(exist_ok=True)
    paths = tuple(folder / f"{number:02}.jpg" for number in range(count))
    for number, path in enumerate(paths):
        write_image(path, draw_scene(*DRAWN_SIZE, _DRAWN_SEED, number).image)
    return paths


def of_preset(
    preset: str,
    config: BenchConfig,
    images: tuple[str, ...],
    threads: int,
    folder: Path,
    progress: ProgressCallback = no_progress,
) -> list[Entry]:
    """Build the engines of a preset with random weights, one of each precision, and return them as contestants.

    Raises:
        InputError: there is no such preset.
        MissingPackageError: PyTorch or onnxsim is not installed.
    """
    what = f"{preset} is a preset, whose network is made by PyTorch and onnxsim"
    require("export", what, "Install them: pip install 'ssd-edge[export]'; or name an engine or ONNX.")
    from ssd_edge.exporting.export_onnx import onnx_model
    from ssd_edge.model.checkpoint import save_checkpoint
    from ssd_edge.model.random_weights import scaled_random
    from ssd_edge.model.zoo import make_spec

    spec = make_spec(preset, [f"class {number}" for number in range(1, config.classes + 1)])
    calibration = _draw(folder / "calibration", _CALIBRATED_ON)
    model = scaled_random(spec, [read_image(path) for path in calibration[:_DRAWN]])
    source, checkpoint = folder / f"{spec.name}.onnx", folder / f"{spec.name}.pt"
    save_checkpoint(checkpoint, model)
    onnx.save(onnx_model(model, file_digest(checkpoint)), source)
    log.info(f"building {preset} in {', '.join(map(str, config.precisions))}, with random weights")
    entries = []
    for target, precision in product(config.targets or (None,), config.precisions):
        engine = _engine(source, precision, target, folder, progress)
        task = Task(OURS, str(engine.path), images, threads, 1, config.score_threshold)
        runtime = str(engine.manifest.target)
        name = f"{preset} ours {precision} on {runtime}"
        entries.append(Entry(name, preset, task, str(precision), runtime, source, checkpoint, "random weights"))
    return entries


def _engine(
    source: Path, precision: Precision, target: Target | None, folder: Path, progress: ProgressCallback
) -> BuildResult:
    with errors_only():  # paths that are gone soon, and advice that is not for random weights
        return build(
            source,
            precision=precision,
            target=target,
            images=folder / "calibration" if precision.is_int8 else None,
            progress=progress,
            workspace=folder,
        )


def with_sources(entries: Sequence[Entry], root: Path, folder: Path) -> list[Entry]:
    """Return the contestants with what peers need: the exported ONNX, and the checkpoint where the workspace has it."""
    return [_with_source(entry, root, folder) for entry in entries]


def _with_source(entry: Entry, root: Path, folder: Path) -> Entry:
    if entry.source is None and entry.checkpoint is not None:
        return Entry(**{**vars(entry), "source": export_checkpoint(entry.checkpoint, folder)})
    if entry.source is not None and entry.checkpoint is None:
        return Entry(**{**vars(entry), "checkpoint": _checkpoint_of(entry.source, root)})
    return entry


def export_checkpoint(checkpoint: Path, folder: Path) -> Path:
    """Write the ONNX of a checkpoint, for runtimes that read such; it is not compared with PyTorch here."""
    require("export", f"{checkpoint} must be exported for that", "Install PyTorch: pip install 'ssd-edge[export]'")
    from ssd_edge.exporting.export_onnx import onnx_model
    from ssd_edge.model.checkpoint import load_checkpoint

    digest = file_digest(checkpoint)
    path = folder / f"exported-{digest[-12:]}.onnx"
    if not path.is_file():
        onnx.save(onnx_model(load_checkpoint(checkpoint).model, digest), path)
    return path


def _checkpoint_of(source: Path, root: Path) -> Path | None:
    """Return the run's checkpoint that an ONNX was exported from, by its digest."""
    try:
        model = read_graph(source).model
    except SsdEdgeError:
        return None
    digest = next((entry.value for entry in model.metadata_props if entry.key == DIGEST_KEY), "")
    return next((run.checkpoint for run in list_runs(root) if file_digest(run.checkpoint) == digest), None)


def write_heads(entry: Entry, folder: Path) -> Path | None:
    """Write a contestant's network without its NMS, which shows what the NMS takes; None where they are not apart.

    Engines of TensorRT cannot be cut; all others keep the names of the exported tensors.
    """
    path = Path(entry.task.model)
    if entry.runtime not in ("onnxruntime", "openvino") or entry.source is None or path.suffix == PT:
        return None
    try:
        source = read_graph(entry.source)
        cut = heads_only(parse_onnx(path.read_bytes(), path), head_tensors(source.model), source.spec)
    except SsdEdgeError:
        return None
    if cut is None:
        return None
    written = folder / f"heads-{file_digest(path)[-12:]}.onnx"
    onnx.save(cut, written)
    return written


def read_source(entry: Entry) -> SourceModel | None:
    """Return the exported model of a contestant; None where it is not here."""
    if entry.source is None:
        return None
    try:
        return read_graph(entry.source)
    except SsdEdgeError:
        return None


def check_precisions(precisions: Sequence[Precision]) -> None:
    """Refuse an empty list.

    Raises:
        InputError: it is empty.
    """
    if not precisions:
        raise InputError("no precision is given to build a preset in", wanted=", ".join(map(str, Precision)))
