"""Package a model for another host: ``ssd-edge package``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from onnx import ModelProto
from typing_extensions import Unpack

from ssd_edge.core.calibration_table import CalibrationTable
from ssd_edge.core.choices import Host, Precision, Target
from ssd_edge.core.config import AnyPath, choice_of, config_from
from ssd_edge.core.errors import InputError, SsdEdgeError, keyword
from ssd_edge.core.files import folder_written_beside, path_kind
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.images import read_image
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.log import log
from ssd_edge.core.resources import with_named_resources
from ssd_edge.core.shell import quoted
from ssd_edge.core.temp_dir import scratch_folder
from ssd_edge.core.workspace import named_or_newest, newest_onnx
from ssd_edge.graph.source import SourceModel, read_onnx
from ssd_edge.packaging.archive import archive_of, is_archive, write_archive
from ssd_edge.packaging.board import write_board
from ssd_edge.packaging.contents import PackagedModel, choose_image, write_onnx
from ssd_edge.packaging.deepstream import Typing, write_deepstream
from ssd_edge.packaging.digests import check_sums, write_sums
from ssd_edge.packaging.frigate import write_frigate
from ssd_edge.packaging.record import PackageRecord
from ssd_edge.packaging.triton import Plan, write_triton
from ssd_edge.quantization.calibrate import CalibrationFiles
from ssd_edge.quantization.image_set import ImageSet
from ssd_edge.quantization.lowering import Lowering
from ssd_edge.quantization.trt_cache import write_cache
from ssd_edge.scenes.scene import draw_scene
from ssd_edge.workflows.package_config import PackageConfig, PackageOptions

PACKAGES = "packages"
_TRIED = 8  # images, of which the one with the clearest detections is packed
_DRAWN_SIZE, _DRAWN_SEED = (480, 640), 2026


@dataclass(frozen=True)
class PackageResult:
    """A package.

    Attributes:
        path: its folder.
        archive: the same as one ``.tar.gz``.
        host: where it runs.
        model: the exported model that it was made of.
        files: of the folder, relative to it, but for the digests.
        detections: of the packed image, that every form of the model gave.
        left_out: empty, as a package is made whole or not at all.
    """

    path: Path
    archive: Path
    host: Host
    model: Path
    files: tuple[str, ...]
    detections: int
    left_out: tuple[LeftOut, ...] = ()


@with_named_resources
def package(
    model: AnyPath | None = None,
    *,
    host: Host | Literal["deepstream", "frigate", "triton", "board"],
    config: PackageConfig | None = None,
    workspace: AnyPath = ".",
    **options: Unpack[PackageOptions],
) -> PackageResult:
    """Write an exported model with all that a host needs to run it, as a folder and as one archive.

    The same model and options give the same bytes. Every form of the model is run on an image, and the package is
    written only if it finds what the exported model finds.

    Args:
        model: the exported ``.onnx``; by default the newest of the workspace.
        host: where it will run.
        config: see :class:`PackageConfig`; or its fields as keywords.
        workspace: the folder with ``engines/`` and ``calibration/``.

    Raises:
        InputError: a file cannot be read or written, an option is not for this host, or no image has a clear detection.
        ArtifactError: the model or an engine is damaged, or not ours.
        ParityError: a form of the model finds something else.
    """
    config, root, kind = config_from(PackageConfig, config, options), Path(workspace), choice_of("host", host, Host)
    _check_options(config, kind)
    path = named_or_newest(model, newest_onnx, root)
    _refuse_other(path)
    source = read_onnx(path)
    files = CalibrationFiles.of(source, root)
    folder = config.output or root / PACKAGES / f"{source.spec.name}-{kind}"
    _refuse_others(folder)
    packaged = PackagedModel(source, choose_image(source, _images(config, files)))
    with folder_written_beside(folder) as partial:
        _WRITERS[kind](partial, packaged, config, files)
        write_sums(partial)
    names = check_sums(folder, origin=folder)
    archive = archive_of(folder)
    write_archive(folder, archive)
    return PackageResult(folder, archive, kind, path, names, len(packaged.checked.rows))


def _triton(folder: Path, model: PackagedModel, config: PackageConfig, _: CalibrationFiles) -> None:
    plan = None if config.engine is None else Plan.of(config.engine, model)
    write_triton(folder, model, max_batch=config.max_batch, plan=plan)


def _board(folder: Path, model: PackagedModel, config: PackageConfig, files: CalibrationFiles) -> None:
    table = files.table if files.table.is_file() else None
    if table is not None:
        _table(files, model.source)  # the board would refuse that of another model, and only there
    write_board(folder, model, table=table, wheel=config.wheel)


def _frigate(folder: Path, model: PackagedModel, *_: object) -> None:
    write_frigate(folder, model)


def _deepstream(folder: Path, model: PackagedModel, config: PackageConfig, files: CalibrationFiles) -> None:
    write = partial(write_deepstream, folder, max_batch=config.max_batch, threshold=config.score_threshold)
    table = _table(files, model.source) if config.precision.is_int8 else None
    if config.precision is Precision.FP32:
        write(model, Typing(config.precision))
    elif table is not None and config.calibration_cache is not None:
        cache = write_cache(table, model.source.model, version=config.calibration_cache)
        write(model, Typing(config.precision, cache))
    else:
        lowered = Lowering(config.precision, Target.TENSORRT)(model.source.model, table)
        with _written(lowered, model.source) as source:
            checked = choose_image(source, [model.checked.pixels])
            write(PackagedModel(source, checked), Typing(config.precision))


def _table(files: CalibrationFiles, source: SourceModel) -> CalibrationTable:
    """Return the calibration table of a model, which must have been measured on it."""
    if not files.table.is_file():
        raise InputError(
            f"INT8 needs a calibration table, and {source.path} has none",
            wanted=f"the file {files.table}",
            do=f"Run: ssd-edge calibrate {quoted(source.path)}",
        )
    table = CalibrationTable.load(files.table)
    table.refuse_if_foreign(files.table, source.path, source.digest, source.spec.input)
    return table


@contextmanager
def _written(lowered: ModelProto, source: SourceModel) -> Iterator[SourceModel]:
    """Yield a lowered model as a file that ONNX Runtime can be asked with; its origin stays the exported one."""
    with scratch_folder() as folder:
        path = folder / source.path.name
        write_onnx(lowered, path)
        yield replace(source, path=path, model=lowered)


_Writer = Callable[[Path, PackagedModel, PackageConfig, CalibrationFiles], None]
_WRITERS: dict[Host, _Writer] = {
    Host.DEEPSTREAM: _deepstream,
    Host.FRIGATE: _frigate,
    Host.TRITON: _triton,
    Host.BOARD: _board,
}
_ONLY_FOR = {
    "max_batch": (Host.TRITON, Host.DEEPSTREAM),
    "precision": (Host.DEEPSTREAM,),
    "calibration_cache": (Host.DEEPSTREAM,),
    "score_threshold": (Host.DEEPSTREAM,),
    "engine": (Host.TRITON,),
    "wheel": (Host.BOARD,),
}


def _check_options(config: PackageConfig, host: Host) -> None:
    """Refuse what another host's package takes, and files that are not there."""
    for name, hosts in _ONLY_FOR.items():
        if getattr(config, name) != getattr(PackageConfig(), name) and host not in hosts:
            wanted = " or ".join(map(str, hosts))
            raise InputError(
                f"{keyword(name)} has no effect on a package for {host}",
                wanted=f"a package for {wanted}",
                do=f"Leave out {keyword(name)}.",
            )
    if config.precision is Precision.BF16:
        wanted = ", ".join(kind.value for kind in Precision if kind is not Precision.BF16)
        raise InputError(f"{keyword('precision')} cannot be {config.precision.value} for {host}", wanted=wanted)
    if config.calibration_cache is not None and config.precision is not Precision.INT8:
        do = keyword("precision", "int8")
        raise InputError(
            f"{keyword('calibration_cache')} needs INT8", got=f"precision {config.precision.value}", do=f"Add {do}."
        )
    if config.wheel is not None and (config.wheel.suffix != ".whl" or path_kind(config.wheel) != "file"):
        raise InputError(
            f"{config.wheel} is not a wheel", wanted="a .whl file of ssd-edge", do="Build one: make release"
        )


def _refuse_other(path: Path) -> None:
    """Refuse a checkpoint and an engine by name: a package is made of what was exported."""
    if path.suffix == ".onnx":
        return
    do = {
        ".pt": f"Export the checkpoint: ssd-edge export {quoted(path)}",
        ".engine": "Give the exported .onnx file; for Triton, add the engine with --engine.",
    }
    raise InputError(
        f"{path} is not an exported model",
        got=f"suffix {path.suffix!r}",
        wanted="an .onnx that ssd-edge export wrote",
        do=do.get(path.suffix, ""),
    )


def _refuse_others(folder: Path) -> None:
    """Refuse to replace a folder that is no package, and a file beside it that is no archive of one."""
    if folder.name in ("", ".."):
        raise InputError(
            f"the folder {folder} has no name that a package could take", do="Choose a folder with --output."
        )
    archive = archive_of(folder)
    if path_kind(archive) == "file" and not is_archive(archive):
        raise InputError(
            f"{archive} is not a package and will not be replaced", do="Choose another folder with --output."
        )
    if path_kind(folder) == "folder" and any(folder.iterdir()) and not _is_package(folder):
        raise InputError(
            f"{folder} is not a package and will not be replaced",
            got="a folder with other files",
            wanted="a new folder, an empty one, or a package",
            do="Choose another folder with --output.",
        )


def _is_package(folder: Path) -> bool:
    """Return whether a folder has a record of ours: others have a ``package.json`` too."""
    try:
        PackageRecord.load(folder)
    except SsdEdgeError:
        return False
    return True


def _images(config: PackageConfig, files: CalibrationFiles) -> list[UInt8Array]:
    """Return images of which one is packed: the named one, some of the calibration set, or drawn scenes."""
    if config.image is not None:
        return [read_image(config.image)]
    try:
        paths = ImageSet.load(files.image_set).paths if files.image_set.is_file() else ()
        images = [read_image(path) for path in paths[:: max(1, len(paths) // _TRIED)][:_TRIED]]
    except SsdEdgeError as error:
        log.info(f"the images of the calibration set cannot be read: {error}")
        images = []
    if not images:
        log.info("checking on a generated scene; to check on an image of your own: --image")
        images = [draw_scene(*_DRAWN_SIZE, _DRAWN_SEED, index).image for index in range(_TRIED)]
    return images
