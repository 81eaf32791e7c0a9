"""The digests of a package: ``SHA256SUMS`` as ``sha256sum`` writes and checks it, of every file but itself."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.files import file_digest, read_regular

SUMS_NAME = "SHA256SUMS"
_MOST_NAMED = 4


def write_sums(folder: Path) -> None:
    """Write the digests of all files of a folder, sorted by name: the same files give the same bytes."""
    (folder / SUMS_NAME).write_bytes(_sums_of(folder))


def check_sums(folder: Path, *, origin: Path) -> tuple[str, ...]:
    """Return the files of a package, each as its digest says.

    The whole text is compared and not only what can be read of it, so that no byte of it can differ either.

    Args:
        folder: of the package.
        origin: what the user named, for errors: the folder, or the archive that it came from.

    Raises:
        ArtifactError: a file differs, is missing or is not listed, or there are no digests; each is named.
    """
    try:
        written = read_regular(folder / SUMS_NAME)
    except OSError as error:
        raise _damaged(
            origin, f"{SUMS_NAME} cannot be read ({error.strerror})", "the file with the package's digests"
        ) from error
    wanted = _sums_of(folder)
    if written != wanted:
        raise _damaged(origin, _difference(_parsed(written), _parsed(wanted)), f"the files of {SUMS_NAME}, unchanged")
    return tuple(_parsed(wanted))


def files_of(folder: Path) -> Iterator[str]:
    """Yield the names of all files below a folder, with /, sorted by their bytes.

    Raises:
        ArtifactError: there is a link, a device or another thing that is no file.
    """
    names = []
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place) / name
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                raise _damaged(
                    folder, f"{path.relative_to(folder)} is a link or not a regular file", "files and folders"
                )
        names += [(Path(place) / name).relative_to(folder).as_posix() for name in files]
    yield from sorted(names, key=os.fsencode)


def _sums_of(folder: Path) -> bytes:
    names = (name for name in files_of(folder) if name != SUMS_NAME)
    return b"".join(
        f"{file_digest(folder / name).removeprefix('sha256:')}  ".encode() + os.fsencode(name) + b"\n" for name in names
    )


def _parsed(sums: bytes) -> dict[str, str]:
    """Return the digest of each name; lines of another form count by their own digest."""
    found = {}
    for line in sums.split(b"\n"):
        digest, _, name = line.partition(b"  ")
        if name:
            found[os.fsdecode(name)] = digest.decode("ascii", "replace")
        elif line:
            found[f"line {hashlib.sha256(line).hexdigest()[:8]} of {SUMS_NAME}"] = ""
    return found


def _difference(written: Mapping[str, str], there: Mapping[str, str]) -> str:
    changed = sorted(name for name in written if name in there and written[name] != there[name])
    missing, added = sorted(written.keys() - there.keys()), sorted(there.keys() - written.keys())
    parts = [
        f"{', '.join(names[:_MOST_NAMED])}{' and others' if len(names) > _MOST_NAMED else ''} {what}"
        for names, what in ((changed, "changed"), (missing, "missing"), (added, "not listed"))
        if names
    ]
    return "; ".join(parts) or f"a different format of {SUMS_NAME}"


def _damaged(path: Path, got: str, wanted: str) -> ArtifactError:
    return ArtifactError(
        f"{path} is damaged or has been changed",
        got=got,
        wanted=wanted,
        do="Copy the package again, or package the model again.",
    )
