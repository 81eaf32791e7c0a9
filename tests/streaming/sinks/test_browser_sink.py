from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from ssd_edge.core.errors import DeviceError, InputError
from ssd_edge.core.frame import Frame
from ssd_edge.streaming.sinks.mjpeg import BrowserSink
from ssd_edge.streaming.web.access import Address

LIMIT_S = 20.0


def frame(number: int) -> Frame:
    """An image whose brightness is its number."""
    return Frame(np.full((48, 64, 3), number, np.uint8), number, time.monotonic(), "camera 0")


def put(sink: BrowserSink, number: int) -> None:
    shown = frame(number)
    sink.show(shown, shown.image)


@pytest.fixture
def sink() -> Iterator[BrowserSink]:
    with BrowserSink(Address("127.0.0.1", 0), 'camera <0> & "co"') as opened:
        assert isinstance(opened, BrowserSink)
        yield opened


def ask(sink: BrowserSink, path: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(sink.address.host, sink.address.port, timeout=LIMIT_S)
    connection.request("GET", path)
    return connection.getresponse()


def next_picture(film: http.client.HTTPResponse) -> int:
    """Read a part of the video, by its own headers, and return the image's brightness."""
    assert film.readline() == b"--frame\r\n"
    headers = http.client.parse_headers(film)
    assert headers["Content-Type"] == "image/jpeg"
    data = film.read(int(headers["Content-Length"]))
    assert film.readline() == b"\r\n"
    return brightness(data)


def brightness(jpeg: bytes) -> int:
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (48, 64, 3)
    return round(float(picture.mean()))


def test_the_page_shows_the_film_under_the_sources_name(sink: BrowserSink) -> None:
    answer = ask(sink, "/")
    text = answer.read().decode()
    assert answer.getheader("Content-Type") == "text/html; charset=utf-8"
    assert "<title>camera &lt;0&gt; &amp; &quot;co&quot;</title>" in text
    assert '<img src="stream.mjpg"' in text
    assert ask(sink, "/elsewhere").status == 404


def test_the_newest_picture_can_be_had_alone(sink: BrowserSink) -> None:
    put(sink, 10)
    put(sink, 200)
    answer = ask(sink, "/snapshot.jpg")
    assert answer.getheader("Content-Type") == "image/jpeg"
    assert answer.getheader("Cache-Control") == "no-store"
    assert brightness(answer.read()) == 200


def test_a_film_goes_on_with_each_picture_and_ends_with_the_run(sink: BrowserSink) -> None:
    put(sink, 10)
    film = ask(sink, "/stream.mjpg")
    assert film.getheader("Content-Type") == "multipart/x-mixed-replace; boundary=frame"
    assert next_picture(film) == 10
    for number in (20, 30):
        put(sink, number)
        assert next_picture(film) == number
    sink.close()
    assert film.read() == b"--frame--\r\n"


def test_a_viewer_that_takes_nothing_holds_up_neither_the_run_nor_the_others(sink: BrowserSink) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    sink.show(frame(0), noise)
    asleep = ask(sink, "/stream.mjpg")
    for number in range(50):
        sink.show(frame(number), noise)
    put(sink, 77)
    assert brightness(ask(sink, "/snapshot.jpg").read()) == 77
    sink.close()
    assert asleep.readline() == b"--frame\r\n"  # what it had not taken


def test_opencv_can_read_the_film(sink: BrowserSink) -> None:
    done = threading.Event()

    def camera() -> None:
        while not done.is_set():
            put(sink, 128)
            time.sleep(0.01)

    thread = threading.Thread(target=camera)
    thread.start()
    try:
        capture = cv2.VideoCapture(f"{sink.address.url}stream.mjpg", cv2.CAP_FFMPEG)
        assert [round(float(capture.read()[1].mean())) for _ in range(3)] == [128] * 3
        capture.release()
    finally:
        done.set()
        thread.join()


def test_without_viewers_nothing_is_encoded(sink: BrowserSink, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[str] = []
    encode = cv2.imencode
    monkeypatch.setattr(cv2, "imencode", lambda *arguments: (encoded.append("once"), encode(*arguments))[1])
    for number in range(5):
        put(sink, number)
    assert encoded == []
    for _ in range(3):
        ask(sink, "/snapshot.jpg").read()
    assert encoded == ["once"]


def test_a_port_that_is_taken_is_named(sink: BrowserSink) -> None:
    with pytest.raises(DeviceError, match=r"nothing can be served at 127\.0\.0\.1:\d+ .Address already in use."):
        BrowserSink(sink.address, "camera 0")


@pytest.mark.parametrize(
    ("text", "address", "url", "is_open"),
    [
        ("8080", Address("127.0.0.1", 8080), "http://127.0.0.1:8080/", False),
        ("0.0.0.0:80", Address("0.0.0.0", 80), "http://127.0.0.1:80/", True),
        ("board.local:8080", Address("board.local", 8080), "http://board.local:8080/", True),
    ],
)
def test_addresses(text: str, address: Address, url: str, is_open: bool) -> None:
    assert Address.parse(text) == address
    assert (address.url, address.is_open) == (url, is_open)


@pytest.mark.parametrize("text", ["", "web", "0.0.0.0:", "1:2:x", "-1", "65536", "٣"])
def test_what_is_no_address_is_named(text: str) -> None:
    with pytest.raises(
        InputError,
        match=r"--serve is not a valid address: got '.*'; wanted a port or HOST:PORT, such as 8080, 0\.0\.0\.0:8080",
    ):
        Address.parse(text)


def test_who_asks_while_the_run_ends_is_told_that_there_is_no_image(sink: BrowserSink) -> None:
    answers: list[int] = []
    asking = threading.Thread(target=lambda: answers.append(ask(sink, "/snapshot.jpg").status))
    asking.start()
    due = time.monotonic() + LIMIT_S
    while not (sink._served._server._open and not sink._served._server._asking) and time.monotonic() < due:
        time.sleep(0.01)
    assert answers == []  # it has asked, and waits for the first frame
    sink.close()
    asking.join(LIMIT_S)
    assert answers == [503]
