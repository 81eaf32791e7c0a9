from __future__ import annotations

from ssd_edge.core.errors import InputError, SsdEdgeError, keyword, one_line


def test_message_says_what_got_wanted_do() -> None:
    error = InputError("a.jpg cannot be read", got="0 bytes", wanted="an image", do="Copy it again.")
    assert str(error) == "a.jpg cannot be read: got 0 bytes; wanted an image. Copy it again."


def test_empty_parts_leave_no_trace() -> None:
    assert str(InputError("a.jpg is empty")) == "a.jpg is empty"
    assert str(InputError("a.jpg is empty", do="Copy it again.")) == "a.jpg is empty. Copy it again."
    assert str(InputError("a.jpg is empty", wanted="an image")) == "a.jpg is empty: wanted an image"


def test_every_error_is_of_the_family() -> None:
    assert issubclass(InputError, SsdEdgeError)


def test_keywords_become_options_and_nothing_else_of_the_message_does() -> None:
    what = f"{keyword('baseline')} of data/min_map=3/ needs {keyword('max_drop_points')}"
    do = f"Say {keyword('max_drop_points', 0.5)}. Or {keyword('overwrite', True)}. Or {keyword('other', 1)}."
    error = InputError(what, got="min_map=", wanted=f"at least 0.5 ({keyword('min_map')})", do=do)
    assert str(error) == (
        "baseline= of data/min_map=3/ needs max_drop_points=: got min_map=; wanted at least 0.5 (min_map=). "
        "Say max_drop_points=0.5. Or overwrite=True. Or other=1."
    )
    error.what = f"a.json: {error.what}"
    names = {"baseline": "--baseline", "max_drop_points": "--max-drop", "min_map": "--min-map"}
    error.name_options({**names, "overwrite": "--overwrite"})
    assert str(error) == (
        "a.json: --baseline of data/min_map=3/ needs --max-drop: got min_map=; wanted at least 0.5 (--min-map). "
        "Say --max-drop 0.5. Or --overwrite. Or other=1."
    )


def test_advice_is_a_sentence_more_and_options_are_still_named() -> None:
    for do in (f"Use the rest: {keyword('max_bad', 0.34)}", f"Use the rest: {keyword('max_bad', 0.34)}."):
        error = InputError("1 of 3 objects cannot be used", do=do)
        error.advise("To see all errors: check rtsp://me:hunter2@camera/1")
        assert error.do == "Use the rest: max_bad=0.34. To see all errors: check rtsp://me:***@camera/1"
        error.name_options({"max_bad": "--max-bad"})
        assert str(error).endswith(
            "cannot be used. Use the rest: --max-bad 0.34. To see all errors: check rtsp://me:***@camera/1"
        )
    error = InputError("it is empty")
    error.advise("Fill it.")
    assert str(error) == "it is empty. Fill it."


def test_what_a_library_says_on_many_lines_stands_in_one() -> None:
    assert one_line(RuntimeError("\n  shape\tmismatch:\n\n 3 and 4\n")) == "shape mismatch: 3 and 4"
    assert one_line("x" * 300) == "x" * 300
    assert one_line("x\n" * 300) == "x " * 149 + "…"
    assert one_line("x" * 301) == "x" * 298 + " …"


def test_a_cut_through_an_address_shows_no_part_of_its_password() -> None:
    for before in range(250, 300):
        assert "hunter" not in one_line(f"{'x' * before} rtsp://admin:hunter2@camera/stream of a long name")
