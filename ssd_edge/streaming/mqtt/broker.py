"""Address of an MQTT broker, with what is needed to log in there."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import read_regular, read_text
from ssd_edge.core.secrets import hide_in_url
from ssd_edge.core.shell import is_control
from ssd_edge.streaming.mqtt.topics import is_unfit_for_mqtt, is_unfit_for_topic

PASSWORD_VARIABLE = "SSD_EDGE_MQTT_PASSWORD"  # noqa: S105 - a name
DEFAULT_PREFIX = "ssd-edge"

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_TLS_FILES = ("ca", "cert", "key")
_PASSWORD_FILE = "password_file"  # noqa: S105 - a name
_FORM = "mqtt://HOST:PORT/PREFIX, or mqtts:// for TLS; only the host is needed, and USER@ may stand before it"
_ENCODE = "In a user name, a password or a prefix write / # ? @ : % and a space as %2F %23 %3F %40 %3A %25 %20."
_DROPPED = frozenset("\t\r\n")  # by urlsplit, without a word
_MOST_OF_PREFIX = 1000  # bytes; a topic has 65,535


@dataclass(frozen=True)
class TlsFiles:
    """Files of TLS, in PEM.

    Attributes:
        ca: certificates of the authorities that are trusted; None for the system's.
        cert, key: of this client; None for none.
    """

    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    def context(self) -> ssl.SSLContext:
        """Return how TLS is spoken, by what the files contain now: the broker's certificate and host name are checked.

        Raises:
            InputError: a file cannot be used.
        """
        for name in _TLS_FILES:
            file = getattr(self, name)
            if file is not None:
                _check_readable(name, file)
        if self.key is not None and self.cert is None:
            raise InputError("key of --mqtt needs cert", wanted="the certificate that the key belongs to")
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except (OSError, ValueError) as error:
            raise InputError(f"{self.ca} holds no certificate", wanted="certificates in PEM") from error
        if self.cert is not None:
            try:  # without a password, OpenSSL would ask for one on the terminal
                context.load_cert_chain(self.cert, self.key, password=lambda: "")
            except (OSError, ValueError) as error:
                raise InputError(
                    f"{self.cert} cannot be used as the client's certificate",
                    wanted="a certificate and its key in PEM, the key without a password",
                ) from error
        return context


@dataclass(frozen=True)
class Broker:
    """A broker, and where a run's topics are there.

    Attributes:
        host: name or address.
        port: of TCP.
        prefix: first levels of all topics, without a slash at either end.
        user: to log in as; None to log in without a name.
        password: of the user; None for none, or for that of the file.
        password_file: has the password in its first line, whenever a connection is made; None for no such file.
        tls: files for the connection, read whenever one is made; None for one that is not encrypted.
    """

    host: str
    port: int
    prefix: str = DEFAULT_PREFIX
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    password_file: str | None = None
    tls: TlsFiles | None = None

    @classmethod
    def parse(cls, text: str, environment: Mapping[str, str] = os.environ) -> Broker:
        """Return the broker of an address ``mqtt[s]://[user[:password]@]host[:port]/[prefix][?parameter=value&…]``.

        Parameters: ``password_file``; with ``mqtts`` also ``ca`` (certificates of the authorities that are trusted, in
        place of the system's), ``cert`` and ``key`` (of this client, where the broker wants them), all in PEM.

        Args:
            text: the address.
            environment: with the password in ``SSD_EDGE_MQTT_PASSWORD``, where the address has none.

        Raises:
            InputError: the address has another form, a user name or a password is not UTF-8, or a file cannot be used.
        """
        parts = _split(text)
        files = _parameters(text, parts.query)
        tls = [name for name in _TLS_FILES if name in files]
        if tls and parts.scheme != "mqtts":
            raise InputError(f"{tls[0]} needs TLS", got=_hidden(text), wanted="mqtts://")
        user, file = _user(parts), files.get(_PASSWORD_FILE)
        broker = cls(
            host=parts.hostname or "",
            port=parts.port or _PORTS[parts.scheme],
            prefix=_prefix(parts.path),
            user=user,
            password=_password(parts, file, user, environment),
            password_file=file,
            tls=TlsFiles(**{name: files[name] for name in tls}) if parts.scheme == "mqtts" else None,
        )
        broker.read_password()  # files that cannot be used are refused at once
        if broker.tls is not None:
            broker.tls.context()
        return broker

    def read_password(self) -> str | None:
        """Return the password, which its file may have anew.

        Raises:
            InputError: the file has no password, or cannot be read.
        """
        return self.password if self.password_file is None else _line(self.password_file)

    @property
    def shown(self) -> str:
        """Address for messages, without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtt' if self.tls is None else 'mqtts'}://{host}:{self.port}"


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        is_host = host != "" and not any(sign.isspace() or is_control(sign) for sign in host)
        is_address = parts.scheme in _PORTS and is_host and parts.port != 0
    except ValueError:  # a port that is no number, or half an IPv6 address
        is_address = False
    if not is_address or _DROPPED.intersection(text) or "@" in parts.path + parts.query + parts.fragment or "#" in text:
        raise InputError("--mqtt is not a valid address", got=_hidden(text), wanted=_FORM, do=_ENCODE)
    return parts


def _hidden(text: str) -> str:
    """Return an address without its secrets, also where its scheme is missing."""
    return repr(hide_in_url(text) if "://" in text else hide_in_url(f"mqtt://{text}").removeprefix("mqtt://"))


def _parameters(text: str, query: str) -> dict[str, str]:
    found = dict(parse_qsl(query, keep_blank_values=True))
    known = (*_TLS_FILES, _PASSWORD_FILE)
    if not (found.keys() <= set(known) and all(found.values())):
        wanted = f"{', '.join(known)}, each with a file"
        raise InputError("a parameter of --mqtt is not valid", got=_hidden(text), wanted=wanted)
    return found


def _decoded(text: str, what: str) -> str:
    """Return a part of an address without its escapes; an error does not show it."""
    try:
        return _checked(unquote(text, errors="strict"), what)
    except UnicodeDecodeError:
        raise InputError(f"{what} is not UTF-8", wanted="UTF-8, in which ä is %C3%A4") from None


def _checked(text: str, what: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:  # a byte of the command line or of the environment that is no UTF-8
        raise InputError(f"{what} is not UTF-8") from None
    return text


def _user(parts: SplitResult) -> str | None:
    if parts.username is None:
        return None
    what = "the user name of --mqtt"
    user = _decoded(parts.username, what)
    if any(is_unfit_for_mqtt(sign) for sign in user):
        raise InputError(f"{what} has a character that MQTT does not allow", wanted="no control characters")
    return user


def _prefix(path: str) -> str:
    prefix = _decoded(path, "the prefix of the MQTT topics").strip("/") or DEFAULT_PREFIX
    is_unfit = prefix.startswith("$") or any(is_unfit_for_topic(sign) for sign in prefix)
    if is_unfit or len(prefix.encode()) > _MOST_OF_PREFIX:
        raise InputError(
            "the prefix of the MQTT topics is not valid",
            got=f"{prefix[:100]!r}",
            wanted="levels such as site/cameras, without + and # and control characters, and no $ at the beginning",
        )
    return prefix


def _password(parts: SplitResult, file: str | None, user: str | None, environment: Mapping[str, str]) -> str | None:
    """Return the password of the address or of the environment; None if there is none, or it is in the file."""
    if parts.password is not None and file is not None:
        raise InputError("the MQTT password is given twice", got=f"in --mqtt and in {file}", wanted="one of the two")
    if parts.password is not None:
        return _decoded(parts.password, "the password of --mqtt")
    password = environment.get(PASSWORD_VARIABLE) if file is None else None
    if (password is not None or file is not None) and user is None:
        source = file or PASSWORD_VARIABLE
        raise InputError(f"the MQTT password in {source} belongs to no user", wanted="USER@ before the host in --mqtt")
    return None if password is None else _checked(password, f"the MQTT password in {PASSWORD_VARIABLE}")


def _line(file: str) -> str:
    """Return the first line of a file."""
    try:
        lines = read_text(Path(file)).splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise InputError(f"the MQTT password in {file} cannot be read ({reason})") from error
    if not lines or not lines[0]:
        raise InputError(f"the MQTT password in {file} is empty", wanted="the password in the first line")
    return lines[0]


def _check_readable(name: str, file: str) -> None:
    try:
        read_regular(Path(file))
    except OSError as error:
        raise InputError(f"{name} of --mqtt, {file}, cannot be read ({error.strerror or error})") from error
