"""Parsed source URI; its secret parts are never shown."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from ssd_edge.core.errors import InputError
from ssd_edge.core.secrets import hide_in_pipeline, hide_in_url

Kind = Literal["camera", "csi", "url", "pipeline", "file"]

_CAMERA = re.compile(r"^(?:v4l2://)?(?:/dev/video)?(\d+)$")
_CSI = re.compile(r"^csi://(\d+)$")
_URL = re.compile(r"^(rtsp|rtsps|rtmp|http|https|udp|tcp|rtp)://", re.IGNORECASE)
_OTHER_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_PIPELINE = "gst:"
_CREDENTIALS = re.compile(r"^(?:[a-z][a-z0-9+.-]*:/?)?([^/:@\s]+):[^@]+@\S", re.IGNORECASE)
_ENDS_IN_SINK = re.compile(r"!\s*appsink\b[^!]*$")
_ENCODE = "In a user name or a password write / # ? @ : % and a space as %2F %23 %3F %40 %3A %25 %20."


@dataclass(frozen=True)
class Uri:
    """A source by kind.

    Attributes:
        target: camera or sensor number, URL, GStreamer pipeline or path; with its secrets, never to be shown.
        shown: the text without credentials in any spelling, for messages, results, titles and names of files.
    """

    kind: Kind
    target: str = field(repr=False)
    shown: str

    def __str__(self) -> str:
        """Return what may be shown."""
        return self.shown


def parse_uri(text: str) -> Uri:
    """Return what ``text`` names: a camera number, ``csi://0``, a URL, a GStreamer pipeline, or else a path.

    A pipeline is ``gst:ELEMENT ! … ! appsink``; without ``gst:`` it must end in an appsink, and no file be called so.

    Raises:
        InputError: it is empty, a URL of a scheme that is not known, or one whose user or password hides its host.
    """
    if not text.strip():
        raise InputError("the source is empty", wanted="a path, a camera number, csi://0, a URL or a pipeline")
    if text.startswith(_PIPELINE) or (_ENDS_IN_SINK.search(text) and not _is_path(text)):
        pipeline = text.removeprefix(_PIPELINE).strip()
        return Uri("pipeline", pipeline, hide_in_pipeline(pipeline))
    if camera := _CAMERA.match(text):
        return Uri("camera", camera[1], f"camera {camera[1]}")
    if sensor := _CSI.match(text):
        return Uri("csi", sensor[1], text)
    if _URL.match(text):
        return _url(text)
    if scheme := _OTHER_SCHEME.match(text):
        if scheme[1].lower() == "file":
            return Uri("file", text[len("file://") :], text[len("file://") :])
        raise InputError(
            f"{hide_in_url(text)} cannot be opened",
            got=f"scheme {scheme[1]!r}",
            wanted="rtsp, http, csi, v4l2 or file, or a path",
        )
    return _file(text)


def _url(text: str) -> Uri:
    shown = hide_in_url(text)
    try:
        address = urlsplit(text)
        _ = address.port
        is_clear = not re.search(r"\s", address.netloc) and bool(address.hostname)
    except ValueError:  # what follows the first colon is no port: a part of a password
        is_clear = False
    if not is_clear:
        raise InputError(f"{shown} is not an address that can be opened", got="no host and port", do=_ENCODE)
    return Uri("url", text, shown)


def _file(text: str) -> Uri:
    if " ! " in text and not _is_path(text):
        raise InputError(
            f"{hide_in_pipeline(text)} cannot be read",
            got="no such file",
            do="If it is a pipeline, end it with an appsink, or begin it with gst:",
        )
    if (found := _CREDENTIALS.match(text)) and not os.path.lexists(text):
        raise InputError(
            f"{found[1]}:*** … cannot be opened",
            got="neither a file nor a known scheme",
            wanted="rtsp://USER:PASSWORD@HOST/…",
        )
    return Uri("file", text, text)


def _is_path(text: str) -> bool:
    """Return whether a text with `` ! `` in it is a path all the same: it is written as one, or lies there."""
    return text.startswith(("/", "./", "../", "~", "file://")) or os.path.lexists(text)


def file_of(text: str) -> tuple[Path, ...]:
    """Return the file or folder that ``text`` names; nothing for cameras, streams and pipelines."""
    uri = parse_uri(text)
    return (Path(uri.target),) if uri.kind == "file" else ()
