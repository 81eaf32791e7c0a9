"""Processes that take turns of a second each, the others stopped: a machine's good and bad minutes hit all."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

_LOOK_S = 0.05


@dataclass
class Turns:
    """One process.

    Attributes:
        turns: (begin, end) of each, in seconds since 1970.
        processor_s: seconds of all cores that it took from its start to its end.
        output: what it printed.
    """

    process: subprocess.Popen[str]
    turns: list[tuple[float, float]] = field(default_factory=list)
    processor_s: float = 0.0
    output: str = ""

    def ran(self, begin: float = 0.0, end: float = float("inf")) -> float:
        """Seconds between two moments in which it was not stopped."""
        return sum(max(0.0, min(end, late) - max(begin, early)) for early, late in self.turns)

    def is_over(self) -> bool:
        if self.process.returncode is None:
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                self.process.returncode = os.waitstatus_to_exitcode(status)
                self.processor_s = usage.ru_utime + usage.ru_stime
        return self.process.returncode is not None


def take_turns(
    commands: Sequence[Sequence[object]], look: Callable[[int, int], None], turn_s: float = 1.0
) -> list[Turns]:
    """Run commands to their ends, in turn; ``look`` is called with the number and the process id of who has its turn.

    Raises:
        RuntimeError: one of them fails.
    """
    all_turns = [_begun(list(map(str, command))) for command in commands]
    try:
        while not all(turns.is_over() for turns in all_turns):
            for number, turns in enumerate(all_turns):
                if not turns.is_over():
                    _run(turns, turn_s, lambda pid, number=number: look(number, pid))
    finally:
        for turns in all_turns:
            if not turns.is_over():
                turns.process.kill()
                turns.process.wait()
    for turns, command in zip(all_turns, commands, strict=True):
        if turns.process.stdout is not None:
            turns.output = turns.process.stdout.read()
            turns.process.stdout.close()
        if turns.process.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))} ended with {turns.process.returncode}")
    return all_turns


def _begun(command: list[str]) -> Turns:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    process.send_signal(signal.SIGSTOP)
    return Turns(process)


def _run(turns: Turns, turn_s: float, look: Callable[[int], None]) -> None:
    begin = time.time()
    os.kill(turns.process.pid, signal.SIGCONT)
    while not turns.is_over() and (left := begin + turn_s - time.time()) > 0:
        time.sleep(min(_LOOK_S, left))
        look(turns.process.pid)
    if not turns.is_over():
        os.kill(turns.process.pid, signal.SIGSTOP)
    turns.turns.append((begin, time.time()))
