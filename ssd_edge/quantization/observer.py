"""Run images through the float network and keep a histogram of every tensor, in constant memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx

from ssd_edge.backends.cpu import physical_cores
from ssd_edge.backends.ort_session import load_runtime, make_session, ort_errors
from ssd_edge.core.errors import InputError
from ssd_edge.core.files import written_beside
from ssd_edge.core.graph_contract import INPUT_NAME
from ssd_edge.core.images import read_image
from ssd_edge.core.log import log
from ssd_edge.core.preprocess import preprocess
from ssd_edge.core.progress import Progress, silent
from ssd_edge.core.text_parsers import parse_json
from ssd_edge.graph.editor import Graph, copied, network_nodes, set_float_outputs
from ssd_edge.graph.source import SourceModel
from ssd_edge.quantization.range_estimators import StreamingHistogram

_SAVED_EVERY = 32  # images
_AT_LEAST = 2
# What reading a damaged archive of arrays ends in, bit by bit as it may be damaged.


class Observer:
    """Histograms of named tensors over images.

    Args:
        source: the exported model; images are prepared as the camera's are.
        tensors: names of float tensors inside of it.
        optimize: let ONNX Runtime fuse and re-arrange layers, which changes the last digit of some values, and the time
            by a factor.
    """

    def __init__(self, source: SourceModel, tensors: Sequence[str], *, optimize: bool = True) -> None:
        self._optimize = optimize
        self._source = source
        self._tensors = list(tensors)
        self.histograms = {name: StreamingHistogram() for name in tensors}
        self.seen = 0
        self._within_image = False

    def observe(
        self,
        images: Sequence[Path],
        *,
        state: Path | None = None,
        progress: Progress = silent,
    ) -> None:
        """Run the images, from where ``state`` was left if that belongs to them.

        Args:
            images: files.
            state: where to keep what is done, every few images and when interrupted; it stays until the caller makes
                something of the histograms removes it.
            progress: called after each image.

        Raises:
            InputError: too few images, or one cannot be read.
            ArtifactError: a tensor is not finite, or ONNX Runtime refuses the graph.
        """
        if len(images) < _AT_LEAST:
            raise InputError(
                "there are too few images for calibration",
                got=str(len(images)),
                wanted=f"at least {_AT_LEAST}, better a few hundred",
                do="Give more images: ssd-edge calibrate --images FOLDER",
            )
        if state is not None and state.is_file():
            self._resume(state, len(images))
        session = _observing_session(self._source, self._tensors, optimize=self._optimize)
        with self.kept(state), ThreadPoolExecutor(physical_cores()) as pool, ort_errors(self._source.path):
            for path in images[self.seen :]:
                image = preprocess(read_image(path), self._source.spec.input)
                outputs = session.run(self._tensors, {INPUT_NAME: image[None]})
                self._count(pool, outputs)
                progress(self.seen, len(images), "measuring ranges")
                if state is not None and self.seen % _SAVED_EVERY == 0:
                    self._save(state)

    def _count(self, pool: ThreadPoolExecutor, outputs: Sequence[Any]) -> None:
        """Count an image in all tensors; interrupted, to its end, unless it could not be given to all of them."""
        self._within_image = True  # from here on some tensors have counted it and others not
        counting = [pool.submit(self._add, name, values) for name, values in zip(self._tensors, outputs, strict=True)]
        try:
            for done in counting:
                done.result()
        finally:
            wait(counting)
            if not any(done.exception() for done in counting):
                self.seen, self._within_image = self.seen + 1, False

    def _add(self, name: str, values: Any) -> None:
        self.histograms[name].add(values, name=name)

    @contextmanager
    def kept(self, state: Path | None) -> Iterator[None]:
        """Save what was done when the work inside the block is interrupted between two images, or after the last."""
        try:
            yield
        except (KeyboardInterrupt, SystemExit):
            if state is not None and self.seen and not self._within_image:
                self._save(state)
            raise

    def _save(self, state: Path) -> None:
        arrays: dict[str, Any] = {
            f"counts.{number}": self.histograms[name].counts for number, name in enumerate(self._tensors)
        }
        plain = {name: _plain(self.histograms[name]) for name in self._tensors}
        header = json.dumps({"seen": self.seen, "tensors": self._tensors, "histograms": plain})
        with written_beside(state) as partial, partial.open("wb") as file:
            np.savez(file, header=np.array(header), **arrays)

    def _resume(self, state: Path, images: int) -> None:
        """Take up saved work; a damaged file is begun anew, as nothing but time is lost with it."""
        try:
            found = _read_state(state)
            if found.tensors != self._tensors or not 0 <= found.seen <= images:
                raise ValueError("it belongs to another calibration")
        except Exception as error:  # noqa: BLE001 - zipfile, zlib and NumPy raise anything at damaged bytes
            log.warning(
                f"the interrupted calibration {state} cannot be continued ({error}): measuring all images again"
            )
            return
        self.histograms, self.seen = dict(zip(found.tensors, found.histograms, strict=True)), found.seen


class _State(NamedTuple):
    """Saved work: the tensors, the histogram of each, and the number of images in them."""

    tensors: list[str]
    histograms: list[StreamingHistogram]
    seen: int


def _read_state(path: Path) -> _State:
    with np.load(path, allow_pickle=False) as saved:
        header = parse_json(str(saved["header"]))
        tensors = list(header["tensors"])
        histograms = [
            StreamingHistogram.restored({**header["histograms"][name], "counts": saved[f"counts.{number}"]})
            for number, name in enumerate(tensors)
        ]
        return _State(tensors, histograms, int(header["seen"]))


def _plain(histogram: StreamingHistogram) -> dict[str, float | int | None]:
    return {"exponent": histogram.exponent, "low": histogram.low, "high": histogram.high}


def _observing_session(source: SourceModel, tensors: Sequence[str], *, optimize: bool) -> Any:
    """Open the network with the tensors as its outputs; what no tensor needs (decoding, NMS) is not run."""
    model = copied(source.model)
    set_float_outputs(model, tensors)
    ort = load_runtime()
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = physical_cores(), 1
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.log_severity_level = 4
    if not optimize:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    with ort_errors(source.path):
        return make_session(model.SerializeToString(), options)


_IN_EIGHT_BITS = ("Conv", "ConvTranspose", "Add", "Mul", "Concat", "MaxPool", "AveragePool", "GlobalAveragePool")


def observed_tensors(model: onnx.ModelProto) -> list[str]:
    """Return the names of the tensors that some lowering stores in 8 bits, in the order of the graph.

    They are what goes into convolutions, sums, products, concatenations and pools of the network, and what comes out,
    behind the ReLU or clip that belongs to it. Pre-processing, decoding and NMS have none.
    """
    graph = Graph(model)
    behind: set[str] = set()
    names: dict[str, None] = {}
    for node in network_nodes(graph):
        is_behind = node.op_type in ("Conv", "ConvTranspose") or bool(behind & set(node.input))
        if is_behind:
            behind.update(node.output)
        if is_behind and node.op_type in _IN_EIGHT_BITS:
            inputs = node.input[:1] if node.op_type.startswith("Conv") else node.input
            names |= dict.fromkeys(name for name in inputs if name not in graph.constants)
            names[graph.activated(node)] = None
    return list(names)
