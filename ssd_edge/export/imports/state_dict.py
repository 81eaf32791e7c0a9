"""Reads the tensors of a PyTorch file without running anything that is in it."""

from __future__ import annotations

import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ssd_edge.core.errors import ArtefactError, InputError
from ssd_edge.export.imports.family import StateDict

_WANTED = "the weights of a PyTorch SSD (a state dict saved by torch.save)"
_WRAPPERS = ("model", "state_dict", "model_state_dict", "net", "ema")
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")
_SIGNATURES = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file, as Keras writes its weights",
    b"TFL3": "a TensorFlow Lite model",
    b"ONNX": "an ONNX Runtime model",
}


def read_state_dict(path: Path) -> StateDict:
    """Return the tensors of a plain state dict, or of one in a wrapper such as ``{"model": …}``.

    Raises:
        InputError: the file cannot be read.
        ArtefactError: it is no PyTorch file, is damaged, holds Python objects, or holds no tensors.
    """
    content = _load(path)
    for key in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    tensors = _tensors(content)
    if not tensors:
        found = ", ".join(map(str, list(content)[:5])) if isinstance(content, dict) else type(content).__name__
        raise ArtefactError(f"{path} holds no weights", got=found or "an empty dict", wanted=_WANTED)
    return tensors


def _tensors(content: Any) -> StateDict:
    """Return the tensors by name; data-parallel training puts ``module.`` before every name."""
    if not isinstance(content, dict):
        return {}
    named = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    if all(key.startswith("module.") for key in named):
        return {key.removeprefix("module."): value for key, value in named.items()}
    return named


def _load(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path} cannot be read", got=error.strerror or str(error), wanted=_WANTED) from error
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError, AttributeError) as error:
        raise ArtefactError(
            f"{path} is no file of weights", got=_looks_like(path, str(error)), wanted=_WANTED, do=_remedy(str(error))
        ) from error


def _looks_like(path: Path, message: str) -> str:
    """Return what a file that PyTorch refuses seems to be."""
    with path.open("rb") as file:
        start = file.read(8)
    for signature, kind in _SIGNATURES.items():
        if signature in start:
            return kind
    found = _GLOBAL.search(message)
    if found:
        return _objects(found[1])
    if zipfile.is_zipfile(path):
        return _archive(path)
    if start.startswith(b"PK"):
        return f"a truncated archive of {path.stat().st_size} bytes"
    return f"{path.stat().st_size} bytes that are no PyTorch file"


def _objects(name: str) -> str:
    if re.search(r"yolo|ultralytics", name, re.IGNORECASE):
        return f"a YOLO, pickled with its Python classes ({name})"
    return f"a pickle that runs code or holds Python objects ({name}); nothing of it was run"


def _archive(path: Path) -> str:
    names = [Path(name).name for name in zipfile.ZipFile(path).namelist()]
    if "constants.pkl" in names:
        return "a TorchScript program"
    if "config.json" in names and "metadata.json" in names:
        return "a Keras file"
    return f"an archive of {', '.join(names[:3])}"


def _remedy(message: str) -> str:
    if _GLOBAL.search(message):
        return "In the project that made it, save the weights alone: torch.save(model.state_dict(), 'weights.pth')"
    return "Copy the file again if it should be one."
