"""The layers of a model by the error that each adds in INT8: a table, a file for scripts and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.cli.console import say
from ssd_edge.core.files import written_beside

if TYPE_CHECKING:
    from ssd_edge.core.progress import Progress
    from ssd_edge.engines.source import SourceModel
    from ssd_edge.precision.sensitivity import LayerError, Quantise

RANKED_ON = 8
"""Pictures; a layer's place in the ranking hardly changes with more of them."""
_SHOWN = 10


class Ranking:
    """The layers, the worst first: measured, shown and written when they are first asked for, and only once.

    Args:
        source: the exported model.
        quantise: lowers it.
        pictures: files to measure the error on.
        progress: told after each layer.
    """

    def __init__(self, source: SourceModel, quantise: Quantise, pictures: Sequence[Path], progress: Progress) -> None:
        self._source = source
        self._quantise = quantise
        self._pictures = pictures
        self._progress = progress
        self._names: list[str] = []

    def names(self) -> list[str]:
        """Return the names of the layers; ``<model>.sensitivity.json`` and ``.svg`` lie beside the ONNX afterwards."""
        if not self._names:
            layers = self._measured()
            _tell(layers)
            self._write(layers)
            self._names = [entry.name for entry in layers]
        return self._names

    def _measured(self) -> list[LayerError]:
        from ssd_edge.core.images import read_image
        from ssd_edge.core.preprocess import preprocess
        from ssd_edge.precision.output_error import OutputError
        from ssd_edge.precision.sensitivity import sensitivity

        source = self._source
        entry = source.spec.input
        measure = OutputError(source.model, [preprocess(read_image(path), entry) for path in self._pictures])
        return sensitivity(source.model, self._quantise, measure, progress=self._progress)

    def _write(self, layers: Sequence[LayerError]) -> None:
        from ssd_edge.precision.ranked_layers import RankedLayers
        from ssd_edge.precision.sensitivity import sensitivity_svg

        source = self._source
        table, picture = (source.path.with_name(f"{source.path.stem}.sensitivity.{kind}") for kind in ("json", "svg"))
        title = f"{source.spec.name}: output error of each layer in INT8 alone"
        with written_beside(table) as figures, written_beside(picture) as drawn:
            ranked = RankedLayers(source.spec.name, source.digest, tuple(layers))
            figures.write_text(ranked.to_json(), encoding="utf-8")
            drawn.write_text(sensitivity_svg(layers, title), encoding="utf-8")
        say(f"all {len(layers)} layers: {table}, {picture}")


def _tell(layers: Sequence[LayerError]) -> None:
    """Print the worst, line by line, as a bar may be on the terminal."""
    say("output error that each layer adds in INT8 alone, the worst first:")
    for place, entry in enumerate(layers[:_SHOWN], start=1):
        say(f"{place:>4}  {entry.error:8.4f}  {entry.name}")
