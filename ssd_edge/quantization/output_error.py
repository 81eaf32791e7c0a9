"""Output error: the difference between a lowered network and its float original, without labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx

from ssd_edge.backends.cpu import physical_cores
from ssd_edge.backends.ort_session import load_runtime, make_session
from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.frame import FloatArray, UInt8Array
from ssd_edge.core.graph_contract import INPUT_NAME, NMS_OP
from ssd_edge.core.log import counted
from ssd_edge.graph.editor import copied, set_float_outputs

_SCORE_OF_INTEREST = 0.1


class OutputError:
    """Compares networks on the same images, before NMS, where it matters: on anchors that score.

    Args:
        reference: the float model.
        images: (H, W, 3) uint8 of its input size.
    """

    def __init__(self, reference: onnx.ModelProto, images: Sequence[UInt8Array]) -> None:
        self._images = list(images)
        self._wanted = list(self._outputs(reference))

    @property
    def compares(self) -> bool:
        """Whether anything scores on these images: where nothing does, no error can be measured on them."""
        return any(bool((scores > _SCORE_OF_INTEREST).any()) for _, scores in self._wanted)

    @property
    def nothing_compared(self) -> str:
        """Message for a comparison of nothing."""
        return (
            f"no box has a score above {_SCORE_OF_INTEREST:g} on {counted(len(self._images), 'image')}, so "
            "nothing was compared. Calibrate on images like those of the camera: ssd-edge calibrate --images "
            "FOLDER"
        )

    def __call__(self, model: onnx.ModelProto) -> float:
        """Return the mean error of an image: of the scores, relative to them, and of the boxes, in sides of theirs.

        The scores' is ``sum |s - s'| / sum s`` over (box, class) pairs of which either network gives more than 0.1;
        the boxes' is the mean ``|corner - corner'|`` over the side, of those whose float score is more than 0.1.
        """
        errors = [_error(*wanted, *found) for wanted, found in zip(self._wanted, self._outputs(model), strict=True)]
        return float(np.mean(errors))

    def _outputs(self, model: onnx.ModelProto) -> Sequence[tuple[FloatArray, FloatArray]]:
        session = _before_nms(model)
        return [tuple(session.run(None, {INPUT_NAME: image[None]})) for image in self._images]


Measure = Callable[[onnx.ModelProto], float]


def _before_nms(model: onnx.ModelProto) -> Any:
    """Open the model up to the inputs of its NMS: boxes (1, A, 1, 4) and scores (1, A, C)."""
    cut = copied(model)
    nms = next((node for node in cut.graph.node if node.op_type == NMS_OP), None)
    if nms is None:
        raise ArtifactError(f"the model has no {NMS_OP} node", do="Export the model again: ssd-edge export")
    tensors = list(nms.input)
    cut.graph.node.remove(nms)
    del cut.functions[:]
    set_float_outputs(cut, tensors)
    ort = load_runtime()
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = physical_cores(), 4
    return make_session(cut.SerializeToString(), options)


def _error(wanted_boxes: FloatArray, wanted: FloatArray, boxes: FloatArray, scores: FloatArray) -> float:
    either = np.maximum(wanted, scores) > _SCORE_OF_INTEREST
    if not either.any():
        return 0.0
    of_scores = np.abs(wanted - scores)[either].sum() / max(float(wanted[either].sum()), _SCORE_OF_INTEREST)
    matter = wanted.max(axis=2) > _SCORE_OF_INTEREST
    if not matter.any():
        return float(of_scores)
    here, there = wanted_boxes[:, :, 0][matter], boxes[:, :, 0][matter]
    side = np.maximum(here[:, 2:] - here[:, :2], 1e-3)
    return float(of_scores + (np.abs(here - there) / np.concatenate([side, side], axis=1)).mean())
