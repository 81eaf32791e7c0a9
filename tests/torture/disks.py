"""Disks that fill up at random moments of the long commands: a named error, old files as they were, nothing left.

Each command runs on a small tmpfs (which takes root) with room for a random share of what it writes, and once more with
room for all of it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.torture.workspace import command, damage, environment, make_workspace

NAMES = ("train", "export", "calibrate", "build", "eval", "convert")
_NAMED_BY = {"train": "--name", "convert": "--output"}  # options of what may not be there yet
_SIZE = 512 << 20
_LONGEST_S = 120.0
_MORE = 1.05  # some runs shall just fit
_SIGNS = ("No space left", "space", "cannot be written", "disk is full")


@dataclass
class Filled:
    """The figures.

    Attributes:
        refused: runs that ended with a named error, by command.
        finished: runs that had room enough, by command.
        faults: what did not hold, in words.
    """

    refused: dict[str, int] = field(default_factory=dict)
    finished: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def torture(base: Path, count: int, seed: int, tell: Callable[[str], None], names: tuple[str, ...] = ()) -> Filled:
    """Run ``count`` commands, each on a disk that has room for a random share of what it writes."""
    make_workspace(base / "sound" / "work")
    found, rng, chosen = Filled(), Random(seed), names or NAMES
    with _disk(base / "disk") as disk:
        needs = {name: _need(base, disk, name) for name in chosen}
        tell(", ".join(f"{name} writes {need / 1e6:.2f} MB" for name, need in needs.items()))
        for number in range(count):
            name = chosen[number % len(chosen)]
            before = len(found.faults)
            _one(base, disk, name, round(rng.uniform(0, _MORE) * needs[name]), number, found)
            for fault in found.faults[before:]:
                tell(fault)
    return found


@contextmanager
def _disk(place: Path) -> Iterator[Path]:
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def _fresh(base: Path, disk: Path) -> Path:
    for path in disk.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(base / "sound", disk / "box")
    return disk / "box" / "work"


def _need(base: Path, disk: Path, name: str) -> int:
    """Bytes that a command leaves on the disk."""
    folder = _fresh(base, disk)
    before = shutil.disk_usage(disk).used
    done = _run(name, folder)
    if done.returncode != 0:
        raise RuntimeError(f"{name} fails by itself: {done.stderr[-500:]}")
    return shutil.disk_usage(disk).used - before


def _run(name: str, folder: Path, *, again: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a command, or the next one of its kind: it writes a run or a data set of another name."""
    words = command(name)
    if again and name in _NAMED_BY:
        words[words.index(_NAMED_BY[name]) + 1] = "next"
    return subprocess.run(
        words, cwd=folder, env=environment(folder), check=False, capture_output=True, text=True, timeout=_LONGEST_S
    )


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _one(base: Path, disk: Path, name: str, room: int, index: int, found: Filled) -> None:
    folder = _fresh(base, disk)
    before, what = _digests(folder), f"#{index} {name}, room for {room} bytes"
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(shutil.disk_usage(disk).free - room, 1))
    try:
        done = _run(name, folder)
    except subprocess.TimeoutExpired:
        found.faults.append(f"{what}: not over in {_LONGEST_S:.0f} s")
        return
    ballast.unlink()
    faults = []
    if done.returncode == 0:
        found.finished[name] = found.finished.get(name, 0) + 1
    elif done.returncode == 1 and any(sign in done.stderr for sign in _SIGNS):
        found.refused[name] = found.refused.get(name, 0) + 1
        after = _digests(folder)
        faults += [f"the old {path} is another" for path in before if after.get(path) != before[path]]
    else:
        faults.append(f"exit code {done.returncode}: {done.stderr[-400:]}")
    if "Traceback" in done.stderr:
        faults.append(done.stderr[-1500:])
    faults += damage(folder)
    again = _run(name, folder, again=True)
    if again.returncode != 0:
        faults.append(f"with room again: exit code {again.returncode}: {again.stderr[-400:]}")
    faults += [f"after the next run: {fault}" for fault in damage(folder)]
    found.faults += [f"{what}: {fault}" for fault in faults]
