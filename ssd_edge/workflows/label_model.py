"""A model that labels, and videos that are labelled: what the workers of a cluster open by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from ssd_edge.backends.cpu import Threads, cpu_device
from ssd_edge.backends.detector import Detector, check_threshold, is_for_gpu, open_backend
from ssd_edge.backends.ort_session import ort_version
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.manifest import EngineManifest, manifest_path
from ssd_edge.streaming.sources.video import open_video
from ssd_edge.workflows.load import TorchBackend
from ssd_edge.workflows.open_model import refuse_no_model


@dataclass(frozen=True)
class ModelOpener:
    """A model's file and how it is opened; it can be pickled.

    Attributes:
        path: absolute.
        device_name: what computes, for a checkpoint or an engine of OpenVINO; ``auto`` is the default of each.
        score_threshold: detections score more; the model's own threshold is the floor.
    """

    path: str
    device_name: str = "auto"
    score_threshold: float = 0.0

    def open(self, cores: int) -> Detector:
        """Load the model so that ``cores`` threads may call it at once, each on a core.

        Raises:
            SsdEdgeError: as :func:`ssd_edge.load` raises.
        """
        path, threshold = Path(self.path), self.score_threshold
        check_threshold(threshold)
        refuse_no_model(path)
        if path.suffix == ".pt":
            return Detector(TorchBackend(path, device=self.device_name, threads=cores), threshold)
        device = None if self.device_name == "auto" else self.device_name
        return Detector(open_backend(path, Threads.for_throughput(cores), device), threshold)

    def runtime(self) -> str:
        """Return what it runs on, with the version that is installed here, and the device where one is asked for."""
        asked = "" if self.device_name == "auto" else f" on {self.device_name}"
        return f"{self._package()}{asked}"

    def _package(self) -> str:
        path = Path(self.path)
        if path.suffix == ".pt":
            return f"torch {metadata.version('torch')}"
        if path.suffix == ".onnx":
            return f"onnxruntime {ort_version()}"
        manifest = EngineManifest.load(manifest_path(path))
        return f"{manifest.runtime} {manifest.runtime_version}"

    def device(self) -> str:
        """Return the kind of processor or GPU that computes here."""
        path = Path(self.path)
        if path.suffix == ".engine" and is_for_gpu(path):
            return EngineManifest.load(manifest_path(path)).device
        asked = path.suffix == ".pt" or self.device_name != "auto"
        return f"{cpu_device()}, {self.device_name}" if asked else cpu_device()


def read_video(path: Path) -> Iterator[UInt8Array]:
    """Yield the frames of a video.

    Raises:
        InputError: it cannot be read.
    """
    with open_video(path) as source:
        for frame in source:
            yield frame.image
