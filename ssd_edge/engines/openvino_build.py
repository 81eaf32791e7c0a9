"""Engines for OpenVINO: the lowered graph with its NMS in OpenVINO's operators, for one image, proved by compiling it.

OpenVINO compiles when an engine is opened, for the device that is asked for then; what it compiled is kept in the
user's cache (:mod:`ssd_edge.backends.openvino.compiled`). Shapes are fixed: with a free batch size the same graph takes
a sixth to a third longer.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx

from ssd_edge.backends.cpu import Threads, cpu_device
from ssd_edge.backends.openvino.backend import check_contract
from ssd_edge.backends.openvino.compiled import compile_bytes
from ssd_edge.backends.openvino.layers import executed_precisions
from ssd_edge.backends.openvino.module import PROCESSOR, Settings, check_device, openvino_version
from ssd_edge.core.choices import Precision, Target
from ssd_edge.core.graph_contract import SPEC_KEY
from ssd_edge.core.log import log
from ssd_edge.core.manifest import EngineOptions
from ssd_edge.core.progress import Progress, silent
from ssd_edge.core.spec import ModelSpec
from ssd_edge.engines.builder import ProcessorBuilder
from ssd_edge.engines.openvino_nms import use_openvino_nms

BUILDER_VERSION = 2
"""Goes up with every change by which the same graph gives another engine for OpenVINO: the build cache keys by it.

``tests/engines/test_lowering_versions.py`` holds it.
"""
_NAMED = 5


def openvino_graph(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a lowered model as OpenVINO gets it: NMS in its own operators, and one image at a time.

    A model whose batch size is fixed keeps it.
    """
    batch = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value or 1
    lowered = use_openvino_nms(model, batch)
    for tensor in (*lowered.graph.input, *lowered.graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_value = batch
    del lowered.graph.value_info[:]  # shapes of a free batch size
    return lowered


class OpenVinoBuilder(ProcessorBuilder):
    """Builds engines for OpenVINO; see :class:`~ssd_edge.engines.builder.Builder`.

    Args:
        precision: of the engine; what is not INT8 computes in its float type, an option of compiling.
    """

    target = Target.OPENVINO
    runtime = Target.OPENVINO.value
    builder_version = BUILDER_VERSION
    options = EngineOptions(nms="NonMaxSuppression")

    def __init__(self, precision: Precision) -> None:
        self.runtime_version = openvino_version()
        self.device = cpu_device()
        self._settings = Settings(PROCESSOR, precision, Threads(workers=1, per_worker=1))

    def check(self) -> None:
        """Raise DeviceError where the processor does not compute in the precision's float type."""
        check_device(self._settings)

    def build(
        self,
        model: onnx.ModelProto,
        engine: Path,
        progress: Progress = silent,
        *,
        calibration_cache: bytes = b"",  # noqa: ARG002 - the builders' common signature; INT8 is in the graph here
    ) -> None:
        """Write the graph, once OpenVINO has compiled it and the outputs are those of the contract.

        Raises:
            ArtifactError: OpenVINO refuses the graph, or it is none of ours.
        """
        graph = openvino_graph(model)
        data = graph.SerializeToString()
        compiled = compile_bytes(data, self._settings, engine)
        progress(1, 2)
        spec = next((entry.value for entry in graph.metadata_props if entry.key == SPEC_KEY), "")
        check_contract(compiled, ModelSpec.from_json(spec, origin=str(engine)), engine)
        _tell_float(int8_convolutions(graph), executed_precisions(compiled))
        engine.write_bytes(data)
        progress(2, 2)


def int8_convolutions(model: onnx.ModelProto) -> list[str]:
    """Return the names of the convolutions that compute in 8 bits: input and weights are dequantized."""
    quantized = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    return [
        node.name
        for node in model.graph.node
        if node.op_type in ("Conv", "ConvTranspose") and quantized.issuperset(node.input[:2])
    ]


def _tell_float(wanted: list[str], executed: Mapping[str, str]) -> None:
    """Say which layers OpenVINO executes in float that were to be INT8."""
    float_ones = [name for name in wanted if executed.get(name, "int8") != "int8"]
    if float_ones:
        more = f" and {len(float_ones) - _NAMED} more" if len(float_ones) > _NAMED else ""
        named = ", ".join(float_ones[:_NAMED])
        log.warning(f"OpenVINO does not compute {len(float_ones)} of {len(wanted)} INT8 layers in INT8: {named}{more}")
