from __future__ import annotations

from ssd_edge.core.errors import InputError, SsdEdgeError


def test_message_says_what_got_wanted_do() -> None:
    error = InputError("a.jpg cannot be read", got="0 bytes", wanted="an image", do="Copy it again.")
    assert str(error) == "a.jpg cannot be read: got 0 bytes; wanted an image. Copy it again."


def test_empty_parts_leave_no_trace() -> None:
    assert str(InputError("a.jpg is empty")) == "a.jpg is empty"
    assert str(InputError("a.jpg is empty", do="Copy it again.")) == "a.jpg is empty. Copy it again."
    assert str(InputError("a.jpg is empty", wanted="an image")) == "a.jpg is empty: wanted an image"


def test_every_error_is_of_the_family() -> None:
    assert issubclass(InputError, SsdEdgeError)
