"""The rows of a detector's class logits, moved to where another detector has the class of the same name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from ssd_edge.model.ssd import SSD


def logit_tensors(model: SSD) -> Iterator[str]:
    """Name the weights and biases whose first axis is (default boxes of a cell) x (background and classes)."""
    head = model.head.classification_head
    for level, predictor in enumerate(head.module_list):
        last = [name for name, module in predictor.named_modules() if isinstance(module, nn.Conv2d)][-1]
        path = ".".join(part for part in ("head.classification_head.module_list", str(level), last) if part)
        yield from (f"{path}.weight", f"{path}.bias")


def rows_by_class(own: Tensor, found: Tensor, names: Sequence[str], known: Sequence[str]) -> Tensor | None:
    """Return ``own`` with the rows of background and of each class that both know taken from ``found``.

    Args:
        own: (A * (len(names) + 1), …); rows are anchor-major, background first.
        found: (A * (len(known) + 1), …).
        names: classes of ``own``, without background.
        known: classes of ``found``.

    Returns:
        None where no class is common, or where the shapes are of another head.
    """
    common = [name for name in names if name in known]
    anchors, rest = divmod(len(own), len(names) + 1)
    if not common or rest or found.shape != (anchors * (len(known) + 1), *own.shape[1:]):
        return None
    rows = own.reshape(anchors, len(names) + 1, *own.shape[1:]).clone()
    taken = found.reshape(anchors, len(known) + 1, *own.shape[1:])
    rows[:, [0, *(names.index(name) + 1 for name in common)]] = taken[
        :, [0, *(known.index(name) + 1 for name in common)]
    ]
    return rows.reshape(own.shape)
