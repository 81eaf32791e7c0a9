"""What a file that PyTorch refuses seems to be, so that the refusal names what the user holds. Nothing in it is run."""

from __future__ import annotations

import pickletools
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_SIGNATURES = (
    (rb"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes its weights"),
    (rb"....TFL3", "a TensorFlow Lite model"),
    (rb"....ORTM", "an ONNX Runtime model"),
    (rb"\x93NUMPY", "a NumPy array"),
    (rb"\0{4}[\1\2]\0{3}[\0-\x09]\0{3}", "darknet's weights, as a YOLO has them"),
    (rb"\x08[\0-\x1f][\x12-\x3a]", "a protobuf message, as ONNX and TensorFlow write models"),
    (rb"\s*(?i:<!doctype|<html|<\?xml)", "a web page, from a download that failed"),
    (rb"version https://git-lfs", "a pointer of Git LFS, not the file that it points to; git lfs pull fetches it"),
)
_SIGNATURE_BYTES = 64
_OLD_PYTORCH = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19"  # pickled magic number of PyTorch before 1.6
_HARMLESS = ("torch", "collections")
_TEXT = re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]+")


def kind_of(path: Path) -> str:
    """Return what an existing file looks like, e.g. ``a Keras file``."""
    with path.open("rb") as file:
        start = file.read(_SIGNATURE_BYTES)
    for signature, kind in _SIGNATURES:
        if re.match(signature, start, re.DOTALL):
            return kind
    if zipfile.is_zipfile(path):
        return _archive(path)
    name = _first_object(path)
    return pickled(name) if name else _bytes(start, path.stat().st_size)


def _bytes(start: bytes, size: int) -> str:
    if not size:
        return "an empty file"
    if start.startswith(b"PK"):
        return f"a truncated archive of {size} bytes"
    if start.startswith(_OLD_PYTORCH):
        return f"a truncated or damaged file of {size} bytes, written by PyTorch before 1.6"
    return f"a text of {size} bytes" if _TEXT.fullmatch(start) else f"{size} bytes that are no PyTorch file"


def pickled(name: str) -> str:
    """Return what a pickle looks like that asks for the Python object ``name``."""
    if re.search(r"yolo|ultralytics", name, re.IGNORECASE):
        return f"a YOLO, pickled with its Python classes ({name})"
    return f"a pickle that runs code or holds Python objects ({name}); nothing of it was run"


def is_torchscript(path: Path) -> bool:
    """Return whether the file is a compiled program instead of a state dict."""
    return zipfile.is_zipfile(path) and "constants.pkl" in _members(path)


def _members(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return [Path(name).name for name in archive.namelist()]


def _archive(path: Path) -> str:
    names = _members(path)
    if "constants.pkl" in names:
        return "a TorchScript program"
    if {"config.json", "metadata.json"} <= set(names):
        return "a Keras file"
    if all(name.endswith(".npy") for name in names):
        return "an archive of NumPy arrays"
    if "data.pkl" in names:
        return "a damaged PyTorch file"
    return f"an archive of {', '.join(names[:3])}"


def _first_object(path: Path) -> str:
    """Return the name of the first object that a bare pickle asks for and weights do not need, or nothing."""
    with path.open("rb") as file:
        for name in _objects(file):
            if name.split(".")[0] not in _HARMLESS:
                return name
    return ""


def _objects(file: BinaryIO) -> Iterator[str]:
    """Yield what a file of pickles, one behind the other, asks for; ends where there is no pickle any more."""
    texts: list[str] = []
    while True:
        try:
            for code, argument, _ in pickletools.genops(file):
                if code.name == "GLOBAL":
                    yield str(argument).replace(" ", ".")
                elif code.name == "STACK_GLOBAL":
                    yield ".".join(texts[-2:])
                elif "UNICODE" in code.name:
                    texts.append(str(argument))
        except (ValueError, IndexError, UnicodeDecodeError):
            return
