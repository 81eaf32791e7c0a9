"""The one door through which files of PyTorch come in: nothing is executed, and every fault is one named error."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ssd_edge.core.errors import ArtifactError, InputError, SsdEdgeError
from ssd_edge.core.torch_zip import archive_members, is_archive

_DEEPEST = 64  # dictionaries and lists inside one another
_REPEATED_BYTES = 256 << 20  # what a tensor may stand for that repeats fewer


def load_archive(path: Path, refusal: Callable[[str], SsdEdgeError], *, wanted: str) -> Any:
    """Return what ``torch.save`` wrote: plain values, and tensors in memory that are as large as they say.

    Args:
        path: the file.
        refusal: makes the error from PyTorch's text, of one line or more, for a file that is damaged or holds code.
        wanted: what the file should be, for an error that says it cannot be read.

    Raises:
        InputError: the file cannot be read.
        ArtifactError: it unfolds to more than weights do, or holds tensors without values.
        SsdEdgeError: what ``refusal`` gives.
    """
    try:
        if is_archive(path):
            archive_members(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on old and foreign pickles; what matters is an error
            content = torch.load(path, map_location="cpu", weights_only=True)
        _check_values(path, content)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error})", wanted=wanted) from error
    except SsdEdgeError:
        raise
    except Exception as error:
        raise refusal(str(error) or type(error).__name__) from error
    return content


def _check_values(path: Path, content: Any) -> None:
    for tensor in _tensors(content):
        if tensor.device.type != "cpu" or tensor.layout != torch.strided:
            got = f"a tensor on {tensor.device.type!r}, {str(tensor.layout).removeprefix('torch.')}"
            raise ArtifactError(f"{path} contains tensors that are not dense", got=got, wanted="dense tensors")
        stands_for = tensor.numel() * tensor.element_size()
        if stands_for > max(tensor.untyped_storage().nbytes(), _REPEATED_BYTES):
            raise ArtifactError(
                f"{path} contains a tensor that is larger than the file",
                got=f"{stands_for} bytes that repeat {tensor.untyped_storage().nbytes()}",
                wanted=f"at most {_REPEATED_BYTES}",
            )


def _tensors(content: Any) -> Iterator[Tensor]:
    """Yield all tensors; a container that holds itself is walked once."""
    seen: set[int] = set()
    level = [content]
    for _ in range(_DEEPEST):
        inner: list[Any] = []
        for entry in level:
            if isinstance(entry, Tensor):
                yield entry
            elif isinstance(entry, (Mapping, list, tuple, set)) and id(entry) not in seen:
                seen.add(id(entry))
                inner += entry.values() if isinstance(entry, Mapping) else entry
        level = inner
    if any(isinstance(entry, (Tensor, Mapping, list, tuple, set)) and id(entry) not in seen for entry in level):
        raise ValueError(f"more than {_DEEPEST} nested containers")
