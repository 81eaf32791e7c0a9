"""The site: the pages of commands and API are whole; ``make docs`` builds it and takes a warning for an error."""

from __future__ import annotations

import re

import pytest
import yaml

import ssd_edge
from ssd_edge.cli.app import _COMMANDS
from ssd_edge.workflows.stream_config import RunConfig
from tests.documents import ROOT
from tests.test_documents import options_of
from tools import docs_site

PAGES = dict(docs_site.pages())
DOCS = sorted(path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md"))


def test_every_public_name_is_on_the_api_page_once() -> None:
    named = re.findall(r"^::: ssd_edge\.[\w.]+\.(\w+)$", PAGES["api.md"], re.MULTILINE)
    assert sorted(named) == sorted(set(ssd_edge.__all__) - {"__version__"})


@pytest.mark.parametrize("name", sorted(docs_site.commands()))
def test_every_option_is_on_its_command_s_page(name: str) -> None:
    command = docs_site.commands()[name]
    hidden = {text for part in command.params if getattr(part, "hidden", False) for text in part.opts}
    page = PAGES[docs_site.page_of(name)]
    shown = set(re.findall(r"`(--?[\w-]+)`", page))
    assert {option for option in options_of(command) if option.startswith("-")} - hidden - {"--help", "-h"} <= shown
    assert command.help in page


@pytest.mark.parametrize("name", sorted(docs_site.commands()))
def test_every_row_has_three_cells(name: str) -> None:
    rows = [line for line in PAGES[docs_site.page_of(name)].splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} <= {4}


def test_every_command_is_listed() -> None:
    assert {name.split()[0] for name in docs_site.commands()} == set(_COMMANDS)
    for name in docs_site.commands():
        assert f"[`ssd-edge {name}`]" in PAGES["commands/index.md"]


def test_defaults_are_those_of_the_help() -> None:
    page = PAGES["commands/run.md"]
    assert re.search(
        rf"^\| `--threshold`.* \| number \|.*Default: `{RunConfig.score_threshold}`\. \|$", page, re.MULTILINE
    )
    assert "`--no-report`" in PAGES["commands/train.md"]


@pytest.mark.parametrize(
    ("text", "source", "page", "wanted"),
    [
        ("[a](docs/data.md#x)", "README.md", "index.md", "[a](data.md#x)"),
        ("![a](docs/images/demo.jpg)", "README.md", "index.md", "![a](images/demo.jpg)"),
        ("[a](../README.md)", "docs/data.md", "data.md", "[a](index.md)"),
        ("[a](../outputs.md)", "docs/schema/README.md", "schema/README.md", "[a](../outputs.md)"),
        ("[a](LICENSE)", "CONTRIBUTING.md", "contributing.md", "a"),
        ("[a](https://x.org/y)", "README.md", "index.md", "[a](https://x.org/y)"),
    ],
)
def test_links_are_turned_to_the_site(text: str, source: str, page: str, wanted: str) -> None:
    assert docs_site.relinked(text, source, page) == wanted


def test_every_page_of_docs_is_in_the_navigation_and_in_llms_txt() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text()
    listed = re.findall(r"\]\(([^)]+)\)", (ROOT / "docs" / "llms.txt").read_text())
    assert yaml.safe_load(navigation)["nav"]
    for page in DOCS:
        assert re.search(rf": {re.escape(page)}$", navigation, re.MULTILINE), page
        assert page in listed
    assert set(listed) - set(DOCS) == {"api.html", "commands/index.html"}
