from __future__ import annotations

import numpy as np
import pytest

from ssd_edge.streaming.sources.capture_clock import CaptureClock, RepeatDetector


def test_delays_of_the_network_make_a_frame_older_and_do_not_move_the_others() -> None:
    clock = CaptureClock()
    delays = [0.0, 0.2, 0.05, 3.0, 0.0]
    captured = [clock.captured_at(5 + number, 1000 + number + delay) for number, delay in enumerate(delays)]
    assert captured == pytest.approx([1000, 1001, 1002, 1003, 1004])


def test_a_clock_that_drifts_is_followed() -> None:
    clock = CaptureClock()
    for second in range(7200):  # 200 parts in a million: 1.44 s in two hours
        captured = clock.captured_at(second * (1 - 200e-6), 50.0 + second)
    assert abs(captured - (50.0 + second)) < 0.02


def test_another_time_line_begins_anew() -> None:
    clock = CaptureClock()
    assert clock.captured_at(3.0, 10.0) == 10.0
    assert clock.captured_at(0.0, 11.0) == 11.0
    assert clock.captured_at(1.0, 12.5) == 12.0
    clock.restart()
    assert clock.captured_at(2.0, 20.0) == 20.0


def test_without_time_stamps_the_arrival_counts() -> None:
    assert CaptureClock().captured_at(None, 3.5) == 3.5


def test_equal_time_stamps_are_repeats() -> None:
    repeats = RepeatDetector()
    assert [repeats.is_stale_stamp(stamp) for stamp in (0.0, 0.0, 0.1, None, None, 0.1)] == [
        False, True, False, False, False, False,
    ]  # fmt: skip


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (64, 64, 3), dtype=np.uint8)


def test_the_same_bytes_for_ten_seconds_are_frozen_where_there_was_noise() -> None:
    repeats = RepeatDetector()
    assert not any(repeats.is_frozen(noise(number), number) for number in range(5))
    found = [repeats.is_frozen(noise(9), 5.0 + second) for second in range(13)]
    assert found == [False] * 10 + [True] * 3
    assert not repeats.is_frozen(noise(10), 20.0)


def test_a_drawn_scene_that_never_had_noise_is_not_frozen() -> None:
    repeats = RepeatDetector()
    assert not any(repeats.is_frozen(noise(0), float(second)) for second in range(100))
