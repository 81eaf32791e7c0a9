"""INetworkDefinition and OnnxParser: a graph on its way to the builder."""

from __future__ import annotations

import weakref
from typing import Any

import onnx
import onnx.inliner
from google.protobuf.message import DecodeError

from tools.emulator.standin.graph_rules import parser_faults
from tools.emulator.standin.inference import NAMES
from tools.emulator.standin.layers import ILayer, layers_of
from tools.emulator.standin.logger import check_logger
from tools.emulator.standin.memory import Dims
from tools.emulator.standin.nms_plugin import check_fields
from tools.emulator.standin.plugins import registered
from tools.emulator.standin.releases import is_8
from tools.emulator.standin.world import TrtObject


class ITensor(TrtObject):
    """A tensor of the network; the shape of an input may be changed until it is built."""

    def __init__(self, info: onnx.ValueInfoProto, *, is_input: bool) -> None:
        self._info, self._is_input = info, is_input

    @property
    def name(self) -> str:
        return self._info.name

    @property
    def dtype(self) -> Any:
        return getattr(self._world.module.DataType, NAMES[self._info.type.tensor_type.elem_type])

    @property
    def is_network_input(self) -> bool:
        return self._is_input

    @property
    def shape(self) -> Dims:
        dims = self._info.type.tensor_type.shape.dim
        return Dims(dim.dim_value if dim.HasField("dim_value") else -1 for dim in dims)

    @shape.setter
    def shape(self, value: Any) -> None:
        if not self._is_input or len(value) != len(self.shape):
            raise TypeError("shape: only of a network input, and of the same rank")
        for dim, size in zip(self._info.type.tensor_type.shape.dim, value, strict=True):
            dim.dim_value = int(size)


class INetworkDefinition(TrtObject):
    """What the parser fills."""

    def __init__(self, builder: Any, flags: int) -> None:
        self._builder, self._flags = weakref.ref(builder), flags
        self._model = onnx.ModelProto()
        self._layers: list[ILayer] = []
        self._parser: Any = lambda: None

    @property
    def num_inputs(self) -> int:
        return len(self._model.graph.input)

    @property
    def num_outputs(self) -> int:
        return len(self._model.graph.output)

    @property
    def num_layers(self) -> int:
        return len(self._model.graph.node)

    @property
    def name(self) -> str:
        return str(self._model.graph.name)

    def get_layer(self, index: int) -> ILayer:
        return self._layers[index]

    def get_input(self, index: int) -> Any:
        return self._world.module._tensor(self._model.graph.input[index], is_input=True)

    def get_output(self, index: int) -> Any:
        return self._world.module._tensor(self._model.graph.output[index], is_input=False)

    def _has(self, flag: str) -> bool:
        members = self._world.surface.enum_members("NetworkDefinitionCreationFlag") or {}
        return flag in members and bool(self._flags >> members[flag] & 1)


class ParserError(TrtObject):
    """One complaint of the parser."""

    def __init__(self, node: int, text: str) -> None:
        self._node, self._text = node, text

    def node(self) -> int:
        return self._node

    def desc(self) -> str:
        return self._text

    def __str__(self) -> str:
        return f"In node {self._node}: {self._text}"


class OnnxParser(TrtObject):
    """Takes the bytes of an ONNX; owns the weights of its network."""

    def __init__(self, network: Any, logger: Any) -> None:
        check_logger(logger)
        if not isinstance(network, self._world.module.INetworkDefinition):
            raise TypeError("__init__(): incompatible constructor arguments: no INetworkDefinition")
        self._network, self._logger = network, logger
        self._errors: list[Any] = []
        network._parser = weakref.ref(self)

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> Any:
        return self._errors[index]

    def clear_errors(self) -> None:
        self._errors.clear()

    def parse(self, model: Any, path: str | None = None) -> bool:
        content = bytes(memoryview(model))
        self._world.calls.append(("parse", content))
        if not self._world.traits.parses:
            return self._fail(7, "No importer registered for op: Nonsense")
        try:
            parsed = onnx.load_model_from_string(content)
        except DecodeError:
            return self._fail(-1, "Failed to parse ONNX model from buffer: MODEL_DESERIALIZE_FAILED")
        return self._accept(parsed)

    def _accept(self, parsed: onnx.ModelProto) -> bool:
        release = self._world.release
        if is_8(release) and not self._network._has("EXPLICIT_BATCH"):
            return self._fail(-1, "This version of the ONNX parser only supports networks with an explicit batch")
        if parsed.functions and not is_8(release):  # 8.x knows no functions and goes by the node's name
            parsed = onnx.inliner.inline_local_functions(parsed)
        faults = [*self._plugin_faults(parsed), *parser_faults(parsed, release)]
        if faults:
            return self._fail(*faults[0])
        self._network._model = parsed
        self._network._layers = layers_of(self._world, parsed)
        return True

    def _plugin_faults(self, parsed: onnx.ModelProto) -> list[tuple[int, str]]:
        found = []
        for number, node in enumerate(parsed.graph.node):
            if node.domain in ("", "ai.onnx"):
                continue
            if node.op_type not in registered(self._world):
                self._world.say(
                    self._logger, "ERROR", f"getPluginCreator could not find plugin: {node.op_type} version: 1"
                )
                found.append((number, f"No importer registered for op: {node.op_type}"))
            elif problem := check_fields(node):
                found.append((number, problem))
        return found

    def _fail(self, node: int, text: str) -> bool:
        error = self._world.module.ParserError(node, text)
        self._errors.append(error)
        self._world.say(self._logger, "ERROR", str(error))
        return False
