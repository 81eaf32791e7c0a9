"""One web page that opens in any browser and needs no network; everything from outside is escaped."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Literal
from urllib.parse import quote

import cv2

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import written_beside
from ssd_edge.core.frame import UInt8Array

Level = Literal["", "warning", "error"]
"""Severity, shown by a color."""

_JPEG_QUALITY = 85


def write_page(
    path: Path, *, title: str, subtitle: str = "", cards: Sequence[str] = (), sections: Sequence[str], footer: str = ""
) -> None:
    """Write a page, whole or not at all; arguments as those of :func:`page_text`.

    Raises:
        InputError: the folder cannot be written.
    """
    text = page_text(title=title, subtitle=subtitle, cards=cards, sections=sections, footer=footer)
    with written_beside(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")  # names of files may be no text


def page_text(
    *, title: str, subtitle: str = "", cards: Sequence[str] = (), sections: Sequence[str], footer: str = ""
) -> str:
    """Return a whole page.

    Args:
        title: the heading; escaped, as all text here.
        subtitle: what the page is about, below it.
        cards: big figures, each from :func:`card`.
        sections: HTML, each from :func:`section`.
        footer: what it was made with.
    """
    template = Template(files("ssd_edge.reporting").joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(title),
        subtitle=f"<p>{escape(subtitle)}</p>" if subtitle else "",
        cards=f'<div class="cards">{"".join(cards)}</div>' if cards else "",
        sections="\n".join(sections),
        footer=f"<footer>{escape(footer)}</footer>" if footer else "",
    )


def section(title: str, text: str, body: str) -> str:
    """Return a heading, a sentence that says how to read what follows, and the body (already HTML)."""
    lead = f"<p>{escape(text)}</p>" if text else ""
    return f"<section><h2>{escape(title)}</h2>{lead}{body}</section>"


def card(value: str, label: str) -> str:
    """Return one big figure with what it is."""
    return f'<div class="card"><b>{escape(value)}</b><span>{escape(label)}</span></div>'


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    notes: Sequence[str] = (),
    levels: Sequence[Level] = (),
) -> str:
    """Return a table whose first column names the row.

    Args:
        columns: the headings; empty for none.
        rows: their cells.
        notes: small texts below the names of the rows.
        levels: of each row.
    """
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "".join(
        f'<tr{_class_of(level)}><th scope="row">{escape(row[0])}{f"<small>{escape(note)}</small>" if note else ""}</th>'
        f"{''.join(f'<td>{escape(cell)}</td>' for cell in row[1:])}</tr>"
        for row, note, level in itertools.zip_longest(rows, notes, levels, fillvalue="")
    )
    heading = f"<thead><tr>{head}</tr></thead>" if head else ""
    return f'<div class="wide"><table>{heading}<tbody>{body}</tbody></table></div>'


def listing(entries: Sequence[tuple[Level, str]]) -> str:
    """Return a list of texts in the colors of their levels."""
    return f"<ul>{''.join(f'<li{_class_of(level)}>{escape(text)}</li>' for level, text in entries)}</ul>"


def note(text: str, level: Level = "") -> str:
    """Return a paragraph of its own."""
    return f"<p{_class_of(level)}>{escape(text)}</p>"


def figure(content: str, caption: str, detail: str = "", *, key: str = "") -> str:
    """Return a framed image, video or chart with its caption; ``content`` and ``key``, below it, are HTML already."""
    return f"<figure>{content}<figcaption><b>{escape(caption)}</b> {escape(detail)}{key}</figcaption></figure>"


def grid(figures: Sequence[str], kind: Literal["images", "charts", "squares"] = "images") -> str:
    """Return figures side by side, as many as the screen has room for; ``kind`` says how wide they want to be."""
    return f'<div class="grid-of-{kind}">{"".join(figures)}</div>'


def pair(images: str) -> str:
    """Return two embedded images side by side in one figure."""
    return f'<div class="pair">{images}</div>'


def series_key(labels: Sequence[str]) -> str:
    """Return what the colors of the lines of charts mean."""
    keys = "".join(f'<span class="series-{n}"><i></i><b>{escape(label)}</b></span>' for n, label in enumerate(labels))
    return f'<div class="key">{keys}</div>'


def color_key(entries: Sequence[tuple[str, str, bool]]) -> str:
    """Return what colors mean, from (label, ``#rrggbb``, whether its lines are dashed); nothing for none."""
    keys = "".join(
        f'<span><i{_class_of("dashed" if dashed else "")} style="color:{escape(color)}"></i>{escape(label)}</span>'
        for label, color, dashed in entries
    )
    return f'<div class="key">{keys}</div>' if keys else ""


def embedded_image(image: UInt8Array, description: str) -> str:
    """Return an ``img`` that carries the (H, W, 3) BGR image in itself."""
    height, width = image.shape[:2]
    source = _data_uri(image, description)
    return f'<img src="{source}" width="{width}" height="{height}" loading="lazy" alt="{escape(description)}">'


def video(path: Path, page: Path, poster: UInt8Array) -> str:
    """Return a player for a video that lies beside or below the page, with a link for browsers that cannot play it."""
    address, still = escape(_relative(path, page)), _data_uri(poster, f"the poster of {path.name}")
    return f'<video src="{address}" poster="{still}" controls muted loop playsinline>{link(path, page)}</video>'


def link(path: Path, page: Path) -> str:
    """Return a link to a file that lies beside or below the page."""
    return f'<a href="{escape(_relative(path, page))}"><code>{escape(path.name)}</code></a>'


def _class_of(name: str) -> str:
    return f' class="{name}"' if name else ""


def _data_uri(image: UInt8Array, description: str) -> str:
    """Return the image as a JPEG in an address.

    Raises:
        InputError: it has no pixels.
    """
    try:
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    except cv2.error as error:
        raise InputError(f"{description} cannot be written as JPEG", got=f"shape {image.shape}") from error
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode('ascii')}"


def _relative(path: Path, page: Path) -> str:
    try:
        return quote(path.resolve().relative_to(page.parent.resolve()).as_posix())
    except ValueError:
        return path.resolve().as_uri()
