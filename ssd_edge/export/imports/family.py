"""What there is to know about a project whose weights can be imported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from ssd_edge.model.ssd import SSD

StateDict = dict[str, Tensor]
"""Tensors by name, as ``Module.state_dict()`` gives them."""


@dataclass(frozen=True)
class Family:
    """One network of one project.

    Attributes:
        name: what the project calls it, e.g. ``mb1-ssd``.
        source: whose weights these are, for the user, e.g. ``qfgaohao/pytorch-ssd and jetson-inference``.
        matches: whether these tensors belong to it; looks at names only, and at most one family says yes.
        convert: turns the tensors and the names of the real classes into our detector, in evaluation mode. Without
            names it takes built-in ones by their number. Raises ``ArtefactError`` where the tensors do not fit the
            network, ``InputError`` where the class names do not fit the tensors.
    """

    name: str
    source: str
    matches: Callable[[StateDict], bool]
    convert: Callable[[StateDict, tuple[str, ...] | None], SSD]
