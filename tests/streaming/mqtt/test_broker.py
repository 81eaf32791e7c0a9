from __future__ import annotations

import os
from pathlib import Path

import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.streaming.mqtt.broker import PASSWORD_VARIABLE, Broker

SECRET = "hunter2"


def parse(text: str, **environment: str) -> Broker:
    return Broker.parse(text, environment)


@pytest.mark.parametrize(
    ("text", "host", "port", "prefix"),
    [
        ("mqtt://broker", "broker", 1883, "ssd-edge"),
        ("mqtt://broker/", "broker", 1883, "ssd-edge"),
        ("mqtts://broker", "broker", 8883, "ssd-edge"),
        ("MQTT://10.0.0.2:1884/site/yard%201/", "10.0.0.2", 1884, "site/yard 1"),
        ("mqtt://[fe80::1]:1885/a", "fe80::1", 1885, "a"),
    ],
)
def test_an_address_is_taken_apart(text: str, host: str, port: int, prefix: str) -> None:
    found = parse(text)
    assert (found.host, found.port, found.prefix, found.user, found.password) == (host, port, prefix, None, None)
    assert (found.tls is not None) == text.startswith("mqtts")
    assert found.shown.endswith(f":{port}")


def test_the_password_comes_from_the_address_a_file_or_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{SECRET}\n")
    assert parse("mqtt://edge:p%40s%2Fs@broker").password == "p@s/s"
    assert parse("mqtt://edge@broker", **{PASSWORD_VARIABLE: SECRET}).password == SECRET
    found = parse(f"mqtt://edge@broker?password_file={file}", **{PASSWORD_VARIABLE: "other"})
    assert found.read_password() == SECRET
    file.write_text("newer\n")
    assert found.read_password() == "newer"
    assert parse("mqtt://edge:own@broker", **{PASSWORD_VARIABLE: SECRET}).password == "own"
    found = parse("mqtt://ed%40ge@broker")
    assert (found.user, found.password) == ("ed@ge", None)
    assert SECRET not in repr(parse(f"mqtt://edge:{SECRET}@broker"))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("broker:1883", "not a valid address"),
        (f"edge:{SECRET}@broker:1883", "not a valid address"),
        (f"tcp://edge:{SECRET}@broker", "not a valid address"),
        (f"mqtt:/edge:{SECRET}@broker", "not a valid address"),
        (f"mqtt://edge:12/{SECRET}@broker", "%2F"),
        (f"mqtt://edge:12#{SECRET}@broker", "%23"),
        (f"mqtt://edge:12?{SECRET}@broker", "%3F"),
        (f"mqtt://edge:{SECRET} '\"@broker:port", "not a valid address"),
        (f"mqtt://edge:{SECRET}@:1883", "not a valid address"),
        (f"mqtt://edge:{SECRET}@broker:0", "not a valid address"),
        (f"mqtt://edge:{SECRET}@broker:99999", "not a valid address"),
        (f"mqtt://edge:{SECRET}@broker/a/+/b", "prefix"),
        ("mqtt://broker/$SYS", "prefix"),
        ("mqtt://broker/a%00", "prefix"),
        (f"mqtt://broker?password={SECRET}", "parameter"),
        ("mqtts://broker?ca=", "parameter"),
        ("mqtt://broker?ca=a.pem", "needs TLS"),
        ("mqtts://broker?ca=absent.pem", "absent.pem, cannot be read"),
        ("mqtts://broker?key=absent.pem", "absent.pem, cannot be read"),
        ("mqtt://edge@broker?password_file=absent", "absent cannot be read"),
        (f"mqtt://edge:{SECRET}@broker?password_file=absent", "given twice"),
        (f"mqtt://edge@broker?password_file={os.devnull}", "cannot be read"),
        (f"mqtt://broker?password_file={os.devnull}", "belongs to no user"),
        (f"mqtt://edge:{SECRET}%FF@broker", "password of --mqtt is not UTF-8"),
        (f"mqtt://edge:{SECRET}\udce4@broker", "password of --mqtt is not UTF-8"),
        (f"mqtt://edge%FF:{SECRET}@broker", "user name of --mqtt is not UTF-8"),
        (f"mqtt://edge\udce4:{SECRET}@broker", "user name of --mqtt is not UTF-8"),
        (f"mqtt://edge%00:{SECRET}@broker", "user name of --mqtt has a character"),
        (f"mqtt://edge:{SECRET}@broker/p%FFw", "prefix of the MQTT topics is not UTF-8"),
        (f"mqtt://edge:{SECRET}@broker/a%EF%BF%BE", "prefix of the MQTT topics is not valid"),
        (f"mqtt://edge:{SECRET}@bro ker", "not a valid address"),
        (f"mqtt://edge:{SECRET}@bro\tker", "not a valid address"),
        (f"mqtt://edge:{SECRET}@bro\x1bker", "not a valid address"),
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_its_password(text: str, match: str) -> None:
    with pytest.raises(InputError, match=match) as raised:
        parse(text)
    assert SECRET not in str(raised.value)


def test_a_password_without_a_user_or_without_letters_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{PASSWORD_VARIABLE} belongs to no user") as raised:
        parse("mqtt://broker", **{PASSWORD_VARIABLE: SECRET})
    assert SECRET not in str(raised.value)
    with pytest.raises(InputError, match=f"{PASSWORD_VARIABLE} is not UTF-8") as raised:
        parse("mqtt://edge@broker", **{PASSWORD_VARIABLE: f"{SECRET}\udce4"})
    assert SECRET not in str(raised.value)
    for content in (b"", b"\n", b"\xff\xfe"):
        (tmp_path / "password").write_bytes(content)
        with pytest.raises(InputError, match="is empty|cannot be read"):
            parse(f"mqtt://edge@broker?password_file={tmp_path / 'password'}")


def test_files_of_tls_that_hold_something_else_are_named(tmp_path: Path) -> None:
    file = tmp_path / "a.pem"
    file.write_text("no certificate")
    with pytest.raises(InputError, match=r"a\.pem holds no certificate"):
        parse(f"mqtts://broker?ca={file}")
    with pytest.raises(InputError, match=r"a\.pem cannot be used as the client's certificate"):
        parse(f"mqtts://broker?cert={file}&key={file}")
    with pytest.raises(InputError, match="key of --mqtt needs cert"):
        parse(f"mqtts://broker?key={file}")
