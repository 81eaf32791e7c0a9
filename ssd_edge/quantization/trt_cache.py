"""NVIDIA's text calibration cache: the road to INT8 on DLA and in TensorRT's implicit mode, up to 10.x.

The first line names the release and the algorithm that it claims to come from; TensorRT takes a cache of its own name
only. Each other line is a tensor and its scale, amax / 127, as the eight hexadecimal digits of a big-endian float32.
"""

from __future__ import annotations

import struct
from dataclasses import replace

import onnx

from ssd_edge.core.calibration_table import CalibrationTable, TensorRange, symmetric_scale
from ssd_edge.core.errors import ArtifactError
from ssd_edge.graph.editor import Graph, network_nodes

_JOINING = ("MaxPool", "AveragePool", "Add", "Concat")


def with_common_ranges(table: CalibrationTable, model: onnx.ModelProto) -> CalibrationTable:
    """Return the table with one range, the widest, for the inputs and outputs of each joining node of the network.

    What several of them have in common has one range too. An output in front of its ReLU or clip, which is not
    observed, is given it as well.
    """
    ranges = dict(table.ranges)
    for group in _groups(Graph(model)):
        known = [ranges[name] for name in group if name in ranges]
        if known:
            common = TensorRange(min(entry.low for entry in known), max(entry.high for entry in known))
            ranges.update(dict.fromkeys(sorted(group), common))
    return replace(table, ranges=ranges)


def _groups(graph: Graph) -> list[set[str]]:
    """Return the tensors that joining nodes hold together, each in one group. What adds a constant joins nothing."""
    groups: list[set[str]] = []
    for node in network_nodes(graph):
        if node.op_type in _JOINING and graph.constants.keys().isdisjoint(node.input):
            joined = {*node.input, node.output[0], graph.activated(node)}
            met = [group for group in groups if group & joined]
            groups = [group for group in groups if group not in met] + [joined.union(*met)]
    return groups


ALGORITHM = "EntropyCalibration2"  # the one that DLA takes


def write_cache(table: CalibrationTable, model: onnx.ModelProto, *, version: str, algorithm: str = ALGORITHM) -> bytes:
    """Return the cache of a table for a release of TensorRT, with one scale for what a DLA joins.

    Args:
        table: ranges by tensor name; TensorRT keeps the names of the ONNX.
        model: that the ranges are of.
        version: as ``tensorrt.__version__`` says, e.g. ``8.5.2.2`` or ``10.3.0``.
        algorithm: of the calibrator that hands the cache over.

    Raises:
        ArtifactError: a name that does not fit into a line, or no version.
    """
    lines = [f"TRT-{_version_number(version)}-{algorithm}"]
    for name, entry in with_common_ranges(table, model).ranges.items():
        if "\n" in name or "\r" in name:
            raise ArtifactError(
                f"the tensor {name!r} cannot be stored in a calibration cache",
                wanted="a name without line breaks",
                do="Build without --dla and --implicit.",
            )
        lines.append(f"{name}: {struct.pack('>f', symmetric_scale(entry.amax)).hex()}")
    return ("\n".join(lines) + "\n").encode()


def _version_number(version: str) -> int:
    """Return NV_TENSORRT_VERSION: from release 10 on the major counts 10,000, before 1,000 (NvInferVersion.h)."""
    try:
        major, minor, patch = (int(part) for part in version.split(".")[:3])
    except ValueError as error:
        what, wanted = "the version of TensorRT is invalid", "a version such as 10.3.0"
        raise ArtifactError(what, got=version, wanted=wanted) from error
    return major * (10_000 if major >= 10 else 1_000) + minor * 100 + patch
