"""The harness sees what it looks for; the run of mutants itself is left to ``make test-all``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from tests.fuzz import harness
from tests.fuzz.harness import FuzzKind, all_kinds, contents, faults_of, in_child
from tests.fuzz.mutate import mutate_json


@pytest.mark.slow
def test_some_seconds_of_mutants_of_every_kind() -> None:
    """In a process of its own: the harness forks, and this one has used thread pools that no fork inherits."""
    command = [sys.executable, "-m", "tests.fuzz", "--minutes", "0.34", "--seed", "17"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = [line.split()[:2] for line in done.stdout.splitlines() if line.endswith(" refused")]
    assert [name for name, _ in counts] == [kind.name for kind in all_kinds()]
    assert all(int(count) > 0 for _, count in counts)


def _prints(*what: bytes):
    def work() -> None:
        for number, text in enumerate(what, start=1):
            os.write(number, text)
        raise SystemExit(1)

    return work


def _kind(may_make: tuple[str, ...] = ()) -> FuzzKind:
    return FuzzKind("one", lambda _: None, lambda *_: "", (), may_make)


def _judged(work, box: Path, kind: FuzzKind | None = None, *, peak: int = 0) -> list[str]:
    for name in ("work", "home", "tmp", "outside"):
        (box / name).mkdir()
    (box / "outside" / "kept.onnx").write_text("kept")
    before = contents(box)
    outcome = in_child(work, box / "out", box / "work", box=box, peak=peak)
    return faults_of(outcome, kind or _kind(), box, before, peak=peak, sound_s=0.0)


def test_a_refusal_in_a_sentence_is_no_fault(tmp_path: Path) -> None:
    assert _judged(_prints(b"", b"ssd-edge: a.pt is damaged\n"), tmp_path) == []


def test_a_traceback_a_crash_and_silence_are_faults(tmp_path: Path) -> None:
    def raises() -> None:
        raise ValueError("no")

    for number, (work, fault) in enumerate(
        (
            (raises, "traceback"),
            (lambda: os.kill(os.getpid(), signal.SIGKILL), "ends with -9"),
            (_prints(b""), "fails without a word"),
        )
    ):
        box = tmp_path / str(number)
        box.mkdir()
        assert any(fault in found for found in _judged(work, box)), fault


def test_what_a_terminal_obeys_is_a_fault(tmp_path: Path) -> None:
    assert _judged(_prints(b"\x1b]0;x\x07", b"ssd-edge: no\n"), tmp_path) == ["a terminal would obey what it prints"]


def test_files_elsewhere_and_files_left_are_faults(tmp_path: Path) -> None:
    def writes() -> None:
        Path("../outside/x.onnx").write_text("x")
        Path("../outside/kept.onnx").write_text("other")
        Path("../tmp/y").write_text("y")
        Path(".a.1.partial.pt").write_text("z")
        Path("made.json").write_text("z")
        _prints(b"", b"ssd-edge: no\n")()

    assert sorted(_judged(writes, tmp_path, _kind(may_make=("made",)))) == [
        "failed and left work/.a.1.partial.pt",
        "left half-made: work/.a.1.partial.pt",
        "left in TMPDIR: tmp/y",
        "wrote outside: outside/kept.onnx",
        "wrote outside: outside/x.onnx",
    ]


def test_what_hangs_or_grows_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "LONGEST_WALL_S", 0.3)
    (tmp_path / "a").mkdir()
    assert any("hangs" in fault for fault in _judged(lambda: time.sleep(60), tmp_path / "a"))
    monkeypatch.setattr(harness, "LONGEST_WALL_S", 60.0)
    monkeypatch.setattr(harness, "MOST_BYTES", 50 << 20)

    def grows() -> None:
        kept = []
        while True:
            kept.append(bytearray(b"x" * (1 << 20)))
            time.sleep(0.001)

    (tmp_path / "b").mkdir()
    assert any("of memory" in fault for fault in _judged(grows, tmp_path / "b", peak=1 << 20))


def test_a_mutant_is_found_again_by_its_seed_and_number(tmp_path: Path) -> None:
    text = b'{"format": "x", "names": ["a", "b"], "side": [64, 48.5]}'
    first, again = ([mutate_json(text, Random(f"5/json/{n}"), tmp_path) for n in range(50)] for _ in range(2))
    assert first == again
    assert len(set(first)) > 40


def test_what_was_made_hostile_can_be_changed_once_more(tmp_path: Path) -> None:
    for text in (b"[" * 100_000, b"[" + b"9" * 4000 + b", 1e999, NaN]"):
        mutants = [mutate_json(text, Random(f"5/json/{number}"), tmp_path) for number in range(100)]
        assert all(isinstance(mutant, bytes) for mutant in mutants)
