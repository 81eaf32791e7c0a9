from __future__ import annotations

import json
import logging
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssd_edge.cli.console import bar, complain, say, show_log, show_table, write_json
from tests.processes import running

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def on_a_terminal(program: str, columns: int = 200) -> tuple[str, str]:
    """Run the program with stderr on a terminal and stdout on a pipe; return what came to each, without colors."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(columns)}
    with running([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
        stdout, _ = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 0, shown
    return stdout, _ESCAPES.sub("", shown.decode())


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # Linux's way of saying that the other side is closed
        return b""


def test_what_is_written_to_stdout_under_a_bar_stays_on_stdout() -> None:
    stdout, shown = on_a_terminal(
        "import sys\n"
        "from ssd_edge.cli.console import bar\n"
        "with bar('video') as report:\n"
        "    report(1, 3)\n"
        "    sys.stdout.write('data\\n')\n"
    )
    assert stdout == "data\n"
    assert "video" in shown
    assert "1/3" in shown
    assert "data" not in shown


def test_a_bar_shows_titles_and_notes_as_they_are_and_no_total_where_none_is_known() -> None:
    _, shown = on_a_terminal(
        "from ssd_edge.cli.console import bar\n"
        "with bar('fi[/x]lm [red].mp4') as report:\n"
        "    report(57, None, 'see [/b]')\n"
    )
    assert "fi[/x]lm [red].mp4" in shown
    assert "57/?" in shown
    assert "see [/b]" in shown


@pytest.mark.parametrize(("columns", "lines"), [(80, 2), (200, 1)])
def test_a_note_never_hides_the_bar_and_the_time_left(columns: int, lines: int) -> None:
    note = "epoch 12: loss 4.321 (boxes 1.23, classes 3.09), lr 0.012, 123 images/s"
    _, shown = on_a_terminal(
        f"from ssd_edge.cli.console import bar\nwith bar('training') as report:\n    report(400, 12000, {note!r})\n",
        columns,
    )
    last = [line.rstrip() for line in re.split(r"[\r\n]+", shown) if line.strip()][-lines:]
    assert re.match(r"training ━+.* 400/12000 (-:--:--|\d:\d\d:\d\d)", last[0].replace("   ", " ")), last
    assert last[-1].endswith(note)


def test_a_line_under_a_bar_stands_above_it_and_is_whole() -> None:
    text = "camera 0 [/x] stopped after 31 frames; " + "opening it again " * 20
    _, shown = on_a_terminal(
        "from ssd_edge.cli.console import bar, say\n"
        "with bar('video') as report:\n"
        "    report(1, 3)\n"
        f"    say({text!r})\n"
        "say('after')\n"
    )
    lines = re.split(r"[\r\n]+", shown)
    assert text in lines
    assert "after" in lines


def test_lines_are_plain_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("video") as report:
        report(1, 3)
        say("video [/x]")
    assert capsys.readouterr().err == "video [/x]\n"


def test_a_table_shows_brackets_and_colons_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    show_table("photos [/x]", ("class [red]", "n"), [["[bold]car[/bold]", "1"], [":car:", "[/]"]])
    shown = capsys.readouterr().out
    for text in ("photos [/x]", "class [red]", "[bold]car[/bold]", ":car:", "[/]"):
        assert text in shown


@pytest.mark.parametrize(
    ("encoding", "shown"), [("utf-8", "caf\\udce9.jpg Füße"), ("ascii", "caf\\udce9.jpg F\\xfc\\xdfe")]
)
def test_a_table_shows_names_for_which_the_terminal_has_no_sign(encoding: str, shown: str) -> None:
    program = (
        "from ssd_edge.cli.console import show_table\n"
        "show_table('caf\\udce9.jpg F\\xfc\\xdfe', ('a',), [['a wide cell' * 4]])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=True,
    )
    assert shown in result.stdout.decode(encoding)


def test_text_goes_to_a_file_or_to_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_json("-", "data\n")
    write_json(tmp_path / "new" / "f.json", "file\n")
    assert capsys.readouterr().out == "data\n"
    assert (tmp_path / "new" / "f.json").read_text() == "file\n"


@pytest.fixture
def log_shown() -> Iterator[None]:
    """Leave the log as it is shown by default."""
    yield
    show_log()


@pytest.mark.usefixtures("log_shown")
def test_a_quiet_command_tells_nothing_and_prints_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    show_log(quiet=True)
    say("next: …")
    show_table("times", ("", "ms"), [("infer", "1.5")], stderr=True)
    assert capsys.readouterr() == ("", "")
    say("error: a.jpg is empty", logging.ERROR)
    assert capsys.readouterr() == ("", "error: a.jpg is empty\n")
    show_table("times", ("", "ms"), [("infer", "1.5")])
    complain("a.jpg is empty")
    shown = capsys.readouterr()
    assert "infer" in shown.out
    assert shown.err == "ssd-edge: a.jpg is empty\n"


@pytest.mark.usefixtures("log_shown")
@pytest.mark.parametrize("quiet", [False, True])
def test_json_lines_are_all_that_is_on_stderr(capsys: pytest.CaptureFixture[str], quiet: bool) -> None:
    show_log(as_json=True, quiet=quiet)
    say("next: 100 %s")
    show_table("times", ("", "mean"), [("infer", "1.5"), ("output", "2")], stderr=True)
    complain("a.jpg is empty")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    told = [("info", text) for text in ("next: 100 %s", "times: infer, mean 1.5", "times: output, mean 2")]
    ending = ("error", "a.jpg is empty")
    assert [(line["level"], line["message"]) for line in lines] == [*([] if quiet else told), ending]
