from __future__ import annotations

import ast
import itertools
import json
import random
import re
import unicodedata
from pathlib import Path

import pytest

from ssd_edge.cli.console import put, say, show_table
from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.shell import is_control, printable, printable_json, quoted
from ssd_edge.core.spec import ModelSpec
from tests.core.factories import tiny_spec

HOSTILE = ["\x1b]0;pwned\x07", "\x1b]52;c;ZXZpbA==\x07", "\x9b2J", "a\rb", "\u202egpj.exe", "\u2066x", "\x00", "\x7f"]
PLAIN = ["N/A", "w/o helmet", "car/van", "Fußgänger", "信号機", "café\u00a0noir", "👩\u200d🚒", "a [b] c:d"]


def _mixed(seed: int) -> str:
    draw = random.Random(seed)
    return "".join(draw.choice(HOSTILE + PLAIN) for _ in range(draw.randint(1, 8)))


@pytest.mark.parametrize("text", PLAIN)
def test_ordinary_text_is_shown_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_line_breaks_and_tabs_stay() -> None:
    assert printable("a\n\tb\x1b") == "a\n\tb\\x1b"


@pytest.mark.parametrize("seed", range(20))
def test_nothing_that_a_terminal_obeys_is_shown(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    text = _mixed(seed)
    put(text)
    say(text)
    show_table(text, ("name",), [(text,)])
    shown = "".join(capsys.readouterr())
    assert not [sign for sign in shown if is_control(sign) and sign != "\n"]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_model_whose_classes_hold_control_characters_is_refused(text: str) -> None:
    spec = tiny_spec().to_json()
    first = tiny_spec().class_names[0]
    hostile = spec.replace(f'"{first}"', "".join(f"\\u{ord(sign):04x}" for sign in text).join('""'), 1)
    assert hostile != spec
    with pytest.raises(ArtifactError, match="class_names is out of range: got a control character"):
        ModelSpec.from_json(hostile, origin="a")


def test_names_that_models_have_stay() -> None:
    assert tiny_spec(class_names=tuple(PLAIN)).class_names == tuple(PLAIN)


def test_a_path_is_quoted_as_a_shell_reads_it() -> None:
    assert quoted(Path("a b;$(id)")) == "'a b;$(id)'"
    assert all(unicodedata.category(sign) != "Cc" for sign in quoted(Path("plain")))


PACKAGE = Path(__file__).parent.parent.parent / "ssd_edge"
COMMAND = re.compile(r"ssd-edge [a-z]+( --?[a-z-]+)* $|\bcd $")
QUOTES = {"quoted", "join", "quote"}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_what_follows_a_printed_command_is_quoted(path: Path) -> None:
    bare = []
    for text in ast.walk(ast.parse(path.read_text())):
        parts = text.values if isinstance(text, ast.JoinedStr) else []
        for before, part in itertools.pairwise(parts):
            is_command = isinstance(before, ast.Constant) and COMMAND.search(str(before.value))
            if is_command and isinstance(part, ast.FormattedValue):
                called = {getattr(node, "id", getattr(node, "attr", "")) for node in ast.walk(part.value)}
                bare += [] if called & QUOTES else [ast.unparse(part.value)]
    assert not bare


SIGNS = ["\x1b", "\x07", "\x7f", "\x80", "\x85", "\x9b", "\x9d", "\x9f", "\u202e", "\u2066", "\ud800"]


@pytest.mark.parametrize("sign", SIGNS)
def test_json_and_lines_hold_no_sign_that_a_terminal_obeys(sign: str) -> None:
    text = json.dumps({f"a{sign}ü": [sign, "日本", "line\nbreak"]}, ensure_ascii=False, indent=1)
    shown = printable_json(text)
    assert json.loads(shown) == json.loads(text)
    assert sign not in shown
    assert "ü" in shown
    assert "日本" in shown
    assert sign not in printable(f"a{sign}ü")
