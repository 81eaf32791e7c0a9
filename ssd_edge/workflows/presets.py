"""List the networks that can be trained, what they cost, and what others measured with them: ``ssd-edge models``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.core.config import check_number
from ssd_edge.core.errors import InputError
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.requirements import require_torch
from ssd_edge.core.resources import with_named_resources

if TYPE_CHECKING:
    from ssd_edge.model.presets import Published

CLASSES = 20  # of Pascal VOC, which published figures are of


@dataclass(frozen=True)
class PresetInfo:
    """A network that can be trained.

    Attributes:
        name: what ``train --preset`` takes.
        boxes: number of anchors.
        parameters: that are trained.
        macs: multiply-adds of one image.
        published: the best known accuracy; None where none is known.
    """

    name: str
    boxes: int
    parameters: int
    macs: int
    published: Published | None


@dataclass(frozen=True)
class PresetsResult:
    """Networks that can be trained.

    Attributes:
        presets: in the order of their names in the table, or as they were asked for.
        classes: that the costs are for.
        path: None, as nothing is written.
        left_out: empty, as an unknown name is an error.
    """

    presets: tuple[PresetInfo, ...]
    classes: int
    path: Path | None = None
    left_out: tuple[LeftOut, ...] = ()


@with_named_resources
def list_presets(names: str | Sequence[str] | None = None, *, classes: int = CLASSES) -> PresetsResult:
    """Return size, cost and published accuracy of presets.

    Args:
        names: one or several, also ``ssd<side>-<timm backbone>``, ``ssdlite<side>-<timm backbone>`` and
            ``ssdlite<side>-<timm backbone>-stride8``; None for all.
        classes: number of real classes; the predictors grow with it.

    Raises:
        InputError: there is no preset of a name, or no class.
        MissingPackageError: PyTorch is not installed, or timm for a backbone of its.
    """
    check_number("classes", classes, whole=True)
    if classes < 1:
        raise InputError("classes is out of range", got=str(classes), wanted="at least 1")
    require_torch("the networks need PyTorch")
    from ssd_edge.model.zoo import find_preset, make_spec, network_cost, preset_names

    found = []
    for name in [names] if isinstance(names, str) else names or preset_names():
        cost = network_cost(make_spec(name, [f"class {number}" for number in range(1, classes + 1)]))
        found.append(PresetInfo(name, cost.boxes, cost.parameters, cost.macs, find_preset(name).published))
    return PresetsResult(tuple(found), classes)
