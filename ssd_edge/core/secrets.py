"""Credentials in the addresses of cameras: in whatever spelling they stand, none is shown.

What is shown is what is known to be harmless: the host, the path, and the values of parameters that choose a channel or
a size. A list of what to hide would miss the next camera's spelling.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath

HIDDEN = "***"
_SHORTEST = 5  # letters of a secret that is looked for by itself

_HARMLESS = frozenset(
    [
        "appsink",
        "bitrate",
        "blocksize",
        "buffer",
        "buffers",
        "camera",
        "cam",
        "caps",
        "ch",
        "channel",
        "channels",
        "channelid",
        "clock",
        "codec",
        "connection",
        "compression",
        "device",
        "do-timestamp",
        "drop",
        "emit-signals",
        "fps",
        "format",
        "framerate",
        "height",
        "index",
        "interlace",
        "is-live",
        "io-mode",
        "latency",
        "leaky",
        "media",
        "max-buffers",
        "mode",
        "num-buffers",
        "pattern",
        "port",
        "profile",
        "prot",
        "protocol",
        "protocols",
        "proto",
        "quality",
        "real_stream",
        "resolution",
        "retry",
        "sensor-id",
        "sensor_id",
        "size",
        "speed",
        "stream",
        "streamtype",
        "stream_type",
        "subtype",
        "sync",
        "tcp",
        "timeout",
        "tune",
        "transport",
        "transportmode",
        "trickmode",
        "type",
        "udp",
        "unicast",
        "videocodec",
        "videocodectype",
        "video",
        "wait-on-eos",
        "width",
        "xres",
        "yres",
    ]
)  # names of parameters, of cameras' URLs and GStreamer's elements, whose values tell nothing
_URL = re.compile(r"([a-z][a-z0-9+.-]+):/+", re.IGNORECASE)  # a path has a single slash of the two
_PAIR = re.compile(r"([\w.-]+)=([^&;,_\s\"'!?#/]*)")  # name=value in a path or a query; some cameras join them by _
_TOKEN = re.compile(r"(?<=/)(?=[A-Za-z-]*\d)(?=[\d-]*[A-Za-z])[A-Za-z0-9-]{14,}(?=$|[/?#&;])")
_PROPERTY = re.compile(r"""([\w-]+)\s*=\s*("(?:[^"\\]|\\.)*"|'[^']*'|\([\w:]+\)[^\s,!]*|[^\s,!]+)""")
_ADDRESSES = frozenset({"location", "uri"})  # properties of GStreamer whose values are addresses or files
_WORD = re.compile(r"\((?:int|string|fraction|boolean|float)\)?[\w./:-]*|[\w./:-]{1,24}")
_IN_TEXT = re.compile(r"[a-z][a-z0-9+.-]+:/[^\s\"'<>]+", re.IGNORECASE)


def hide_in_url(url: str) -> str:
    """Return a URL without user info but a name, and without the values of parameters that may be secret."""
    match = _URL.match(url)
    if match is None:
        return url
    rest = url[match.end() :]
    user, at, place = rest.rpartition("@")  # passwords hold / and @ themselves; what comes before the last @ is hidden
    if at and re.search("[?#]", user):
        return f"{match[0]}{HIDDEN}"  # a password with a ? in it, or a parameter with an @: nobody can tell
    if at and not _is_path(user):
        name = re.match(r"[^/@:?#\s&=]*(?=:)", user)
        shown = f"{name[0]}:{HIDDEN}@" if name else f"{HIDDEN}@"
    else:
        shown, place = "", rest
    return match[0] + shown + _hidden_parts(place)


def _is_path(before: str) -> bool:
    """Whether what comes before an @ is a host and a path: ``10.0.0.2/a`` of ``10.0.0.2/a@2x.mp4``.

    With a port it may as well be a user, a colon and a password that begins with digits.
    """
    return re.fullmatch(r"(?:[\w-]+(?:\.[\w-]+)+|localhost|\[[0-9a-fA-F:.]+\])/[\w./-]*", before) is not None


def _hidden_parts(place: str) -> str:
    host, slash, path = place.partition("/")
    return _without_values(host) + slash + _TOKEN.sub(HIDDEN, _without_values("/" + path))[1:]


def _without_values(text: str) -> str:
    def shown(match: re.Match[str]) -> str:
        return match[0] if match[1].lower().lstrip("_") in _HARMLESS else f"{match[1]}={HIDDEN}"

    beginning, mark, query = text.partition("?")
    parts = [_PAIR.sub(shown, beginning)]
    if mark:
        parts.append("&".join(_query_pair(pair) for pair in re.split("[&;]", query)))
    return mark.join(parts)


def _query_pair(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    if not equals or name.lower() in _HARMLESS:
        return pair if equals or re.fullmatch(r"[\w.-]{0,12}", pair) else HIDDEN
    return f"{name}={HIDDEN}"


def hide_in_pipeline(pipeline: str) -> str:
    """Return a GStreamer pipeline whose properties show no more than addresses without secrets and harmless values."""

    def shown(match: re.Match[str]) -> str:
        name, value = match[1], match[2]
        plain = value.strip("\"'")
        if name.lower() in _ADDRESSES:
            mark = value[0] if value[0] in "\"'" else ""
            return f"{name}={mark}{hide_in_url(plain)}{mark}"
        return match[0] if name.lower() in _HARMLESS and _WORD.fullmatch(plain) else f"{name}={HIDDEN}"

    return _PROPERTY.sub(shown, pipeline)


def hide_in_text(text: str) -> str:
    """Return a text, such as another program's error, with every URL in it as :func:`hide_in_url` shows it."""
    return _IN_TEXT.sub(lambda match: hide_in_url(match[0]), text) if ":/" in text else text


def hide_words(text: str, words: Iterable[str]) -> str:
    """Return a text without the credentials of addresses among these words, whole addresses and parts of them.

    Args:
        text: a message.
        words: as they were typed, with spaces and quotes in them; what is no address is left as it is.
    """
    for word in words:
        start = _URL.search(word)
        address = word[start.start() :] if start else ""  # behind an option's name
        hidden = hide_in_url(address)
        if hidden != address:
            for spelling in (address, str(PurePath(address)), repr(address)[1:-1], repr(str(PurePath(address)))[1:-1]):
                text = text.replace(spelling, hidden)
            for secret in _hidden_of(address, hidden):
                text = text.replace(secret, HIDDEN)
    return text


def _hidden_of(address: str, hidden: str) -> list[str]:
    """Return what of an address is hidden, but for what is so short that other words hold it too."""
    found, place = [], 0
    for shown in hidden.split(HIDDEN):
        start = address.find(shown, place) if shown else len(address)
        found.append(address[place:start])
        place = start + len(shown)
    return [secret for secret in found if len(secret) >= _SHORTEST]
