"""The projects whose weights can be imported, by network."""

from __future__ import annotations

from ssd_edge.export.imports import torchvision
from ssd_edge.export.imports.amdegroot import AMDEGROOT
from ssd_edge.export.imports.family import Family
from ssd_edge.export.imports.lufficc import LUFFICC
from ssd_edge.export.imports.nvidia import NVIDIA
from ssd_edge.export.imports.pytorch_ssd import PYTORCH_SSD

FAMILIES: tuple[Family, ...] = (
    torchvision.SSD300,
    torchvision.SSDLITE320,
    *PYTORCH_SSD,
    AMDEGROOT,
    *LUFFICC,
    NVIDIA,
)
"""At most one of them matches any file, so their order does not matter."""
