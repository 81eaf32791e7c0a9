"""What a run says ahead of its first step."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.model.zoo import make_spec
from ssd_edge.training.recipe import recipe_for
from ssd_edge.training.tensorboard import TensorBoardLog
from ssd_edge.workflows.train_config import TrainConfig
from ssd_edge.workflows.training_run import _log_recall, _own_callbacks
from tests.workflows.test_training_choice import labelled

SPEC = make_spec("ssd192-tiny", ["a", "b"])
DOT, LARGE = (5.0, 5.0, 6.0, 6.0), (200.0, 100.0, 420.0, 260.0)
DOTS, SIZES = labelled((0, DOT), (1, DOT))
FIT = "ssd-edge data priors data"


@pytest.mark.parametrize(("command", "advice"), [(FIT, FIT), ("", "--input-size")])
def test_anchors_that_match_no_object_end_a_run_ahead_of_it(command: str, advice: str) -> None:
    with pytest.raises(InputError, match=f"match none of the 2 objects.*{advice}"):
        _log_recall(DOTS, SPEC, SIZES, command)


@pytest.mark.parametrize(
    ("boxes", "level", "advised"),
    [((DOT, DOT, DOT, LARGE), "WARNING", True), ((LARGE, LARGE), "INFO", False), ((), "INFO", False)],
)
def test_what_the_anchors_match_is_said_with_what_to_do(
    caplog: pytest.LogCaptureFixture, boxes: tuple[tuple[float, float, float, float], ...], level: str, advised: bool
) -> None:
    found, sizes = labelled(*((0, box) for box in boxes))
    with caplog.at_level("INFO", logger="ssd_edge"):
        _log_recall(found, SPEC, sizes, FIT)
    (record,) = caplog.records
    assert record.levelname == level
    assert f"of {len(boxes)} objects" in record.message
    assert (FIT in record.message) == advised


@pytest.mark.parametrize("asked", [True, False])
def test_without_tensorboard_a_run_has_no_curves_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, asked: bool
) -> None:
    monkeypatch.setattr(TensorBoardLog, "available", staticmethod(lambda: False))
    plan = SimpleNamespace(recipe=recipe_for("ssd192-tiny"), folder=tmp_path)
    with (
        caplog.at_level("INFO", logger="ssd_edge"),
        _own_callbacks(plan, None, TrainConfig(tensorboard=asked)) as own,  # type: ignore[arg-type]
    ):
        assert [type(callback).__name__ for callback in own] == ["EpochLog", "LossWatch"]
    assert ("pip install tensorboard" in caplog.text) == asked
    assert [*tmp_path.iterdir()] == []
