"""Data statistics: how many objects of each class a data set holds, and how large they are."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from typing_extensions import Unpack

from ssd_edge.core.config import AnyPath, config_from
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.progress import ProgressCallback, no_progress, stage
from ssd_edge.core.resources import with_named_resources
from ssd_edge.core.sample import LabelledSet
from ssd_edge.core.tolerance import Tolerance
from ssd_edge.data.find import dataset_splits, open_dataset
from ssd_edge.data.image_size import image_size
from ssd_edge.data.statistics import SetStatistics, set_statistics

_ANY = Tolerance(max_bad=1.0)


@dataclass(frozen=True)
class DataStatisticsConfig:
    """Options of the statistics.

    Attributes:
        splits: parts of the data set; None for those of train, val and test that are there, or else all.
    """

    splits: tuple[str, ...] | None = None


class DataStatisticsOptions(TypedDict, total=False):
    """The fields of :class:`DataStatisticsConfig`, as keywords."""

    splits: tuple[str, ...] | list[str] | None


@dataclass(frozen=True)
class DataStatisticsResult:
    """Statistics of a data set.

    Attributes:
        path: always None: nothing is written.
        dataset: what was looked at.
        splits: the figures of each split.
        left_out: images and objects that cannot be used; they are not counted.
    """

    path: Path | None
    dataset: Path
    splits: Mapping[str, SetStatistics]
    left_out: tuple[LeftOut, ...] = ()

    def to_json(self) -> str:
        """Return all figures as JSON."""
        splits = {split: dataclasses.asdict(found) for split, found in self.splits.items()}
        return json.dumps({"dataset": str(self.dataset), "splits": splits}, indent=1) + "\n"


@with_named_resources
def data_statistics(
    dataset: AnyPath,
    *,
    config: DataStatisticsConfig | None = None,
    progress: ProgressCallback = no_progress,
    **options: Unpack[DataStatisticsOptions],
) -> DataStatisticsResult:
    """Count the objects of each class, and measure how large they are.

    Args:
        dataset: labelled images: a VOC, COCO or YOLO folder, or a data.yaml.
        config: what to count; or its fields as keywords.
        progress: receives every image.
        options: fields of the config.

    Raises:
        InputError: a split is not there, or its labels or an image cannot be used.
    """
    config = config_from(DataStatisticsConfig, config, options)
    folder = Path(dataset)
    labelled: dict[str, LabelledSet] = {}
    names: tuple[str, ...] | None = None
    for split in config.splits or dataset_splits(folder):
        labelled[split] = open_dataset(folder, split, names, tolerance=_ANY)
        names = labelled[split].class_names
    images = list(dict.fromkeys(sample.image for found in labelled.values() for sample in found.samples))
    sizes = {}
    with stage(progress, "measuring") as report:
        for number, image in enumerate(images, start=1):
            sizes[image] = image_size(image)
            report(number, len(images))
    figures = {split: set_statistics(found, sizes) for split, found in labelled.items()}
    left_out = tuple(entry for found in labelled.values() for entry in found.left_out)
    return DataStatisticsResult(None, folder, figures, left_out)
