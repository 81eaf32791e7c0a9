from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.streaming.sinks.line_file import LineFile
from ssd_edge.streaming.sinks.pieces import Cut, Retention, piece_path
from tests.full_disk import full_after
from tests.processes import running

LINE = b'{"a": 1}\n'


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_line_that_the_disk_takes_half_is_cut_away_again(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    file = LineFile(path)
    with full_after(3 * len(LINE) + 4):
        for _ in range(3):
            file.write(LINE)
        with pytest.raises(InputError, match=r"a\.jsonl cannot be written .File too large.. Free some space"):
            file.write(LINE)
        assert path.read_bytes() == 3 * LINE
    file.write(LINE)  # there is room again
    file.close()
    assert path.read_bytes() == 4 * LINE


def test_a_file_has_one_writer(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    file = LineFile(path)
    file.write(LINE)
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from ssd_edge.core.errors import InputError\n"
        "from ssd_edge.streaming.sinks.line_file import LineFile\n"
        "try:\n"
        "    LineFile(Path(sys.argv[1]))\n"
        "except InputError as error:\n"
        "    sys.exit(str(error))\n"
    )
    (tmp_path / "link.jsonl").symlink_to(path)
    for name in (path, tmp_path / "link.jsonl"):
        other = subprocess.run([sys.executable, "-c", program, str(name)], capture_output=True, text=True, timeout=60)
        assert "is being written by another run: wanted only one run that writes a file" in other.stderr
    file.write(LINE)
    file.close()
    assert path.read_bytes() == 2 * LINE
    assert names(tmp_path) == ["a.jsonl", "link.jsonl"]
    LineFile(path).close()


def test_what_is_cut_begins_anew_beside_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("old\n")
    file = LineFile(path, cut=Cut(size=2 * len(LINE)))
    for _ in range(5):
        file.write(LINE)
    file.close()
    assert path.read_text() == "old\n"
    pieces = [name for name in names(tmp_path) if name != "a.jsonl"]
    assert all(re.fullmatch(r"a-\d{8}T\d{6}Z(-\d+)?\.jsonl", name) for name in pieces)
    assert sorted((tmp_path / name).read_bytes().count(b"\n") for name in pieces) == [1, 2, 2]
    assert (file.pieces, file.last is not None and file.last.name in pieces) == (3, True)


def test_pieces_begin_on_the_clock() -> None:
    hour = Cut.parse("1h")
    assert not hour.is_due(began=3600.0, now=7199.9, size=10**12)
    assert hour.is_due(began=7199.0, now=7200.0, size=0)
    assert not hour.is_due(began=7201.0, now=7199.0, size=0)  # the clock was set right by two seconds
    assert hour.is_due(began=10 * 365 * 86400.0, now=7200.0, size=0)  # and by ten years


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("30s", Cut(seconds=30)),
        ("1.5h", Cut(seconds=5400)),
        ("1d", Cut(seconds=86400)),
        ("500MB", Cut(size=500_000_000)),
        ("2gb", Cut(size=2 * 10**9)),
    ],
)
def test_a_cut_is_a_time_or_a_size(text: str, cut: Cut) -> None:
    assert Cut.parse(text) == cut


@pytest.mark.parametrize("text", ["", "10", "0s", "h", "1y", "-1h", "0.1s", "1 B"])
def test_another_cut_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="wanted a time or a size"):
        Cut.parse(text)


def piece(folder: Path, age_days: float, size: int, stem: str = "a", suffix: str = ".jsonl") -> Path:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() - age_days * 86400))
    path = folder / f"{stem}-{stamp}{suffix}"
    path.write_bytes(bytes(size))
    return path


def test_the_oldest_pieces_go_first_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="ssd_edge")
    pieces = [piece(tmp_path, age, 400_000) for age in (4, 3, 2, 1)]
    video = piece(tmp_path, 3.5, 400_000, suffix=".mkv")
    others = [piece(tmp_path, 9, 10**6, stem="b"), tmp_path / "a.jsonl", tmp_path / "a-notes.jsonl"]
    for path in others:
        path.touch()
    retention = Retention(gigabytes=0.0009)
    retention.register(tmp_path / "a.jsonl")
    retention.register(tmp_path / "a.mkv")
    retention.enforce(tmp_path / "a.jsonl", pieces[-1])
    assert [path.exists() for path in (*pieces, video)] == [False, False, False, True, True]  # newest of each stay
    assert all(path.exists() for path in others)
    assert f"deleted {pieces[0]}: the pieces had more than 0.0009 GB" in caplog.text


def test_a_piece_that_cannot_be_removed_still_takes_its_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pieces = [piece(tmp_path, age, 400_000) for age in (4, 3, 2, 1)]
    unlink = Path.unlink

    def held(path: Path, missing_ok: bool = False) -> None:
        if path == pieces[0]:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", held)
    retention = Retention(gigabytes=0.0009)
    retention.register(tmp_path / "a.jsonl")
    retention.enforce(tmp_path / "a.jsonl", pieces[-1])
    assert [path.exists() for path in pieces] == [True, False, False, True]
    assert f"{pieces[0]} should be deleted" in caplog.text


def test_pieces_that_are_too_old_go(tmp_path: Path) -> None:
    pieces = [piece(tmp_path, age, 10) for age in (8, 7.1, 6.9, 1)]
    retention = Retention(days=7)
    retention.register(tmp_path / "a.jsonl")
    retention.enforce(tmp_path / "a.jsonl", pieces[-1])
    assert [path.exists() for path in pieces] == [False, False, True, True]


def test_the_piece_that_grows_stays_though_the_clock_was_set_back(tmp_path: Path) -> None:
    in_future, growing = piece(tmp_path, -1000, 400_000), piece(tmp_path, 0, 400_000)
    old = piece(tmp_path, 30, 400_000)
    retention = Retention(days=7, gigabytes=0.0005)
    retention.register(tmp_path / "a.jsonl")
    retention.enforce(tmp_path / "a.jsonl", growing)
    assert [path.exists() for path in (old, growing, in_future)] == [False, True, True]


def test_a_folder_that_has_gone_costs_no_line_that_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = LineFile(tmp_path / "a.jsonl", cut=Cut(size=10), retention=Retention(days=1))

    def gone(_: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "iterdir", gone)
    for _ in range(3):
        file.write(LINE)
    file.close()
    assert "cannot be listed (Input/output error)" in caplog.text
    assert sum((tmp_path / name).read_bytes().count(LINE) for name in os.listdir(tmp_path)) == 3  # noqa: PTH208


def test_each_piece_that_begins_makes_room(tmp_path: Path) -> None:
    retention = Retention(gigabytes=3 * len(LINE) / 10**9)
    file = LineFile(tmp_path / "a.jsonl", cut=Cut(size=len(LINE)), retention=retention)
    for _ in range(9):
        file.write(LINE)
    file.close()
    assert 2 <= len(names(tmp_path)) <= 4


def test_the_disk_is_waited_for_as_often_as_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    for seconds, expected in ((None, 0), (0.0, 4), (1000.0, 2)):  # of each file closing is one more
        synced.clear()
        file = LineFile(tmp_path / f"{seconds}.jsonl", fsync_s=seconds)
        for _ in range(3):
            file.write(LINE)
        file.close()
        assert len(synced) == expected


@pytest.mark.skipif(sys.platform == "win32", reason="has no such signal")
def test_a_process_that_is_killed_leaves_whole_lines_and_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    program = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from ssd_edge.streaming.sinks.line_file import LineFile\n"
        "file = LineFile(Path(sys.argv[1]))\n"
        "for number in range(10**9):\n"
        "    file.write(json.dumps({'number': number, 'filling': 'x' * 3000}).encode() + b'\\n')\n"
    )
    with running([sys.executable, "-c", program, str(path)]) as process:
        ends = time.monotonic() + 60
        while not (path.exists() and path.stat().st_size > 10**6) and time.monotonic() < ends:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    *whole, _ = path.read_bytes().split(b"\n")
    assert [json.loads(line)["number"] for line in whole] == list(range(len(whole)))
    LineFile(path).close()


def test_pieces_of_one_second_are_numbered_in_their_order(tmp_path: Path) -> None:
    output, last = tmp_path / "a.mkv", None
    for expected in ("a-20270115T080000Z.mkv", "a-20270115T080000Z-2.mkv", "a-20270115T080000Z-3.mkv"):
        last = piece_path(output, 1_800_000_000.0, last)  # the one before may have been removed meanwhile
        assert last.name == expected
    last.touch()
    assert piece_path(output, 1_800_000_000.0, tmp_path / "a-20270115T080000Z-2.mkv").name.endswith("Z-4.mkv")


def test_a_line_that_comes_after_the_end_replaces_nothing(tmp_path: Path) -> None:
    file = LineFile(tmp_path / "a.jsonl")
    file.write(LINE)
    file.close()
    with pytest.raises(InputError, match=r"a\.jsonl is closed and takes no more lines"):
        file.write(LINE)
    assert (tmp_path / "a.jsonl").read_bytes() == LINE


def test_a_disk_that_does_not_answer_holds_up_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, answers, began = LineFile(tmp_path / "a.jsonl"), threading.Event(), threading.Event()
    write = os.write

    def hang(descriptor: int, data: bytes) -> int:
        began.set()
        answers.wait(30)
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", hang)
    writer = threading.Thread(target=file.write, args=(LINE,))
    writer.start()
    assert began.wait(10)
    asked = time.monotonic()
    file.close()
    assert time.monotonic() - asked < 2
    with pytest.raises(InputError, match="is being written by another run"):
        LineFile(tmp_path / "a.jsonl")
    answers.set()
    writer.join(10)
    assert (tmp_path / "a.jsonl").read_bytes() == LINE


def test_lines_that_the_disk_loses_at_the_end_are_said_and_the_file_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jsonl"
    file = LineFile(path, fsync_s=1000.0)
    file.write(LINE)

    def refuse(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(InputError, match=r"a\.jsonl cannot be written .Input/output error"):
            file.close()
    assert names(tmp_path) == ["a.jsonl"]
    LineFile(path).close()


def test_an_output_that_cannot_be_locked_is_named(tmp_path: Path) -> None:
    (tmp_path / ".a.jsonl.lock").mkdir()
    with pytest.raises(InputError, match=r"a\.jsonl cannot be locked"):
        LineFile(tmp_path / "a.jsonl")
    assert names(tmp_path) == [".a.jsonl.lock"]


def test_what_is_not_cut_goes_on_in_one_file(tmp_path: Path) -> None:
    assert not Cut().is_due(began=0.0, now=1e9, size=10**15)
    file = LineFile(tmp_path / "a.jsonl", cut=Cut())
    for _ in range(3):
        file.write(LINE)
    file.close()
    assert (file.pieces, len(names(tmp_path))) == (1, 1)


def test_a_piece_that_cannot_be_deleted_is_named_and_one_that_has_gone_counts_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="ssd_edge")
    stays, gone, old, newest = (piece(tmp_path, age, 400_000) for age in (4, 3, 2, 1))
    stays.unlink()
    stays.mkdir()
    gone.unlink()
    gone.symlink_to(tmp_path / "elsewhere")  # listed, and has no size any more
    retention = Retention(days=3.5, gigabytes=0.0005)
    retention.register(tmp_path / "a.jsonl")
    retention.enforce(tmp_path / "a.jsonl", newest)
    assert [path.is_dir() or path.is_symlink() or path.exists() for path in (stays, gone, old, newest)] == [
        True,
        False,
        False,
        True,
    ]
    assert f"{stays} should be deleted (it began more than 3.5 days ago), but cannot be" in caplog.text
    assert f"deleted {old}: the pieces had more than" in caplog.text
