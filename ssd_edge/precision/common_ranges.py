"""One range for all that a pool, a sum or a concatenation joins: a DLA rescales nothing in between."""

from __future__ import annotations

from dataclasses import replace

import onnx

from ssd_edge.core.ranges import CalibrationTable, TensorRange
from ssd_edge.precision.graph import Graph, network_nodes

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
