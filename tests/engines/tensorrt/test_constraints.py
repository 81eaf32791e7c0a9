"""Which layers may compute in half precision, by a network of named layers and tensors."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from types import SimpleNamespace
from typing import Any

import pytest

from ssd_edge.engines.tensorrt.constraints import hold_float

FLOAT, INT = "float32", "int32"
TRT = SimpleNamespace(
    DataType=SimpleNamespace(FLOAT=FLOAT),
    BuilderFlag=Enum("BuilderFlag", ["OBEY_PRECISION_CONSTRAINTS", "PREFER_PRECISION_CONSTRAINTS"]),
)


class Layer:
    """A layer that reads and makes tensors by their names; those that begin with ``i`` hold whole numbers."""

    def __init__(self, name: str, reads: Sequence[str], makes: Sequence[str], kind: str = "CONVOLUTION") -> None:
        self.name, self.type = name, SimpleNamespace(name=kind)
        self._reads, self._makes = reads, makes
        self.num_inputs, self.num_outputs = len(reads), len(makes)
        self.precision: str | None = None
        self.set: list[tuple[int, str]] = []

    def get_input(self, number: int) -> Any:
        return self._tensor(self._reads[number])

    def get_output(self, number: int) -> Any:
        return self._tensor(self._makes[number])

    def set_output_type(self, number: int, kind: str) -> None:
        self.set.append((number, kind))

    @staticmethod
    def _tensor(name: str) -> Any:
        """An optional input that is not there has no tensor."""
        return SimpleNamespace(name=name, dtype=INT if name.startswith("i") else FLOAT) if name else None


def held(*layers: Layer, half: Sequence[str], prefer: bool = False) -> list[str]:
    network = SimpleNamespace(num_layers=len(layers), get_layer=lambda number: layers[number])
    flags: list[Any] = []
    names = hold_float(TRT, network, SimpleNamespace(set_flag=flags.append), frozenset(half), prefer=prefer)
    assert [flag.name for flag in flags] == [f"{'PREFER' if prefer else 'OBEY'}_PRECISION_CONSTRAINTS"]
    for layer in layers:
        assert (layer.precision == FLOAT) == (layer.name in names)
    return names


@pytest.mark.parametrize("added", ["(Unnamed Layer* 1) [Shuffle]", "ONNXTRT_Broadcast"])
@pytest.mark.parametrize(
    ("half", "reads", "may"),
    [
        (("conv1", "conv2"), ["t1"], True),
        (("conv1",), ["t1"], False),  # what reads it is not half
        (("conv2",), ["t1"], False),  # what makes its input is not
        (("conv1", "conv2"), ["t1", "w"], True),  # a constant does not matter
        (("conv1", "conv2"), ["t1", "images"], False),  # an input of the network is of no layer
        (("conv1", "conv2"), ["t1", ""], True),
    ],
)
def test_what_the_parser_adds_is_half_between_layers_that_are(
    added: str, half: Sequence[str], reads: Sequence[str], may: bool
) -> None:
    layers = (
        Layer("weight", [], ["w"], "CONSTANT"),
        Layer("conv1", ["images"], ["t1"]),
        Layer(added, reads, ["t2"], "SHUFFLE"),
        Layer("conv2", ["t2"], ["t3"]),
    )
    assert held(*layers, half=half) == [
        layer.name for layer in layers[1:] if layer.name not in half and not (may and layer.name == added)
    ]


def test_what_is_added_at_the_end_or_between_constants_is_held() -> None:
    last = Layer("(Unnamed Layer* 1) [Shuffle]", ["t1"], ["boxes"], "SHUFFLE")
    assert held(Layer("conv1", ["images"], ["t1"]), last, half=["conv1"]) == [last.name]
    constant, alone = Layer("weight", [], ["w"], "CONSTANT"), Layer("ONNXTRT_Shuffle", ["w"], [], "SHUFFLE")
    assert held(constant, alone, half=["conv1"]) == [alone.name]


def test_layers_of_whole_numbers_and_casts_have_no_precision() -> None:
    layers = (
        Layer("counts", ["i1"], ["i2"], "ELEMENTWISE"),
        Layer("cast", ["i2"], ["t1"], "CAST"),
        Layer("gather", ["t1", "i2"], ["i3", "t2"], "GATHER"),
        Layer("round", ["t2"], ["i4"], "UNARY"),
    )
    assert held(*layers, half=[], prefer=True) == ["gather", "round"]
    assert [layer.set for layer in layers] == [[], [], [(1, FLOAT)], []]


def test_the_node_of_a_layer_is_what_a_release_says_it_is() -> None:
    later = Layer("conv1_7", ["images"], ["t1"])
    later.metadata = "[ONNX Layer: conv1]"  # type: ignore[attr-defined]
    assert held(later, Layer("node_of_conv2", ["t1"], ["t2"]), half=["conv1", "conv2"]) == []
