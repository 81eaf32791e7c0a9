from __future__ import annotations

from pathlib import Path

import pytest

from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.training.metrics import EpochMeter, EpochRecord, StepLoss, read_metrics
from ssd_edge.training.run_folder import RunFolder
from tests.training.factories import tiny_model


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


RECORDS = [
    EpochRecord(1, 16, 2.5, 8.0, 0.01, 4.25, 1.25, 3.0, None),
    EpochRecord(2, 16, 5.5, 9.0, 0.005, 3.25, 1.0, 2.25, 0.125),
]


def test_what_a_run_writes_is_read_back(tmp_path: Path) -> None:
    files = RunFolder(tmp_path)
    for record in RECORDS:
        files.keep(tiny_model(), record)
    assert read_metrics(files.metrics) == RECORDS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a,b\n1,2\n",
            r"metrics.csv is not a metrics file: got 'epoch'; wanted a metrics.csv that ssd-edge train wrote",
        ),
        ("", "metrics.csv contains no epoch"),
        ("epoch,images,seconds\none,1,2\n", "is not a metrics file: got invalid literal for int"),
        ("epoch,images,seconds\n1,1\n", "is not a metrics file"),
        ("\x00\n1\n", "is not a metrics file"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(text)
    with pytest.raises(ArtifactError, match=message):
        read_metrics(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"metrics.csv cannot be read .No such file"):
        read_metrics(tmp_path / "metrics.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ArtifactError, match="is not a metrics file"):
        read_metrics(tmp_path / "binary.csv")
