"""What a user may call a source, taken apart."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ssd_edge.core.errors import InputError

Kind = Literal["camera", "csi", "url", "pipeline", "file"]

_CAMERA = re.compile(r"^(?:v4l2://)?(?:/dev/video)?(\d+)$")
_CSI = re.compile(r"^csi://(\d+)$")
_URL = re.compile(r"^(rtsp|rtsps|rtmp|http|https|udp|tcp|rtp)://", re.IGNORECASE)
_OTHER_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_PASSWORD = re.compile(r"//([^/@:\s]*):[^/\s]*@")


@dataclass(frozen=True)
class Uri:
    """A source by kind.

    Attributes:
        target: camera or sensor number, URL, GStreamer pipeline or path.
        shown: the text without any password, for messages and results.
    """

    kind: Kind
    target: str
    shown: str


def parse_uri(text: str) -> Uri:
    """Return what ``text`` names: a camera number, ``csi://0``, a URL, a GStreamer pipeline, or else a path.

    Raises:
        InputError: it is empty, or a URL of a scheme that is not known.
    """
    shown = _PASSWORD.sub(r"//\1:***@", text)
    if not text.strip():
        raise InputError("the source is empty", wanted="a path, a camera number, csi://0, a URL or a pipeline")
    if " ! " in text and not _is_path(text):
        return Uri("pipeline", text, shown)
    if camera := _CAMERA.match(text):
        return Uri("camera", camera[1], f"camera {camera[1]}")
    if sensor := _CSI.match(text):
        return Uri("csi", sensor[1], text)
    if _URL.match(text):
        return Uri("url", text, shown)
    if scheme := _OTHER_SCHEME.match(text):
        if scheme[1].lower() == "file":
            return Uri("file", text[len("file://") :], text[len("file://") :])
        raise InputError(
            f"{shown} cannot be opened", got=f"scheme {scheme[1]!r}", wanted="rtsp, http, csi, v4l2 or file, or a path"
        )
    return Uri("file", text, text)


def _is_path(text: str) -> bool:
    """Return whether a text with `` ! `` in it is a path all the same: it is written as one, or lies there."""
    return text.startswith(("/", "./", "../", "~", "file://")) or os.path.lexists(text)


def file_of(text: str) -> tuple[Path, ...]:
    """Return the file or folder that ``text`` names; nothing for cameras, streams and pipelines."""
    uri = parse_uri(text)
    return (Path(uri.target),) if uri.kind == "file" else ()
