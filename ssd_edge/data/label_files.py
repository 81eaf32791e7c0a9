"""What all readers of label files share: bounded text, safe names, lists of classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import path_kind
from ssd_edge.core.images import IMAGE_SUFFIXES
from ssd_edge.core.label_errors import LabelError

CLASS_FILE = "labels.txt"
_MAX_LABEL_BYTES = 32 << 20  # of one picture's labels: far above any real one, far below what exhausts memory


def read_label_text(path: Path, *, limit: int = _MAX_LABEL_BYTES, kind: str = "label file") -> str:
    """Return the text of a label file, or of another that is read as carefully; ``kind`` is what messages call it.

    Raises:
        LabelError: it is missing, no regular file, larger than ``limit`` bytes or not UTF-8.
    """
    if path_kind(path) == "other":
        raise _unreadable(path, "is no regular file", got="a device, pipe or socket", wanted=f"a {kind}")
    try:
        size = path.stat().st_size
        if size > limit:
            raise _unreadable(path, f"is too large for a {kind}", got=f"{size} bytes", wanted=f"at most {limit}")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise _unreadable(path, "cannot be read", got=error.strerror or str(error), wanted=f"a {kind}") from error
    except UnicodeDecodeError as error:
        raise _unreadable(path, "is not text in UTF-8", got=str(error), do="Save the file as UTF-8.") from error


def _unreadable(path: Path, what: str, *, got: str, wanted: str = "", do: str = "") -> LabelError:
    return LabelError("label-unreadable", f"{path} {what}", file=path, got=got, wanted=wanted, do=do)


def inner_path(folder: Path, name: str, *, origin: Path) -> Path:
    """Return ``folder / name`` for a name that a label file states.

    Raises:
        LabelError: the name is empty, absolute or leads out of the folder by ``..``.
    """
    parts = {*PurePosixPath(name).parts, *PureWindowsPath(name).parts}
    absolute = PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor
    if not name or "\0" in name or absolute or ".." in parts:
        raise LabelError(
            "name-unsafe",
            f"{origin} names a file outside its folder",
            file=origin,
            got=repr(name)[:200],
            wanted=f"a name inside {folder}, without ..",
        )
    return folder / name


def existing_image(image: Path, *, origin: Path) -> Path:
    """Return ``image``, which the label file ``origin`` belongs to.

    Raises:
        LabelError: there is no such file.
    """
    if path_kind(image) != "file":
        raise LabelError(
            "image-missing",
            f"{origin} has no image",
            file=origin,
            got=f"nothing at {image}",
            wanted="an image for every label file",
            do="Copy the image there, or take it out of the list.",
        )
    return image


def image_with_stem(folder: Path, stem: str, *, origin: Path) -> Path:
    """Return the picture ``folder/stem`` with whatever suffix pictures have.

    Raises:
        LabelError: there is none.
    """
    plain = inner_path(folder, stem, origin=origin)
    for suffix in (".jpg", *sorted(IMAGE_SUFFIXES - {".jpg"})):
        for spelled in (suffix, suffix.upper()):
            image = plain.with_name(plain.name + spelled)
            if path_kind(image) == "file":
                return image
    raise LabelError(
        "image-missing",
        f"{origin} names an image that is missing",
        file=origin,
        got=f"nothing at {plain}.*",
        wanted=", ".join(sorted(IMAGE_SUFFIXES)),
        do="Copy the image there, or take it out of the list.",
    )


def read_class_file(path: Path) -> tuple[str, ...]:
    """Return the classes of a ``labels.txt``: one a line, in the order of their numbers.

    Raises:
        InputError: it is unreadable or empty, or lists a class twice, or lists background.
    """
    names = tuple(line.strip() for line in read_label_text(path).splitlines() if line.strip())
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
    if isinstance(classes, str) and _is_file(classes):
        return read_class_file(Path(classes))
    names = classes.split(",") if isinstance(classes, str) else classes
    return checked_class_names([name.strip() for name in names if name.strip()], origin=Path("--classes"))


def _is_file(classes: str) -> bool:
    try:
        return path_kind(Path(classes)) == "file"
    except InputError:  # a list that is too long for a file's name
        return False


def checked_class_names(names: Sequence[str], *, origin: Path) -> tuple[str, ...]:
    """Return the classes as they are.

    Raises:
        InputError: there is none, one is listed twice or cannot be printed, or background is listed.
    """
    if not names:
        raise InputError(f"{origin} lists no class", wanted="one class or more")
    unprintable = [name for name in names if not name.isprintable()]
    if unprintable:
        raise InputError(f"{origin} lists a class that cannot be printed", got=repr(unprintable[0])[:80])
    doubles = sorted(name for name, count in Counter(names).items() if count > 1)
    if doubles:
        raise InputError(f"{origin} lists a class twice", got=", ".join(doubles), wanted="each class once")
    background = [name for name in names if name.lower() in ("background", "__background__")]
    if background:
        raise InputError(
            f"{origin} lists {background[0]!r} as a class",
            wanted="real classes only; background is added by the model",
            do="Delete it from the list.",
        )
    return tuple(names)
