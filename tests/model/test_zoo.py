from __future__ import annotations

import pytest

from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.spec import ModelSpec
from ssd_edge.model.zoo import build_model, find_preset, make_spec, preset_names
from tests.documents import ROOT
from tests.model.factories import CLASSES


def test_presets_are_listed() -> None:
    names = preset_names()
    assert names[0] == "ssd300-vgg16"
    assert {"ssdlite320-mobilenet-v3-large", "ssd512-vgg16-voc", "ssd192-tiny"} <= set(names)
    assert len(set(names)) == len(names)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"one of {len(names)} networks" in readme
    assert all(f"`{name}`" in readme for name in names)


@pytest.mark.parametrize("preset", [name for name in preset_names() if find_preset(name).sizes is not None])
@pytest.mark.parametrize("end", [0, -1], ids=["smallest", "largest"])
def test_a_preset_has_maps_and_anchors_for_its_smallest_and_its_largest_input(preset: str, end: int) -> None:
    sizes = find_preset(preset).sizes
    assert sizes is not None
    spec = make_spec(preset, CLASSES, input_size=sizes[end])
    assert spec.input.width == sizes[end]
    assert all(level.rows and level.cols for level in spec.anchors.levels)


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_makes_a_spec_that_travels(preset: str) -> None:
    spec = make_spec(preset, CLASSES)
    assert (spec.name, spec.class_names, spec.input.color_order) == (preset, CLASSES, "rgb")
    assert ModelSpec.from_json(spec.to_json(), origin="here") == spec


def test_the_model_can_have_a_name() -> None:
    assert make_spec("ssd192-tiny", CLASSES, name="signs").name == "signs"


@pytest.mark.parametrize("input_size", [64, 96, 192, 320, 1024])
def test_tiny_takes_any_multiple_of_32(input_size: int) -> None:
    spec = make_spec("ssd192-tiny", CLASSES, input_size=input_size)
    assert (spec.input.height, spec.input.width) == (input_size, input_size)
    assert spec.anchors.levels[0].rows == input_size // 8
    if input_size <= 192:
        assert build_model(spec).spec == spec


@pytest.mark.parametrize("input_size", [64, 192, 512])
def test_tinys_default_boxes_meet_squares_of_8_to_60_percent(input_size: int) -> None:
    """A square in the middle of a cell overlaps some anchor by more than half, whatever its size."""
    levels = make_spec("ssd192-tiny", CLASSES, input_size=input_size).anchors.levels
    sides = [w for level in levels for w, h in level.sizes if w == h]
    for percent in range(8, 61):
        side = percent / 100
        assert max(min(side, s) ** 2 / max(side, s) ** 2 for s in sides) > 0.5


@pytest.mark.parametrize(
    ("preset", "input_size", "message"),
    [
        ("ssd300-vgg16", 320, "preset 'ssd300-vgg16' has no anchors for this input size: got 320; wanted 300"),
        ("ssd192-tiny", 100, "got 100; wanted 64 to 1024 in steps of 32"),
        ("ssd192-tiny", 32, "got 32; wanted 64 to 1024"),
        ("ssd192-tiny", 0, "got 0; wanted 64 to 1024"),
    ],
)
def test_other_input_sizes_are_refused(preset: str, input_size: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_spec(preset, CLASSES, input_size=input_size)


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(InputError, match="there is no preset 'yolo': wanted ssd300-vgg16, .*ssd192-tiny"):
        make_spec("yolo", CLASSES)


def test_classes_are_needed() -> None:
    with pytest.raises(ArtifactError, match="class_names is out of range"):
        make_spec("ssd192-tiny", ())
