"""Pieces of a web page, with everything from outside escaped."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

import cv2

from ssd_edge.core.errors import InputError
from ssd_edge.core.frame import UInt8Array

_JPEG_QUALITY = 85


def section(title: str, text: str, body: str) -> str:
    """Return a heading, a sentence that says how to read what follows, and the body (already HTML)."""
    lead = f"<p>{escape(text)}</p>" if text else ""
    return f"<section><h2>{escape(title)}</h2>{lead}{body}</section>"


def card(value: str, label: str) -> str:
    """Return one big figure with what it is."""
    return f'<div class="card"><b>{escape(value)}</b><span>{escape(label)}</span></div>'


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, notes: Sequence[str] = ()) -> str:
    """Return a table whose first column names the row; ``notes`` stand small below these names."""
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}{f"<small>{escape(note)}</small>" if note else ""}</th>'
        f"{''.join(f'<td>{escape(cell)}</td>' for cell in row[1:])}</tr>"
        for row, note in itertools.zip_longest(rows, notes, fillvalue="")
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def figure(content: str, caption: str, detail: str = "", *, key: str = "") -> str:
    """Return a framed picture, film or chart with its caption; ``content`` and ``key`` are HTML already."""
    return f"<figure>{content}<figcaption><b>{escape(caption)}</b> {escape(detail)}{key}</figcaption></figure>"


def embedded_image(image: UInt8Array, description: str) -> str:
    """Return an ``img`` that carries the (H, W, 3) BGR picture in itself."""
    height, width = image.shape[:2]
    source = _data_uri(image, description)
    return f'<img src="{source}" width="{width}" height="{height}" loading="lazy" alt="{escape(description)}">'


def video(path: Path, page: Path, poster: UInt8Array) -> str:
    """Return a player for a film that lies beside or below the page, with a link for browsers that cannot play it."""
    address, still = escape(_relative(path, page)), _data_uri(poster, f"the poster of {path.name}")
    return f'<video src="{address}" poster="{still}" controls muted loop playsinline>{link(path, page)}</video>'


def link(path: Path, page: Path) -> str:
    """Return a link to a file that lies beside or below the page."""
    return f'<a href="{escape(_relative(path, page))}"><code>{escape(path.name)}</code></a>'


def _data_uri(image: UInt8Array, description: str) -> str:
    """Return the picture as a JPEG in an address.

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
