"""Joins pictures, the observer and INT8's lowering: what ``calibrate`` and ``build --int8`` share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.cli.console import bar
from ssd_edge.core.errors import InputError
from ssd_edge.core.log import log
from ssd_edge.core.shell import quoted

if TYPE_CHECKING:
    from ssd_edge.core.calibration_table import CalibrationTable
    from ssd_edge.core.choices import Method
    from ssd_edge.quantization.image_set import ImageSet

FOLDER = Path("calibration")
IMAGES = 256
_HELD_OUT_SHARE, _MOST_HELD_OUT = 8, 16


def find_image_set(
    images: Path | None, onnx: Path, *, split: str | None = None, limit: int | None = None, seed: int | None = None
) -> ImageSet:
    """Return the set to calibrate with: a written one, one chosen from ``images``, or the one that the model has.

    Nothing is written: a calibration that fails or is interrupted leaves the set and the table as they were.

    Raises:
        InputError: none is named and the model has none, or a choice is asked for of a set that is chosen.
    """
    from ssd_edge.graph.source import read_onnx
    from ssd_edge.quantization.image_set import SET_SUFFIX, choose_images

    name = read_onnx(onnx).spec.name
    written = set_path(name)
    if images is None and written.is_file():
        images = written
    if images is None:
        images, learnt_split = _learnt_from(name)
        split = split or learnt_split
    if images.name.endswith(SET_SUFFIX):
        return _chosen_before(images, is_asked=(split, limit, seed) != (None, None, None))
    with bar("pictures") as progress:
        chosen = choose_images(images, split=split or "train", limit=limit or IMAGES, seed=seed or 0, progress=progress)
    part = f", split {chosen.split}" if chosen.split else ""
    log.info(f"chose {len(chosen.images)} pictures of {chosen.source}{part}")
    return chosen


def set_path(name: str) -> Path:
    """Return where the pictures of a model's table are written down: ``calibration/<model>.images.json``."""
    from ssd_edge.quantization.image_set import SET_SUFFIX

    return FOLDER / f"{name}{SET_SUFFIX}"


def _chosen_before(path: Path, *, is_asked: bool) -> ImageSet:
    """Read a written set; refuse to choose of it once more."""
    from ssd_edge.quantization.image_set import ImageSet

    chosen = ImageSet.load(path)
    if is_asked:
        raise InputError(
            f"{path} holds {len(chosen.images)} pictures that are chosen already",
            got="--max-images, --seed or --split",
            do=f"Choose anew: ssd-edge calibrate --images {quoted(Path(chosen.source))}, with these options",
        )
    chosen.refuse_if_changed(path)
    log.info(f"using {path}: {len(chosen.images)} pictures")
    return chosen


def _copies_path(name: str) -> Path:
    """Return where ``--keep-images`` puts copies of the pictures: ``calibration/<model>.images``."""
    return set_path(name).with_suffix("")


def _learnt_from(name: str) -> tuple[Path, str]:
    """Return the data set and the split that the model of this name learnt from, as its run wrote it down."""
    from ssd_edge.core.run_data import RunData

    run = Path("runs") / name
    data = RunData.of(run)
    if data is None:
        raise InputError(
            f"there are no pictures to calibrate {name} with",
            got=f"neither {FOLDER / name}.images.json nor a data set that {run} names",
            wanted="pictures like those that the camera will show",
            do="Name them: ssd-edge calibrate --images FOLDER",
        )
    log.info(f"using what {name} learnt from: {data.dataset}, split {data.train_split}")
    return Path(data.dataset), data.train_split


def refuse_name(table: Path) -> None:
    """Raise InputError where a path is no name for a table of ranges: it might be the model's own."""
    from ssd_edge.core.calibration_table import RANGES_SUFFIX
    from ssd_edge.core.files import path_kind

    if not table.name.endswith(RANGES_SUFFIX) or table.name == RANGES_SUFFIX:
        raise InputError(f"{table} is no name for a table of ranges", wanted=f"a name that ends with {RANGES_SUFFIX}")
    if path_kind(table) == "folder":
        raise InputError(f"{table} is a folder", wanted="the name of a file for the table")


def calibrate_model(
    onnx: Path, chosen: ImageSet, method: Method, output: Path | None = None, *, keep_images: bool = False
) -> tuple[CalibrationTable, Path]:
    """Measure the table of a model and write it, with the set as the model's; return the table and its path.

    Args:
        onnx: the exported model.
        chosen: pictures.
        method: how ranges are chosen.
        output: the table's path; by default ``calibration/<model>.ranges.json``.
        keep_images: copy the pictures beside the set, so that the folder is complete wherever it is copied.

    Raises:
        SsdEdgeError: a picture or the model cannot be used.
    """
    from ssd_edge.core.calibration_table import ranges_path
    from ssd_edge.core.choices import Method
    from ssd_edge.core.files import file_digest, make_folder, text_digest
    from ssd_edge.graph.source import read_onnx
    from ssd_edge.quantization.choose_method import best_method
    from ssd_edge.quantization.observer import Observer, observed_tensors
    from ssd_edge.quantization.range_estimators import make_table

    source = read_onnx(onnx)
    spec = source.spec
    output = output or ranges_path(FOLDER, spec.name)
    make_folder(output.parent)
    make_folder(FOLDER)
    held_out = min(_MOST_HELD_OUT, len(chosen.images) // _HELD_OUT_SHARE) if method is Method.AUTO else 0
    paths = chosen.paths
    observed, kept = paths[: len(paths) - held_out], paths[len(paths) - held_out :]
    work = text_digest(file_digest(onnx) + "".join(chosen.digests[: len(observed)]))
    state = output.parent / f".{spec.name}.{work.removeprefix('sha256:')[:12]}.partial.npz"
    tensors = observed_tensors(source.model)
    if not tensors:
        raise InputError(f"{onnx} has no convolution that INT8 could compute", do="Build it without --int8.")
    observer = Observer(onnx, tensors, spec.input)
    with bar("calibrating") as progress:
        observer.observe(observed, state=state, progress=progress, told=log.info)
    if method is Method.AUTO:
        with observer.kept(state):
            method = best_method(source, onnx, observer.histograms, chosen, kept)
    table = make_table(observer.histograms, method, onnx=onnx, spec=spec, images=chosen)
    if keep_images:
        _save_with_images(table, output, chosen)
    else:
        _save(table, output, chosen)
    state.unlink(missing_ok=True)
    return table, output


def _save_with_images(table: CalibrationTable, output: Path, chosen: ImageSet) -> None:
    """Write the table, the set and copies of its pictures, which take the place of those that were kept before."""
    from ssd_edge.core.files import folder_written_beside

    place = _copies_path(table.model)
    with folder_written_beside(place) as partial:
        _save(table, output, chosen.copied(partial, place))
    log.info(f"copied the pictures: {place}")


def _save(table: CalibrationTable, output: Path, chosen: ImageSet) -> None:
    """Write the table and the set: both are whole before either takes its place."""
    from ssd_edge.core.files import written_beside

    path = set_path(table.model)
    with written_beside(path) as partial:
        partial.write_text(chosen.to_json(path.parent), encoding="utf-8")
        table.save(output)
    log.info(f"wrote {path}: {len(chosen.images)} pictures")
    copies = _copies_path(table.model)
    if not chosen.kept and copies.is_dir():
        log.info(f"nothing uses the copies of an earlier set any more: {quoted(copies)}")
