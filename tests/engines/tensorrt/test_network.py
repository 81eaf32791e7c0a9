"""A parser's error names the node, whatever the release says of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ssd_edge.core.choices import NmsBody
from ssd_edge.core.errors import ArtifactError
from ssd_edge.engines.tensorrt.network import parse_network
from ssd_edge.engines.tensorrt.release import Release
from tests.quantization.square_model import square_model

SAID = "No importer registered for op"


class Refusal:
    """An error of TensorRT 8.5's parser, which has the node's number only."""

    def __init__(self, number: int) -> None:
        self._number = number

    def node(self) -> int:
        return self._number

    def __str__(self) -> str:
        return SAID


class NamedRefusal(Refusal):
    """One of later releases, whose text names the node already."""

    def node_name(self) -> str:
        return "conv2"


def refused(errors: list[Any], heard: list[str]) -> str:
    parser = SimpleNamespace(parse=lambda _: False, num_errors=len(errors), get_error=lambda number: errors[number])
    trt = SimpleNamespace(
        __version__="8.5.2",
        OnnxParser=lambda network, logger: parser,
        NetworkDefinitionCreationFlag=SimpleNamespace(EXPLICIT_BATCH=0),
    )
    builder, listener = SimpleNamespace(create_network=lambda _: None), SimpleNamespace(logger=None, errors=heard)
    settings = {"may_keep_float": False, "weakly_typed": True, "nms": NmsBody.LOOP, "rounds": 2, "for_turing": False}
    with pytest.raises(ArtifactError, match="cannot parse the ONNX") as caught:
        parse_network(Release(trt, "tensorrt"), builder, square_model(), listener, **settings)  # type: ignore[arg-type]
    return caught.value.got


@pytest.mark.parametrize("number", [0, 5])
def test_the_node_is_named_by_its_number(number: int) -> None:
    node = square_model().graph.node[number]
    wanted = f"In node {number} with name: {node.name} and operator: {node.op_type}: {SAID}"
    assert refused([Refusal(number)], []) == wanted


@pytest.mark.parametrize("error", [Refusal(-1), Refusal(10_000), NamedRefusal(3), SAID])
def test_what_names_no_node_or_names_it_already_stays(error: object) -> None:
    assert refused([error], ["heard besides"]) == SAID


def test_a_parser_that_says_nothing_is_quoted_by_what_was_heard() -> None:
    assert refused([], ["heard besides"]) == "heard besides"
