from __future__ import annotations

import pytest

from ssd_edge.streaming.sources import camera_rate
from ssd_edge.streaming.sources.camera_rate import measure_rate
from tests.streaming.sources.uvc_camera import UvcCamera


@pytest.mark.parametrize(("buffers", "share"), [(1, 0.5), (2, 1.0), (None, 1.0)])
def test_the_rate_of_a_camera_against_its_promise(
    monkeypatch: pytest.MonkeyPatch, buffers: int | None, share: float
) -> None:
    device = UvcCamera(400)
    monkeypatch.setattr(camera_rate, "open_capture", lambda *_: device)
    found = measure_rate(0, 10.0, buffers=buffers, now=lambda: device._now / 30)
    assert found is not None
    assert found.promised == 30
    assert found.share == pytest.approx(share, abs=0.05)
    assert found.size == (8, 8)
    assert f"{100 * found.share:.0f} % of the 30 promised" in str(found)


def test_no_camera_and_one_that_gives_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera_rate, "open_capture", lambda *_: None)
    assert measure_rate(0, 1.0) is None
    monkeypatch.setattr(camera_rate, "open_capture", lambda *_: UvcCamera(2))
    assert measure_rate(0, 1.0) is None
