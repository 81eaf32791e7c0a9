"""EngineInspector: an engine's layers as JSON, in the form of its release."""

from __future__ import annotations

import json
from typing import Any

from tools.emulator.standin.releases import is_8
from tools.emulator.standin.world import TrtObject

# As each release writes a tensor's type: in a sentence, in a word, or apart from the layout.
_SENTENCES = {
    "INT8": "Thirty-two wide channel vectorized row major Int8 format",
    "HALF": "Two wide channel vectorized row major FP16 format",
    "FLOAT": "Row major linear FP32",
}
_WORDS = {"INT8": "Int8", "HALF": "Half", "FLOAT": "Float"}
_APART = {"INT8": "INT8", "HALF": "FP16", "FLOAT": "FP32"}


class EngineInspector(TrtObject):
    """Names only, unless the engine was built with detailed verbosity."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def get_engine_information(self, format: Any) -> str:
        bindings = "I/O Tensors" if self._world.release == "11.4" else "Bindings"
        layers = [self._layer(index) for index in range(self._engine.num_layers)]
        return json.dumps({"Layers": layers, bindings: list(self._engine._inference.tensors)})

    def get_layer_information(self, layer_index: int, format: Any) -> str:
        return json.dumps(self._layer(layer_index))

    def _layer(self, index: int) -> Any:
        name = self._engine._inference.layers[index]
        if not self._engine._header.detailed:
            return name
        layer = {"Name": name, "LayerType": "Stand-in", "Inputs": [], "Outputs": [], "TacticName": "onnxruntime"}
        kind = self._engine._inference.computes_in[index]
        if kind:
            layer |= {"Inputs": [{"Name": f"{name}.input", **self._type(kind)}]}
            layer |= {"LayerType": "DLA"} if self._engine._header.dla is not None else {}
            layer |= {"Weights": {"Type": _WORDS[kind], "Count": 1}}
        return layer

    def _type(self, kind: str) -> dict[str, str]:
        if is_8(self._world.release):
            return {"Format/Datatype": _SENTENCES[kind]}
        if self._world.release == "11.4":
            return {"Format": "LINEAR", "Datatype": _APART[kind]}
        return {"Format/Datatype": _WORDS[kind]}
