from __future__ import annotations

import pytest

from ssd_edge.training.metrics import EpochMeter, StepLoss


def test_an_epochs_record_holds_the_means_of_its_steps() -> None:
    meter = EpochMeter(4)
    meter.add(StepLoss(1.0, 2.0), images=8, learning_rate=0.2)
    meter.add(StepLoss(2.0, 5.0), images=8, learning_rate=0.1)
    record = meter.record(seconds=60.0, mean_ap=0.25)
    assert (record.epoch, record.images, record.seconds, record.learning_rate) == (4, 16, 60.0, 0.1)
    assert (record.localisation_loss, record.confidence_loss, record.loss) == (1.5, 3.5, 5.0)
    assert meter.loss == pytest.approx(5.0)
    assert record.images_per_s > 0
    assert record.metrics == {"epoch": 4.0, "loss": 5.0, "mean_ap": 0.25}
    assert meter.record(seconds=60.0, mean_ap=None).metrics == {"epoch": 4.0, "loss": 5.0}
