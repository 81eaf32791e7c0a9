"""Images to label: of folders, lists, tar files, tables of paths and videos, in an order that is always the same."""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import path_kind
from ssd_edge.core.images import IMAGE_SUFFIXES
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.secrets import hide_in_url

Kind = Literal["file", "member", "video"]

VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"})
JOB_NAME, PLAN_NAME = "job.json", "plan.parquet"
"""Files by which the folder of a job is known."""
_LISTED = IMAGE_SUFFIXES | VIDEO_SUFFIXES | {".tar"}
_PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # a drive of Windows has one letter
_MOST_NAMED = 100
_ROWS = 10_000  # of a table of paths that are in memory at a time


@dataclass(frozen=True)
class Item:
    """One image, or one video.

    Attributes:
        id: as its source is typed, with the way to it, e.g. ``photos/a/1.jpg`` or ``shard.tar/1.jpg``; or the table's.
        path: absolute, of the file that holds it.
        kind: a file, a member of a tar, or a video, each frame of which is an image.
        offset, size: of a member's bytes in its tar.
    """

    id: str
    path: str
    kind: Kind = "file"
    offset: int = 0
    size: int = 0

    @property
    def place(self) -> str:
        """The place of its bytes: no two images have the same."""
        return f"{self.path}\0{self.offset}"


@dataclass
class NotListed:
    """Entries of the sources that are not labelled, counted; the first hundred are named."""

    count: int = 0
    named: list[LeftOut] = field(default_factory=list)

    def add(self, what: str, why: str) -> None:
        """Count one."""
        self.count += 1
        if len(self.named) < _MOST_NAMED:
            self.named.append(LeftOut(what, why))


def find_items(sources: Sequence[str], not_listed: NotListed, skip: str = "") -> Iterator[Item]:
    """Yield the images and videos of all sources; names in a folder are sorted, lists and tars keep their order.

    Args:
        sources: folders, images, videos, ``.tar``, ``.txt`` with a path a line, ``.parquet`` with a column ``path``.
        not_listed: takes what cannot be used.
        skip: absolute path of a folder that is passed over: that of the job may lie in a source.

    Raises:
        InputError: a source is missing, or is none of these.
    """
    for source in sources:
        path = Path(source)
        kind = path_kind(path)
        if kind == "absent" and _ADDRESS.match(source):
            raise InputError(
                f"{hide_in_url(source)} is an address, and nothing is fetched",
                wanted="a file or folder",
                do="Download it, or mount it.",
            )
        if kind == "absent":
            raise InputError(f"{path} does not exist", wanted="images to label")
        if kind == "other":
            raise InputError(f"{path} is not a regular file", got="a device, pipe or socket", wanted="images to label")
        if kind == "folder":
            yield from _below(str(path), _absolute(str(path)), not_listed, skip)
        elif path.suffix.lower() == ".txt":
            yield from _of_list(path, not_listed)
        elif path.suffix.lower() == ".parquet":
            yield from _of_table(path, not_listed)
        else:
            _check_kind(path)
            yield from _of_file(str(path), _absolute(str(path)), not_listed)


def _check_kind(path: Path) -> None:
    if path.name.lower().endswith(_PACKED):
        raise InputError(
            f"{path} is a compressed archive, whose images cannot be read one by one",
            wanted="an uncompressed .tar",
            do="Decompress it first, for example: gunzip FILE.tar.gz",
        )
    if path.suffix.lower() not in _LISTED:
        raise InputError(
            f"{path} is not a source of images",
            got=f"suffix {path.suffix!r}",
            wanted="a folder, an image, a video, a .tar, a .txt with one path per line, or a .parquet with a column "
            "'path'",
        )


def _below(shown: str, folder: str, not_listed: NotListed, skip: str) -> Iterator[Item]:
    """Yield what lies in a folder and below, but for what is hidden and for labelling jobs, whose images lie elsewhere.

    Links to folders are not followed. Folders may lie in one another as deep as the system lets them.
    """
    waiting = _entries(shown, folder, not_listed, skip)
    while waiting:
        name, entry = waiting.pop()
        if entry.is_dir(follow_symlinks=False):
            waiting += _entries(name, entry.path, not_listed, skip)
        elif _suffix(entry.name) in _LISTED:
            yield from _of_file(name, entry.path, not_listed)


def _entries(shown: str, folder: str, not_listed: NotListed, skip: str) -> list[tuple[str, os.DirEntry[str]]]:
    """Return the entries of a folder and the names to show, the first one last; see :func:`_below`."""
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name, reverse=True)
    except OSError as error:
        not_listed.add(shown, error.strerror or str(error))
        return []
    if sum(entry.name in (JOB_NAME, PLAN_NAME) for entry in entries) == 2:
        not_listed.add(shown, "it is the folder of a labelling job")
        return []
    before = "" if shown == "." else f"{shown}/"
    return [
        (f"{before}{entry.name}", entry) for entry in entries if not entry.name.startswith(".") and entry.path != skip
    ]


def _of_file(shown: str, path: str, not_listed: NotListed) -> Iterator[Item]:
    if not _is_utf8(shown) or not _is_utf8(path):
        not_listed.add(shown, "its name is not UTF-8")
        return
    suffix = _suffix(path)
    if suffix == ".tar":
        yield from _of_tar(shown, path, not_listed)
    else:
        yield Item(shown, path, "video" if suffix in VIDEO_SUFFIXES else "file")


def _of_tar(shown: str, path: str, not_listed: NotListed) -> Iterator[Item]:
    """Yield the images of a tar by their places in it; other members, such as WebDataset's labels, are passed over."""
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                if tar.offset <= member.offset:
                    not_listed.add(shown, "a member has a negative size: the rest of it cannot be read")
                    return
                if _suffix(member.name) in IMAGE_SUFFIXES:
                    if why := _why_not(member):
                        not_listed.add(f"{shown}/{member.name}", why)
                    else:
                        yield Item(f"{shown}/{member.name}", path, "member", member.offset_data, member.size)
                tar.members = []  # type: ignore[attr-defined]  # it would keep all of them
        if not _has_end(path, tar.offset):
            not_listed.add(shown, "it is truncated")
    except (tarfile.TarError, OSError, ValueError, RecursionError) as error:  # the latter of long names in a row
        not_listed.add(shown, f"the rest of it cannot be read: {error}")


def _why_not(member: tarfile.TarInfo) -> str:
    """Return why a member of a tar cannot be an image; nothing where it can."""
    if not member.isreg():
        return "it is a link or no file"
    if member.issparse():
        return "its bytes do not lie in one piece"
    return "" if _is_utf8(member.name) else "its name is not UTF-8"


def _has_end(path: str, offset: int) -> bool:
    """Whether a tar has its end mark, a block of zeros, behind its last member: tarfile takes any end for one."""
    with open(path, "rb") as file:  # noqa: PTH123 - a name, as tarfile takes it
        file.seek(offset)
        return file.read(tarfile.BLOCKSIZE) == bytes(tarfile.BLOCKSIZE)


def _of_list(path: Path, not_listed: NotListed) -> Iterator[Item]:
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as lines:
        for line in lines:
            named = line.rstrip("\r\n")
            if named.strip():
                yield from _named(path, named, not_listed)


def _named(path: Path, named: str, not_listed: NotListed) -> Iterator[Item]:
    """Yield what a list or table names; a name is relative to its folder, and an address is none."""
    if _ADDRESS.match(named):
        not_listed.add(hide_in_url(named), "it is an address, and nothing is fetched")
        return
    shown = named if named.startswith("/") or str(path.parent) == "." else f"{path.parent}/{named}"
    yield from _of_file(shown, _absolute(shown), not_listed)


def _of_table(path: Path, not_listed: NotListed) -> Iterator[Item]:
    from pyarrow import ArrowException, parquet

    try:
        with parquet.ParquetFile(path) as table:
            columns = [name for name in ("path", "id") if name in table.schema_arrow.names]
            if "path" not in columns:
                raise InputError(
                    f"{path} has no column 'path'",
                    got=f"the columns {', '.join(map(repr, table.schema_arrow.names))}",
                    wanted="a column 'path' with the paths of the images",
                )
            for name in columns:
                _check_column(path, name, table.schema_arrow.field(name).type)
            for rows in table.iter_batches(batch_size=_ROWS, columns=columns, use_threads=False):
                found = rows.to_pydict()
                for named, given in zip(found["path"], found.get("id", [None] * len(rows)), strict=True):
                    if named is None:
                        not_listed.add(str(path), "a row has no value in the column 'path'")
                        continue
                    for item in _named(path, str(named), not_listed):
                        yield item if given is None else _with_id(item, str(given))
    except ArrowException as error:
        raise InputError(f"{path} cannot be read", got=str(error), wanted="a Parquet file") from error


def _check_column(table: Path, name: str, kind: Any) -> None:
    from pyarrow import types

    values = kind.value_type if types.is_dictionary(kind) else kind
    is_text = types.is_string(values) or types.is_large_string(values) or str(values) == "string_view"
    if not is_text and not (name == "id" and types.is_integer(values)):
        raise InputError(
            f"the column {name!r} of {table} cannot be used",
            got=str(kind),
            wanted="text" if name == "path" else "text or whole numbers",
        )


def _with_id(item: Item, given: str) -> Item:
    """Return an item under the id of its row; the members of a tar keep their names behind it."""
    name = f"{given}/{item.id.rpartition('.tar/')[2]}" if item.kind == "member" else given
    return Item(name, item.path, item.kind, item.offset, item.size)


def _absolute(name: str) -> str:
    return os.path.abspath(name)  # noqa: PTH100 - resolve() would follow links, and asks the disk for each


def _suffix(name: str) -> str:
    """Return the suffix in small letters; quicker than a Path for each of millions."""
    stem, dot, suffix = name.rpartition(".")
    return f".{suffix.lower()}" if dot and stem and "/" not in suffix else ""


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
