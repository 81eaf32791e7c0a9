"""Common parts of all label readers: bounded text, safe names, lists of classes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import PathKind, is_file, path_kind
from ssd_edge.core.images import IMAGE_SUFFIXES
from ssd_edge.core.label_errors import LabelError
from ssd_edge.core.limits import how_to_raise
from ssd_edge.core.limits import limit as limit_of

CLASS_FILE = "labels.txt"
_MAX_LABEL_BYTES = 32 << 20  # of one image's labels: far above any real one, far below what exhausts memory


def read_label_text(path: Path, *, limit: int = _MAX_LABEL_BYTES, kind: str = "label file") -> str:
    """Return the text of a label file, or of another that is read as carefully; ``kind`` is what messages call it.

    Raises:
        LabelError: it is missing, no regular file, larger than ``limit`` bytes or not UTF-8.
    """
    if seen_kind(path) == "other":
        raise _unreadable(path, "is not a regular file", got="a device, pipe or socket", wanted=f"a {kind}")
    try:
        size = path.stat().st_size
        if size > limit:
            raise _unreadable(path, f"is too large for a {kind}", got=f"{size} bytes", wanted=f"at most {limit}")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unreadable(
            path, "is not text in UTF-8", got=_undecodable(error), do="Save the file as UTF-8."
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = error.strerror if isinstance(error, OSError) else None
        raise _unreadable(path, f"cannot be read ({reason or error})", wanted=f"a {kind}") from error


def _undecodable(error: UnicodeDecodeError) -> str:
    return f"the byte 0x{error.object[error.start]:02x} at position {error.start}"


def _unreadable(path: Path, what: str, *, got: str = "", wanted: str = "", do: str = "") -> LabelError:
    return LabelError("label-unreadable", f"{path} {what}", file=path, got=got, wanted=wanted, do=do)


def inner_path(folder: Path, name: str, *, origin: Path, root: Path | None = None) -> Path:
    """Return ``folder / name`` for a name that a label file states; an absolute one must lie in the data set.

    Args:
        folder: what the name is relative to.
        name: as stated.
        origin: the label file.
        root: folder of the data set; by default ``folder``.

    Raises:
        LabelError: the name is empty, leads out of the folder by ``..``, or is absolute and leads elsewhere.
    """
    parts = {*PurePosixPath(name).parts, *PureWindowsPath(name).parts}
    absolute = PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor
    if name and "\0" not in name and ".." not in parts:
        if not absolute:
            return folder / name
        if (inside := _inside(root or folder, name)) is not None:
            return inside
    raise LabelError(
        "name-unsafe",
        f"{origin} names a file outside its folder",
        file=origin,
        got=repr(name)[:200],
        wanted=f"a file inside {root or folder}",
    )


def _inside(root: Path, name: str) -> Path | None:
    """Return the path of an absolute name inside the data set's folder; None if it is elsewhere."""
    for base in dict.fromkeys((Path.cwd() / root, root.resolve())):
        if Path(name).is_absolute() and Path(name).is_relative_to(base):
            return root / Path(name).relative_to(base)
    return None


def missing_image(image: Path, *, origin: Path) -> LabelError:
    """Return the error of a label file whose image is not there, or lies where nobody may look."""
    error = _hidden_image(image, origin) or LabelError(
        "image-missing",
        f"{origin} names an image that is missing",
        file=origin,
        got=f"nothing at {str(image)[:200]}",
        wanted=f"an image file ({', '.join(sorted(IMAGE_SUFFIXES))})",
        do="Copy the image there, or remove it from the list.",
    )
    error.image = image
    return error


def _hidden_image(image: Path, origin: Path) -> LabelError | None:
    try:
        is_file(image)
    except InputError as error:
        return LabelError("image-unreadable", error.what, file=origin, do="Let this user enter and read its folder.")
    return None


def seen_kind(path: Path) -> PathKind:
    """Return what lies at a path that is only searched: nothing where a folder may not be entered."""
    try:
        return path_kind(path)
    except InputError:
        return "absent"


def is_there(path: Path) -> bool:
    """Whether a path leads to what may be a label file, but cannot be read: a pipe, a dead link, a locked folder."""
    try:
        path.lstat()
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True


class ImageFolders:
    """Finds images by their names, with or without a suffix; each folder is listed once.

    Args:
        folders: where to look, in this order.
        root: folder of the data set, in which absolute names must lie; by default the first.
    """

    def __init__(self, *folders: Path, root: Path | None = None) -> None:
        self.folders = tuple(dict.fromkeys(folders))
        self.root = root or self.folders[0]
        self._listed: dict[Path, dict[str, str]] = {}

    def find(self, name: str) -> Path | None:
        """Return the image of this name, which may lead into folders below; None where there is none.

        Of several with one stem the ``.jpg`` is taken.
        """
        if not name or "\0" in name or ".." in PurePosixPath(name).parts or Path(name).is_absolute():
            return None
        inner = Path(name)
        for folder in self.folders:
            place = folder / inner.parent
            found = self._names(place).get(inner.name)
            if found is not None:
                return place / found
        return None

    def _names(self, folder: Path) -> dict[str, str]:
        """Each image's name by its name and by its stem."""
        if folder not in self._listed:
            names = sorted(list_image_names(folder), key=_preference, reverse=True)
            self._listed[folder] = {name.rpartition(".")[0]: name for name in names} | {name: name for name in names}
        return self._listed[folder]


def _preference(name: str) -> tuple[bool, str, str]:
    suffix = name.rpartition(".")[2]
    return suffix.lower() not in ("jpg", "jpeg"), suffix.lower(), name


def list_image_names(folder: Path) -> list[str]:
    """Return the names of the images in a folder, but for hidden ones; none where it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if is_image_name(entry.name) and entry.is_file()]
    except (OSError, ValueError):
        return []


def is_image_name(name: str) -> bool:
    """Whether a file of this name is an image that is meant to be seen."""
    return Path(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith(".")


def files_named(folder: Path, pattern: str) -> list[Path]:
    """Return the files of a folder, but for hidden ones, that a pattern fits, sorted; none where it is not there."""
    try:
        found = [path for path in folder.glob(pattern) if not path.name.startswith(".") and path.is_file()]
    except (OSError, ValueError):
        return []
    return sorted(found)


def folders_in(folder: Path) -> list[Path]:
    """Return the folders in a folder, but for hidden ones, sorted; none where it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith((".", "__"))]
    except (OSError, ValueError):
        return []
    return [folder / name for name in sorted(names)]


def read_class_file(path: Path) -> tuple[str, ...]:
    """Return the classes of a ``labels.txt``: one a line, in the order of their numbers.

    Raises:
        InputError: it is unreadable or empty, or lists a class twice, or lists background.
    """
    names = tuple(line.strip() for line in read_label_lines(path) if line.strip())
    return checked_class_names(names, origin=path)


def listed_class_names(classes: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the classes that are asked for; None where nothing is given.

    Args:
        classes: the names, or a file with one a line, or a text of names with commas between.

    Raises:
        InputError: there is no name, one is listed twice or is background, or the file cannot be read.
    """
    if classes is None:
        return None
    if isinstance(classes, str) and is_file(Path(classes)):
        return read_class_file(Path(classes))
    names = classes.split(",") if isinstance(classes, str) else classes
    return checked_class_names([name.strip() for name in names if name.strip()], origin=Path("--classes"))


def read_label_lines(path: Path, *, limit_bytes: int = _MAX_LABEL_BYTES) -> list[str]:
    """Return the lines of a label file, or of a list of images.

    Raises:
        LabelError: as :func:`read_label_text`, or it has more lines than the limit ``lines``.
    """
    text = read_label_text(path, limit=limit_bytes)
    count, most = text.count("\n"), limit_of("lines")
    if count > most:
        do = how_to_raise("lines", count)
        raise _unreadable(path, "has too many lines", got=f"{count}", wanted=f"at most {most}", do=do)
    return text.splitlines()


def _check_number_and_length(names: Sequence[str], origin: Path) -> None:
    for got, name, of_what in (
        (len(names), "classes", "classes"),
        (max(map(len, names)), "name", "characters in a class name"),
    ):
        if got > limit_of(name):
            raise InputError(
                f"{origin} lists too many {of_what}",
                got=f"{got}",
                wanted=f"at most {limit_of(name)}",
                do=how_to_raise(name, got),
            )


def checked_class_names(names: Sequence[str], *, origin: Path) -> tuple[str, ...]:
    """Return the classes as they are.

    Raises:
        InputError: there is none, one is listed twice or cannot be printed, or background is listed.
    """
    if not names:
        raise InputError(f"{origin} lists no class", wanted="at least one class")
    _check_number_and_length(names, origin)
    unprintable = [name for name in names if not name.isprintable()]
    if unprintable:
        raise InputError(
            f"{origin} lists a class name with characters that cannot be printed", got=repr(unprintable[0])[:80]
        )
    doubles = sorted(name for name, count in Counter(names).items() if count > 1)
    if doubles:
        raise InputError(f"{origin} lists a class twice", got=", ".join(doubles), wanted="each class only once")
    background = [name for name in names if name.lower() in ("background", "__background__")]
    if background:
        raise InputError(
            f"{origin} lists {background[0]!r} as a class",
            wanted="only classes of objects",
            do="Delete it from the list: the model adds the background itself.",
        )
    return tuple(names)
