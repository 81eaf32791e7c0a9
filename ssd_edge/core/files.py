"""Files that are either whole or absent, and their digests."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO, Literal

from ssd_edge.core.errors import InputError, write_remedy
from ssd_edge.core.limits import how_to_raise, limit
from ssd_edge.core.partials import MARK, check_written, held, sweep_once

_CHUNK_BYTES = 1 << 20
_LONGEST_STEM_BYTES = 200

PathKind = Literal["file", "folder", "other", "absent"]


def path_kind(path: Path) -> PathKind:
    """Return what lies at ``path``, links followed; ``other`` is a device, pipe or socket.

    ``Path.exists`` and its kin raise OSError for what is neither there nor absent.

    Raises:
        InputError: it is unknown: the name is too long, links go round in circles, or a folder may not be entered.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "absent"
    except (OSError, ValueError) as error:  # ValueError: a null character
        reason = error.strerror if isinstance(error, OSError) else None
        raise InputError(f"{path} is not a usable path ({reason or error})") from error
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else "other"


def is_file(path: Path) -> bool:
    """Whether a file is at a path that another file may have named: there is none at a name that no file can have.

    Raises:
        InputError: it is unknown: a folder may not be entered.
    """
    return _is_kind(path, "file")


def is_folder(path: Path) -> bool:
    """Whether a folder is at such a path.

    Raises:
        InputError: as :func:`is_file`.
    """
    return _is_kind(path, "folder")


def _is_kind(path: Path, kind: PathKind) -> bool:
    try:
        return path_kind(path) == kind
    except InputError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno not in (errno.ENAMETOOLONG, errno.ELOOP):
            raise
        return False


def cannot_list(folder: Path, error: OSError) -> InputError:
    """Return the error of a folder whose entries cannot be read."""
    return InputError(
        f"{folder} cannot be listed ({error.strerror or error})", do="Let this user enter and read the folder."
    )


def refuse_unlisted(folder: Path) -> None:
    """Refuse a folder whose entries cannot be read.

    Raises:
        InputError: it is there, and may not be listed or entered.
    """
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                entry.stat(follow_symlinks=False)  # refused where the folder may be listed but not entered
                break
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise cannot_list(folder, error) from error


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading; a device, a pipe or a socket, where reading could wait or go on without end, is refused.

    Raises:
        OSError: it is not a regular file, or cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, "it is a device, pipe or socket, not a regular file", str(path))


def read_regular(path: Path) -> bytes:
    """Return the bytes of a file as :func:`open_regular` opens it; no larger one than the limit ``bytes``.

    Raises:
        OSError: it is not a regular file, or cannot be read.
        InputError: it is larger.
    """
    with open_regular(path) as file:
        size, most = os.fstat(file.fileno()).st_size, limit("bytes")
        if size > most:
            do = how_to_raise("bytes", size)
            raise InputError(f"{path} is too large", got=f"{size} bytes", wanted=f"at most {most}", do=do)
        return file.read()


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """Return the text of a file as :func:`read_regular` reads it.

    Raises:
        OSError: it is not a regular file, or cannot be read.
        InputError: it is too large.
        UnicodeDecodeError: it is no text in this encoding.
    """
    return read_regular(path).decode(encoding)


@contextmanager
def written_beside(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that takes its place when the block ends without an error.

    The temporary name keeps the suffix of ``path`` (some writers choose a format by it). After an error or Ctrl-C
    the temporary file is removed and ``path`` is as it was before. What a killed process left there is removed.

    Args:
        path: of the file.
        durable: wait until the disk has the file, so that a power cut leaves the old one or the new one, and no empty
            one. Not worth its time for one of thousands.

    Raises:
        InputError: the folder cannot be made or written, or ``path`` is a device, pipe or socket.
    """
    if not path.name:
        raise InputError(f"{path} is a folder", wanted="the name of a file to write")
    refuse_device(path)
    partial = path.with_name(f".{_short_stem(path)}.{os.getpid()}{MARK}.partial{path.suffix}")
    make_folder(path.parent)
    sweep_once(path.parent)
    try:
        with held(partial):
            yield partial
            check_written(partial)
            if durable:
                flush_file(partial)
            partial.replace(path)
        if durable:
            flush_names(path.parent)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror or error})",
            do=write_remedy(error),
        ) from error
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def folder_written_beside(folder: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield an empty folder beside ``folder`` that takes its place when the block ends without an error.

    After an error or Ctrl-C the new folder is removed and ``folder`` is as it was before.

    Args:
        folder: absent, or a folder, which is then replaced with all that it holds.
        durable: wait until the disk has each file; not worth its time for thousands that can be made again.

    Raises:
        InputError: it cannot be made or written, or ``folder`` is something else, or has no name: ``.`` or ``..``.
    """
    if folder.name in ("", ".."):
        raise InputError(
            f"{folder} cannot be replaced",
            got="a path that does not end in a name",
            wanted="a path such as out/signs",
        )
    if path_kind(folder) not in ("folder", "absent"):
        raise InputError(f"{folder} is a file", wanted="a folder to replace, or a new name")
    partial, old = (folder.with_name(f".{folder.name}.{os.getpid()}{MARK}.{kind}") for kind in ("partial", "old"))
    sweep_once(folder.parent)
    make_folder(partial)
    try:
        with held(partial, folder=True), held(folder, folder=True) if folder.is_dir() else nullcontext():
            yield partial
            if durable:
                _flush_tree(partial)
            if folder.is_dir():
                folder.rename(old)
            partial.rename(folder)
        flush_names(folder.parent)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written ({error.strerror or error})",
            do=write_remedy(error),
        ) from error
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
        shutil.rmtree(partial, ignore_errors=True)


def _flush_tree(folder: Path) -> None:
    for inside in folder.rglob("*"):
        (flush_names if inside.is_dir() else flush_file)(inside)
    flush_names(folder)


def flush_file(path: Path) -> None:
    """Wait until the disk has the bytes of a file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_names(folder: Path) -> None:
    """Wait until the disk has the names in a folder, where the system can say so; what they name is whole anyway."""
    with suppress(OSError):
        flush_file(folder)


def refuse_device(path: Path) -> None:
    """Raise InputError where a new file would take the place of a device, pipe or socket, such as /dev/null.

    /dev/stdout is a link that leads into /proc.
    """
    if path_kind(path) == "other" or (path.is_symlink() and path.readlink().is_relative_to("/proc")):
        raise InputError(
            f"{path} is not a regular file", got="a device, pipe or socket", wanted="a regular file, or a new name"
        )


def _short_stem(path: Path) -> str:
    """The stem; of one that leaves no room for more in a name of 255 bytes, the digest."""
    stem = os.fsencode(path.stem)
    return path.stem if len(stem) <= _LONGEST_STEM_BYTES else hashlib.sha256(stem).hexdigest()


def make_folder(folder: Path) -> None:
    """Make ``folder`` and its parents, and see that a file can be written there.

    Raises:
        InputError: it is a file, or it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".write-probe.{os.getpid()}"
        probe.touch()
        probe.unlink(missing_ok=True)  # another thread may have probed at the same time
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written ({error.strerror or error})",
            wanted="a writable folder",
            do="Choose another place, or change its permissions.",
        ) from error


def file_digest(path: Path) -> str:
    """Return ``sha256:<64 hex digits>`` of the file's bytes.

    Raises:
        InputError: the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open_regular(path) as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error})", wanted="a file") from error
    return f"sha256:{digest.hexdigest()}"


def text_digest(text: str) -> str:
    """Return ``sha256:<64 hex digits>`` of the text in UTF-8; lone surrogates, which JSON may hold, are kept."""
    return bytes_digest(text.encode("utf-8", "surrogatepass"))


def bytes_digest(data: bytes) -> str:
    """Return ``sha256:<64 hex digits>`` of the bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
