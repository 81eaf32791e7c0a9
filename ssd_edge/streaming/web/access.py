"""Who may see the served page: addresses, the token for other machines, and what a browser says of its page."""

from __future__ import annotations

import hmac
import ipaddress
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from pathlib import Path
from socket import AF_INET, AF_INET6, AddressFamily
from urllib.parse import parse_qs, urlsplit

from ssd_edge.core.errors import InputError

Headers = Mapping[str, str] | Message
"""Of a request; a Message finds a header however it is spelled."""
COOKIE = "ssd-edge-token"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,200}")
_TOKEN_BYTES = 24
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Address:
    """Address of the server; port 0 stands for any free port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, option: str = "--serve") -> Address:
        """Return what ``PORT``, ``HOST:PORT`` or ``[IPv6]:PORT`` names; without a host only this machine can look.

        Args:
            text: the address.
            option: that it was given to, for the message.

        Raises:
            InputError: it is none of them.
        """
        host, _, port = text.rpartition(":")
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        is_host = bool(re.fullmatch(r"[\w.-]*", host)) or (bare != host and _is_ipv6(bare))
        if not (is_host and port.isascii() and port.isdigit() and int(port) < 1 << 16):
            raise InputError(
                f"{option} is not a valid address",
                got=repr(text),
                wanted="a port or HOST:PORT, such as 8080, 0.0.0.0:8080 or [::]:8080",
            )
        return cls(bare or "127.0.0.1", int(port))

    @property
    def family(self) -> AddressFamily:
        """IPv4 or IPv6."""
        return AF_INET6 if ":" in self.host else AF_INET

    @property
    def is_open(self) -> bool:
        """Whether other machines can look."""
        try:
            return not ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host != "localhost"

    @property
    def url(self) -> str:
        """URL for a browser on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared with, not bound to
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"

    def __str__(self) -> str:
        """As it is typed."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False


def token_path() -> Path:
    """Return the file that holds the token of this user's pages: ``serve-token`` in the user's configuration."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "ssd-edge" / "serve-token"


def read_token(path: Path) -> str:
    """Return the token of a file that only its owner can read; it is made where it is missing, and stays the same.

    Raises:
        InputError: it cannot be made or read, others can read it, or it holds something else.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return _existing(path)
        with os.fdopen(descriptor, "w") as file:
            token = secrets.token_urlsafe(_TOKEN_BYTES)
            file.write(token + "\n")
        return token
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror or error})",
            wanted="a file for the token that lets other machines watch",
            do="Set XDG_CONFIG_HOME to a folder that you may write.",
        ) from error


def _existing(path: Path) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor) as file:
        mode, token = os.fstat(descriptor).st_mode, file.read(1000).strip()
    shared = stat.S_IMODE(mode) & 0o077
    if shared or not _TOKEN.fullmatch(token):
        got = f"mode {stat.S_IMODE(mode):o}" if shared else "something else"
        raise InputError(
            f"{path} is not a valid token file",
            got=got,
            wanted="a token in a file of mode 600",
            do="Delete it: a new one is then written.",
        )
    return token


@dataclass(frozen=True)
class Access:
    """Who is let in.

    Attributes:
        address: where it is served.
        token: what other machines must show; empty where only this machine can look.
        token_file: that holds the token; None where there is none.
    """

    address: Address
    token: str = ""
    token_file: Path | None = None

    @classmethod
    def at(cls, address: Address) -> Access:
        """Return who is let in at an address: other machines, if they can reach it, with this user's token.

        Raises:
            InputError: other machines can reach it, and there is no place for the token.
        """
        if not address.is_open:
            return cls(address)
        file = token_path()
        return cls(address, read_token(file), file)

    def refusal(self, target: str, headers: Headers) -> tuple[HTTPStatus, str] | None:
        """Return why a request is refused; None where it is answered.

        Args:
            target: path and query of the request.
            headers: of the request.
        """
        host = _host_of(headers.get("Host", ""))
        known = (*_LOOPBACK_NAMES, self.address.host)  # a page elsewhere has its own name lead to this machine
        if not self.token and host not in known:
            return HTTPStatus.MISDIRECTED_REQUEST, "ask for it by localhost or 127.0.0.1"
        origin = headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != headers.get("Host", ""):
            return HTTPStatus.FORBIDDEN, "another site asks for it"
        if headers.get("Sec-Fetch-Site") == "cross-site" and headers.get("Sec-Fetch-Mode") != "navigate":
            return HTTPStatus.FORBIDDEN, "another site asks for it"
        if self.token and not self.is_shown(target, headers):
            return HTTPStatus.UNAUTHORIZED, "add ?token=… with the token of the file that ssd-edge named"
        return None

    def is_shown(self, target: str, headers: Headers) -> bool:
        """Whether a request shows the token: as ``?token=``, a cookie, or ``Authorization: Bearer``."""
        shown = [*parse_qs(urlsplit(target).query).get("token", []), *_cookies(headers.get("Cookie", ""))]
        shown.append(headers.get("Authorization", "").removeprefix("Bearer "))
        return any(hmac.compare_digest(text.encode(), self.token.encode()) for text in shown)


def is_from_here(peer: str, headers: Headers) -> bool:
    """Whether a program of this machine asks, and no page that a browser shows: such a page has a name of its own.

    Args:
        peer: address that the connection comes from.
        headers: of the request.
    """
    named = _host_of(headers.get("Host", "")) in _LOOPBACK_NAMES and headers.get("Origin") is None
    return named and ipaddress.ip_address(peer.partition("%")[0].removeprefix("::ffff:")).is_loopback


def _host_of(header: str) -> str:
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def _cookies(header: str) -> Iterator[str]:
    """Yield the values of our cookie; those of other programs of this host may have names that http.cookies refuses."""
    for pair in header.split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE:
            yield value
