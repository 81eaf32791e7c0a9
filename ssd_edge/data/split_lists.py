"""Lists of images that make splits of a data set which has none: ``split.json``, and the names of its parts."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path

from ssd_edge.core.artifact import Format, read_artifact
from ssd_edge.core.errors import InputError
from ssd_edge.core.files import written_beside
from ssd_edge.data.layouts.coco import folder_of
from ssd_edge.data.scan import ScannedImage, ScannedSet

SPLIT_FILE = "split.json"
_MARK = ".json:"
_LEARNED = "train"
_FORM = Format("ssd-edge/split/1", "list of splits", "Make it again: ssd-edge data split DATASET")


@dataclass(frozen=True)
class SplitLists:
    """Assignment of a data set's images to splits.

    Attributes:
        source: the split of the data set that was divided.
        seed: of the division.
        parts: of each part, e.g. ``train`` and ``val``, the images with the digests of their files; the paths are
            relative to the data set's folder, with forward slashes.
    """

    source: str
    seed: int
    parts: dict[str, dict[str, str]]

    def save(self, path: Path) -> None:
        """Write it as JSON, whole or not at all.

        Raises:
            InputError: the folder cannot be written.
        """
        fields = {"format": _FORM.tag, **dataclasses.asdict(self)}
        with written_beside(path) as partial:
            partial.write_text(json.dumps(fields, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> SplitLists:
        """Read what :meth:`save` wrote.

        Raises:
            ArtifactError: it is missing, damaged or something else.
        """
        return read_artifact(path, cls, _FORM)

    def digests(self, part: str) -> frozenset[str]:
        """Return the digests of a part's files; none where there is no such part."""
        return frozenset(self.parts.get(part, {}).values())


@dataclass(frozen=True)
class ListedPart:
    """A part of a file of lists, as ``--split`` names it: ``runs/signs/split.json:val``.

    Attributes:
        file: the lists.
        name: of the part.
    """

    file: Path
    name: str

    def __str__(self) -> str:
        return f"{self.file}:{self.name}"

    @classmethod
    def named(cls, split: str) -> ListedPart | None:
        """Return the part that a split's name speaks of; None where it is an ordinary name."""
        place, mark, name = split.rpartition(_MARK)
        return cls(Path(f"{place}.json"), name) if mark and name else None

    def read(self) -> SplitLists:
        """Return the lists.

        Raises:
            InputError: they have no such part.
            ArtifactError: the file is missing, damaged or something else.
        """
        lists = SplitLists.load(self.file)
        if self.name not in lists.parts:
            wanted = ", ".join(lists.parts)
            raise InputError(f"{self.file} has no part {self.name!r}", wanted=f"one of {wanted}")
        return lists

    def of(self, scanned: ScannedSet, root: Path, lists: SplitLists) -> ScannedSet:
        """Return those images of the divided split that are in this part.

        Args:
            scanned: the divided split.
            root: folder of the data set.
            lists: as :meth:`read` gives them.

        Raises:
            InputError: some of the images are gone.
        """
        wanted = lists.parts[self.name]
        kept = tuple(entry for entry in scanned.images if relative_name(entry.image, root) in wanted)
        missing = wanted.keys() - {relative_name(entry.image, root) for entry in kept}
        if missing:
            raise InputError(
                f"{self.file} lists images that {scanned.origin} does not have",
                got=f"{len(missing)} of {len(wanted)} images are missing, for example {min(missing)}",
                wanted="the data set that was divided",
                do="Put the images back, or divide the data again: start a new run, or run ssd-edge data split.",
            )
        origin = f"{scanned.origin}, list {self}"
        if self.name != _LEARNED:
            return dataclasses.replace(scanned, images=kept, origin=origin, lost_images=(), lost_objects=())
        return dataclasses.replace(scanned, images=(*kept, *_unlisted(scanned, root, lists)), origin=origin)


def _unlisted(scanned: ScannedSet, root: Path, lists: SplitLists) -> tuple[ScannedImage, ...]:
    """Images that could not be used when the set was divided: training on it counts and names them."""
    listed = {name for part in lists.parts.values() for name in part}
    return tuple(entry for entry in scanned.images if entry.faults and relative_name(entry.image, root) not in listed)


def dataset_root(dataset: Path) -> Path:
    """Return the folder that paths of a data set are relative to: that of a data.yaml, or the data set's own."""
    if dataset.suffix == ".json":
        return folder_of(dataset)
    return dataset.parent if dataset.suffix in (".yaml", ".yml") else dataset


def relative_name(image: Path, root: Path) -> str:
    """Return an image's path from the data set's folder, with forward slashes; it may lie outside of it."""
    return Path(os.path.relpath(image.absolute(), root.absolute())).as_posix()
