"""Guess at the kind of a file that PyTorch rejects, for the error message. Nothing in it is run."""

from __future__ import annotations

import argparse
import pickletools
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import torch

from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.files import open_regular
from ssd_edge.core.shell import quoted
from ssd_edge.core.torch_zip import archive_members, is_archive
from ssd_edge.importing.family import StateDict
from ssd_edge.importing.unwrap import tensors_of
from ssd_edge.model.checkpoint import CHECKPOINT_FORMAT
from ssd_edge.model.torch_archive import load_archive
from ssd_edge.model.weight_source import read_safetensors

_SIGNATURES = (
    (rb"\x89HDF\r\n\x1a\n", "an HDF5 file, such as Keras weights"),
    (rb"....TFL3", "a TensorFlow Lite model"),
    (rb"....ORTM", "an ONNX Runtime model"),
    (rb"\x93NUMPY", "a NumPy array"),
    (rb"\0{4}[\1\2]\0{3}[\0-\x09]\0{3}", "darknet weights, as of a YOLO"),
    (rb"\x08[\0-\x1f][\x12-\x3a]", "a protobuf file, such as an ONNX or TensorFlow model"),
    (rb"\s*(?i:<!doctype|<html|<\?xml)", "a web page, from a download that failed"),
    (rb"version https://git-lfs", "a Git LFS pointer instead of the file itself; git lfs pull downloads the file"),
)
_SIGNATURE_BYTES = 64
_OLD_PYTORCH = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19"  # pickled magic number of PyTorch before 1.6
_HARMLESS = ("torch", "collections")
_TEXT = re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]+")
_WANTED = "the weights of a PyTorch SSD (a state dict saved by torch.save)"
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")


def kind_of(path: Path) -> str:
    """Return what an existing file looks like, e.g. ``a Keras file``."""
    with open_regular(path) as file:
        start = file.read(_SIGNATURE_BYTES)
    for signature, kind in _SIGNATURES:
        if re.match(signature, start, re.DOTALL):
            return kind
    if is_archive(path):
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
    return is_archive(path) and "constants.pkl" in _members(path)


def _members(path: Path) -> list[str]:
    return [Path(name).name for name in archive_members(path)]


def _archive(path: Path) -> str:
    names = _members(path)
    if {"config.json", "metadata.json"} <= set(names):
        return "a Keras file"
    if all(name.endswith(".npy") for name in names):
        return "an archive of NumPy arrays"
    if "data.pkl" in names:
        return "a damaged PyTorch file"
    return f"an archive of {', '.join(names[:3])}"


def _first_object(path: Path) -> str:
    """Return the name of the first object that a bare pickle asks for and weights do not need, or nothing."""
    with open_regular(path) as file:
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
        except Exception:  # noqa: BLE001 - bytes that are no pickle may make it raise anything
            return


def read_state_dict(path: Path) -> StateDict:
    """Return the tensors of a state dict, plain or in wrappers such as ``{"model": …}``, or of a ``.safetensors`` file.

    Raises:
        InputError: the file cannot be read.
        ArtifactError: it is no PyTorch file, is damaged, holds Python objects, or holds no tensors.
    """
    content = read_safetensors(path) if path.suffix.lower() == ".safetensors" else _load(path)
    _refuse_ours(path, content)
    tensors = tensors_of(content)
    if not tensors:
        found = ", ".join(map(str, list(content)[:5])) if isinstance(content, dict) else type(content).__name__
        raise ArtifactError(f"{path} contains no weights", got=found or "an empty dict", wanted=_WANTED)
    return tensors


def _refuse_ours(path: Path, content: Any) -> None:
    if isinstance(content, dict) and content.get("format") == CHECKPOINT_FORMAT:
        raise ArtifactError(
            f"{path} is already a checkpoint of ssd-edge and need not be imported",
            got=f"the format {CHECKPOINT_FORMAT}",
            wanted="weights of another project",
            do=f"Export it: ssd-edge export {quoted(path)}",
        )


def _load(path: Path) -> Any:
    try:
        if is_torchscript(path):
            raise _refused(path, "a TorchScript program")
        with _settings_allowed():
            return load_archive(path, lambda reason: _seems(path, reason), wanted=_WANTED)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error})", wanted=_WANTED) from error


def _seems(path: Path, reason: str) -> ArtifactError:
    """Return the error for what PyTorch refused, by what it asks for or looks like."""
    found = _GLOBAL.search(reason)
    return _refused(path, pickled(found[1]) if found else kind_of(path))


def _settings_allowed() -> AbstractContextManager[object]:
    """Let PyTorch read the arguments that torchvision's training script saves beside the weights: names and values."""
    allow = getattr(torch.serialization, "safe_globals", None)  # since PyTorch 2.5
    return nullcontext() if allow is None else allow([argparse.Namespace])


def _refused(path: Path, kind: str) -> ArtifactError:
    remedy = "If it should be one, copy or download the file again."
    if "pickle" in kind:
        remedy = "In the project that wrote it, save only the weights: torch.save(model.state_dict(), 'weights.pth')"
    return ArtifactError(f"{path} is not a file of weights", got=kind, wanted=_WANTED, do=remedy)
