"""What README and docs quote has an entry in bench/figures.toml: its command, and what it may move by."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from bench.__main__ import NEEDS_INPUT, known
from bench._figures import Figure, Value, changes, paragraphs, read_figures, report, reported, without_entry
from tests.documents import ROOT

FIGURES = read_figures()
MEASURED = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


@pytest.mark.parametrize("document", MEASURED)
def test_every_figure_of_a_document_has_an_entry(document: str) -> None:
    missing = without_entry(document, text_of(document), FIGURES)
    assert not missing, f"add to bench/figures.toml what gives this, or that it is a setting:\n{missing[0]}"


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: f"{figure.document} {figure.text[:40]}")
def test_an_entry_stands_where_it_says_and_quotes_what_is_there(figure: Figure) -> None:
    (paragraph,) = [block for block in text_of(figure.document).split("\n\n") if figure.text in block]
    numbers = {float(text.replace(",", "")) for text in re.findall(r"\d[\d,]*(?:\.\d+)?", paragraph)}
    for value in figure.values:
        near = min(numbers, key=lambda number: abs(number - value.quoted))
        assert near == pytest.approx(value.quoted, rel=0.15), value.name
    assert not figure.values or (figure.command.startswith("python -m bench ") and figure.machine)
    assert not figure.command or figure.machine, "where was it measured?"


@pytest.mark.parametrize("command", sorted({figure.command for figure in FIGURES if figure.command}))
def test_a_command_is_one_that_there_is(command: str) -> None:
    words = shlex.split(command)
    if words[:3] == ["python", "-m", "bench"]:
        assert {word for word in words[3:] if not word.startswith("--") and "." not in word} <= set(known())
    elif words[:2] == ["python", "-m"]:
        assert (ROOT / f"{words[2].replace('.', '/')}.py").is_file()
    elif words[0] in ("bash", "pytest"):
        assert (ROOT / words[1]).is_file()
    else:
        assert words[0] in ("ssd-edge", "make")


def test_what_make_bench_measures_needs_nothing_of_yours() -> None:
    names = {word for figure in FIGURES if figure.values for word in figure.command.split()[3:]}
    assert names
    assert not names & NEEDS_INPUT
    reporting = [name for name in names if "report(" in (ROOT / f"bench/{name}.py").read_text()]
    assert sorted(names) == sorted(reporting), "a script with compared figures reports them"


def test_a_figure_without_an_entry_is_found() -> None:
    told = "\n\n".join(
        ["# A", "Starts in 0.23 s.", "Three cores, `--cut 5 s`.", "    ssd-edge run  # 5 s",
         "| a | images a second |\n|---|---|\n| b | 817 |"]
    )  # fmt: skip
    assert [block[:8] for block in paragraphs(told)] == ["Starts i", "| a | im"]
    one = Figure("a.md", "| b | 817 |", "", "", "", ())
    assert without_entry("a.md", told, (one,)) == ["Starts in 0.23 s."]
    assert len(without_entry("b.md", told, (one,))) == 2


def test_what_has_moved_is_told_from_what_holds(capsys: pytest.CaptureFixture[str]) -> None:
    report("nms.ours.ms", 1.21)
    report("nms.other.ms", 1e-05)
    found = reported("noise\n" + capsys.readouterr().out)
    assert found == {"nms.ours.ms": 1.21, "nms.other.ms": 1e-05}
    value = Value("nms.ours.ms", 1.1, 0.15)
    figure = Figure("a.md", "", "python -m bench nms", "", "", (value, Value("nms.missing.ms", 3.0, 0.1)))
    assert list(changes((figure,), found)) == [(figure, value, 1.21)]
    assert not value.has_moved(1.21)
    assert value.has_moved(1.27)
    assert value.has_moved(0.9)


def test_every_benchmark_can_be_named() -> None:
    assert {path.stem for path in Path(ROOT / "bench").glob("[a-z]*.py")} >= set(known())


def test_the_planted_slow_down_is_as_large_as_it_says() -> None:
    import time

    from bench._slow_worker import slower

    def work() -> str:
        ends = time.perf_counter() + 0.02
        while time.perf_counter() < ends:
            pass
        return "done"

    began = time.perf_counter()
    assert slower(work, 0.5)() == "done"
    assert time.perf_counter() - began >= 0.03
