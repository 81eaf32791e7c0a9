"""Reads the tensors of a PyTorch file without running anything that is in it."""

from __future__ import annotations

import argparse
import pickle
import re
import warnings
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ssd_edge.core.errors import ArtefactError, InputError
from ssd_edge.export.imports.family import StateDict
from ssd_edge.export.imports.file_kind import is_torchscript, kind_of, pickled
from ssd_edge.model.checkpoint import CHECKPOINT_FORMAT

_WANTED = "the weights of a PyTorch SSD (a state dict saved by torch.save)"
_WRAPPERS = ("model", "state_dict", "model_state_dict", "net", "ema")
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")


def read_state_dict(path: Path) -> StateDict:
    """Return the tensors of a plain state dict, or of one in a wrapper such as ``{"model": …}``.

    Raises:
        InputError: the file cannot be read.
        ArtefactError: it is no PyTorch file, is damaged, holds Python objects, or holds no tensors.
    """
    content = _load(path)
    _refuse_ours(path, content)
    for key in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    tensors = _tensors(content)
    if not tensors:
        found = ", ".join(map(str, list(content)[:5])) if isinstance(content, dict) else type(content).__name__
        raise ArtefactError(f"{path} holds no weights", got=found or "an empty dict", wanted=_WANTED)
    return tensors


def _refuse_ours(path: Path, content: Any) -> None:
    if isinstance(content, dict) and content.get("format") == CHECKPOINT_FORMAT:
        raise ArtefactError(
            f"{path} need not be imported",
            got=f"a checkpoint of ours ({CHECKPOINT_FORMAT})",
            wanted="weights of another project",
            do=f"Use it as it is: ssd-edge export {path}",
        )


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
        if is_torchscript(path):
            raise _refused(path, "a TorchScript program")
        with warnings.catch_warnings(), _settings_allowed():
            warnings.simplefilter("ignore")  # PyTorch's remarks on old and foreign pickles; what matters is an error
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path} cannot be read", got=error.strerror or str(error), wanted=_WANTED) from error
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError, AttributeError) as error:
        found = _GLOBAL.search(str(error))
        raise _refused(path, pickled(found[1]) if found else kind_of(path)) from error


def _settings_allowed() -> AbstractContextManager[object]:
    """Let PyTorch read the arguments that torchvision's training script saves beside the weights: names and values."""
    allow = getattr(torch.serialization, "safe_globals", None)  # since PyTorch 2.5
    return nullcontext() if allow is None else allow([argparse.Namespace])


def _refused(path: Path, kind: str) -> ArtefactError:
    remedy = "Copy the file again if it should be one."
    if "pickle" in kind:
        remedy = "In the project that made it, save the weights alone: torch.save(model.state_dict(), 'weights.pth')"
    return ArtefactError(f"{path} is no file of weights", got=kind, wanted=_WANTED, do=remedy)
