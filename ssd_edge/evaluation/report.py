"""report.html: one page with figures, curves, pictures and the film, that opens in any browser and needs no network."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from ssd_edge.core.files import written_beside
from ssd_edge.evaluation.report_content import Report
from ssd_edge.evaluation.sections import cards, sections


def write_report(path: Path, report: Report) -> None:
    """Write the page, whole or not at all; pictures are inside it, the film is linked where it lies.

    Raises:
        InputError: the folder cannot be written.
    """
    template = Template(files(__package__).joinpath("report.html").read_text(encoding="utf-8"))
    page = template.substitute(
        title=escape(report.title),
        subtitle=escape(report.subtitle),
        cards="".join(cards(report)),
        sections="\n".join(sections(report, path)),
        footer=escape(report.footer),
    )
    with written_beside(path) as partial:
        partial.write_text(page, encoding="utf-8")
