"""Detectors of other projects, whole: from an image to boxes by their own code."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ssd_edge.benchmarking.task import Task
from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import ArtifactError, one_line
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.spec import ModelSpec

NETWORKS = {
    "vgg16": "ssd300_vgg16",
    "mobilenet-v3-large-lite": "ssdlite320_mobilenet_v3_large",
    "mobilenet-v3-large-lite-reduced": "ssdlite320_mobilenet_v3_large",
}
"""torchvision's constructor of each architecture of ours that it has."""


class TorchvisionRunner:
    """torchvision's detector in eager mode, with the weights of a checkpoint of ours.

    Raises:
        ArtifactError: torchvision has no such network, or its tensors are others.
    """

    parallel = True

    def __init__(self, task: Task) -> None:
        import torch

        from ssd_edge.model.checkpoint import load_checkpoint

        torch.set_num_threads(task.threads)
        self._torch = torch
        ours = load_checkpoint(Path(task.model)).model
        self._names = ours.spec.class_names
        self._model = _network(ours.spec)
        try:
            self._model.load_state_dict(ours.state_dict())
        except RuntimeError as error:
            got = one_line(error)  # it names each of hundreds of tensors
            raise ArtifactError(f"torchvision's network does not match {task.model}", got=got) from error
        self._model.eval()
        self._floor = task.score_threshold or 0.0

    def detect(self, image: UInt8Array) -> Detections:
        """Return what is seen."""
        return self.detect_batch([image])[0]

    def detect_batch(self, images: Sequence[UInt8Array]) -> list[Detections]:
        """Return what is seen in each."""
        torch = self._torch
        with torch.inference_mode():
            batch = [
                torch.from_numpy(np.ascontiguousarray(image[..., ::-1])).permute(2, 0, 1).float().div_(255)
                for image in images
            ]
            found = self._model(batch)
        return [self._detections(entry) for entry in found]

    def close(self) -> None:
        """Drop the network."""
        self._model = None

    def _detections(self, found: Any) -> Detections:
        boxes, scores, labels = (found[key].numpy() for key in ("boxes", "scores", "labels"))
        return Detections(boxes, scores, labels - 1, self._names).above(self._floor)


def _network(spec: ModelSpec) -> Any:
    from torchvision.models import detection

    name = NETWORKS.get(spec.architecture)
    if name is None:
        raise ArtifactError(f"torchvision has no network {spec.architecture!r}", wanted=", ".join(NETWORKS))
    build = partial(
        getattr(detection, name),
        weights=None,
        weights_backbone=None,
        num_classes=spec.num_logits,
        score_thresh=spec.nms.score_threshold,
        nms_thresh=spec.nms.iou_threshold,
        detections_per_img=spec.nms.keep_top_k,
        topk_candidates=spec.nms.top_k,
    )
    return _with_full_tail(build) if spec.architecture == "mobilenet-v3-large-lite" else build()


def _with_full_tail(build: Any) -> Any:
    """Build the wide tail, which torchvision makes around pretrained weights only."""
    from torchvision.models.detection import ssdlite

    original = ssdlite.mobilenet_v3_large
    ssdlite.mobilenet_v3_large = lambda norm_layer, **_: original(norm_layer=norm_layer, reduced_tail=False)
    try:
        return build()
    finally:
        ssdlite.mobilenet_v3_large = original


class UltralyticsRunner:
    """A YOLO of Ultralytics by its own ``predict``: another network, so that times compare and boxes do not."""

    parallel = False

    def __init__(self, task: Task) -> None:
        torch = import_module("torch")
        torch.set_num_threads(task.threads)
        self._model = import_module("ultralytics").YOLO(task.settings["network"])
        self._options = {"imgsz": int(task.settings["side"]), "conf": task.score_threshold or 0.01, "verbose": False}

    def detect(self, image: UInt8Array) -> Detections:
        """Return what is seen."""
        return self.detect_batch([image])[0]

    def detect_batch(self, images: Sequence[UInt8Array]) -> list[Detections]:
        """Return what is seen in each."""
        return [self._detections(found.boxes) for found in self._model.predict(list(images), **self._options)]

    def close(self) -> None:
        """Drop the network."""
        self._model = None

    def _detections(self, boxes: Any) -> Detections:
        order = np.argsort(-boxes.conf.numpy(), kind="stable")
        return Detections(
            boxes.xyxy.numpy()[order].astype(np.float32),
            boxes.conf.numpy()[order].astype(np.float32),
            boxes.cls.numpy()[order].astype(np.int64),
        )
