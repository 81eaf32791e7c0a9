"""The one calibration chain: images, the observed tensors of a model, and the table of their ranges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ssd_edge.core.calibration_table import RANGES_SUFFIX, CalibrationTable, ranges_path
from ssd_edge.core.choices import Method, Precision, Target
from ssd_edge.core.errors import InputError
from ssd_edge.core.files import folder_written_beside, make_folder, path_kind, text_digest, written_beside
from ssd_edge.core.images import read_image
from ssd_edge.core.log import log
from ssd_edge.core.preprocess import preprocess
from ssd_edge.core.progress import Progress, ProgressCallback, no_progress, silent, stage
from ssd_edge.core.run_data import RunData
from ssd_edge.core.shell import quoted
from ssd_edge.core.tolerance import TOLERANT, Tolerance
from ssd_edge.graph.source import SourceModel
from ssd_edge.quantization.image_choice import ImageChoice
from ssd_edge.quantization.image_set import SET_SUFFIX, ImageSet, choose_images
from ssd_edge.quantization.lowering import Lowering
from ssd_edge.quantization.observer import Observer, observed_tensors
from ssd_edge.quantization.output_error import OutputError
from ssd_edge.quantization.range_estimators import METHODS, StreamingHistogram, make_table

_HELD_OUT_SHARE, _MOST_HELD_OUT = 8, 16
_LOOKED_AT = 4  # images that show whether anything scores, where no method is to be chosen
_FOR_ORT, _FOR_TENSORRT = (Lowering(Precision.INT8, target) for target in (Target.ONNXRUNTIME, Target.TENSORRT))


def measure_ranges(
    source: SourceModel,
    chosen: ImageSet,
    method: Method = Method.MINMAX,
    *,
    held_out: int | None = None,
    state: Path | None = None,
    progress: Progress = silent,
) -> CalibrationTable:
    """Return the table of a model: its observed tensors, their histograms over the images, and ranges by a method.

    Args:
        source: the exported model.
        chosen: images, the best first.
        method: how ranges are chosen; ``auto`` tries all of them on the images that are held out.
        held_out: of the images, the last so many are not measured; by default none, and for ``auto`` an eighth.
        state: file that keeps what was measured where the work is interrupted; the same work goes on from there.
        progress: called after each image, and after each method that is tried.

    Raises:
        SsdEdgeError: an image or the model cannot be used.
    """
    if held_out is None:
        held_out = _held_out(chosen, method)
    measured = len(chosen.images) - held_out
    tensors = observed_tensors(source.model)
    if not tensors:
        raise InputError(f"{source.path} has no convolution to compute in INT8", do="Build the engine without --int8.")
    observer = Observer(source, tensors)
    observer.observe(chosen.paths[:measured], state=state, progress=progress)
    if method is Method.AUTO:
        with observer.kept(state):
            method = best_method(source, observer.histograms, chosen, chosen.paths[measured:], progress)
    elif not (measure := _output_error(source, chosen.paths[:_LOOKED_AT])).compares:
        log.warning(measure.nothing_compared)
    return make_table(observer.histograms, method, source, chosen)


def _output_error(source: SourceModel, images: Sequence[Path]) -> OutputError:
    return OutputError(source.model, [preprocess(read_image(image), source.spec.input) for image in images])


def _held_out(chosen: ImageSet, method: Method) -> int:
    """Return how many images a method is tried on and not measured on."""
    return min(_MOST_HELD_OUT, len(chosen.images) // _HELD_OUT_SHARE) if method is Method.AUTO else 0


def best_method(
    source: SourceModel,
    histograms: Mapping[str, StreamingHistogram],
    chosen: ImageSet,
    held_out: Sequence[Path],
    progress: Progress = silent,
) -> Method:
    """Return the method whose worse output error, of ONNX Runtime's form and TensorRT's, is the least.

    One table serves the engines of both, here and on the board. All errors are logged; they are measured on images
    that no range was measured on. Of very few images none is held out, and the last one that was measured must do.
    """
    tried_on = held_out or chosen.paths[-1:]
    measure = _output_error(source, tried_on)
    if not measure.compares:
        log.warning(f"{measure.nothing_compared}; the method {Method.MINMAX.value} is used without measuring")
        return Method.MINMAX
    errors: dict[Method, tuple[float, float]] = {}
    for number, method in enumerate(METHODS, start=1):
        table = make_table(histograms, method, source, chosen)
        for_ort, for_tensorrt = (lower(source.model, table) for lower in (_FOR_ORT, _FOR_TENSORRT))
        errors[method] = measure(for_ort), measure(for_tensorrt)
        progress(number, len(METHODS), f"choosing the method: {method.value}")
    best = min(errors, key=lambda method: max(errors[method]))
    where = f"{len(held_out)} held-out images" if held_out else "1 calibration image (too few to hold any out)"
    log.info(f"output error on {where}: {_listed(errors)}; {best.value} is chosen (lowest worst-case error)")
    return best


def _listed(errors: Mapping[Method, tuple[float, float]]) -> str:
    return ", ".join(
        f"{method.value} {for_ort:.4f} (TensorRT {for_tensorrt:.4f})"
        for method, (for_ort, for_tensorrt) in errors.items()
    )


@dataclass(frozen=True)
class CalibrationFiles:
    """Files of a model's calibration.

    Attributes:
        folder: ``calibration/`` of the workspace.
        model: the model's name.
    """

    folder: Path
    model: str

    @property
    def table(self) -> Path:
        """``<model>.ranges.json``."""
        return ranges_path(self.folder, self.model)

    @property
    def image_set(self) -> Path:
        """``<model>.images.json``: the images of the model's table."""
        return self.folder / f"{self.model}{SET_SUFFIX}"

    @property
    def copies(self) -> Path:
        """``<model>.images``: copies of the images, where these were to be kept."""
        return self.image_set.with_suffix("")

    @property
    def run(self) -> Path:
        """``runs/<model>``: the training run that the model is of, if any."""
        return self.folder.parent / "runs" / self.model

    @classmethod
    def of(cls, source: SourceModel, workspace: Path) -> CalibrationFiles:
        """Return those of a model in a workspace."""
        return cls(workspace / "calibration", source.spec.name)


def find_image_set(
    images: Path | None,
    files: CalibrationFiles,
    *,
    split: str | None = None,
    limit: int | None = None,
    seed: int | None = None,
    tolerance: Tolerance = TOLERANT,
    progress: ProgressCallback = no_progress,
) -> ImageSet:
    """Return the set to calibrate with: a written one, one chosen from ``images``, or the one that the model has.

    Nothing is written: a calibration that fails or is interrupted leaves the set and the table as they were.

    Raises:
        InputError: none is named and the model has none, or a choice is asked for of a set that is chosen.
    """
    if images is None and files.image_set.is_file():
        images = files.image_set
    if images is None:
        images, trained_on = _trained_on(files)
        split = split or trained_on
    if images.name.endswith(SET_SUFFIX):
        return _chosen_before(images, is_asked=(split, limit, seed) != (None, None, None))
    with stage(progress, "images") as report:
        chosen = choose_images(
            images,
            split=split or ImageChoice.split,
            limit=limit or ImageChoice.limit,
            seed=ImageChoice.seed if seed is None else seed,
            tolerance=tolerance,
            progress=report,
        )
    part = f", split {chosen.split}" if chosen.split else ""
    log.info(f"chose {len(chosen.images)} images from {chosen.source}{part}")
    return chosen


def _chosen_before(path: Path, *, is_asked: bool) -> ImageSet:
    """Read a written set; refuse to choose of it once more."""
    chosen = ImageSet.load(path)
    if is_asked:
        raise InputError(
            f"{path} contains {len(chosen.images)} images that have already been chosen",
            got="--max-images, --seed or --split, which choose images",
            do=f"Choose again, with these options: ssd-edge calibrate --images {quoted(Path(chosen.source))}",
        )
    chosen.refuse_if_changed(path)
    log.info(f"using {path}: {len(chosen.images)} images")
    return chosen


def _trained_on(files: CalibrationFiles) -> tuple[Path, str]:
    """Return the data set and the split that the model was trained on, as its run wrote them down."""
    data = RunData.of(files.run)
    if data is None and (lost := RunData.lost(files.run)) is not None:
        raise InputError(
            f"the data set that {files.model} was trained on does not exist any more",
            got=f"{files.run}, which names {lost.dataset}",
            wanted="images like those that the camera will give",
            do="Put the data set back, or give images: ssd-edge calibrate --images FOLDER",
        )
    if data is None:
        raise InputError(
            f"no images were found to calibrate {files.model} on",
            got=f"neither {files.image_set} nor a data set that {files.run} names",
            wanted="images like those that the camera will give",
            do="Give images: ssd-edge calibrate --images FOLDER",
        )
    log.info(f"using the training data of {files.model}: {data.dataset}, split {data.train_split}")
    return Path(data.dataset), data.train_split


def refuse_name(table: Path) -> None:
    """Raise InputError where a path is not a name for a calibration table: it might be the model's own."""
    if not table.name.endswith(RANGES_SUFFIX) or table.name == RANGES_SUFFIX:
        raise InputError(
            f"{table} is not a valid name for a calibration table", wanted=f"a name that ends with {RANGES_SUFFIX}"
        )
    if path_kind(table) == "folder":
        raise InputError(f"{table} is a folder", wanted="a file name for the calibration table")


def calibrate_model(
    source: SourceModel,
    chosen: ImageSet,
    method: Method,
    files: CalibrationFiles,
    output: Path | None = None,
    *,
    keep_images: bool = False,
    progress: ProgressCallback = no_progress,
) -> CalibrationTable:
    """Measure the table of a model and write it, with the set as the model's; return the table.

    Args:
        source: the exported model.
        chosen: images.
        method: how ranges are chosen.
        files: where table and set belong.
        output: the table's path; by default the model's.
        keep_images: copy the images beside the set, so that the folder is complete wherever it is copied.
        progress: of the stage ``calibrating``.

    Raises:
        SsdEdgeError: an image or the model cannot be used.
    """
    output = output or files.table
    make_folder(output.parent)
    make_folder(files.folder)
    held_out = _held_out(chosen, method)
    work = text_digest(source.digest + "".join(chosen.digests[: len(chosen.images) - held_out]))
    state = output.parent / f".{files.model}.{work.removeprefix('sha256:')[:12]}.state.npz"
    with stage(progress, "calibrating") as report:
        table = measure_ranges(source, chosen, method, held_out=held_out, state=state, progress=report)
    _save(table, output, chosen, files, keep_images=keep_images)
    state.unlink(missing_ok=True)
    return table


def _save(
    table: CalibrationTable, output: Path, chosen: ImageSet, files: CalibrationFiles, *, keep_images: bool
) -> None:
    """Write the table, the set and, where asked for, copies of its images: all are whole before any takes its place."""
    with ExitStack() as stack:
        if keep_images:
            chosen = chosen.copied(stack.enter_context(folder_written_beside(files.copies)), files.copies)
        with written_beside(files.image_set) as partial:
            partial.write_text(chosen.to_json(files.folder), encoding="utf-8")
            table.save(output)
        log.info(f"wrote {files.image_set}: {len(chosen.images)} images")
    if keep_images:
        log.info(f"copied the images: {files.copies}")
    elif not chosen.kept and files.copies.is_dir():
        log.info(f"the copies of an earlier set are no longer used: {quoted(files.copies)}")
