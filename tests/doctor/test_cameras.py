"""OpenCV, without which no camera is read."""

from __future__ import annotations

from ssd_edge.doctor.cameras import opencv
from ssd_edge.doctor.check import State
from tests.doctor.machines import bare_cpu, facts


def test_without_opencv_it_is_installed_by_pip() -> None:
    found = opencv(facts(bare_cpu() | {"module cv2": None}), None)
    assert (found.state, found.found, found.do) == (State.MISSING, "not installed", "pip install opencv-python")
    assert opencv(facts(bare_cpu()), None).state is State.OK
