"""Checkpoints: weights, spec and metrics in one file that holds no code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ssd_edge.core.errors import ArtifactError, InputError, SsdEdgeError
from ssd_edge.core.files import written_beside
from ssd_edge.core.shell import quoted
from ssd_edge.core.spec import ModelSpec
from ssd_edge.core.torch_zip import is_archive
from ssd_edge.model.ssd import SSD
from ssd_edge.model.torch_archive import load_archive
from ssd_edge.model.weights import with_weights

CHECKPOINT_FORMAT = "ssd-edge/checkpoint/1"


@dataclass(frozen=True)
class Checkpoint:
    """A trained detector.

    Attributes:
        model: with its weights, on the CPU, in evaluation mode.
        spec: the model's spec.
        metrics: what was measured when it was saved, e.g. ``{"map50": 0.83}``.
    """

    model: SSD
    spec: ModelSpec
    metrics: dict[str, float] = field(default_factory=dict)


def save_checkpoint(path: Path, model: SSD, metrics: Mapping[str, float] | None = None) -> None:
    """Write weights, spec and metrics to ``path``, whole or not at all.

    Raises:
        InputError: the folder cannot be written.
    """
    content = {
        "format": CHECKPOINT_FORMAT,
        "spec": model.spec.to_json(),
        "metrics": {name: float(value) for name, value in (metrics or {}).items()},
        "state_dict": {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()},
    }
    write_archive(path, content)


def write_archive(path: Path, content: Mapping[str, Any]) -> None:
    """Write what ``torch.load`` reads without executing anything, whole or not at all.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    with written_beside(path) as partial, partial.open("wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:
            # torch ends its archive even where writing was broken off, fails at that, and so hides what broke it off.
            if isinstance(error.__context__, (OSError, KeyboardInterrupt)):
                raise error.__context__ from None
            raise


def load_checkpoint(path: Path) -> Checkpoint:
    """Read what :func:`save_checkpoint` wrote. Nothing in the file is executed.

    Raises:
        InputError: the file cannot be read.
        ArtifactError: it is not a checkpoint of this project, is damaged, or its weights do not fit its spec.
    """
    content = _read(path)
    found = content.get("format") if isinstance(content, dict) else type(content).__name__
    if found != CHECKPOINT_FORMAT:
        raise ArtifactError(
            f"{path} is not a checkpoint of this version",
            got=repr(found),
            wanted=CHECKPOINT_FORMAT,
            do=f"If another project trained it, convert it: ssd-edge import {quoted(path)}",
        )
    try:
        spec = ModelSpec.from_json(content["spec"], origin=str(path))
        metrics = {str(name): float(value) for name, value in content["metrics"].items()}
        weights = dict(content["state_dict"])
        model = with_weights(spec, weights, origin=str(path))
    except SsdEdgeError:
        raise
    except Exception as error:  # what numbers make of a network that no check forbids is PyTorch's to say
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    return Checkpoint(model, spec, metrics)


def _damaged(path: Path, got: str) -> ArtifactError:
    return ArtifactError(
        f"{path} is a damaged checkpoint", got=got, wanted=CHECKPOINT_FORMAT, do="Copy the file again, or train again."
    )


def _read(path: Path) -> Any:
    try:
        if not is_archive(path):
            raise ArtifactError(f"{path} is not a checkpoint", got=_size(path), wanted=CHECKPOINT_FORMAT)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error})", wanted="a checkpoint") from error
    return load_archive(path, lambda text: _damaged(path, text.splitlines()[0]), wanted="a checkpoint")


def _size(path: Path) -> str:
    return f"a file of {path.stat().st_size} bytes that is no PyTorch archive"
