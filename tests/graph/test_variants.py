"""The one graph in the forms of other hosts: the same detections, in operators that every runtime has."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from ssd_edge.core.choices import VariantForm
from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.graph_contract import OUTPUT_NAMES, SPEC_KEY
from ssd_edge.core.preprocess import preprocess
from ssd_edge.graph.editor import Graph
from ssd_edge.graph.source import read_graph, read_onnx
from ssd_edge.graph.variants import make_variant
from ssd_edge.packaging.selfcheck import input_of, rows_of
from tests.packaging.conftest import exported, images  # noqa: F401 - fixtures
from tests.packaging.tensorrt_rtx import built_by_tensorrt_rtx

SIZE = (64, 64)


def run(model: onnx.ModelProto, pixels: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"images": pixels})


@pytest.mark.parametrize("form", list(VariantForm))
def test_a_form_gives_the_detections_of_the_exported_model(exported: Path, images, form: VariantForm) -> None:  # noqa: F811
    source = read_onnx(exported)
    made = make_variant(source.model, source.spec, form)
    seen = 0
    for image in images:
        pixels = preprocess(image, source.spec.input)
        wanted = rows_of("portable", run(source.model, pixels[None]), SIZE)
        found = rows_of(form.value, run(made, input_of(form.value, pixels)), SIZE)
        most = len(wanted) if form in (VariantForm.PORTABLE, VariantForm.FLOAT_NCHW) else min(20, len(wanted))
        np.testing.assert_allclose(np.array(found), np.array(wanted[:most]), atol=1e-6)
        seen += most
    assert seen > 20


@pytest.mark.parametrize("form", [VariantForm.PORTABLE, VariantForm.FLOAT_NCHW])
def test_the_batch_stays_free(exported: Path, images, form: VariantForm) -> None:  # noqa: F811
    source = read_onnx(exported)
    made = make_variant(source.model, source.spec, form)
    pixels = np.concatenate([input_of(form.value, preprocess(image, source.spec.input)) for image in images[:3]])
    together, alone = run(made, pixels), [run(made, one[None]) for one in pixels]
    for number, found in enumerate(together):
        np.testing.assert_allclose(found, np.concatenate([one[number] for one in alone]), atol=1e-6)


@pytest.mark.parametrize("form", list(VariantForm))
def test_a_form_has_the_shapes_of_its_host_and_nothing_of_ours(exported: Path, form: VariantForm) -> None:  # noqa: F811
    source = read_onnx(exported)
    made = make_variant(source.model, source.spec, form)
    rows, (entry,) = source.spec.nms.keep_top_k, made.graph.input
    batched = {OUTPUT_NAMES[0]: [1], OUTPUT_NAMES[1]: [rows, 4], OUTPUT_NAMES[2]: [rows], OUTPUT_NAMES[3]: [rows]}
    free = {name: ["batch", *sides] for name, sides in batched.items()}
    wanted = {
        VariantForm.PORTABLE: (["batch", 64, 64, 3], "uint8", free),
        VariantForm.FLOAT_NCHW: (["batch", 3, 64, 64], "float32", free),
        VariantForm.FRIGATE_SSD: ([1, 64, 64, 3], "uint8", {"detections": [1, 1, 20, 7]}),
        VariantForm.FRIGATE_YOLONAS: ([1, 64, 64, 3], "uint8", {"detections": [20, 7]}),
    }[form]
    kind = helper.tensor_dtype_to_np_dtype(entry.type.tensor_type.elem_type).name
    assert (shape(entry), kind, {output.name: shape(output) for output in made.graph.output}) == wanted
    assert {node.domain for node in made.graph.node} <= {""}
    assert not made.functions
    assert "Loop" not in {node.op_type for node in made.graph.node}
    assert SPEC_KEY not in {item.key for item in made.metadata_props}


def shape(entry) -> list[int | str]:
    return [axis.dim_param or axis.dim_value for axis in entry.type.tensor_type.shape.dim]


def test_rows_of_padding_end_the_list_as_each_host_has_it(exported: Path) -> None:  # noqa: F811
    """Frigate warns of a label below 0 before it looks at the score, but ends a list of yolonas by it."""
    source = read_onnx(exported)
    for node in source.model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "scoreThreshold":
                attribute.f = 0.999
    image = np.zeros((1, 64, 64, 3), np.uint8)
    ssd, nas = (
        run(make_variant(source.model, source.spec, form), image)[0].reshape(-1, 7)
        for form in (VariantForm.FRIGATE_SSD, VariantForm.FRIGATE_YOLONAS)
    )
    assert ssd[-1].tolist() == [0] * 7
    assert nas[-1].tolist() == [0, 0, 0, 0, 0, 0, -1]


def test_fewer_rows_than_frigate_reads_are_given(exported: Path) -> None:  # noqa: F811
    source = read_onnx(exported)
    spec = dataclasses.replace(source.spec, nms=dataclasses.replace(source.spec.nms, keep_top_k=7))
    made = make_variant(source.model, spec, VariantForm.FRIGATE_YOLONAS)
    assert shape(made.graph.output[0]) == [7, 7]


def test_a_graph_that_begins_in_another_way_is_turned(exported: Path, images) -> None:  # noqa: F811
    """An imported graph may read its image channels last."""
    source = read_onnx(exported)
    graph = Graph(source.model)
    (cast,) = graph.consumers("images")
    again = graph.add(helper.make_node("Identity", [cast.output[0]], ["again"], "again"))
    graph.redirect(cast.output[0], again, keep=graph.producer(again))
    pixels = preprocess(images[0], source.spec.input)
    made = make_variant(graph.finished(), source.spec, VariantForm.FLOAT_NCHW)
    assert made.graph.node[0].op_type == "Transpose"
    for found, wanted in zip(run(made, input_of("float-nchw", pixels)), run(source.model, pixels[None]), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_a_form_is_no_exported_model(exported: Path, tmp_path: Path) -> None:  # noqa: F811
    source = read_onnx(exported)
    onnx.save(make_variant(source.model, source.spec, VariantForm.PORTABLE), tmp_path / "m.onnx")
    with pytest.raises(ArtifactError, match="was not exported by ssd-edge"):
        read_graph(tmp_path / "m.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("form", list(VariantForm))
def test_tensorrt_rtx_builds_it(exported: Path, form: VariantForm) -> None:  # noqa: F811
    source = read_onnx(exported)
    assert built_by_tensorrt_rtx(make_variant(source.model, source.spec, form)) > 100_000


@pytest.mark.parametrize("first", ["Cast", "Transpose"])
def test_pixels_are_taken_in_whatever_order_the_graph_turns_them(exported: Path, images, first: str) -> None:  # noqa: F811
    """A graph may turn the bytes and then make floats of them; the float form has nothing to cut out then."""
    source = read_onnx(exported)
    graph = Graph(source.model)
    (cast,) = graph.consumers("images")
    (transpose,) = graph.consumers(cast.output[0])
    if first == "Transpose":
        turned = helper.make_node("Transpose", ["images"], ["turned"], "turned", perm=[0, 3, 1, 2])
        graph.replace(cast, [turned])
        graph.replace(transpose, [helper.make_node("Cast", ["turned"], [transpose.output[0]], "floats", to=1)])
    before = graph.finished()
    made = make_variant(before, source.spec, VariantForm.FLOAT_NCHW)
    pixels = preprocess(images[0], source.spec.input)
    wanted, found = run(before, pixels[None]), run(made, input_of("float-nchw", pixels))
    assert len(wanted[1])
    for one, other in zip(wanted, found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
