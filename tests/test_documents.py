"""README and docs stay true: every command parses, every link leads somewhere, every name in them is there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from ssd_edge.cli.app import _COMMANDS, app, load_command
from tests.documents import DOCUMENTS, README, ROOT, commands, inline_code

PROGRAMS = ("ssd-edge ", "python -m ssd_edge ", "torchrun ")
OF_OTHER_PROGRAMS = {  # options in inline code that belong to make, pip, docker, torchrun, pytest …
    "--all", "--build-arg", "--gpus", "--list", "--list-devices", "--list-formats-ext", "--quick-check", "--runtime",
    "--show", "--system-site-packages", "--version",
}  # fmt: skip


NAMES_ONLY = {"MissingParameter", "BadOptionUsage", "Exit"}  # an argument or a value is left out; --help


@cache
def common_options() -> dict[str, int]:
    """Options that stand before the command, with the number of their values."""
    options = {name: 0 if part.is_flag else 1 for part in get_command(app).params for name in part.opts}
    return {"--help": 0, "-h": 0, **options}


@cache
def command_of(name: str) -> Any:
    return load_command(name)


def parse(line: str) -> None:
    """Parse a line as ``ssd-edge`` does; it raises where an option or argument is wrong."""
    words = shlex.split(line)
    words = words[words.index("ssd_edge") + 1 :] if "ssd_edge" in words else words[1:]
    while words and words[0] in common_options():
        words = words[1 + common_options()[words[0]] :]
    if not words:
        return
    command = command_of(words.pop(0))
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    assert command.make_context("ssd-edge", words).params


def options_of(command: Any) -> set[str]:
    if hasattr(command, "commands"):
        return {option for part in command.commands.values() for option in options_of(part)}
    return {"--help", *(name for part in command.params for name in (*part.opts, *part.secondary_opts))}


def all_commands() -> list[str]:
    return sorted({line.split(" && ")[0] for document in DOCUMENTS for line in commands(document)})


def inline_commands() -> list[str]:
    """Whole commands in running text, but for those that leave words out (``…``, ``COMMAND``)."""
    found = {code for document in DOCUMENTS for code in inline_code(document) if code.startswith(PROGRAMS)}
    return sorted(code for code in found if not re.search(r"…|\bCOMMAND\b", code) and len(code.split()) > 1)


def fragments() -> Iterator[tuple[str, str]]:
    """Options in running text: (the command that is named with them or nothing, the option)."""
    for document in DOCUMENTS:
        for code in inline_code(document):
            words = code.removeprefix("ssd-edge ").split()
            name = words[0] if words and words[0] in _COMMANDS else ""
            if words and (name or words[0].startswith("--")):
                for option in re.findall(r"(?<!\S)--[a-z][\w-]*", code):
                    yield name, option


def test_there_are_commands_to_check() -> None:
    assert len(commands(README)) >= 15
    assert len(all_commands()) >= 30
    assert len(inline_commands()) >= 10
    assert len(set(fragments())) >= 50


@pytest.mark.parametrize("line", all_commands())
def test_a_command_parses(line: str) -> None:
    parse(line)


def test_a_wrong_option_is_found() -> None:
    with pytest.raises(Exception, match="--nonsense"):
        parse("ssd-edge build --nonsense")


@pytest.mark.parametrize("line", inline_commands())
def test_an_inline_command_parses(line: str) -> None:
    """A command that is named without its arguments is a name and no line to type."""
    try:
        parse(line)
    except Exception as error:
        if type(error).__name__ not in NAMES_ONLY:
            raise


@pytest.mark.parametrize(("name", "option"), sorted(set(fragments())))
def test_an_option_in_running_text_exists(name: str, option: str) -> None:
    found = [options_of(command_of(command)) for command in ([name] if name else _COMMANDS)]
    others = set() if name else {*common_options(), *OF_OTHER_PROGRAMS}
    assert any(option in options for options in (*found, others))


def test_make_targets_of_the_documents_are_in_the_makefile() -> None:
    known = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    asked = {
        target
        for document in DOCUMENTS
        for target in re.findall(r"(?:^ {4}|`)make ([\w-]+)", document.read_text(), re.MULTILINE)
    }
    assert {"demo", "test", "test-all"} <= asked <= known


def anchors(document: Path) -> set[str]:
    """The names that a link may have behind its ``#``, as the site and the hosts of repositories make them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)).lower() for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", document.read_text()):
        if target.startswith(("http:", "https:")):
            continue
        place = document.parent / target if target else document
        assert place.exists(), target
        assert not anchor or anchor in anchors(place), f"{target}#{anchor}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_nothing_is_left_to_fill_in(document: Path) -> None:
    assert not re.findall(r"@[A-Z_]+@|\bTODO\b|\bXXX\b", document.read_text())


def named_places() -> list[tuple[str, str]]:
    """What docs/architecture.md names: a file of the package, and a function, class or method in it or nothing."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    return sorted(set(re.findall(r"`([\w/]+\.py)(?::([\w.]+))?`", text)))


@pytest.mark.parametrize(("file", "name"), named_places(), ids=str)
def test_the_architecture_names_what_is_there(file: str, name: str) -> None:
    root = ROOT if file.startswith(("tests/", "bench/", "tools/")) else ROOT / "ssd_edge"
    text = (root / file).read_text()
    for part in filter(None, name.split(".")):
        assert re.search(rf"^ *(def|class) {part}\b", text, re.MULTILINE)


def named_folders() -> list[str]:
    return sorted(set(re.findall(r"`(\w+(?:/\w+)*/)`", (ROOT / "docs" / "architecture.md").read_text())))


@pytest.mark.parametrize("folder", named_folders())
def test_the_architecture_names_folders_that_are_there(folder: str) -> None:
    assert any((root / folder).is_dir() for root in (ROOT, ROOT / "ssd_edge"))
