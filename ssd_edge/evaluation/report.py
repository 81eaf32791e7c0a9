"""report.html: one page with figures, curves, pictures and the film, that opens in any browser and needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from ssd_edge.core.files import written_beside
from ssd_edge.evaluation.report_content import Report
from ssd_edge.evaluation.sections import cards, sections


def write_report(path: Path, report: Report) -> None:
    """Write the page of a report; pictures are inside it, the film is linked where it lies.

    Raises:
        InputError: the folder cannot be written.
    """
    write_page(
        path,
        title=report.title,
        subtitle=report.subtitle,
        cards=cards(report),
        sections=sections(report, path),
        footer=report.footer,
    )


def write_page(
    path: Path, *, title: str, subtitle: str, cards: Sequence[str], sections: Sequence[str], footer: str
) -> None:
    """Write a page, whole or not at all; ``cards`` and ``sections`` are HTML already, the rest is escaped.

    Raises:
        InputError: the folder cannot be written.
    """
    template = Template(files("ssd_edge.reporting").joinpath("report.html").read_text(encoding="utf-8"))
    page = template.substitute(
        title=escape(title),
        subtitle=escape(subtitle),
        cards="".join(cards),
        sections="\n".join(sections),
        footer=escape(footer),
    )
    with written_beside(path) as partial:
        partial.write_text(page, encoding="utf-8")
