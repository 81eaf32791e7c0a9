"""docs/jetson.md, which no board has proved: every program, package, image and path on it has a row with its source."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from ssd_edge.cli.app import _COMMANDS
from tests.documents import ROOT, code_lines, inline_code

PAGE = ROOT / "docs" / "jetson.md"
OURS = {"ssd-edge", "/path/to/ssd-edge", "/home/me/app", "/home/me/app/.venv/bin/ssd-edge", "/workspace"}


def tables() -> list[list[list[str]]]:
    """The page's tables: rows of cells, the header first, without the line under it."""
    found: list[list[list[str]]] = [[]]
    for line in PAGE.read_text().splitlines():
        if line.startswith("|"):
            found[-1].append([cell.strip() for cell in line.strip("|").split(" | ")])
        elif found[-1]:
            found.append([])
    return [[table[0], *table[2:]] for table in found if table]


def sourced() -> dict[str, str]:
    """What stands in a cell of a table whose last column is the source -> that source."""
    rows = [row for table in tables() if table[0][-1] == "source" for row in table[1:]]
    return {cell: row[-1] for row in rows for cell in row[:-1]}


def lines() -> list[str]:
    """What the page lets a reader type, from blocks and from running text."""
    return [line for line in (*code_lines(PAGE, "sh"), *inline_code(PAGE)) if not line.startswith("[")]


def programs() -> Iterator[str]:
    for line in code_lines(PAGE, "sh"):
        first = re.sub(r"^(sudo |\$start |start=\")", "", line).split()[0]
        if not re.match(r"\[|-|[A-Z]\w+=", first):
            yield first
    for code in inline_code(PAGE):
        first, *others = code.removeprefix("sudo ").split()
        if others and re.fullmatch(r"[a-z][\w.-]*", first) and first not in _COMMANDS:
            yield first


def packages() -> Iterator[str]:
    for line in lines():
        if " install " in line:
            _, _, names = line.partition(" install ")
            for word in names.split():
                if not word.startswith("-"):
                    yield re.split(r"[=<>\[]", word.strip("'"))[0]


def others() -> Iterator[str]:
    """Images, NVIDIA's GStreamer elements, and files of the system."""
    for line in lines():
        yield from re.findall(r"(?:l4t-jetpack|tensorrt):[\w.-]+", line)
        yield from re.findall(r"(?<![\w/-])nv\w+(?=$|[ !])", line)
        yield from re.findall(r"(?<![\w:}$./])/(?:opt|etc|proc|dev|usr)/[\w./-]+", line)


def named() -> list[str]:
    return sorted({*programs(), *packages(), *others()} - OURS)


def test_the_page_is_read() -> None:
    found = named()
    assert {"nvidia-jetpack", "cuda-bindings", "jetson_clocks", "nvvidconv", "l4t-jetpack:r36.4.0"} <= set(found)
    assert {"docker", "/opt/nvidia/jetson-io/jetson-io.py", "tensorrt:25.06-py3"} <= set(found)
    assert len(found) > 35


@pytest.mark.parametrize("name", named())
def test_each_name_is_in_a_table_of_sources(name: str) -> None:
    rows = [cell for cell in sourced() if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", cell)]
    assert rows, f"{name} stands on the page and in no table with its source"
    assert all(sourced()[row] for row in rows)


def test_an_image_of_cuda_13_is_for_drivers_from_580_on() -> None:
    (table,) = (table for table in tables() if table[0][0] == "driver")
    for driver, image, cuda, also, _ in table[1:]:
        assert ("580" in driver) == cuda.startswith("13."), image
        assert ("--build-arg CUDA=12" in also) == cuda.startswith("12."), image
    text = (ROOT / "docker" / "desktop.Dockerfile").read_text()
    base, cuda = re.search(r"^ARG BASE=(\S+)", text, re.M), re.search(r"^ARG CUDA=(\d+)", text, re.M)
    assert base is not None
    assert base[1] in table[1][1]
    assert cuda is not None
    assert table[1][2].startswith(f"{cuda[1]}.")
