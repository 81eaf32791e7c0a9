"""The ONNX Runtime lowering: the graph optimised for this processor once, instead of at every start."""

from __future__ import annotations

from pathlib import Path

from ssd_edge.backends.cpu import cpu_device
from ssd_edge.backends.ort import TARGET, OrtBackend
from ssd_edge.backends.ort_session import open_session, ort_version
from ssd_edge.backends.threads import Threads
from ssd_edge.core.spec import ModelSpec


class OrtBuilder:
    """Builds the engine of one ONNX.

    Attributes:
        spec: of the model, from the ONNX metadata.
        target, precision, runtime, runtime_version, device, batch: what the manifest says of the engine.
    """

    target = TARGET
    precision = "fp32"
    runtime = TARGET
    batch = (1, 1, 0)

    def __init__(self, onnx: Path) -> None:
        self._onnx = onnx
        self.runtime_version = ort_version()
        self.device = cpu_device()
        with OrtBackend(onnx, Threads(workers=1, per_worker=1)) as backend:
            self.spec: ModelSpec = backend.spec

    def build(self, engine: Path) -> None:
        """Write the optimised graph; its layouts and fused kernels are those of this processor.

        Raises:
            ArtefactError: ONNX Runtime refuses the graph.
        """
        open_session(self._onnx, threads=1, optimise=True, save_to=engine)
