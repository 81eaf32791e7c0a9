"""The ONNX Runtime lowering: the graph optimised for this processor once, instead of at every start."""

from __future__ import annotations

from pathlib import Path

import onnx

from ssd_edge.backends.cpu import cpu_device, has_vnni
from ssd_edge.backends.ort import TARGET, OrtBackend
from ssd_edge.backends.ort_session import open_session, ort_version
from ssd_edge.backends.threads import Threads
from ssd_edge.core.progress import Progress, silent
from ssd_edge.core.scratch import scratch_folder
from ssd_edge.engines.ort_nms import use_non_max_suppression
from ssd_edge.engines.ort_stem import read_columns_together


class OrtBuilder:
    """Builds engines for ONNX Runtime on this processor.

    Attributes:
        target, runtime, runtime_version, device, batch, options: what the manifest says of the engine.
    """

    target = TARGET
    runtime = TARGET
    batch = (1, 1, 0)

    def __init__(self) -> None:
        self.runtime_version = ort_version()
        self.device = cpu_device()
        self.options = {"nms": "NonMaxSuppression"}  # an engine of another lowering is not taken for this one
        if self._groups_columns:
            self.options["int8_stem"] = "4 columns"

    def check(self) -> None:
        """There is nothing that it is asked for and could not do."""

    def build(self, model: onnx.ModelProto, engine: Path, progress: Progress = silent) -> None:
        """Write the optimised graph; its layouts and fused kernels are those of this processor.

        Raises:
            ArtefactError: ONNX Runtime refuses the graph, or it is none of ours.
        """
        with scratch_folder() as folder:
            path = folder / f"{model.graph.name}.onnx"
            onnx.save(use_non_max_suppression(model), path)
            with OrtBackend(path, Threads(workers=1, per_worker=1)):
                progress(1, 2)
            open_session(path, threads=1, optimise=True, save_to=engine)
        if self._groups_columns:
            _group_columns(engine)
        progress(2, 2)

    @property
    def _groups_columns(self) -> bool:
        """Whether it pays: without VNNI the larger product costs more than what it saves is worth."""
        return has_vnni(self.device)


def _group_columns(engine: Path) -> None:
    model = onnx.load(engine)
    if read_columns_together(model):
        onnx.save(model, engine)
