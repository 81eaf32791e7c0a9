"""Networks of other projects, as their own code ran them when the recordings were made (see the scripts beside it)."""

from __future__ import annotations

import pytest

from ssd_edge.importing.weights import recognize
from ssd_edge.model.predict import TorchDetector
from tests.parity.comparison import difference
from tests.parity.recording import load_recording

PYTORCH_SSD = ("mb1-ssd", "mb1-ssd-lite", "mb2-ssd-lite", "vgg16-ssd", "sq-ssd-lite")
ULTRA_LIGHT = ("ultra-light-rfb", "ultra-light-slim")
OTHERS = ("ssd.pytorch-ssd300", "vgg_ssd512", "mobilenet_v2_ssd320", "mobilenet_v3_ssd320", "nvidia_ssd")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*PYTORCH_SSD, *ULTRA_LIGHT, *OTHERS])
def test_its_weights_give_its_detections(name: str) -> None:
    recording = load_recording(name)
    weights = recording.weights()
    family = recognize(weights, origin=name)
    assert family.name == name
    found = difference(TorchDetector(family.convert(weights, None)).detect(recording.picture()), recording.detections)
    assert found.count > 20
    assert found.classes > 2
