"""The layers of a model by the error that each adds in INT8: a table, a file for scripts and an image."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import onnx

from ssd_edge.core.artifact import Format, read_artifact
from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.files import written_beside
from ssd_edge.core.images import read_image
from ssd_edge.core.log import log
from ssd_edge.core.preprocess import preprocess
from ssd_edge.core.progress import Progress, silent
from ssd_edge.graph.editor import Graph
from ssd_edge.graph.source import SourceModel
from ssd_edge.quantization.output_error import Measure, OutputError

Quantize = Callable[[frozenset[str]], onnx.ModelProto]
"""Gives the INT8 model in which the named nodes are left in float."""

SENSITIVITY_SUFFIX = ".sensitivity.json"
_FORMAT = "ssd-edge/sensitivity/1"
_FORM = Format(_FORMAT, "layer ranking", "Rank the layers again: ssd-edge build --int8 --sensitivity")
RANKED_ON = 8  # images; a layer's place in the ranking hardly changes with more of them
_SHOWN = 10
_BAR_WIDTH, _ROW, _NAME_WIDTH = 420, 18, 460


@dataclass(frozen=True)
class LayerError:
    """A layer and the output error (:class:`~ssd_edge.quantization.output_error.OutputError`) of it in INT8 alone."""

    name: str
    error: float


def convolutions(model: onnx.ModelProto) -> list[str]:
    """Return the names of the convolutions of an exported model, in its order."""
    return [node.name for node in Graph(model).weighted("Conv", "ConvTranspose")]


def sensitivity(
    model: onnx.ModelProto, quantize: Quantize, measure: Measure, *, progress: Progress = silent
) -> list[LayerError]:
    """Return every convolution with the error that it adds, the worst first.

    Args:
        model: as exported.
        quantize: lowers it.
        measure: of the whole model's outputs against the float ones.
        progress: called after each layer.
    """
    names = convolutions(model)
    found = []
    for done, name in enumerate(names, start=1):
        found.append(LayerError(name, measure(quantize(frozenset(names) - {name}))))
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


@dataclass(frozen=True)
class RankedLayers:
    """Layers, the worst first.

    Attributes:
        model: its name.
        onnx_digest: of the exported model that was measured.
        layers: with the error of each.
    """

    model: str
    onnx_digest: str
    layers: tuple[LayerError, ...]

    def to_json(self) -> str:
        """Return indented JSON."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, indent=1) + "\n"

    @classmethod
    def load(cls, path: Path) -> RankedLayers:
        """Read a file of them.

        Raises:
            ArtifactError: it is missing, damaged or of another version of the format.
        """
        made = read_artifact(path, cls, _FORM)
        if not all(math.isfinite(entry.error) for entry in made.layers):
            raise ArtifactError(f"{path} is a damaged {_FORM.what}", got="an error that is not a number", do=_FORM.do)
        return made


class Ranking:
    """The layers, the worst first: measured, shown and written when they are first asked for, and only once.

    Args:
        source: the exported model.
        quantize: lowers it.
        images: files to measure the error on.
        progress: called after each layer.
    """

    def __init__(self, source: SourceModel, quantize: Quantize, images: Sequence[Path], progress: Progress) -> None:
        self._source = source
        self._quantize = quantize
        self._images = images
        self._progress = progress
        self._names: list[str] = []

    def names(self) -> list[str]:
        """Return the names of the layers; ``<model>.sensitivity.json`` and ``.svg`` lie beside the ONNX afterwards."""
        if not self._names:
            entry = self._source.spec.input
            measure = OutputError(self._source.model, [preprocess(read_image(path), entry) for path in self._images])
            if not measure.compares:
                log.warning(f"the layers are not ranked: {measure.nothing_compared}")
                self._names = convolutions(self._source.model)
                return self._names
            layers = sensitivity(self._source.model, self._quantize, measure, progress=self._progress)
            _tell(layers)
            self._write(layers)
            self._names = [layer.name for layer in layers]
        return self._names

    def _write(self, layers: Sequence[LayerError]) -> None:
        source = self._source
        table, image = (source.path.with_name(f"{source.path.stem}.sensitivity.{kind}") for kind in ("json", "svg"))
        title = f"{source.spec.name}: output error of each layer in INT8 alone"
        with written_beside(table) as figures, written_beside(image) as drawn:
            ranked = RankedLayers(source.spec.name, source.digest, tuple(layers))
            figures.write_text(ranked.to_json(), encoding="utf-8")
            drawn.write_text(sensitivity_svg(layers, title), encoding="utf-8")
        log.info(f"all {len(layers)} layers: {table}, {image}")


def _tell(layers: Sequence[LayerError]) -> None:
    """Print the worst, line by line, as a bar may be on the terminal."""
    log.info("output error of each layer when only this layer computes in INT8, worst first:")
    for place, entry in enumerate(layers[:_SHOWN], start=1):
        log.info(f"{place:>4}  {entry.error:8.4f}  {entry.name}")
