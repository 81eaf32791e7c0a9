"""EngineInspector: an engine's layers as JSON, in the form of its release."""

from __future__ import annotations

import json
from typing import Any

from tests.emulator.standin.world import TrtObject


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
        return {"Name": name, "LayerType": "Stand-in", "Inputs": [], "Outputs": [], "TacticName": "onnxruntime"}
