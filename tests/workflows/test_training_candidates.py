"""The candidates of a trained network: more where that finds more objects, as the exported graph finds them."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from ssd_edge.core.choices import Metric
from ssd_edge.core.errors import InputError
from ssd_edge.core.preprocess import preprocess
from ssd_edge.core.sample import LabelledSet, Sample
from ssd_edge.core.spec import MANY_CANDIDATES, NmsSpec
from ssd_edge.model.checkpoint import load_checkpoint, save_checkpoint
from ssd_edge.model.predict import TorchDetector
from ssd_edge.model.random_weights import scaled_random
from ssd_edge.model.ssd import SSD
from ssd_edge.model.weights import with_weights
from ssd_edge.model.zoo import make_spec
from ssd_edge.training.run_folder import RunFolder
from ssd_edge.workflows.evaluate_file import evaluate_file
from ssd_edge.workflows.export import export
from ssd_edge.workflows.training_candidates import choose_candidates

CLASSES = ("a", "b", "c")
FEW = NmsSpec(score_threshold=0.01, iou_threshold=0.3, top_k=400, keep_top_k=40, max_candidates=40)
METRICS = {"mean_ap": 0.5}


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> tuple[SSD, LabelledSet]:
    """A network, and images whose objects are what it finds among all candidates."""
    folder, rng = tmp_path_factory.mktemp("crowd"), np.random.default_rng(0)
    images = [rng.integers(0, 256, (90, 120, 3), np.uint8) for _ in range(3)]
    spec = make_spec("ssd192-tiny", CLASSES, input_size=64)
    model = scaled_random(spec, images, candidates=600)
    model = with_weights(dataclasses.replace(spec, nms=FEW), model.state_dict(), origin="test")
    samples = []
    for number, image in enumerate(images):
        path = folder / f"{number}.png"
        cv2.imwrite(str(path), image)
        ((found),) = TorchDetector(model).detect_within(
            image, [dataclasses.replace(FEW, top_k=1000, max_candidates=1000)]
        )
        areas = (found.boxes[:, 2:] - found.boxes[:, :2]).prod(axis=1).astype(np.float64)
        samples.append(Sample(path, found.boxes, found.class_ids, np.zeros(len(found), bool), areas))
    return model, LabelledSet(CLASSES, tuple(samples), "crowd")


def saved(folder: Path, model: SSD) -> Path:
    files = RunFolder(folder / "runs" / "crowd")
    save_checkpoint(files.best, model, METRICS)
    return files.best


def test_more_candidates_are_taken_where_they_find_more(
    crowd: tuple[SSD, LabelledSet], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model, labelled = crowd
    best = saved(tmp_path, model)
    exported = export(best, output=tmp_path / "few.onnx").path
    few = evaluate_file(exported, labelled, metric=Metric.VOC).accuracy.mean_ap
    with caplog.at_level(logging.INFO, logger="ssd_edge"):
        choose_candidates(best, labelled, device="cpu", cores=1)
    loaded = load_checkpoint(best)
    assert loaded.spec == dataclasses.replace(
        model.spec, nms=dataclasses.replace(FEW, top_k=MANY_CANDIDATES, max_candidates=MANY_CANDIDATES)
    )
    assert loaded.metrics == METRICS
    assert all(tensor.equal(model.state_dict()[name]) for name, tensor in loaded.model.state_dict().items())
    exported = export(best, output=tmp_path / "many.onnx").path
    many = evaluate_file(exported, labelled, metric=Metric.VOC).accuracy.mean_ap
    assert many > few + 0.01
    assert f"from {few:.4f} to {many:.4f}" in caplog.text
    written = best.read_bytes()
    choose_candidates(best, labelled, device="cpu", cores=1)
    assert best.read_bytes() == written


def test_a_checkpoint_that_gains_nothing_is_left_as_it_is(crowd: tuple[SSD, LabelledSet], tmp_path: Path) -> None:
    model, labelled = crowd
    enough = dataclasses.replace(model.spec, nms=dataclasses.replace(FEW, top_k=900, max_candidates=900))
    best = saved(tmp_path, with_weights(enough, model.state_dict(), origin="test"))
    written = best.read_bytes()
    choose_candidates(best, labelled, device="cpu", cores=1)
    assert best.read_bytes() == written


def test_images_that_have_gone_are_passed_over(crowd: tuple[SSD, LabelledSet], tmp_path: Path) -> None:
    model, labelled = crowd
    gone = dataclasses.replace(labelled.samples[0], image=tmp_path / "gone.png")
    best = saved(tmp_path, model)
    choose_candidates(best, dataclasses.replace(labelled, samples=(gone,)), device="cpu", cores=1)
    assert load_checkpoint(best).spec.nms == FEW
    choose_candidates(best, dataclasses.replace(labelled, samples=(gone, *labelled.samples)), device="cpu", cores=1)
    assert load_checkpoint(best).spec.nms.max_candidates == MANY_CANDIDATES


def test_of_many_images_some_are_looked_at(
    crowd: tuple[SSD, LabelledSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ssd_edge.workflows.training_candidates._MOST_IMAGES", 2)
    model, labelled = crowd
    seen = []
    choose_candidates(
        saved(tmp_path, model), labelled, device="cpu", cores=1, progress=lambda *report: seen.append(report)
    )
    assert seen == [(1, 2), (2, 2)]


def test_objects_that_are_all_difficult_decide_nothing(crowd: tuple[SSD, LabelledSet], tmp_path: Path) -> None:
    model, labelled = crowd
    samples = tuple(dataclasses.replace(entry, difficult=~entry.difficult) for entry in labelled.samples)
    best = saved(tmp_path, model)
    choose_candidates(best, dataclasses.replace(labelled, samples=samples), device="cpu", cores=1)
    assert load_checkpoint(best).spec.nms == FEW


def test_where_it_cannot_be_written_the_run_is_not_lost(
    crowd: tuple[SSD, LabelledSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise InputError("the disk is full")

    monkeypatch.setattr("ssd_edge.workflows.training_candidates.save_checkpoint", full)
    model, labelled = crowd
    best = saved(tmp_path, model)
    choose_candidates(best, labelled, device="cpu", cores=1)
    assert load_checkpoint(best).spec.nms == FEW
    assert "best.pt stays as it is: the disk is full" in caplog.text


def test_ctrl_c_says_that_the_checkpoint_is_complete(
    crowd: tuple[SSD, LabelledSet], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model, labelled = crowd
    best = saved(tmp_path, model)
    written = best.read_bytes()

    def interrupted(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        choose_candidates(best, labelled, device="cpu", cores=1, progress=interrupted)
    assert best.read_bytes() == written
    assert f"{best} is complete" in caplog.text
    assert f"--max-candidates {MANY_CANDIDATES}" in caplog.text


def test_the_detections_are_those_of_one_limit_at_a_time(crowd: tuple[SSD, LabelledSet]) -> None:
    model, labelled = crowd
    image = cv2.imread(str(labelled.samples[0].image))
    pixels = preprocess(image, model.spec.input)[None]
    limits = [
        FEW,
        dataclasses.replace(FEW, max_candidates=900, top_k=900),
        dataclasses.replace(FEW, score_threshold=0.2),
        dataclasses.replace(FEW, keep_top_k=3),
    ]
    together = TorchDetector(model).detect_within(image, limits)
    for nms, found in zip(limits, together, strict=True):
        alone = TorchDetector(with_weights(dataclasses.replace(model.spec, nms=nms), model.state_dict(), origin="test"))
        ((boxes, scores, class_ids),) = alone.infer(pixels)
        assert found.scores.tolist() == scores.tolist()
        assert found.class_ids.tolist() == class_ids.tolist()
        assert np.allclose(found.boxes, boxes * np.float32([120, 90, 120, 90]), atol=1e-3)
