from __future__ import annotations

import dataclasses
import json

import pytest

from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.spec import AnchorSpec, AnchorTable, InputSpec, ModelSpec, NmsSpec
from tests.core.factories import tiny_spec


def test_json_returns_the_same_spec() -> None:
    spec = tiny_spec()
    assert ModelSpec.from_json(spec.to_json(), origin="x") == spec


def test_digest_follows_every_field() -> None:
    digests = {
        tiny_spec().digest,
        tiny_spec(name="other").digest,
        tiny_spec(class_names=("a",)).digest,
        tiny_spec(nms=NmsSpec(score_threshold=0.02)).digest,
    }
    assert len(digests) == 4
    assert tiny_spec().digest == tiny_spec().digest


def test_background_is_counted_once() -> None:
    assert tiny_spec().num_logits == 4
    assert tiny_spec().anchors.count == 80


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": ()}, "class_names is out of range: got .*; wanted at least one class"),
        ({"class_names": ("a", "N/A", "a", "N/A")}, "class_names is out of range: .* no name twice"),
        ({"class_names": ("a", "a")}, "class_names is out of range: .* no name twice"),
        ({"anchors": AnchorSpec(())}, "anchors is out of range: got 0; wanted at least one anchor"),
        (
            {"anchors": AnchorSpec(tiny_spec().anchors.levels, table=AnchorTable(80))},
            "anchors is out of range: got levels and a table; wanted either levels or a table",
        ),
        ({"input": InputSpec(0, 64, (0, 0, 0), (1, 1, 1))}, "input is out of range"),
        ({"input": InputSpec(64, 64, (0, 0, 0), (1, 0, 1))}, "std is out of range: .* no zero"),
        ({"nms": NmsSpec(max_candidates=3841, top_k=4000)}, r"max_candidates is out of range: .* 1 to 3840"),
        ({"nms": NmsSpec(top_k=300)}, r"top_k is out of range: got 300; wanted max_candidates \(400\) to 4096"),
        ({"nms": NmsSpec(keep_top_k=500)}, r"keep_top_k is out of range: got 500; wanted 1 to max_candidates \(400\)"),
        ({"nms": NmsSpec(score_threshold=1.5)}, "score_threshold is out of range"),
        ({"nms": NmsSpec(iou_threshold=0.0)}, "iou_threshold is out of range"),
    ],
)
def test_values_out_of_range_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        tiny_spec(**changes)


@pytest.mark.parametrize("text", ["", "[]", "nonsense", '{"format": "ssd-edge/spec/1"}'])
def test_damaged_text_names_its_origin(text: str) -> None:
    with pytest.raises(ArtifactError, match=r"m\.onnx is a damaged model spec: got .*Export the model again"):
        ModelSpec.from_json(text, origin="m.onnx")


def test_another_format_is_refused() -> None:
    fields = json.loads(tiny_spec().to_json())
    with pytest.raises(ArtifactError, match="got 'ssd-edge/spec/9'; wanted ssd-edge/spec/1"):
        ModelSpec.from_json(json.dumps({**fields, "format": "ssd-edge/spec/9"}), origin="m.onnx")


def test_spec_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        tiny_spec().name = "other"  # type: ignore[misc]


def test_a_table_of_default_boxes_survives_json_and_counts() -> None:
    spec = tiny_spec(anchors=AnchorSpec((), table=AnchorTable(80, "sha256:1")))
    assert ModelSpec.from_json(spec.to_json(), origin="x") == spec
    assert spec.anchors.count == 80
    assert spec.digest != tiny_spec(anchors=AnchorSpec((), table=AnchorTable(80))).digest


def test_a_spec_without_a_table_is_written_as_before_there_were_tables() -> None:
    assert set(json.loads(tiny_spec().to_json())["anchors"]) == {"levels", "clip"}


def test_default_boxes_written_by_hand_need_no_clip() -> None:
    level = {"rows": 2, "cols": 3, "step": [0.5, 0.25], "sizes": [[0.1, 0.2]]}
    spec = AnchorSpec.from_fields({"levels": [level]})
    assert (spec.count, spec.clip, spec.levels[0].sizes) == (6, "none", ((0.1, 0.2),))
