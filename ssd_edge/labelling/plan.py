"""A plan: every image in its order, in units that are labelled as a whole; a unit becomes one part of the result."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import written_beside
from ssd_edge.labelling.items import Item, NotListed, find_items

_COLUMNS = ("id", "path", "kind", "offset", "size")


@dataclass(frozen=True)
class Plan:
    """The images that the sources hold.

    Attributes:
        digest: ``sha256:…`` of every image's id and place, in their order.
        images, videos: how many there are.
        parts: units of work.
        not_listed: what the sources hold and cannot be used.
    """

    digest: str
    images: int
    videos: int
    parts: int
    not_listed: NotListed


def write_plan(path: Path, sources: Sequence[str], images_per_part: int, *, skip: str = "") -> Plan:
    """Write what the sources hold, a row group a unit; some 30 bytes an image are in memory.

    An image that is named several times is planned once; the other mentions are counted as not listed.

    Args:
        path: of the plan.
        sources: see :func:`find_items`, as for ``skip``.
        images_per_part: of a unit.
        skip: a folder that is passed over.

    Raises:
        InputError: a source cannot be used, there is no image, or two images of a table have the same id.
    """
    with written_beside(path) as partial:
        plan, doubled = _write(partial, sources, images_per_part, frozenset(), skip)
        if doubled:
            plan, _ = _write(partial, sources, images_per_part, doubled, skip)
    return plan


def _write(
    path: Path, sources: Sequence[str], images_per_part: int, doubled: frozenset[int], skip: str
) -> tuple[Plan, frozenset[int]]:
    """Write the plan; return it, and the 64-bit digests of places and ids that may be there more than once."""
    import pyarrow
    from pyarrow import parquet

    kinds = [pyarrow.string()] * 3 + [pyarrow.int64()] * 2
    schema = pyarrow.schema(list(zip(_COLUMNS, kinds, strict=True)))
    digest, places, ids = hashlib.sha256(), array("Q"), array("Q")
    not_listed, counts, parts = NotListed(), {"image": 0, "video": 0}, 0
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for unit in _units(_once(find_items(sources, not_listed, skip), doubled, not_listed), images_per_part):
            for item in unit:
                places.append(_short(item.place))
                ids.append(_short(item.id))
                digest.update(f"{item.id}\0{item.place}\0{item.kind}\0{item.size}\n".encode())
                counts["video" if item.kind == "video" else "image"] += 1
            columns = {name: [getattr(item, name) for item in unit] for name in _COLUMNS}
            writer.write_table(pyarrow.table(columns, schema=schema), row_group_size=len(unit))
            parts += 1
    if parts == 0:
        raise InputError(
            f"{', '.join(map(str, sources))}: no image or video to label was found",
            got="; ".join(["no images", *(f"cannot be used: {entry}" for entry in not_listed.named[:1])]),
            wanted="images or videos",
        )
    plan = Plan(f"sha256:{digest.hexdigest()}", counts["image"], counts["video"], parts, not_listed)
    return plan, _repeated(places) | _repeated(ids)


def _short(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _repeated(numbers: array[int]) -> frozenset[int]:
    found = np.sort(np.frombuffer(numbers, np.uint64))
    return frozenset(found[1:][found[1:] == found[:-1]].tolist())


def _once(items: Iterator[Item], doubled: frozenset[int], not_listed: NotListed) -> Iterator[Item]:
    """Yield each image when it comes first; only those are remembered of which there may be several.

    A tar that was appended to may have a name twice; two rows of a table with one id are refused.
    """
    places: set[str] = set()
    ids: dict[str, str] = {}
    for item in items:
        if doubled and _short(item.place) in doubled:
            if item.place in places:
                not_listed.add(item.id, "it was already named")
                continue
            places.add(item.place)
        if doubled and _short(item.id) in doubled:
            if item.kind == "member" and ids.get(item.id) == item.path:
                not_listed.add(item.id, "its tar already contains this name")
                continue
            if item.id in ids:
                raise InputError(
                    f"two images have the id {item.id!r}",
                    got=f"the second one in {item.path}",
                    wanted="a different id for each image",
                )
            ids[item.id] = item.path
        yield item


def _units(items: Iterator[Item], most: int) -> Iterator[list[Item]]:
    """Yield images by the thousand or so, and each video alone."""
    unit: list[Item] = []
    for item in items:
        if unit and (item.kind == "video" or len(unit) == most):
            yield unit
            unit = []
        if item.kind == "video":
            yield [item]
        else:
            unit.append(item)
    if unit:
        yield unit


class PlanReader:
    """A plan on the disk, read a unit at a time; use it on one thread."""

    def __init__(self, path: Path) -> None:
        from pyarrow import parquet

        self._file: Any = parquet.ParquetFile(path)

    def items(self, number: int) -> list[Item]:
        """Return the images of a unit, or its video."""
        found = self._file.read_row_group(number, use_threads=False).to_pydict()
        return [Item(*row) for row in zip(*(found[name] for name in _COLUMNS), strict=True)]

    def __enter__(self) -> PlanReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def numbers_of(parts: int, shard: tuple[int, int]) -> range:
    """Return the units of shard i of n, i from 1: every n-th, so that each shard has some of every source."""
    return range(shard[0] - 1, parts, shard[1])
