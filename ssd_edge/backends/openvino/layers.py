"""Reads what OpenVINO makes of a model: its layers, each with the kernel that it chose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_TYPES = {"i8": "int8", "u8": "int8", "f32": "fp32", "f16": "fp16", "bf16": "bf16"}
_BARE = "/WithoutBiases"  # what OpenVINO calls a convolution whose bias it adds elsewhere


@dataclass(frozen=True)
class ExecutedLayer:
    """A layer as OpenVINO executes it.

    Attributes:
        names: of the nodes that went into it, as the graph names them.
        kind: e.g. ``Convolution``.
        kernel: and what it computes in, e.g. ``brgconv_avx512_1x1_I8``.
    """

    names: frozenset[str]
    kind: str
    kernel: str

    @property
    def precision(self) -> str:
        """The type that it computes in, as manifests write it: ``int8``, ``bf16`` and so on."""
        ending = self.kernel.rpartition("_")[2].lower()
        return _TYPES.get(ending, ending)


def executed_layers(compiled: Any) -> list[ExecutedLayer]:
    """Return the layers of an ``openvino.CompiledModel`` in their order."""
    return [_layer(node.get_rt_info()) for node in compiled.get_runtime_model().get_ordered_ops()]


def executed_precisions(compiled: Any) -> dict[str, str]:
    """Return what each node of the graph is computed in, as far as a layer still bears its name."""
    return {name: layer.precision for layer in executed_layers(compiled) for name in layer.names}


def _layer(said: Mapping[str, Any]) -> ExecutedLayer:
    names, kind, kernel = (
        str(said[name].astype(str)) if name in said else ""
        for name in ("originalLayersNames", "layerType", "primitiveType")
    )
    return ExecutedLayer(frozenset(name.removesuffix(_BARE) for name in names.split(",") if name), kind, kernel)
