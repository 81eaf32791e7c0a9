"""Training and validation splits; without a validation split, images are set aside for it."""

from __future__ import annotations

from pathlib import Path

from ssd_edge.core.files import make_folder
from ssd_edge.core.log import counted, log
from ssd_edge.core.progress import ProgressCallback, stage
from ssd_edge.data.find import dataset_splits
from ssd_edge.data.label_files import listed_class_names
from ssd_edge.data.split import DividedSet, divide_dataset
from ssd_edge.data.split_lists import SPLIT_FILE, ListedPart
from ssd_edge.workflows.train_config import TRAIN_SPLIT, VAL_SPLIT, TrainConfig

_OTHER_VAL_NAMES = ("valid", "validation", "dev")


def training_splits(dataset: Path, config: TrainConfig, folder: Path, progress: ProgressCallback) -> tuple[str, str]:
    """Return the names of the splits to train on and to validate on; a list that is made for them goes to ``folder``.

    Args:
        dataset: folder or data.yaml.
        config: says the splits, or leaves them open.
        folder: of the run.
        progress: receives the stage ``dividing``.

    Raises:
        InputError: the data set cannot be read, has nothing to train on, or is too small to divide.
    """
    train, val = config.train_split, config.val_split
    if train is not None and val is not None:
        return train, val
    listed = ListedPart.named(train) if train is not None else None
    if listed is not None:
        return str(listed), val or str(ListedPart(listed.file, VAL_SPLIT))
    there = dataset_splits(dataset)
    train = train or _to_learn(dataset, there)
    if val is not None or any(name in there for name in (VAL_SPLIT, *_OTHER_VAL_NAMES)):
        return train, val or VAL_SPLIT
    return _divided(dataset, train, config, folder, progress)


def _to_learn(dataset: Path, there: tuple[str, ...]) -> str:
    """Return the training split; the only one of a data set is it whatever its name."""
    if TRAIN_SPLIT in there or len(there) != 1:
        return TRAIN_SPLIT
    log.info(f"{dataset} has only one split, {there[0]}: training on it")
    return there[0]


def _divided(
    dataset: Path, source: str, config: TrainConfig, folder: Path, progress: ProgressCallback
) -> tuple[str, str]:
    with stage(progress, "dividing") as report:
        divided = divide_dataset(
            dataset,
            source,
            listed_class_names(config.classes),
            fractions={VAL_SPLIT: config.val_fraction},
            seed=config.seed,
            progress=report,
        )
    make_folder(folder)
    place = folder / SPLIT_FILE  # every process comes to the same, and writes it whole
    divided.lists.save(place)
    _log(divided, dataset, source, place)
    return str(ListedPart(place, TRAIN_SPLIT)), str(ListedPart(place, VAL_SPLIT))


def _log(divided: DividedSet, dataset: Path, source: str, place: Path) -> None:
    aside = len(divided.lists.parts[VAL_SPLIT])
    log.info(
        f"{dataset} has no validation set: {aside} of the {counted(divided.images, 'image')} of split {source} "
        f"are set aside for validation, by whole scenes ({divided.scenes} in all), each class in proportion; "
        f"list: {place}"
    )
    if divided.cut:
        log.warning(
            f"{counted(divided.cut, 'image')} show scenes that are divided between both sets: the validation mAP "
            "will be too optimistic. Images of other places or days make a better validation set: --val-split"
        )
    if divided.unvalidated:
        log.warning(
            f"classes that are not in the validation set, as too few scenes show them: {', '.join(divided.unvalidated)}"
        )
