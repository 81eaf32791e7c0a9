"""The figures that README and docs quote: where each stands, what command gives it, and how far it may move.

``figures.toml`` holds them. A benchmark calls :func:`report` for each figure that can be compared; ``python -m bench``
collects these lines and says which have moved. ``tests/bench/test_figures.py`` finds a figure of the documents that has
no entry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ssd_edge.core.text_parsers import parse_toml

REGISTRY = Path(__file__).with_name("figures.toml")
_LINE = re.compile(r"^figure (\S+) ([-+.\de]+)$")
_UNIT = (
    r"(?:ms|μs|µs|ns|s|seconds?|min|minutes?|h|hours?|MiB|GiB|MB|GB|kB|MB/s|GB/s|FPS|images?/s|"
    r"(?:frames |images |views |photos |rows )?a second|times (?:as|faster|slower|the))"
)
_ACCURACY = r"\b0\.\d{3,4}\b|\b\d{2,3}\.\d+ %|\b\d(?:\.\d)?e-\d\b"  # of a mean AP, a share, a difference
_FIGURE = re.compile(rf"\b\d[\d,.]*\s?{_UNIT}\b|{_ACCURACY}")
_IN_HEADING = re.compile(r"images a second|images/s|frames a second|\bms\b|\bMiB\b|seconds")


@dataclass(frozen=True)
class Value:
    """A number that a command reports.

    Attributes:
        name: as the command reports it.
        quoted: as the document has it.
        tolerance: share of it by which it may differ.
    """

    name: str
    quoted: float
    tolerance: float

    def has_moved(self, now: float) -> bool:
        """Whether it differs by more than the tolerance."""
        return abs(now - self.quoted) > self.tolerance * abs(self.quoted)


@dataclass(frozen=True)
class Figure:
    """Figures of one paragraph or table.

    Attributes:
        document: relative to the repository.
        text: a part of the paragraph, as it stands there.
        command: what gives the figures; empty for what the code sets, such as a limit.
        needs: beside this repository, e.g. a data set or a GPU; empty where ``make bench`` can give them.
        machine: that they were measured on.
        values: that can be compared.
    """

    document: str
    text: str
    command: str
    needs: str
    machine: str
    values: tuple[Value, ...]


def report(name: str, value: float) -> None:
    """Print a figure so that ``python -m bench`` finds it: ``figure NAME VALUE``."""
    print(f"figure {name} {value:.6g}")


def reported(output: str) -> dict[str, float]:
    """Return the figures of a benchmark's output, by name."""
    found = (_LINE.match(line) for line in output.splitlines())
    return {match[1]: float(match[2]) for match in found if match}


def read_figures(path: Path = REGISTRY) -> tuple[Figure, ...]:
    """Return all entries."""
    entries = parse_toml(path.read_text(encoding="utf-8"))
    machines: Mapping[str, str] = entries["machines"]
    settings = [Figure(document, text, "", "", "", ()) for document, text in entries["settings"]]
    return tuple(settings) + tuple(
        Figure(
            entry["document"],
            entry["text"],
            entry["command"],
            entry.get("needs", ""),
            machines[entry["machine"]],
            tuple(Value(name, quoted, tolerance) for name, quoted, tolerance in entry.get("values", [])),
        )
        for entry in entries["figure"]
    )


def paragraphs(text: str) -> Iterator[str]:
    """Yield paragraphs and tables of a document that hold a figure of time, rate, memory or accuracy; no code."""
    for block in re.split(r"\n\s*\n", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)):
        if block.startswith(("    ", "#")):
            continue
        is_table = block.lstrip().startswith("|")
        heading = block.lstrip().splitlines()[0] if block.strip() else ""
        if _FIGURE.search(re.sub(r"`[^`]*`", "", block)) or (
            is_table and _IN_HEADING.search(heading) and re.search(r"\| [\d.,]+ \|", block)
        ):
            yield block


def without_entry(document: str, text: str, figures: tuple[Figure, ...]) -> list[str]:
    """Return the paragraphs of a document whose figures no entry covers."""
    known = [figure.text for figure in figures if figure.document == document]
    return [block for block in paragraphs(text) if not any(entry in block for entry in known)]


def changes(figures: tuple[Figure, ...], found: Mapping[str, float]) -> Iterator[tuple[Figure, Value, float]]:
    """Yield the entries that were measured again, with what they are now."""
    for figure in figures:
        for value in figure.values:
            if value.name in found:
                yield figure, value, found[value.name]
