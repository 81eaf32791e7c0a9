"""Whatever option an address with a password is given to, and whatever is written: the password is in none of it."""

from __future__ import annotations

import json
import logging
import threading
import urllib.request
from collections.abc import Iterable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

import ssd_edge as ssd
from ssd_edge.cli.app import app
from ssd_edge.core.log import log
from tests.backends.tiny_onnx import write_tiny_onnx
from tests.data.folders import voc_object, write_voc
from tests.streaming.films import write_bright_film

SECRET = "hunter2"
ADDRESSES = (
    "https://admin:hunter2@127.0.0.1:9/a.pt",
    "https://admin:hun/hunter2@127.0.0.1:9/a.onnx",
    "https://ad min:hunter2@127.0.0.1:9/a.pth",
    "https://hunter2@127.0.0.1:9/a.json",
    "https://127.0.0.1:9/a.onnx?token=hunter2",
    "https://127.0.0.1:9/a.pt?user=admin&pwd=hunter2",
    "https://127.0.0.1:9/user=admin_password=hunter2_channel=1.pt",
    "https://127.0.0.1:9/a.pt?X-Amz-Signature=hunter2",
    "https://127.0.0.1:9/hunter2-abcd-1234-efgh",
    "rtsp://:hunter2@127.0.0.1:9/a",
    "HTTPS://ADMIN:hunter2@127.0.0.1:9/a.pt",
    "https://admin:'hunter2\"@127.0.0.1:9/a.pt",
)
COMMANDS = (  # {} is the address
    "bench {}",
    "build {}",
    "build m.onnx --int8 --images {}",
    "build m.onnx --int8 --ranges {}",
    "build m.onnx --int8 --data {}",
    "build m.onnx --output {}",
    "calibrate {}",
    "calibrate m.onnx --images {}",
    "data check {}",
    "data check data --html {}",
    "data check data --classes {}",
    "data convert {}",
    "data convert data --output {}",
    "data priors {}",
    "data split {}",
    "data stats {} --json -",
    "data stats data --json {}",
    "doctor --selftest --images {}",
    "doctor --json {}",
    "eval {} data",
    "eval m.onnx {}",
    "eval m.onnx data --baseline {}",
    "export {}",
    "import {}",
    "import --from {}",
    "import m.onnx --labels {}",
    "inspect {}",
    "label {} --output out",
    "package {}",
    "run {} --model none.onnx --max-retries 0 --no-window",
    "run a.mp4 --model {} --no-window",
    "run a.mp4 --model m.onnx --serve {}",
    "run a.mp4 --model m.onnx --mqtt {}",
    "run a.mp4 --model m.onnx --json {} --no-window",
    "run --config {}",
    "runs --workspace {}",
    "train {}",
    "train data --backbone {}",
    "train data --priors {}",
    "train data --train-split {}",
    "train data --resume {}",
    "use {}",
    "data check data --{}",
    "{}",
)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    write_voc(tmp_path / "data", voc_object())
    write_tiny_onnx(tmp_path / "m.onnx")
    return tmp_path


def check(command: str, addresses: Iterable[str], workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path for path in workspace.rglob("*") if path.is_file()}
    for number, address in enumerate(addresses):
        options = ("--log-json", "-v") if number % 2 else ()
        words = [word.format(address) for word in command.split()]
        monkeypatch.setattr("sys.argv", ["ssd-edge", *options, *words])
        result = CliRunner().invoke(app, [*options, *words])
        assert SECRET not in result.output, f"{words}: {result.output}"
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
    for path in {path for path in workspace.rglob("*") if path.is_file()} - before:
        if command not in WRITES_WHERE_IT_IS_TOLD:
            assert SECRET not in str(path.relative_to(workspace))
        assert SECRET.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("number", range(len(COMMANDS)), ids=COMMANDS)
def test_no_command_shows_a_password_of_an_address(
    number: int, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two spellings for each command; all of them over a dozen commands."""
    spellings = [ADDRESSES[place % len(ADDRESSES)] for place in (number, number + 5)]
    check(COMMANDS[number], spellings, workspace, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_shows_a_password_in_any_spelling(
    command: str, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(command, ADDRESSES, workspace, monkeypatch)


WRITES_WHERE_IT_IS_TOLD = {
    "build m.onnx --output {}",
    "data check data --html {}",
    "data convert data --output {}",
    "data stats data --json {}",
    "doctor --json {}",
    "run a.mp4 --model m.onnx --json {} --no-window",
}
"""An address as the name of an output is a path that was typed: its file lies there."""


@pytest.fixture
def served(workspace: Path) -> Iterator[str]:
    """The host of a server of ``film.mp4``, whatever credentials it is asked with."""
    write_bright_film(workspace / "film.mp4", 6)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(workspace)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("spelling", ["http://admin:hunter2@{}/film.mp4", "http://{}/film.mp4?usr=a&pwd=hunter2"])
def test_no_output_of_a_run_holds_the_password_of_its_source(
    spelling: str, served: str, workspace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    address = spelling.format(served)
    outputs = ["--json", "out/lines.jsonl", "--output", "out/boxes", "--no-window"]
    result = CliRunner().invoke(app, ["-v", "run", address, "--model", "m.onnx", *outputs])
    assert result.exit_code == 0, result.output
    assert SECRET not in result.output
    lines = [json.loads(line) for line in (workspace / "out/lines.jsonl").read_text().splitlines()]
    assert {line["source"] for line in lines} == {address.replace("hunter2", "***").replace("usr=a", "usr=***")}
    several = ["run", address, "film.mp4", "--model", "m.onnx", "--json", "both", "--no-window"]
    result = CliRunner().invoke(app, several)
    assert result.exit_code == 0, result.output
    assert SECRET not in result.output
    for path in workspace.rglob("*"):
        assert SECRET not in path.name
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path


def test_the_page_that_is_served_does_not_show_it(served: str, workspace: Path) -> None:
    texts: list[str] = []

    def look(*_: object) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as page:
            texts.append(page.read().decode())

    from ssd_edge.streaming.sinks.mjpeg import Address, BrowserSink
    from ssd_edge.streaming.sources.factory import open_source

    with (
        open_source(f"http://admin:hunter2@{served}/film.mp4") as source,
        BrowserSink(Address.parse("127.0.0.1:0"), source.info.name) as sink,
    ):
        port = sink.address.port
        look()
    assert "***" in texts[0]
    assert SECRET not in texts[0]


def test_errors_and_the_log_of_the_library_hide_it_too(caplog: pytest.LogCaptureFixture) -> None:
    error = ssd.InputError("https://admin:hunter2@host/x cannot be read", got="https://h/?token=hunter2")
    assert SECRET not in f"{error} {error.what} {error.got} {error.args}"
    log.addHandler(caplog.handler)
    try:
        with caplog.at_level(logging.INFO, "ssd_edge"):
            log.info("fetching %s", "https://admin:hunter2@host/x")
    finally:
        log.removeHandler(caplog.handler)
    assert "***" in caplog.text
    assert SECRET not in caplog.text
