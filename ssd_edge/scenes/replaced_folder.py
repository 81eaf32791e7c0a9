"""Folders that are either whole or absent."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import make_folder


@contextmanager
def replaced_folder(folder: Path, *, marker: str, overwrite: bool) -> Iterator[Path]:
    """Yield an empty folder beside ``folder`` that takes its place when the block ends without an error.

    After an error or Ctrl-C the new folder is removed and ``folder`` is as it was before.

    Args:
        folder: absent, empty, or with a file named ``marker`` in it: then it may be replaced.
        marker: the file by which a folder of the same origin is known.
        overwrite: replace a folder of another origin too.

    Raises:
        InputError: the folder holds something else, contains the working folder, or cannot be written.
    """
    target = folder.resolve()
    _refuse_foreign(target, folder, marker, overwrite)
    make_folder(target.parent)
    partial, old = (target.with_name(f".{target.name}.{os.getpid()}.partial{end}") for end in ("", ".old"))
    try:
        partial.mkdir()
        yield partial
        if target.exists():
            target.replace(old)
        partial.replace(target)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written",
            got=error.strerror or str(error),
            do="Free some space, or choose another folder.",
        ) from error
    finally:
        if old.exists() and not target.exists():
            old.replace(target)
        shutil.rmtree(old, ignore_errors=True)
        shutil.rmtree(partial, ignore_errors=True)


def _refuse_foreign(target: Path, folder: Path, marker: str, overwrite: bool) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise InputError(f"{folder} is a file", wanted="a folder, new or empty")
    if target == Path.cwd() or target in Path.cwd().parents:
        raise InputError(f"{folder} is the folder that you work in", do="Name a new folder inside it.")
    count = sum(1 for _ in target.iterdir())
    if count and not overwrite and not (target / marker).is_file():
        raise InputError(
            f"{folder} is not empty and was not drawn by ssd-edge",
            got=f"{count} files and folders",
            wanted="a new or empty folder",
            do="Choose another folder, or replace all that it holds with --overwrite.",
        )
