"""What a run takes where nothing is asked for: the network by data and weights, its anchors, its length."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision import models

from ssd_edge.core.sample import LabelledSet, Sample
from ssd_edge.data.anchor_recall import AnchorRecall, best_overlaps, unit_boxes
from ssd_edge.model.anchors import anchor_boxes
from ssd_edge.model.checkpoint import save_checkpoint
from ssd_edge.model.imagenet import ChosenWeights
from ssd_edge.model.weight_source import Weights
from ssd_edge.model.zoo import build_model, find_preset, make_spec, preset_names
from ssd_edge.training.config import SavedPlan
from ssd_edge.training.recipe import recipe_for
from ssd_edge.workflows import training_choice
from ssd_edge.workflows.train import train
from ssd_edge.workflows.training_choice import (
    DEFAULT_PRESET,
    SMALL_OBJECT_PRESET,
    DataFacts,
    choose_network,
    data_facts,
    fitted_anchors,
    read_named_weights,
    run_name,
    suited_recipe,
)
from tests.cli.test_train import workspace  # noqa: F401  (a fixture)
from tests.training.conftest import one_thread  # noqa: F401  (a fixture)

LARGE, SMALL = DataFacts(500, 0.0, 1.33), DataFacts(500, 0.9, 1.33)


def labelled(*boxes: tuple[int, tuple[float, float, float, float]], size: tuple[int, int] = (640, 480)):
    """Return a set of one image an object, and the sizes of the images."""
    samples = tuple(
        Sample(
            Path(f"{number}.jpg"),
            np.array([box], np.float32),
            np.array([label], np.int64),
            np.zeros(1, np.bool_),
            np.zeros(1),
        )
        for number, (label, box) in enumerate(boxes)
    )
    return LabelledSet(("a", "b"), samples, "drawn"), {sample.image: size for sample in samples}


def test_facts_are_of_the_class_with_the_smallest_objects() -> None:
    large, small = (0, 0, 320, 240), (10, 10, 50, 50)
    found = data_facts(*labelled((0, large), (0, large), (0, large), (1, small), (1, small), (1, large)))
    assert found.images == 6
    assert found.small == pytest.approx(2 / 3)
    assert found.aspect == pytest.approx(640 / 480)


@pytest.mark.parametrize(
    ("aspect", "size"), [(1.33, None), (16 / 9, (416, 256)), (9 / 16, (256, 416)), (1.0, None), (6.0, (544, 192))]
)
def test_the_input_has_the_shape_of_long_images(aspect: float, size: tuple[int, int] | None) -> None:
    choice = choose_network(DataFacts(500, 0.0, aspect), None)
    assert (choice.preset, choice.input_size) == (DEFAULT_PRESET, size)
    assert make_spec(choice.preset, ["a"], input_size=choice.input_size).anchors.count > 1000


@pytest.mark.parametrize("preset", preset_names())
def test_only_a_preset_for_several_sizes_gets_an_input_of_another_shape(preset: str) -> None:
    takes_others = find_preset(preset).sizes is not None
    assert (training_choice._input_size(preset, 2.0) is not None) == takes_others
    assert training_choice._input_size(preset, 1.0) is None


def classifier(name: str) -> Weights:
    with torch.device("meta"):
        tensors = getattr(models, name)().state_dict()
    return Weights({key: torch.zeros(value.shape, dtype=value.dtype) for key, value in tensors.items()}, f"{name}.pth")


@pytest.mark.parametrize(
    ("name", "preset"),
    [
        ("mobilenet_v3_large", DEFAULT_PRESET),
        ("mobilenet_v2", "ssdlite300-mobilenet-v2"),
        ("resnet50", "ssd300-resnet50"),
    ],
)
def test_weights_choose_the_network_that_they_fit(name: str, preset: str) -> None:
    assert choose_network(LARGE, classifier(name)).preset == preset


@pytest.mark.parametrize("preset", [DEFAULT_PRESET, SMALL_OBJECT_PRESET, "ssd300-vgg16-batch-norm"])
@pytest.mark.parametrize("facts", [LARGE, SMALL], ids=["large", "small"])
def test_a_checkpoint_of_ours_chooses_its_own_network(preset: str, facts: DataFacts, tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "best.pt", build_model(make_spec(preset, ["a"])))
    assert choose_network(facts, read_named_weights(str(tmp_path / "best.pt"))).preset == preset


def test_small_objects_get_a_finer_first_map() -> None:
    for weights in (None, classifier("mobilenet_v3_large"), Weights({"x": torch.zeros(3)}, "x.pth")):
        small, large = (choose_network(facts, weights) for facts in (SMALL, LARGE))
        assert (small.preset, large.preset) == (SMALL_OBJECT_PRESET, DEFAULT_PRESET)
        assert ("stride of 8" in small.reason, "stride of 8" in large.reason) == (True, False)
    assert choose_network(SMALL, classifier("mobilenet_v2")).preset == "ssdlite300-mobilenet-v2"
    size = choose_network(DataFacts(500, 0.9, 16 / 9), None).input_size
    levels = make_spec(SMALL_OBJECT_PRESET, ["a"], input_size=size).anchors.levels
    assert size == (levels[0].cols * 8, levels[0].rows * 8)


def test_weights_of_a_classifier_of_timm_choose_it_with_a_fine_map_for_small_objects() -> None:
    timm = pytest.importorskip("timm")
    tensors = timm.create_model("tf_efficientnet_lite0").state_dict()
    theirs = {"_conv_stem.weight" if name == "conv_stem.weight" else name: value for name, value in tensors.items()}
    weights = Weights(theirs, "models/efficientnet-lite0-57934424.pth")
    assert choose_network(SMALL, weights).preset == "ssdlite320-tf_efficientnet_lite0-stride8"
    assert choose_network(LARGE, weights).preset == "ssdlite320-tf_efficientnet_lite0"
    assert choose_network(LARGE, Weights(tensors, "efficientnet_lite0_ra-37913777.pth")).preset == (
        "ssdlite320-efficientnet_lite0"
    )


def test_weights_that_fit_nothing_do_not_choose() -> None:
    choice = choose_network(LARGE, Weights({"x": torch.zeros(3)}, "x.pth"))
    assert choice.preset == DEFAULT_PRESET
    assert "fit no backbone" in choice.reason


def test_anchors_are_fitted_where_that_gains() -> None:
    spec = make_spec("ssd192-tiny", ["a", "b"])
    rng = np.random.default_rng(0)
    corners = [(float(x), float(y)) for x, y in rng.uniform(0, 400, (60, 2))]
    thin, sizes = labelled(*((0, (x, y, x + 30, y + 110)) for x, y in corners))
    fitted = fitted_anchors(spec, thin, sizes)
    before, after = (AnchorRecall.of(best_overlaps(unit_boxes(thin, sizes), one.anchors)) for one in (spec, fitted))
    assert before.recall + 0.1 < after.recall
    square, sizes = labelled(*((0, (x, y, x + 96 * 1.25, y + 72 * 1.25)) for x, y in corners))
    assert fitted_anchors(spec, square, sizes).anchors.count == spec.anchors.count


def test_anchors_stay_where_nothing_is_gained() -> None:
    spec = make_spec("ssd192-tiny", ["a", "b"])
    assert fitted_anchors(spec, *labelled()) is spec, "there is no object to fit them to"
    matched = anchor_boxes(spec.anchors)[::37] * 192
    corners = np.concatenate([matched[:, :2] - matched[:, 2:] / 2, matched[:, :2] + matched[:, 2:] / 2], axis=1)
    inside = corners[((corners >= 0) & (corners <= 192)).all(axis=1)]
    assert len(inside) > 20
    assert fitted_anchors(spec, *labelled(*((0, tuple(box)) for box in inside.tolist()), size=(192, 192))) is spec


def test_without_timm_its_classifiers_fit_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_choice, "preset_names", lambda: [])
    monkeypatch.setitem(sys.modules, "timm", None)
    weights = Weights({"conv_stem.weight": torch.zeros(32, 3, 3, 3)}, "efficientnet_lite0_ra-37913777.pth")
    choice = choose_network(LARGE, weights)
    assert choice.preset == DEFAULT_PRESET
    assert "fit no backbone" in choice.reason


def test_few_images_are_seen_more_often_in_smaller_batches() -> None:
    few, some, many = (suited_recipe(DEFAULT_PRESET, images, images // 5) for images in (60, 205, 50_000))
    assert few.epochs > some.epochs > many.epochs > 40
    assert (some.batch_size, many.batch_size) == (16, recipe_for(DEFAULT_PRESET).batch_size)
    assert suited_recipe(DEFAULT_PRESET, 5, 1).batch_size == 5
    assert few.validate_every > many.validate_every == 1


@pytest.mark.parametrize(
    ("dataset", "name"),
    [("photos of birds", "photos-of-birds"), ("x/bccd", "bccd"), ("x/bccd/data.yaml", "bccd"), ("/", "run")],
)
def test_a_run_is_called_like_its_data(dataset: str, name: str) -> None:
    assert run_name(Path(dataset)) == name


@pytest.mark.usefixtures("workspace")
def test_nothing_but_a_data_set_is_needed(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("ssd_edge.workflows.training_choice._default_preset", lambda _small: "ssd192-tiny")
    missing = ChosenWeights(None, "random weights: there is no network")
    monkeypatch.setattr("ssd_edge.workflows.training_run.imagenet_weights", lambda *_arguments, **_options: missing)
    smaller: dict[str, Any] = {"input_size": 64, "epochs": 1, "workers": 0, "precision": "float32", "report": False}
    with caplog.at_level("INFO", logger="ssd_edge"):
        result = train("data", **smaller)
    assert result.path == Path("runs/data-1/best.pt")
    said = caplog.text
    assert "network: ssd192-tiny, " in said
    assert said.count("random weights: there is no network") == 2  # where it begins and where it ends
    assert SavedPlan.load(Path("runs/data-1")).content.weights_note == missing.why
