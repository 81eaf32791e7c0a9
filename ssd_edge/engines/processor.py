"""Builders for the runtimes of a processor, of which a machine may have more than one."""

from __future__ import annotations

from ssd_edge.core.choices import Precision, Target
from ssd_edge.engines.builder import Builder
from ssd_edge.engines.openvino_build import OpenVinoBuilder
from ssd_edge.engines.ort_build import OrtBuilder


def processor_builder(target: Target, precision: Precision) -> Builder:
    """Return what builds for a runtime of the processor.

    Raises:
        MissingPackageError: the runtime is not installed.
    """
    return OpenVinoBuilder(precision) if target is Target.OPENVINO else OrtBuilder()
