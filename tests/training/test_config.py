"""The plan of a run, as it is read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.training.config import Machine, SavedPlan, TrainingPlan
from ssd_edge.training.recipe import recipe_for
from tests.training.factories import squares, tiny_spec


def test_a_folder_without_a_plan_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "state.pt").touch()
    with pytest.raises(InputError, match=r"is not a run that can be resumed: got no plan\.json"):
        SavedPlan.load(tmp_path)


def test_a_run_goes_on_with_the_images_it_had_only(tmp_path: Path) -> None:
    learnt, judged = squares(tmp_path / "a", 3), squares(tmp_path / "b", 2, seed=1)
    TrainingPlan(tiny_spec(), learnt, judged, recipe_for("ssd192-tiny"), tmp_path).save()
    saved = SavedPlan.load(tmp_path)
    assert saved.with_images(learnt, judged, Machine()).train_set is learnt
    with pytest.raises(InputError, match=r"b has changed and is no longer what the run trained on: got 2 images"):
        saved.with_images(judged, judged, Machine())
    longer = judged.samples[1].image
    content = longer.read_bytes()
    longer.write_bytes(content + b"\0")
    with pytest.raises(InputError, match="no longer what the run was validated on"):
        saved.with_images(learnt, judged, Machine())
    longer.unlink()
    with pytest.raises(InputError, match=rf"{longer.name} cannot be read .No such file"):
        saved.with_images(learnt, judged, Machine())
    longer.write_bytes(content)
    assert saved.with_images(learnt, judged, Machine()).val_set is judged
