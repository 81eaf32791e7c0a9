"""README and docs stay true: every command parses, every link leads somewhere, nothing is left to fill in."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssd_edge.cli.app import load_command

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands() -> Iterator[str]:
    """Every line of a code block that begins with ssd-edge, without its comment."""
    for document in DOCUMENTS:
        for line in document.read_text().splitlines():
            if match := re.match(r"\s{4,}(ssd-edge .+)", line):
                yield match[1].split("  #")[0].strip()


def test_there_are_commands_to_check() -> None:
    assert len(list(commands())) >= 10


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_command_parses(line: str) -> None:
    words = shlex.split(line)[1:]
    command = load_command(words.pop(0))
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    context = command.make_context("ssd-edge", words)
    assert context.params


def test_what_make_is_told_to_do_is_in_the_makefile() -> None:
    known = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    asked = set(re.findall(r"(?:^ {4}|`)make ([\w-]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert {"demo", "test", "test-all"} <= asked <= known


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text()):
        if not target.startswith(("http:", "https:")):
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_nothing_is_left_to_fill_in(document: Path) -> None:
    assert not re.findall(r"@[A-Z_]+@", document.read_text())


def named_places() -> list[tuple[str, str]]:
    """What docs/architecture.md names: a file of the package, and a function, class or method in it or nothing."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    return sorted(set(re.findall(r"`([\w/]+\.py)(?::([\w.]+))?`", text)) - {("tests/test_architecture.py", "")})


@pytest.mark.parametrize(("file", "name"), named_places(), ids=str)
def test_the_architecture_names_what_is_there(file: str, name: str) -> None:
    text = (ROOT / "ssd_edge" / file).read_text()
    for part in filter(None, name.split(".")):
        assert re.search(rf"^ *(def|class) {part}\b", text, re.MULTILINE)
