from __future__ import annotations

import os
import random
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from ssd_edge.core.errors import ArtifactError, SsdEdgeError
from ssd_edge.graph.editor import copied
from ssd_edge.graph.onnx_file import parse_onnx
from ssd_edge.graph.source import read_graph, read_onnx
from ssd_edge.importing.graphs.source import read_foreign
from tests.importing.graphs.foreign_net import ForeignNet
from tests.quantization.square_model import square_model

READERS = {"graph": read_graph, "onnx": read_onnx, "foreign": read_foreign}
TRIES = 150


def _outside(tensor: TensorProto, location: str) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "0", "length": "64"}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value


@pytest.mark.parametrize("reader", READERS)
def test_whatever_is_flipped_or_cut_is_one_named_error(tmp_path: Path, reader: str) -> None:
    model = ForeignNet().model if reader == "foreign" else square_model()
    data, path = model.SerializeToString(), tmp_path / "a.onnx"
    refused = 0
    for seed in range(TRIES):
        draw = random.Random(f"{reader} {seed}")
        changed = bytearray(data)
        for _ in range(draw.randint(1, 8)):
            changed[draw.randrange(len(changed))] = draw.randrange(256)
        path.write_bytes(changed[: draw.randrange(len(changed))] if draw.random() < 0.3 else changed)
        with suppress(SsdEdgeError):
            READERS[reader](path)
            refused -= 1
        refused += 1
    assert refused > TRIES // 4


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("where", ["initializer", "constant", "inside"])
def test_shapes_that_their_values_contradict_are_refused(tmp_path: Path, seed: int, where: str) -> None:
    draw, model = random.Random(seed), copied(square_model())
    tensor = numpy_helper.from_array(np.ones(draw.randint(2, 9), np.float32), "odd")
    tensor.dims[0] = draw.choice([-1, -(1 << 40), tensor.dims[0] + draw.randint(1, 99), 1 << draw.randint(20, 62)])
    if where == "initializer":
        model.graph.initializer.append(tensor)
    else:
        node = helper.make_node("Constant", [], ["odd"], value=tensor)
        if where == "inside":
            node = helper.make_node("If", ["c"], ["odd"], then_branch=helper.make_graph([node], "g", [], []))
        model.graph.node.append(node)
    with pytest.raises(ArtifactError, match=r"a\.onnx is damaged: the tensor 'odd': got .*wanted"):
        parse_onnx(model.SerializeToString(), tmp_path / "a.onnx")


@pytest.mark.parametrize("seed", range(4))
def test_an_input_of_absurd_size_is_refused(tmp_path: Path, seed: int) -> None:
    draw, model = random.Random(seed), copied(square_model())
    axis = draw.choice(model.graph.input[0].type.tensor_type.shape.dim[1:])
    axis.dim_value = draw.choice([-draw.randint(1, 1 << 40), draw.randint(1 << 32, 1 << 62)])
    with pytest.raises(ArtifactError, match=r"is damaged: the input '\w+': got the shape"):
        parse_onnx(model.SerializeToString(), tmp_path / "a.onnx")


def test_our_own_keep_no_weights_elsewhere(tmp_path: Path) -> None:
    model = copied(square_model())
    _outside(model.graph.initializer[0], "w.data")
    (tmp_path / "w.data").write_bytes(bytes(1 << 20))
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ArtifactError, match="keeps its weights in another file.*got 1 tensors elsewhere"):
        read_graph(tmp_path / "a.onnx")


LEADS_OUT = "outside of its folder"
IS_NO_FILE = "which is not a file"


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("{outer}/secret", LEADS_OUT),
        ("../secret", LEADS_OUT),
        ("inner/../../secret", LEADS_OUT),
        ("link", LEADS_OUT),
        ("fifo", IS_NO_FILE),
        ("none", IS_NO_FILE),
        (".", IS_NO_FILE),
        ("", LEADS_OUT),
        ("ring", ""),
        ("x" * 5000, ""),
        ("a\0b", ""),
        ("short", ""),
    ],
)
def test_weights_are_read_in_the_folder_of_the_model_only(tmp_path: Path, location: str, reason: str) -> None:
    folder = tmp_path / "model"
    (folder / "inner").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(bytes(1 << 20))
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "ring").symlink_to("ring")
    (folder / "short").write_bytes(bytes(3))
    os.mkfifo(folder / "fifo")
    net = ForeignNet()
    _outside(net.model.graph.initializer[0], location.format(outer=tmp_path))
    (folder / "a.onnx").write_bytes(net.model.SerializeToString())
    with pytest.raises(ArtifactError, match=f"a.onnx (keeps its weights in another|is damaged).*{reason}"):
        read_foreign(folder / "a.onnx")


VALUES = {
    "value": numpy_helper.from_array(np.ones(2, np.float32)),
    "value_int": 1,
    "value_ints": [1, 2],
    "value_float": 0.5,
    "value_floats": [0.5, 1.5],
    "value_string": "a",
    "value_strings": ["a", "b"],
    "sparse_value": helper.make_sparse_tensor(
        numpy_helper.from_array(np.ones(1, np.float32)), numpy_helper.from_array(np.zeros(1, np.int64)), [2]
    ),
}


def _with_constant(where: str, **attributes: object) -> bytes:
    model, node = copied(square_model()), helper.make_node("Constant", [], ["none"], **attributes)
    if where.startswith("branch"):
        branch = helper.make_graph([node], "g", [], [])
        node = helper.make_node("If", ["c"], ["none"], then_branch=branch, else_branch=branch)
    (model.functions[0] if where.endswith("function") else model.graph).node.append(node)
    return model.SerializeToString()


@pytest.mark.parametrize("where", ["graph", "function", "branch", "branch in a function"])
@pytest.mark.parametrize(
    ("named", "got"),
    [
        ([], "no value"),
        (["doc"], "no value"),
        (["value_int", "value_float"], "value_(int|float), value_(int|float)"),
        (["value", "sparse_value"], ".*value, .*value"),
    ],
)
def test_a_constant_has_one_value(tmp_path: Path, where: str, named: list[str], got: str) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(_with_constant(where, **{name: VALUES.get(name, "a") for name in named}))
    with pytest.raises(ArtifactError, match=rf"a\.onnx is damaged: a node 'Constant': got {got}; wanted one value"):
        read_graph(path)


@pytest.mark.parametrize("name", VALUES)
def test_a_constant_has_a_value_of_any_kind(tmp_path: Path, name: str) -> None:
    data = _with_constant("branch", **{name: VALUES[name]})
    (last,) = parse_onnx(data, tmp_path / "a.onnx").graph.node[-1:]
    assert [entry.name for entry in last.attribute[0].g.node[0].attribute] == [name]


@pytest.mark.parametrize("text", [b"q.q.q", b"zed", b"inner"])
def test_names_that_are_no_text_are_refused_wherever_they_are(tmp_path: Path, text: bytes) -> None:
    model = copied(square_model())
    branch = helper.make_graph([helper.make_node("Relu", ["a"], ["inner"])], "g", [], [])
    model.graph.node.append(helper.make_node("If", ["c"], ["zed"], then_branch=branch))
    model.functions.append(helper.make_function("q.q.q", "F", [], [], [], []))
    data = model.SerializeToString()
    parse_onnx(data, tmp_path / "a.onnx")
    with pytest.raises(ArtifactError, match=r"a\.onnx is damaged: the name of .*got bytes that are no text"):
        parse_onnx(data.replace(text, b"\xff" * len(text)), tmp_path / "a.onnx")


def test_tensors_in_a_list_are_looked_at_too(tmp_path: Path) -> None:
    model, sound = copied(square_model()), numpy_helper.from_array(np.ones(3, np.float32), "sound")
    odd = copied_tensor(sound, "odd", dims=4)
    model.graph.node.append(helper.make_node("Own", [], ["x"], domain="elsewhere", values=[sound, odd]))
    with pytest.raises(ArtifactError, match="is damaged: the tensor 'odd': got .*wanted as many values"):
        parse_onnx(model.SerializeToString(), tmp_path / "a.onnx")
    odd.dims[0] = 3
    model.graph.node[-1].attribute[0].CopyFrom(helper.make_attribute("values", [sound, odd]))
    assert parse_onnx(model.SerializeToString(), tmp_path / "a.onnx") == model


def copied_tensor(tensor: TensorProto, name: str, *, dims: int) -> TensorProto:
    copy = TensorProto()
    copy.CopyFrom(tensor)
    copy.name = name
    copy.dims[0] = dims
    return copy


def test_weights_of_a_function_are_read_beside_the_model(tmp_path: Path) -> None:
    net = ForeignNet()
    tensor = numpy_helper.from_array(np.ones(16, np.float32), "w")
    _outside(tensor, "w.data")
    (tmp_path / "w.data").write_bytes(np.ones(16, np.float32).tobytes())
    constant = helper.make_node("Constant", [], ["w"], value=tensor)
    net.model.functions.append(helper.make_function("own", "F", [], ["w"], [constant], [helper.make_opsetid("", 11)]))
    model = parse_onnx(net.model.SerializeToString(), tmp_path / "a.onnx", weights_beside=True)
    (read,) = model.functions[0].node
    np.testing.assert_array_equal(numpy_helper.to_array(read.attribute[0].t), np.ones(16, np.float32))
