"""What a result says of itself."""

from __future__ import annotations

import dataclasses

from tests.workflows.benchmark.made_result import made_result


def test_a_processor_that_was_slowed_down_disturbs_a_run() -> None:
    quiet = made_result(others=0.0)
    assert not quiet.is_disturbed
    hot = dataclasses.replace(quiet, throttled=3)
    assert hot.is_disturbed
    assert hot.warnings[0] == "the processor was slowed down for heat 3 times meanwhile"
    assert set(hot.warnings[1:]) == set(quiet.warnings)
    both = dataclasses.replace(made_result(others=0.6), throttled=3)
    assert both.warnings[0].startswith("NOT ALONE")
    assert both.warnings[1] == hot.warnings[0]
