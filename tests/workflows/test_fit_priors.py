"""Anchors for a data set: those of the preset where no fit is better, and the images that they are evaluated on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import ssd_edge as ssd
from ssd_edge.data.anchor_recall import AnchorRecall
from ssd_edge.data.priors_file import PriorsFile
from ssd_edge.model.zoo import make_spec
from ssd_edge.workflows import fit_priors as workflow
from tests.data.folders import voc_object, write_voc


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    for stem in "abcd":
        write_voc(tmp_path / "data", voc_object(), stem=stem)
    return tmp_path / "data"


def fit(dataset: Path) -> ssd.FitPriorsResult:
    return ssd.fit_priors(dataset, preset="ssd192-tiny", input_size=64, workspace=dataset.parent)


def test_without_a_validation_set_only_the_gain_on_training_images_is_known(dataset: Path) -> None:
    assert fit(dataset).validation is None
    write_voc(dataset, voc_object(), split="valid", stem="e")
    found = fit(dataset).validation
    assert found is not None
    assert (found.split, found.before.objects) == ("valid", 1)


def test_where_no_fit_is_better_the_presets_anchors_are_kept(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = workflow.fit_anchors
    worse = AnchorRecall(4, 0.0, 0.1)
    monkeypatch.setattr(
        workflow, "fit_anchors", lambda *values, **options: dataclasses.replace(made(*values, **options), after=worse)
    )
    result = fit(dataset)
    spec = make_spec("ssd192-tiny", ["cat"], input_size=64)
    assert PriorsFile.load(dataset.parent / "priors.json").anchors == spec.anchors == result.fitted.anchors
    assert result.fitted.fitted_levels == 0
    assert result.training.before == result.training.after
