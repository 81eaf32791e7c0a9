"""Runs ``ssd-edge`` on mutated files, each in a forked child of a parent that has imported everything.

A kind of file says how a sound folder is made, how one mutant of it is, and which commands read it. A mutant is found
again by its seed, its kind and its number. What must hold of every one is in :func:`faults_of`.
"""

from __future__ import annotations

import gc
import importlib
import os
import pickle
import pkgutil
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

LONGEST_S = 10.0
"""Processor seconds that a mutant may take more than the sound files; a busy machine stretches the clock."""
LONGEST_WALL_S = 60.0
_LONGEST_SOUND_S = 240.0
MOST_BYTES = 2 << 30
"""Of memory, above the peak with the sound files."""
_POLL_S = 0.005
_LARGEST_FILE = 1 << 30
_HALF_MADE = (".partial", ".write-probe", ".old", ".training")
_CRASHED = 99
_KNOWN = ("work", "tmp", "home", "outside")  # the folders of a box

Arguments = tuple[str, ...]


@dataclass(frozen=True)
class FuzzKind:
    """A kind of file.

    Attributes:
        name: of the kind.
        make: writes sound files into an empty folder; called in a child.
        mutate: changes some of the files of a copy of that folder; returns in words what it did. ``outside`` is a
            folder that nothing may be written to, as a bait in names.
        commands: arguments of ``ssd-edge``, run in the folder; one is drawn for each mutant.
        may_make: whether a command that fails may leave new files whose path begins so, e.g. ``runs/``.
        sound_codes: exit codes with the sound files.
    """

    name: str
    make: Callable[[Path], None]
    mutate: Callable[[Path, Random, Path], str]
    commands: tuple[Arguments, ...]
    may_make: tuple[str, ...] = ()
    sound_codes: tuple[int, ...] = (0,)


@dataclass
class Outcome:
    """What a child did.

    Attributes:
        code: exit code; the negative number of the signal that ended it.
        cpu_s, wall_s: processor and clock seconds.
        peak_bytes: of memory that was resident, what the parent had loaded included.
        stopped: why the harness ended it; empty where it ended by itself.
        reached: (file, line before, line after) of the product's code, where that was asked for.
    """

    code: int
    cpu_s: float
    wall_s: float
    peak_bytes: int
    stdout: bytes
    stderr: bytes
    stopped: str = ""
    reached: frozenset[tuple[str, int, int]] = frozenset()


@dataclass(frozen=True)
class Failure:
    """A mutant with which something did not hold."""

    kind: str
    number: int
    how: str
    command: Arguments
    faults: tuple[str, ...]
    said: str

    def __str__(self) -> str:
        return f"{self.kind} #{self.number} ({self.how}): {' '.join(self.command)}: " + (
            f"{'; '.join(self.faults)}\n{self.said}"
        )


@dataclass
class Report:
    """The figures of a run of the harness."""

    mutants: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    reached: set[tuple[str, int, int]] = field(default_factory=set)
    slowest_s: float = 0.0
    largest_bytes: int = 0
    """Memory above the peak of the sound files, of the mutant that took most."""


class Sound:
    """The sound files of a kind, and what each command takes with them."""

    def __init__(self, kind: FuzzKind, base: Path, made: dict[Callable[[Path], None], Path]) -> None:
        self.kind, self.folder = kind, made.get(kind.make, base / "sound")
        if kind.make not in made:
            self.folder.mkdir(parents=True)
            done = in_child(lambda: kind.make(self.folder), base / "made", self.folder, limits=False)
            if done.code:
                raise RuntimeError(
                    f"{kind.name}: the sound files cannot be made {done.stopped}\n{done.stderr.decode()}"
                )
            made[kind.make] = self.folder
        self.peaks: dict[Arguments, int] = {}
        self.times: dict[Arguments, float] = {}
        for command in kind.commands:
            with _box(base, self.folder) as box:
                outcome = run_command(command, box, limits=False)
            if outcome.code not in kind.sound_codes:
                raise RuntimeError(
                    f"{kind.name}: {' '.join(command)} fails {outcome.stopped}\n{outcome.stderr.decode()}"
                )
            self.peaks[command], self.times[command] = outcome.peak_bytes, outcome.cpu_s


@contextmanager
def _box(base: Path, sound: Path) -> Iterator[Path]:
    """Yield a folder with a copy of the sound files in ``work/``, and ``home``, ``tmp`` and ``outside`` beside it."""
    box = base / "box"
    shutil.rmtree(box, ignore_errors=True)
    shutil.copytree(sound, box / "work", symlinks=True)
    for name in ("home", "tmp", "outside"):
        (box / name).mkdir()
    (box / "outside" / "kept.onnx").write_text("kept")
    try:
        yield box
    finally:
        shutil.rmtree(box, ignore_errors=True)


def run_command(command: Arguments, box: Path, *, limits: bool = True, peak: int = 0, cover: bool = False) -> Outcome:
    """Run ``ssd-edge`` in ``box/work``."""

    def work() -> None:
        from ssd_edge.cli.main import main

        sys.argv = ["ssd-edge", *command]
        main()

    return in_child(work, box / "out", box / "work", limits=limits, peak=peak, cover=cover, box=box)


def in_child(
    work: Callable[[], None],
    place: Path,
    folder: Path,
    *,
    limits: bool = True,
    peak: int = 0,
    cover: bool = False,
    box: Path | None = None,
) -> Outcome:
    """Call ``work`` in a forked child whose current folder is ``folder``, and watch it; output goes to ``place``.*."""
    place.parent.mkdir(parents=True, exist_ok=True)
    number = os.fork()
    if number == 0:
        _be_child(work, place, folder, limits=limits, cover=cover, box=box)
    return _watch(number, place, limits=limits, peak=peak)


def _be_child(
    work: Callable[[], None], place: Path, folder: Path, *, limits: bool, cover: bool, box: Path | None
) -> None:
    code = _CRASHED
    try:
        os.setsid()
        for target, flags, name in ((0, os.O_RDONLY, os.devnull), (1, os.O_WRONLY | os.O_CREAT, f"{place}.stdout"),
                                    (2, os.O_WRONLY | os.O_CREAT, f"{place}.stderr")):  # fmt: skip
            opened = os.open(name, flags, 0o600)
            os.dup2(opened, target)
            os.close(opened)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)  # a test has put others there
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
        os.chdir(folder)
        if box is not None:
            os.environ.update(HOME=str(box / "home"), TMPDIR=str(box / "tmp"), XDG_CACHE_HOME=str(box / "home/.cache"))
            tempfile.tempdir = None
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if limits:
            _limit()
        code = _covered(work, place) if cover else _exit_code(work)
    except BaseException:  # noqa: BLE001 - a child must never go on as the parent
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _limit() -> None:
    """End what runs away, before the machine suffers; the verdict is the parent's."""
    virtual = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (virtual + 3 * MOST_BYTES,) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LARGEST_FILE, _LARGEST_FILE))
    resource.setrlimit(resource.RLIMIT_CPU, (60, 61))


def _exit_code(work: Callable[[], None]) -> int:
    try:
        work()
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:  # noqa: BLE001 - this is what is looked for
        traceback.print_exc()
        return _CRASHED
    return 0


def _covered(work: Callable[[], None], place: Path) -> int:
    import coverage

    measured = coverage.Coverage(data_file=None, branch=True, source_pkgs=["ssd_edge"], messages=False)
    measured.start()
    try:
        return _exit_code(work)
    finally:
        measured.stop()
        data = measured.get_data()
        arcs = {(Path(name).name, *arc) for name in data.measured_files() for arc in data.arcs(name) or ()}
        Path(f"{place}.arcs").write_bytes(pickle.dumps(arcs))


def _watch(number: int, place: Path, *, limits: bool, peak: int) -> Outcome:
    began, stopped = time.monotonic(), ""
    while True:
        found, status, usage = os.wait4(number, os.WNOHANG)
        if found:
            break
        if not stopped:
            stopped = _too_much(number, began, peak, LONGEST_WALL_S if limits else _LONGEST_SOUND_S)
            if stopped:
                os.kill(number, signal.SIGKILL)  # not yet reaped; its group goes below
        time.sleep(_POLL_S)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(number, signal.SIGKILL)  # what it may have started and left
    reached: frozenset[tuple[str, int, int]] = frozenset()
    arcs = Path(f"{place}.arcs")
    if arcs.exists():
        reached = frozenset(pickle.loads(arcs.read_bytes()))
    return Outcome(
        os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, time.monotonic() - began,
        usage.ru_maxrss << 10, _output(f"{place}.stdout"), _output(f"{place}.stderr"), stopped, reached,
    )  # fmt: skip


def _too_much(number: int, began: float, peak: int, longest_s: float) -> str:
    if time.monotonic() - began > longest_s:
        return f"hangs: more than {longest_s:.0f} s"
    with suppress(OSError, IndexError, ValueError):
        resident = int(Path(f"/proc/{number}/statm").read_text().split()[1]) * resource.getpagesize()
        if peak and resident > peak + MOST_BYTES:
            return f"takes {resident >> 20} MB of memory, {peak >> 20} MB with the sound files"
    return ""


def _output(name: str) -> bytes:
    path = Path(name)
    return path.read_bytes() if path.exists() else b""


def faults_of(
    outcome: Outcome, kind: FuzzKind, box: Path, before: dict[str, object], *, peak: int, sound_s: float
) -> list[str]:
    """Return what does not hold of a mutant; nothing where it was read, or refused in a sentence."""
    faults = [outcome.stopped] if outcome.stopped else []
    said = outcome.stderr.decode(errors="replace")
    if outcome.code not in (0, 1) and not outcome.stopped:
        faults.append(f"ends with {outcome.code}")
    if "Traceback (most recent call last)" in said:
        faults.append("traceback")
    elif outcome.code == 1 and "ssd-edge: " not in said and not outcome.stdout:
        faults.append("fails without a word")
    if outcome.cpu_s > sound_s + LONGEST_S:
        faults.append(f"takes {outcome.cpu_s:.1f} s of the processor, {sound_s:.1f} s with the sound files")
    if peak and outcome.peak_bytes > peak + MOST_BYTES and not outcome.stopped:
        faults.append(f"takes {outcome.peak_bytes >> 20} MB of memory, {peak >> 20} MB with the sound files")
    if b"\x1b" in outcome.stdout + outcome.stderr or b"\x9b" in outcome.stderr:
        faults.append("a terminal would obey what it prints")
    return faults + _stray_files(outcome, kind, box, before)


def _stray_files(outcome: Outcome, kind: FuzzKind, box: Path, before: dict[str, object]) -> list[str]:
    now = contents(box)
    faults = [f"left in TMPDIR: {name}" for name in now if name.startswith("tmp/")]
    for name in sorted(set(now) | set(before)):
        if name.startswith("outside") and now.get(name) != before.get(name):
            faults.append(f"wrote outside: {name}")
    new = [name for name in now if name.startswith("work/") and name not in before]
    faults += [f"left half-made: {name}" for name in new if any(mark in Path(name).name for mark in _HALF_MADE)]
    strange = [
        name for name in now if name not in before and name.split("/")[0] not in ("work", "tmp", "home", "outside")
    ]
    faults += [f"wrote outside: {name}" for name in strange if not name.startswith("out.")]
    if outcome.code != 0 and not outcome.stopped:
        kept = tuple(f"work/{prefix}" for prefix in kind.may_make)
        faults += [f"failed and left {name}" for name in new if not (kept and name.startswith(kept))]
    return faults


def contents(folder: Path) -> dict[str, object]:
    """Return what tells each file below a folder from another, by path."""
    found: dict[str, object] = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root) / name
            status = path.lstat()
            found[str(path.relative_to(folder))] = (status.st_size, status.st_mtime_ns, status.st_ino)
    return found


def fuzz(
    kinds: Sequence[FuzzKind],
    base: Path,
    *,
    seed: int,
    seconds: float,
    only: int | None = None,
    most: int | None = None,
    cover: bool = False,
    keep: Path | None = None,
    tell: Callable[[Report], None] = lambda _: None,
) -> Report:
    """Mutate the kinds in turn until the time is over.

    Args:
        kinds: of files.
        base: a folder for what is not kept.
        seed: chooses the mutants.
        seconds: for all kinds, without the making of sound files.
        only: run just the mutant of this number.
        most: mutants of each kind.
        cover: note which branches of the product are reached.
        keep: where mutants with faults are copied to.
        tell: called after every round.
    """
    import_everything()
    made: dict[Callable[[Path], None], Path] = {}
    report, sounds = Report(), [Sound(kind, base / kind.name, made) for kind in kinds]
    end, number = time.monotonic() + seconds, only or 0
    while time.monotonic() < end and (most is None or number < most):
        for sound in sounds:
            if time.monotonic() >= end:
                break
            _one(sound, base / sound.kind.name, seed, number, report, cover=cover, keep=keep)
        number += 1
        tell(report)
        if only is not None:
            break
    return report


def _one(sound: Sound, base: Path, seed: int, number: int, report: Report, *, cover: bool, keep: Path | None) -> None:
    kind, rng = sound.kind, Random(f"{seed}/{sound.kind.name}/{number}")
    command = rng.choice(kind.commands)
    with _box(base, sound.folder) as box:
        how = kind.mutate(box / "work", rng, box / "outside")
        before = contents(box)
        outcome = run_command(command, box, peak=sound.peaks[command], cover=cover)
        faults = faults_of(outcome, kind, box, before, peak=sound.peaks[command], sound_s=sound.times[command])
        report.mutants[kind.name] = report.mutants.get(kind.name, 0) + 1
        report.refused[kind.name] = report.refused.get(kind.name, 0) + (outcome.code == 1)
        report.reached |= outcome.reached
        report.slowest_s = max(report.slowest_s, outcome.cpu_s - sound.times[command])
        report.largest_bytes = max(report.largest_bytes, outcome.peak_bytes - sound.peaks[command])
        if faults:
            said = outcome.stderr.decode(errors="replace")[-4000:]
            report.failures.append(Failure(kind.name, number, how, command, tuple(faults), said))
            if keep is not None:
                kept = keep / f"{kind.name}-{seed}-{number}"
                shutil.copytree(box, kept, symlinks=True, dirs_exist_ok=True, ignore=_pipes)


def _pipes(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if (Path(folder) / name).is_fifo()]


def import_everything() -> None:
    """Import all rooms and what they import on use, so that a child begins where the reading begins."""
    os.environ.update(OMP_NUM_THREADS="1", ORT_DISABLE_TELEMETRY="1", GOMP_SPINCOUNT="0", OPENCV_LOG_LEVEL="SILENT")
    os.environ.update(OPENCV_FFMPEG_LOGLEVEL="-8", COLUMNS="200", MPLCONFIGDIR=tempfile.gettempdir())
    import ssd_edge

    for name in [module.name for module in pkgutil.walk_packages(ssd_edge.__path__, "ssd_edge.")]:
        if name != "ssd_edge.__main__":
            with suppress(ImportError):
                importlib.import_module(name)
    for name in ("torch", "torchvision", "onnxruntime", "onnx", "cv2", "onnxsim", "rich.table", "lightning_fabric"):
        importlib.import_module(name)
    _import_parser()
    gc.collect()
    gc.freeze()


def _import_parser() -> None:
    """Have typer import what it does on the first use of each kind of option."""
    from ssd_edge.cli.app import _COMMANDS, LazyCommands, load_command

    LazyCommands(name="ssd-edge")
    for name in _COMMANDS:
        parser = load_command(name)
        with suppress(BaseException), Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
            parser.main(["--help"], prog_name=name)
    with suppress(ImportError):
        importlib.import_module("typer._adapters")


def all_kinds() -> list[FuzzKind]:
    """Return the kinds of all files of ``tests/fuzz/kinds``, by name."""
    from tests.fuzz import kinds

    found: list[FuzzKind] = []
    for module in pkgutil.iter_modules(kinds.__path__, f"{kinds.__name__}."):
        loaded: Any = importlib.import_module(module.name)
        found += loaded.KINDS
    return sorted(found, key=lambda kind: kind.name)
