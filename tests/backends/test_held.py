from __future__ import annotations

from ssd_edge.backends.cuda import hold, what_is_held


class Thing:
    """Anything that can be collected."""


def test_things_are_counted_until_they_are_gone_or_given_back() -> None:
    assert "test" not in what_is_held()
    first, second = Thing(), Thing()
    hold("test", first)
    given_back = hold("test", second)
    assert what_is_held()["test"] == 2
    given_back()
    given_back()  # a second time does nothing
    assert what_is_held()["test"] == 1
    del first
    assert "test" not in what_is_held()
    del second
    assert "test" not in what_is_held()
