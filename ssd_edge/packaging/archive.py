"""A package as one ``.tar.gz``: the same files give the same bytes, and no byte can change unseen."""

from __future__ import annotations

import errno
import gzip
import os
import struct
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.files import open_regular, written_beside
from ssd_edge.core.limits import how_to_raise, limit
from ssd_edge.core.temp_dir import scratch_folder
from ssd_edge.packaging.digests import files_of

SUFFIX = ".tar.gz"
_LEVEL = 6
_HEADER = struct.pack("<HBBLBB", 0x8B1F, 8, 0, 0, 0, 255)
"""Of gzip: deflate, no name, no time, no level, no system. None of it is under the check sum."""
_CHUNK = 1 << 20
_BAD_NAMES = frozenset({errno.EEXIST, errno.ENAMETOOLONG, errno.ENOTDIR})
"""Of members: one that is there twice, is too long, or lies below a file."""


def archive_of(folder: Path) -> Path:
    """Return the name of a package's archive: that of the folder with ``.tar.gz``."""
    return folder.with_name(folder.name + SUFFIX)


def is_archive(path: Path) -> bool:
    """Return whether a file begins as an archive that was written here does.

    Raises:
        InputError: it cannot be read.
    """
    with _opened(path) as file:
        return file.read(len(_HEADER)) == _HEADER


def write_archive(folder: Path, archive: Path) -> None:
    """Write a folder as one archive with the folder's name in it; owners, times and modes are always the same.

    Raises:
        InputError: it cannot be written.
    """
    with written_beside(archive) as partial, partial.open("wb") as file:
        packer = _Gzip(file)
        with tarfile.open(fileobj=packer, mode="w|", format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]
            for name in files_of(folder):
                with (folder / name).open("rb") as content:
                    tar.addfile(_member(folder, name), content)
        packer.finish()


def _member(folder: Path, name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(f"{folder.name}/{name}")
    entry.size = (folder / name).stat().st_size
    entry.mode = 0o755 if os.access(folder / name, os.X_OK) else 0o644
    return entry


class _Gzip:
    """Writes gzip with a header of its own: Python's differs between releases."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._sum, self._size = 0, 0
        file.write(_HEADER)

    def write(self, data: bytes) -> int:
        self._sum, self._size = zlib.crc32(data, self._sum), self._size + len(data)
        self._file.write(self._deflate.compress(data))
        return len(data)

    def finish(self) -> None:
        self._file.write(self._deflate.flush() + struct.pack("<LL", self._sum, self._size & 0xFFFFFFFF))


@contextmanager
def unpacked(archive: Path) -> Iterator[Path]:
    """Yield the folder of a package, unpacked into a temporary folder.

    Raises:
        InputError: it cannot be read.
        ArtifactError: it is no archive of a package, is damaged, or unfolds to more than the limit ``bytes``.
    """
    with scratch_folder() as scratch:
        try:
            with _opened(archive) as file:
                _unpack(archive, file, scratch)
        except (OSError, EOFError, zlib.error, tarfile.TarError, UnicodeError, ValueError, RecursionError) as error:
            if isinstance(error, OSError) and error.errno is not None and error.errno not in _BAD_NAMES:
                raise  # a full disk, say, which is no fault of the archive
            raise _damaged(archive, getattr(error, "strerror", None) or str(error)) from error
        folders = list(scratch.iterdir())
        if len(folders) != 1 or not folders[0].is_dir():
            raise _damaged(archive, f"{len(folders)} entries at the top")
        yield folders[0]


def _opened(archive: Path) -> BinaryIO:
    try:
        return open_regular(archive)
    except OSError as error:
        raise InputError(
            f"{archive} cannot be read ({error.strerror or error})", wanted=f"a {SUFFIX} that ssd-edge package wrote"
        ) from error


def _unpack(archive: Path, file: IO[bytes], scratch: Path) -> None:
    if file.read(len(_HEADER)) != _HEADER:
        raise _damaged(archive, "another header")
    file.seek(0)
    room = limit("bytes")
    with gzip.open(file, "rb") as plain:
        with tarfile.open(fileobj=plain, mode="r|") as tar:
            for entry in tar:
                room = _less(room, entry.size, archive)
                _write(archive, tar, entry, scratch)
        while chunk := plain.read(_CHUNK):  # the check sum comes last
            room = _less(room, len(chunk), archive)


def _less(room: int, size: int, archive: Path) -> int:
    """Return the bytes that an archive may still unpack to, of which ``size`` have come."""
    if size > room:
        raise ArtifactError(
            f"{archive} unpacks to too much data",
            wanted=f"at most {limit('bytes')} bytes",
            do=how_to_raise("bytes", limit("bytes") - room + size),
        )
    return room - size


def _write(archive: Path, tar: tarfile.TarFile, entry: tarfile.TarInfo, scratch: Path) -> None:
    """Write a member, which must be a plain file inside of the folder."""
    name = PurePosixPath(entry.name)
    if not entry.isreg() or name.is_absolute() or ".." in name.parts or len(name.parts) < 2:
        raise _damaged(archive, f"the member {entry.name!r:.80}")
    target = scratch / name
    target.parent.mkdir(parents=True, exist_ok=True)
    source = tar.extractfile(entry)
    with target.open("xb") as file:
        while source is not None and (chunk := source.read(_CHUNK)):
            file.write(chunk)
    target.chmod(0o755 if entry.mode & 0o100 else 0o644)


def _damaged(archive: Path, got: str) -> ArtifactError:
    return ArtifactError(
        f"{archive} is damaged or has been changed",
        got=got,
        wanted=f"a package{SUFFIX} that ssd-edge package wrote",
        do="Copy the package again, or package the model again.",
    )
