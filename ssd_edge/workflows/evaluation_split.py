"""Evaluation split of a data set without a test set: the images that the run set aside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.files import file_digest
from ssd_edge.core.log import log
from ssd_edge.core.manifest import EngineManifest, manifest_path
from ssd_edge.core.run_data import RunData
from ssd_edge.core.sample import LabelledSet
from ssd_edge.data.find import dataset_splits
from ssd_edge.data.split_lists import SPLIT_FILE, ListedPart

TEST_SPLIT, _TRAIN, _VAL = "test", "train", "val"


def evaluation_split(models: Sequence[Path], dataset: Path) -> str:
    """Return the split to evaluate on where none is asked for: ``test``, or else the list that the models' runs keep.

    Raises:
        InputError: the data set cannot be read, or the runs keep different lists.
    """
    if TEST_SPLIT in dataset_splits(dataset):
        return TEST_SPLIT
    lists = {str(part): part for path in models for part in _parts(path, _VAL)}
    if len({part.read().digests(part.name) for part in lists.values()}) > 1:
        raise InputError(
            "the training runs of these models set aside different images for validation",
            got=", ".join(lists),
            wanted="the same list for all models",
            do="Choose a split that no model was trained on: --split",
        )
    if not lists:
        return TEST_SPLIT
    chosen = next(iter(lists))
    log.info(f"{dataset} has no test set: evaluating on the images that training set aside, {chosen}")
    return chosen


def check_not_learned(models: Sequence[Path], labelled: LabelledSet, split: str) -> None:
    """Refuse to evaluate a model on images that its run learned from, where the run keeps a list of them.

    Raises:
        InputError: some of the images are on the list.
    """
    asked = ListedPart.named(split)
    digests: frozenset[str] | None = None
    for path in models:
        for part in _parts(path, _TRAIN):
            if asked is not None and asked.file == part.file and asked.name != part.name:
                continue
            digests = digests or frozenset(file_digest(sample.image) for sample in labelled.samples)
            _check_disjoint(path, part, digests)


def _check_disjoint(model: Path, part: ListedPart, evaluated: frozenset[str]) -> None:
    learned = part.read().digests(part.name)
    if learned & evaluated:
        raise InputError(
            f"{model} was trained on {len(learned & evaluated)} of these {len(evaluated)} images",
            got=f"images of {part}",
            wanted="images that the model was not trained on",
            do=f"Evaluate on the images that training set aside: --split {ListedPart(part.file, _VAL)}",
        )


def _parts(model: Path, name: str) -> Iterator[ListedPart]:
    """Yield the list that a model's run learned from or validated on, where it keeps one."""
    for run in _runs(model):
        data = RunData.of(run)
        split = None if data is None else data.train_split if name == _TRAIN else data.val_split
        part = ListedPart(run / SPLIT_FILE, name) if split is None else ListedPart.named(split)
        if part is not None and part.file.is_file():
            yield part
            return


def _runs(model: Path) -> Iterable[Path]:
    """Folders in which a model's run may lie: its own, or that of its name in the workspace or here."""
    folders = [model.absolute().parent]
    name = model.parent.name
    if model.suffix == ".engine":
        with suppress(ArtifactError):  # it is refused where it is opened
            name = EngineManifest.load(manifest_path(model)).spec.name
    parents = model.absolute().parents
    roots = [parents[2]] if len(parents) > 2 else []
    return [*folders, *(root / "runs" / name for root in (*roots, Path.cwd()))]
