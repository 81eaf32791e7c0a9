import random
from pathlib import Path

import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.streaming.sources.uri import Uri, file_of, parse_uri


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("0", Uri("camera", "0", "camera 0")),
        ("/dev/video2", Uri("camera", "2", "camera 2")),
        ("v4l2:///dev/video1", Uri("camera", "1", "camera 1")),
        ("csi://0", Uri("csi", "0", "csi://0")),
        ("videotestsrc ! appsink", Uri("pipeline", "videotestsrc ! appsink", "videotestsrc ! appsink")),
        ("HTTP://host/a.mp4", Uri("url", "HTTP://host/a.mp4", "HTTP://host/a.mp4")),
        ("file:///data/a.mp4", Uri("file", "/data/a.mp4", "/data/a.mp4")),
        ("photos/a.jpg", Uri("file", "photos/a.jpg", "photos/a.jpg")),
    ],
)
def test_a_source_is_known_by_its_text(text: str, uri: Uri) -> None:
    assert parse_uri(text) == uri


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://me:secret@10.0.0.2:554/live", "rtsp://me:***@10.0.0.2:554/live"),
        ("rtspsrc location=rtsp://me:secret@h/x ! appsink", "rtspsrc location=rtsp://me:***@h/x ! appsink"),
        ("rtsp://me:sec@ret@h/x", "rtsp://me:***@h/x"),
        ("rtsp://host.example/live@home", "rtsp://host.example/live@home"),
        ("rtsp://me:554/secret@home/x", "rtsp://me:***@home/x"),
        ("http://h/s.cgi?user=me&pwd=secret", "http://h/s.cgi?user=***&pwd=***"),
    ],
)
def test_passwords_are_never_shown(text: str, shown: str) -> None:
    uri = parse_uri(text)
    assert uri.shown == shown
    assert uri.target == text


def test_an_unknown_scheme_is_named() -> None:
    with pytest.raises(InputError, match=r"ftp://h/a cannot be opened: got scheme 'ftp'; wanted rtsp, http, csi"):
        parse_uri("ftp://h/a")


def test_an_empty_source_is_refused() -> None:
    with pytest.raises(InputError, match="the source is empty"):
        parse_uri("  ")


@pytest.mark.parametrize("text", ["video.mp4", "file://video.mp4"])
def test_the_file_of_a_source_is_known(text: str) -> None:
    assert file_of(text) == (Path("video.mp4"),)


@pytest.mark.parametrize("text", ["0", "/dev/video0", "csi://0", "rtsp://h/x", "a ! appsink", "gst:a ! b"])
def test_other_sources_have_no_file(text: str) -> None:
    assert file_of(text) == ()


@pytest.mark.parametrize("seed", range(8))
def test_a_file_is_a_file_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    draw = random.Random(seed)
    name = " ! ".join(draw.sample(["my", "video.mp4", "filesink location=x", "rtsp:", "videotestsrc", "0"], 3))
    for text in (f"./{name}", f"../{name}", f"{tmp_path}/{name}", f"file://{tmp_path}/{name}"):
        assert parse_uri(text).kind == "file"
    monkeypatch.chdir(tmp_path)
    assert parse_uri(f"{name} ! appsink").kind == parse_uri(f"gst:{name}").kind == "pipeline"
    with pytest.raises(InputError, match="cannot be read"):
        parse_uri(name)
    (tmp_path / name).touch()
    assert parse_uri(name) == Uri("file", name, name)


@pytest.mark.parametrize("text", ["rtsp://me:se/cret@h/x", "rtsp://m e:secret@h/x", "rtsp://me:sec#ret@h/x"])
def test_a_password_that_hides_the_host_is_refused_with_how_to_write_it(text: str) -> None:
    with pytest.raises(InputError, match=r"is not an address that can be opened.*write / # \? @ .* as %2F") as refused:
        parse_uri(text)
    assert "ret@" not in str(refused.value)


@pytest.mark.parametrize("text", ["me:secret@10.0.0.2/live", "rtsp:me:secret@h/x", "rtsp:/me:secret@h/x"])
def test_an_address_without_its_scheme_shows_no_password(text: str) -> None:
    with pytest.raises(InputError, match="cannot be opened") as refused:
        parse_uri(text)
    assert "secret" not in str(refused.value)


def test_a_source_shows_no_secret_as_text_either() -> None:
    uri = parse_uri("rtsp://me:secret@h/x")
    assert "secret" not in f"{uri} {uri!r}"
