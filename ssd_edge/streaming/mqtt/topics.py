"""Characters of MQTT topics: what a broker refuses, and a name as one level of a topic."""

from __future__ import annotations

from urllib.parse import quote

from ssd_edge.core.errors import InputError
from ssd_edge.core.shell import is_control

_MOST_OF_NAME = 10_000  # bytes; with the prefix and the last level far from the 65,535 of a topic
_DIVIDES = frozenset("/%")
_WILDCARDS = frozenset("+#")


def topic_level(name: str) -> str:
    """Return a name as one level of a topic: ``/``, ``+``, ``#`` and what no topic may hold as in URLs (``%2F``).

    Raises:
        InputError: it is too long.
    """
    level = "".join(
        quote(sign, safe="", errors="surrogatepass") if sign in _DIVIDES or is_unfit_for_topic(sign) else sign
        for sign in name
    )
    if len(level.encode()) > _MOST_OF_NAME:
        raise InputError("the name of a stream is too long for an MQTT topic", got=f"{name[:40]!r}…")
    return level


def is_unfit_for_topic(sign: str) -> bool:
    """Whether no topic to publish at may have a character: a wildcard, or one of :func:`is_unfit_for_mqtt`."""
    return sign in _WILDCARDS or is_unfit_for_mqtt(sign)


def is_unfit_for_mqtt(sign: str) -> bool:
    """Whether a broker may close the connection when a text has a character (MQTT 3.1.1, 1.5.3)."""
    return is_control(sign) or ord(sign) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(sign) <= 0xFDEF
