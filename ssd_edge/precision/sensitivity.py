"""How much error each layer adds when it alone runs in INT8: what to return to float first, and a picture of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

import onnx

from ssd_edge.core.progress import Progress, silent
from ssd_edge.precision.graph import Graph
from ssd_edge.precision.output_error import Measure

Quantise = Callable[[frozenset[str]], onnx.ModelProto]
"""Gives the INT8 model in which the named nodes are left in float."""

_BAR_WIDTH, _ROW, _NAME_WIDTH = 420, 18, 460


@dataclass(frozen=True)
class LayerError:
    """A layer and the output error (see :class:`~ssd_edge.precision.output_error.OutputError`) of it in INT8 alone."""

    name: str
    error: float


def convolutions(model: onnx.ModelProto) -> list[str]:
    """Return the names of the convolutions of an exported model, in its order."""
    return [node.name for node in Graph(model).weighted("Conv", "ConvTranspose")]


def sensitivity(
    model: onnx.ModelProto, quantise: Quantise, measure: Measure, *, progress: Progress = silent
) -> list[LayerError]:
    """Return every convolution with the error that it adds, the worst first.

    Args:
        model: as exported.
        quantise: lowers it.
        measure: of the whole model's outputs against the float ones.
        progress: told after each layer.
    """
    names = convolutions(model)
    found = []
    for done, name in enumerate(names, start=1):
        found.append(LayerError(name, measure(quantise(frozenset(names) - {name}))))
        progress(done, len(names), "measuring layers")
    return sorted(found, key=lambda entry: -entry.error)


def sensitivity_svg(layers: Sequence[LayerError], title: str) -> str:
    """Return a bar chart of the layers, in the order given, as a stand-alone SVG."""
    largest = max((entry.error for entry in layers), default=0) or 1.0
    height = _ROW * (len(layers) + 2)
    width = _NAME_WIDTH + _BAR_WIDTH + 90
    rows = [
        f'<text x="{_NAME_WIDTH - 8}" y="{y + 13}" text-anchor="end">{escape(entry.name[-64:])}</text>'
        f'<rect x="{_NAME_WIDTH}" y="{y + 3}" width="{max(1.0, _BAR_WIDTH * entry.error / largest):.1f}" '
        f'height="{_ROW - 5}" fill="#c0392b"/>'
        f'<text x="{_NAME_WIDTH + _BAR_WIDTH * entry.error / largest + 6:.1f}" y="{y + 13}">{entry.error:.4f}</text>'
        for y, entry in zip(range(2 * _ROW, height, _ROW), layers, strict=True)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height + 8}" '
        f'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>'
        f'<text x="8" y="18" font-size="14">{escape(title)}</text>{"".join(rows)}</svg>\n'
    )
