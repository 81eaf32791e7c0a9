from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.workflows.check_data import CheckDataConfig, CheckDataOptions, check_data
from ssd_edge.workflows.data_statistics import DataStatisticsConfig, DataStatisticsOptions, data_statistics
from ssd_edge.workflows.fit_priors import fit_priors
from ssd_edge.workflows.fit_priors_config import FitPriorsConfig, FitPriorsOptions
from ssd_edge.workflows.synthesize import synthesize


@pytest.fixture
def signs(tmp_path: Path) -> Path:
    path = synthesize(tmp_path / "signs", train=6, val=2, test=0, size=(128, 96), seed=5).path
    assert path is not None
    return path


@pytest.mark.parametrize(
    ("options", "config"),
    [
        (CheckDataOptions, CheckDataConfig),
        (DataStatisticsOptions, DataStatisticsConfig),
        (FitPriorsOptions, FitPriorsConfig),
    ],
)
def test_keywords_are_the_fields_of_the_config(options: type, config: type) -> None:
    assert set(options.__annotations__) == {field.name for field in dataclasses.fields(config)}


def test_a_sound_set_has_figures_and_nothing_left_out(signs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    result = check_data(str(signs), splits=["train", "val"], html=str(signs.parent / "sheet.html"))
    assert not result.errors
    assert (result.left_out, result.anchors, dict(result.anchor_recall)) == ((), "", {})
    assert {split: found.images for split, found in result.statistics.items()} == {"train": 6, "val": 2}
    assert result.path == signs.parent / "sheet.html"
    assert result.path.is_file()
    assert data_statistics(signs).splits == result.statistics
    assert capfd.readouterr() == ("", "")


def test_what_cannot_be_used_is_named(signs: Path) -> None:
    image = sorted((signs / "JPEGImages").glob("train*.jpg"))[0]
    image.write_bytes(b"")
    result = check_data(signs)
    assert [str(entry) for entry in result.left_out] == [f"{image}: is empty"]
    assert [(kind.kind, kind.number) for kind in result.counts if kind.severity == "error"] == [("image-unreadable", 1)]
    assert json.loads(result.to_json())["errors"] == 1


def test_classes_may_be_names(signs: Path) -> None:
    assert {issue.kind for issue in check_data(signs, classes=["stop"]).errors} == {"class-unknown"}


def test_fitted_anchors_are_checked_by_the_file(signs: Path) -> None:
    output = signs.parent / "p.json"
    fitted = fit_priors(signs, preset="ssd192-tiny", input_size=64, per_level=3, output=str(output))
    assert fitted.path == output
    assert fitted.validation is not None
    assert (fitted.training.split, fitted.validation.split) == ("train", "val")
    assert fitted.training.after.recall > fitted.training.before.recall
    result = check_data(signs, priors=output)
    assert result.anchor_recall["train"] == fitted.training.after
    assert result.anchors == str(output)


def test_the_file_lies_in_the_workspace_where_none_is_named(signs: Path) -> None:
    fitted = fit_priors(signs, preset="ssd192-tiny", input_size=64, workspace=str(signs.parent))
    assert fitted.path == signs.parent / "priors.json"
    assert fitted.path.is_file()


def test_numbers_of_boxes_that_fit_no_map_are_refused(signs: Path) -> None:
    with pytest.raises(InputError, match=r"per_level= is invalid: got '1,2'"):
        fit_priors(signs, per_level=(1, 2))
