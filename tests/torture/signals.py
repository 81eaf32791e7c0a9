"""INT, TERM and HUP at random moments over the long commands: heeded soon, whole files, the right exit code."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.torture.workspace import COMMANDS, command, damage, environment, make_workspace

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LONGEST_S = 60.0
_RUN_S = 6.0  # of the command that never ends by itself


@dataclass
class Signalled:
    """The figures.

    Attributes:
        delays: seconds from signal to end, by command.
        faults: what did not hold, in words.
        early: signals that came before Python could install a handler, and ended the process by themselves.
        late: signals after the end.
    """

    delays: dict[str, list[float]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    early: int = 0
    late: int = 0


def torture(base: Path, count: int, seed: int, tell: Callable[[str], None], names: tuple[str, ...] = ()) -> Signalled:
    """Send ``count`` signals, each to a command of its own."""
    make_workspace(base / "sound" / "work")
    found, rng = Signalled(), Random(seed)
    chosen = names or tuple(COMMANDS)
    times = {name: _time_of(base, name) for name in chosen}
    tell(", ".join(f"{name} {seconds:.1f} s" for name, seconds in times.items()))
    for number in range(count):
        name = chosen[number % len(chosen)]
        _one(base, name, rng.choice(SIGNALS), rng.uniform(0.05, 1.05) * times[name], number, found)
        for fault in found.faults[-1:]:
            if fault.startswith(f"#{number} "):
                tell(fault)
        if number % 20 == 19:
            tell(f"{number + 1} signals, {found.early} early, {found.late} late, {len(found.faults)} faults")
    return found


def _fresh(base: Path) -> Path:
    shutil.rmtree(base / "box", ignore_errors=True)
    shutil.copytree(base / "sound", base / "box")
    return base / "box" / "work"


def _time_of(base: Path, name: str) -> float:
    folder = _fresh(base)
    if name == "run":
        return _RUN_S
    began = time.monotonic()
    done = subprocess.run(
        command(name), cwd=folder, env=environment(folder), check=False, capture_output=True, text=True
    )
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{name} fails by itself: {done.stderr[-500:]}")
    return time.monotonic() - began


def _one(base: Path, name: str, number: signal.Signals, after_s: float, index: int, found: Signalled) -> None:
    folder = _fresh(base)
    with subprocess.Popen(
        command(name), cwd=folder, env=environment(folder), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            said = process.communicate(timeout=after_s)[1]
            found.late += 1
            return
        except subprocess.TimeoutExpired:
            process.send_signal(number)
        sent = time.monotonic()
        try:
            said = process.communicate(timeout=_LONGEST_S)[1]
        except subprocess.TimeoutExpired:
            process.kill()
            found.faults.append(
                f"#{index} {name}, {number.name} after {after_s:.2f} s: not heeded in {_LONGEST_S:.0f} s"
            )
            return
    found.delays.setdefault(name, []).append(time.monotonic() - sent)
    wanted = {0, 128 + number} if name == "run" else {128 + number}
    code = process.returncode
    if code == -number:
        found.early += 1
    elif code not in wanted and not (code in (0, 1) and _was_done(name, folder, said)):
        found.faults.append(f"#{index} {name}, {number.name} after {after_s:.2f} s: exit code {code}: {said[-300:]}")
    if "Traceback" in said:
        found.faults.append(f"#{index} {name}, {number.name} after {after_s:.2f} s: {said[-1500:]}")
    for fault in damage(folder):
        found.faults.append(f"#{index} {name}, {number.name} after {after_s:.2f} s: {fault}")


def _was_done(name: str, folder: Path, said: str) -> bool:
    """Whether all was written when the signal came: while Python itself ends, the exit code is kept."""
    made = {"calibrate": "cal.ranges.json", "eval": "report.html", "train": "runs/again/best.pt", "convert": "coco"}
    return name in ("check", "export", "build") or (folder / made[name]).exists() or "next:" in said
