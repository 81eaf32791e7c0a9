"""VGG16 as the projects around amdegroot/ssd.pytorch number its layers: one flat list of 35."""

from __future__ import annotations

import re

from ssd_edge.export.imports.mapping import shifted

_CONV5 = range(23, 30)  # pool4 to conv5_3's ReLU
_ATROUS = range(30, 35)  # pool5, conv6, ReLU, conv7, ReLU


def vgg_rules(prefix: str) -> list[tuple[str, str]]:
    """Return the rules from ``<prefix>.<layer>.`` to the names of our VGG backbone."""
    return [
        *shifted(prefix, "backbone.extra.0", _CONV5, offset=_CONV5.start),
        *shifted(prefix, "backbone.extra.0.7", _ATROUS, offset=_ATROUS.start),
        *shifted(prefix, "backbone.features", range(_CONV5.start), offset=0),
    ]


def flat_extra_rules(prefix: str, stages: int) -> list[tuple[str, str]]:
    """Return the rules for additional stages whose convolutions are one flat list under ``prefix``, two a stage."""
    return [
        (rf"^{re.escape(prefix)}\.{2 * k + i}\.", f"backbone.extra.{k + 1}.{2 * i}.")
        for k in range(stages)
        for i in (0, 1)
    ]
