"""Runtimes that read our exported graph, used as their own documentation says, with our preprocessing around them."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from ssd_edge.backends.base import RawOutputs
from ssd_edge.backends.detector import Detector
from ssd_edge.backends.openvino.module import load_openvino
from ssd_edge.backends.ort_session import load_runtime
from ssd_edge.benchmarking.task import Task
from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.graph_contract import INPUT_NAME, OUTPUT_NAMES
from ssd_edge.core.spec import ModelSpec


class _GraphBackend(ABC):
    """The common part of the three as a :class:`~ssd_edge.backends.base.Backend`."""

    batch_limits: tuple[int, int | None] = (1, None)

    def __init__(self, task: Task) -> None:
        self.path = Path(task.model)
        self.workers = task.workers
        self.spec = ModelSpec.from_json(task.settings["spec"], origin=task.model)

    @abstractmethod
    def infer(self, batch: UInt8Array) -> RawOutputs:
        """Run (B, H, W, 3) uint8 images of the spec's input size."""

    def close(self) -> None:  # noqa: B027 - nothing is held that would not go with the process
        """Give back nothing."""

    def __enter__(self) -> _GraphBackend:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class OrtPeer(_GraphBackend):
    """A plain session of ONNX Runtime: its defaults but for the number of threads."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        ort = load_runtime()
        options = ort.SessionOptions()
        options.intra_op_num_threads = task.threads
        self._session = ort.InferenceSession(task.model, options, providers=["CPUExecutionProvider"])

    def infer(self, batch: UInt8Array) -> RawOutputs:
        """Run the session."""
        return RawOutputs(*self._session.run(OUTPUT_NAMES, {INPUT_NAME: batch}))


class OpenVinoPeer(_GraphBackend):
    """A model compiled by OpenVINO for each batch size (a free one takes longer); a request for each thread."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._core = load_openvino().Core()
        self._settings = {
            "PERFORMANCE_HINT": "LATENCY" if task.workers == 1 else "THROUGHPUT",
            "INFERENCE_NUM_THREADS": task.threads * task.workers,
            "NUM_STREAMS": task.workers,
            "INFERENCE_PRECISION_HINT": task.settings.get("float", "f32"),
        }
        self._compiled: dict[tuple[int, ...], Any] = {}
        self._lock, self._local = threading.Lock(), threading.local()

    def infer(self, batch: UInt8Array) -> RawOutputs:
        """Run a request of this thread's."""
        requests: dict[tuple[int, ...], Any] = vars(self._local).setdefault("requests", {})
        if batch.shape not in requests:
            requests[batch.shape] = self._for(batch.shape).create_infer_request()
        found = requests[batch.shape].infer({INPUT_NAME: batch}, share_inputs=True)
        return RawOutputs(*(np.array(found[name]) for name in OUTPUT_NAMES))

    def _for(self, shape: tuple[int, ...]) -> Any:
        with self._lock:
            if shape not in self._compiled:
                model = self._core.read_model(self.path)
                model.reshape({INPUT_NAME: shape})
                self._compiled[shape] = self._core.compile_model(model, "CPU", self._settings)
            return self._compiled[shape]


class OpenCvPeer(_GraphBackend):
    """OpenCV's DNN for the network, and our NMS in ONNX Runtime behind it: it does not read our NMS node."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        cv2.setNumThreads(task.threads)
        try:
            self._net: Any = cv2.dnn.readNetFromONNX(task.model)
        except cv2.error as error:
            raise ArtifactError(f"OpenCV {cv2.__version__} cannot read the network", got=str(error)) from error
        self._heads = (task.settings["boxes"], task.settings["scores"])
        ort = load_runtime()
        options = ort.SessionOptions()
        options.intra_op_num_threads = task.threads
        self._nms = ort.InferenceSession(task.settings["nms"], options, providers=["CPUExecutionProvider"])

    def infer(self, batch: UInt8Array) -> RawOutputs:
        """Run the network, then the NMS."""
        self._net.setInput(batch, INPUT_NAME)
        boxes, scores = self._net.forward(list(self._heads))
        anchors = self.spec.anchors.count
        fed = {
            self._heads[0]: np.asarray(boxes, np.float32).reshape(len(batch), anchors, 1, 4),
            self._heads[1]: np.asarray(scores, np.float32).reshape(len(batch), anchors, -1),
        }
        return RawOutputs(*self._nms.run(OUTPUT_NAMES, fed))


class GraphRunner:
    """Our Detector around such a backend: the same resize before it, and the same boxes behind it.

    Args:
        backend: open.
        task: it was opened for.
        parallel: whether several threads may call it.
    """

    def __init__(self, backend: _GraphBackend, task: Task, *, parallel: bool = True) -> None:
        self._detector = Detector(backend, task.score_threshold or 0.0)
        self.parallel = parallel

    def detect(self, image: UInt8Array) -> Detections:
        """Return what is seen."""
        return self._detector.detect(image)

    def detect_batch(self, images: Sequence[UInt8Array]) -> list[Detections]:
        """Return what is seen in each."""
        return self._detector.detect_batch(images)

    def close(self) -> None:
        """Close the detector."""
        self._detector.close()


def open_onnxruntime(task: Task) -> GraphRunner:
    """Open a plain session."""
    return GraphRunner(OrtPeer(task), task)


def open_openvino(task: Task) -> GraphRunner:
    """Open a compiled model."""
    return GraphRunner(OpenVinoPeer(task), task)


def open_opencv(task: Task) -> GraphRunner:
    """Open OpenCV's network and our NMS; it computes one image at a time."""
    return GraphRunner(OpenCvPeer(task), task, parallel=False)
