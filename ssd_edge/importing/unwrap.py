"""Removes what training scripts put around weights: dictionaries in dictionaries, and prefixes before every name.

PyTorch Lightning writes ``{"state_dict": {"model.…"}}``, ``torch.compile`` puts ``_orig_mod.`` into names,
data-parallel training ``module.``, averaging of weights ``module.`` and a counter ``n_averaged``; trainers nest them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from ssd_edge.core.log import log
from ssd_edge.importing.family import StateDict

_WRAPPERS = ("model", "state_dict", "model_state_dict", "net", "network", "weights", "ema", "model_ema", "module")
_MOST_WRAPPERS = 8  # a hostile file may wrap itself
_COMPILED = "_orig_mod"
_COUNTER = "n_averaged"
_HALVES = (torch.float16, torch.bfloat16, torch.float64)


def tensors_of(content: Any) -> StateDict:
    """Return the tensors of a state dict, or of the one in a wrapper such as ``{"model": {"state_dict": …}}``.

    Of several wrapped ones the first of model, state_dict, … is taken, and the log names the others. Numbers of other
    precisions become float32, which the networks have.
    """
    for _ in range(_MOST_WRAPPERS):
        if not isinstance(content, Mapping):
            return {}
        inner = [name for name in _WRAPPERS if isinstance(content.get(name), Mapping) and content[name]]
        if not inner or any(isinstance(value, Tensor) for value in content.values()):
            break
        if len(inner) > 1:
            log.info(f"using the weights under {inner[0]!r}, not those under {', '.join(map(repr, inner[1:]))}")
        content = content[inner[0]]
    return {str(name): _single(value) for name, value in content.items() if isinstance(value, Tensor)}


def without_prefixes(tensors: StateDict, is_known: Callable[[StateDict], bool]) -> StateDict:
    """Return the tensors under the names that a network of one of the projects has.

    What the names begin with is taken away, one part at a time, until ``is_known``. Where others lie beside the
    network's, as the loss of a Lightning module does, those are left out, and the log says how many.

    Args:
        tensors: as they were saved.
        is_known: whether these are names of a known network.
    """
    named = {_plain(name): tensor for name, tensor in tensors.items() if name != _COUNTER}
    for stripped in _stripped(named):
        if is_known(stripped):
            if len(stripped) < len(named):
                log.info(f"{len(named) - len(stripped)} tensors that do not belong to the network are left out")
            return stripped
    return named


def _plain(name: str) -> str:
    return ".".join(part for part in name.split(".") if part != _COMPILED)


def _stripped(tensors: StateDict) -> Iterator[StateDict]:
    """Yield the tensors as they are, and then without ever more of what most names begin with."""
    for _ in range(_MOST_WRAPPERS):
        yield tensors
        heads = Counter(name.partition(".")[0] for name in tensors if "." in name)
        if not heads:
            return
        prefix = heads.most_common(1)[0][0] + "."
        tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _single(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in _HALVES else tensor
