from __future__ import annotations

import logging

import pytest

from ssd_edge.core.errors import TrainingError
from ssd_edge.training.metrics import EpochRecord
from ssd_edge.training.outcome import LossWatch, warn_of_poor_outcome


def record(epoch: int, loss: float, mean_ap: float | None = None) -> EpochRecord:
    return EpochRecord(epoch, 32, 1.0, 32.0, 0.01, loss, loss / 2, loss / 2, mean_ap)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [entry.getMessage() for entry in caplog.records if entry.levelno == logging.WARNING]


def test_an_epoch_that_learns_nothing_ends_the_run() -> None:
    watch = LossWatch(0.01)
    watch.on_epoch(record(1, 1e-9))
    with pytest.raises(TrainingError, match="epoch 2 is exactly 0"):
        watch.on_epoch(record(2, 0.0))


@pytest.mark.parametrize("lowest", [None, 3.0])
def test_a_loss_that_explodes_is_warned_of_once(lowest: float | None, caplog: pytest.LogCaptureFixture) -> None:
    watch = LossWatch(0.02, lowest)
    for epoch, loss in enumerate((4.0, 25.0, 90.0, 900.0), start=1):
        watch.on_epoch(record(epoch, loss))
    assert len(warnings(caplog)) == 1
    assert "--lr 0.005" in warnings(caplog)[0]


def test_a_loss_that_falls_and_a_validation_that_finds_nothing_disagree(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_poor_outcome([record(1, 8.0, 0.0), record(2, 4.0, 0.02), record(3, 3.0, 0.046)])
    assert "training and validation disagree" in warnings(caplog)[0]


def test_a_loss_that_did_not_fall_is_not_said_to_have_fallen(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_poor_outcome([record(1, 8.0, 0.0)])
    assert "with a loss of 8 after 1 epoch." in warnings(caplog)[0]
    caplog.clear()
    warn_of_poor_outcome([record(1, 8.0, 0.0), record(2, 7.0, 0.0)])
    assert "the loss fell from 8 to 7 in 2 epochs" in warnings(caplog)[0]


def test_nothing_found_is_said(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_poor_outcome([record(1, 8.0, 0.0)])
    assert "no object of the validation set is detected" in warnings(caplog)[0]


@pytest.mark.parametrize("records", [[record(1, 8.0), record(2, 1.0, 0.4)], [record(1, 8.0)], []])
def test_a_good_or_unknown_outcome_is_not_remarked_on(
    records: list[EpochRecord], caplog: pytest.LogCaptureFixture
) -> None:
    warn_of_poor_outcome(records)
    assert not warnings(caplog)
