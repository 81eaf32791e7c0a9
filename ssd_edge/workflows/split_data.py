"""Divide data: lists of images for training, validation and test, without a change to the data themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import Unpack

from ssd_edge.core.config import AnyPath, config_from
from ssd_edge.core.files import make_folder, written_beside
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.progress import ProgressCallback, no_progress, stage
from ssd_edge.core.resources import with_named_resources
from ssd_edge.data.find import dataset_splits
from ssd_edge.data.split import divide_dataset
from ssd_edge.data.split_lists import SPLIT_FILE, dataset_root
from ssd_edge.workflows.split_data_config import SplitDataConfig, SplitDataOptions
from ssd_edge.workflows.train_config import TRAIN_SPLIT, VAL_SPLIT

_TEST = "test"


@dataclass(frozen=True)
class SplitDataResult:
    """Result of dividing a data set.

    Attributes:
        path: the lists with the digests of the images, which ``--split <path>:val`` takes.
        lists: of each part, a text file with an image a line, relative to the data set's folder.
        images: number of images in each part.
        scenes: groups of images that lie on one side.
        cut: images of scenes so large that more than one part has some.
        unvalidated: classes without an object in the validation set.
        left_out: images that cannot be read.
    """

    path: Path
    lists: Mapping[str, Path]
    images: Mapping[str, int]
    scenes: int
    cut: int
    unvalidated: tuple[str, ...]
    left_out: tuple[LeftOut, ...] = ()


@with_named_resources
def split_data(
    dataset: AnyPath,
    *,
    config: SplitDataConfig | None = None,
    progress: ProgressCallback = no_progress,
    workspace: AnyPath = ".",
    **options: Unpack[SplitDataOptions],
) -> SplitDataResult:
    """Divide a split of labelled images into parts that share no scene and have the classes in proportion.

    Args:
        dataset: labelled images, of any layout.
        config: how; or its fields as keywords.
        progress: receives the stage ``dividing``.
        workspace: the folder for the lists where none is named.
        options: fields of the config.

    Raises:
        InputError: the data set cannot be read or is too small, or the folder cannot be written.
    """
    config, place = config_from(SplitDataConfig, config, options), Path(dataset)
    source = config.split or _source(place)
    shares = {_TEST: config.test_fraction, VAL_SPLIT: config.val_fraction}
    with stage(progress, "dividing") as report:
        divided = divide_dataset(
            place,
            source,
            fractions={part: share for part, share in shares.items() if share},
            seed=config.seed,
            progress=report,
        )
    folder = config.output or Path(workspace) / "splits" / (dataset_root(place).resolve().name or "data")
    make_folder(folder)
    divided.lists.save(folder / SPLIT_FILE)
    lists = {part: _written(folder / f"{part}.txt", images) for part, images in divided.lists.parts.items()}
    return SplitDataResult(
        path=folder / SPLIT_FILE,
        lists=lists,
        images={part: len(images) for part, images in divided.lists.parts.items()},
        scenes=divided.scenes,
        cut=divided.cut,
        unvalidated=divided.unvalidated,
        left_out=divided.left_out,
    )


def _source(dataset: Path) -> str:
    there = dataset_splits(dataset)
    return there[0] if len(there) == 1 else TRAIN_SPLIT


def _written(path: Path, images: Mapping[str, str]) -> Path:
    with written_beside(path) as partial:
        partial.write_text("".join(f"{image}\n" for image in images), encoding="utf-8")
    return path
