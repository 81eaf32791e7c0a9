"""Engines for ONNX Runtime: the graph optimized for this processor once, instead of at every start."""

from __future__ import annotations

from pathlib import Path

import onnx

from ssd_edge.backends.cpu import Threads, cpu_device, has_vnni
from ssd_edge.backends.ort import OrtBackend
from ssd_edge.backends.ort_session import open_session, ort_version
from ssd_edge.core.choices import Target
from ssd_edge.core.graph_contract import NMS_DOMAIN, NMS_OP
from ssd_edge.core.manifest import EngineOptions
from ssd_edge.core.progress import Progress, silent
from ssd_edge.core.temp_dir import scratch_folder
from ssd_edge.engines.builder import ProcessorBuilder
from ssd_edge.engines.ort_channels import WIDTH_ARM, WIDTH_X86, fill_channels
from ssd_edge.engines.ort_stem import read_columns_together
from ssd_edge.graph.editor import copied
from ssd_edge.graph.nms_bodies import replace_choice
from ssd_edge.graph.onnx_file import parse_onnx

_SETTLED = """
    settled_axis = Constant <value = int64[1] {1}> ()
    settled_zero = Constant <value = float {0.0}> ()
    settled_step = Constant <value = int64 {1}> ()
    settled_first = Constant <value = int64 {0}> ()
    class_count = Constant <value_int: int = @numClasses> ()
    class_numbers = Range (settled_first, class_count, settled_step)
    class_floats = Cast <to = 1> (class_numbers)
    class_of_row = Unsqueeze (class_floats, settled_axis)
    candidate_class = Unsqueeze (ranked_classes, settled_axis)
    is_of_class = Equal (candidate_class, class_of_row)
    candidate_score = Unsqueeze (ranked_scores, settled_axis)
    scores_by_class = Where (is_of_class, candidate_score, settled_zero)
    shape = Shape (ranked_scores)
    most = Gather <axis = 0> (shape, settled_axis)
    iou_limit = Constant <value_float: float = @iouThreshold> ()
    score_limit = Constant <value_float: float = @scoreThreshold> ()
    chosen = NonMaxSuppression (ranked_boxes, scores_by_class, most, iou_limit, score_limit)
    picture_and_candidate = Constant <value = int64[2] {0, 2}> ()
    place = Gather <axis = 1> (chosen, picture_and_candidate)
    place_shape = Shape <end = 1> (place)
    ones = ConstantOfShape <value = float[1] {1.0}> (place_shape)
    nothing = ConstantOfShape <value = float[1] {0.0}> (shape)
    kept = ScatterND (nothing, place, ones)
"""


def use_non_max_suppression(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with the suppression inside its BatchedNMS body done by ``NonMaxSuppression``.

    A model that finds its detections in another way than by the exported body stays as it is.
    """
    lowered = copied(model)
    for body in lowered.functions:
        if (body.domain, body.name) == (NMS_DOMAIN, NMS_OP):
            replace_choice(lowered, body, _SETTLED)
    return lowered


BUILDER_VERSION = 4
"""Goes up with every change by which the same graph gives another engine for ONNX Runtime: the build cache keys by it.

What counts is this file, :mod:`ssd_edge.engines.ort_stem`, :mod:`ssd_edge.engines.ort_channels` and how
:mod:`ssd_edge.backends.ort_session` opens and writes graphs. ``tests/engines/test_lowering_versions.py`` holds it.
"""


class OrtBuilder(ProcessorBuilder):
    """Builds engines for ONNX Runtime on this processor; see :class:`~ssd_edge.engines.builder.Builder`."""

    target = Target.ONNXRUNTIME
    runtime = Target.ONNXRUNTIME.value
    builder_version = BUILDER_VERSION

    def __init__(self) -> None:
        self.runtime_version = ort_version()
        self.device = cpu_device()
        # An engine of another lowering is not taken for this one.
        self.options = EngineOptions(nms="NonMaxSuppression", int8_stem="4 columns" if self._groups_columns else "")

    def check(self) -> None:
        """There is nothing that it is asked for and could not do."""

    def build(
        self,
        model: onnx.ModelProto,
        engine: Path,
        progress: Progress = silent,
        *,
        calibration_cache: bytes = b"",  # noqa: ARG002 - the builders' common signature; INT8 is in the graph here
    ) -> None:
        """Write the optimized graph; its layouts and fused kernels are those of this processor.

        Raises:
            ArtifactError: ONNX Runtime refuses the graph, or it is none of ours.
        """
        with scratch_folder() as folder:
            path = folder / "model.onnx"  # never its own name, which is text from a file
            onnx.save(use_non_max_suppression(fill_channels(model, self._channels)), path)
            with OrtBackend(path, Threads(workers=1, per_worker=1)):
                progress(1, 2)
            open_session(path, threads=1, optimize=True, save_to=engine)
        if self._groups_columns:
            _group_columns(engine)
        progress(2, 2)

    @property
    def _channels(self) -> int:
        """Channels that the kernels of a depthwise convolution take at once."""
        return WIDTH_X86 if self.device.startswith(("x86", "amd64", "i386", "i686")) else WIDTH_ARM

    @property
    def _groups_columns(self) -> bool:
        """Whether it pays: without VNNI the larger product costs more than what it saves is worth."""
        return has_vnni(self.device)


def _group_columns(engine: Path) -> None:
    model = parse_onnx(engine.read_bytes(), engine)
    if read_columns_together(model):
        onnx.save(model, engine)
