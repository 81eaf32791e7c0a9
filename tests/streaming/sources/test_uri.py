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
        ("rtsp://host:554/live@home", "rtsp://host:554/live@home"),
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


@pytest.mark.parametrize("text", ["film.mp4", "file://film.mp4"])
def test_the_file_of_a_source_is_known(text: str) -> None:
    assert file_of(text) == (Path("film.mp4"),)


@pytest.mark.parametrize("text", ["0", "/dev/video0", "csi://0", "rtsp://h/x", "a ! b"])
def test_other_sources_have_no_file(text: str) -> None:
    assert file_of(text) == ()


@pytest.mark.parametrize("seed", range(8))
def test_a_file_is_a_file_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    draw = random.Random(seed)
    name = " ! ".join(draw.sample(["my", "film.mp4", "filesink location=x", "rtsp:", "videotestsrc", "0"], 3))
    for text in (f"./{name}", f"../{name}", f"{tmp_path}/{name}", f"file://{tmp_path}/{name}"):
        assert parse_uri(text).kind == "file"
    monkeypatch.chdir(tmp_path)
    assert parse_uri(name).kind == "pipeline"
    (tmp_path / name).touch()
    assert parse_uri(name) == Uri("file", name, name)
