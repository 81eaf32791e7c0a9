"""A run as a service: notifications for systemd, and a supervisor that restarts the run without it."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any

from ssd_edge.cli.signals import ENDING
from ssd_edge.core.log import log

TEMPORARY_FAILURE = 75
"""EX_TEMPFAIL: the exit code of a run whose inference has hung; another process can go on."""

_FINAL = frozenset({0, 1, 2, 126, 127, *(128 + number for number in ENDING)})
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
_STEADY_S = 60.0  # a run that lasted so long is started again after the first wait
_GRACE_S = 10.0  # for a child that does not answer a signal


class SystemdNotifier:
    """Notifies systemd that the run is ready, alive and ending; does nothing if systemd did not start it.

    Args:
        env: with ``NOTIFY_SOCKET`` and ``WATCHDOG_USEC``.
    """

    def __init__(self, env: Mapping[str, str] = os.environ) -> None:
        self._address = env.get("NOTIFY_SOCKET", "")
        self._is_ready = False
        self._said = ""
        meant_for_us = env.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        usec = env.get("WATCHDOG_USEC", "") if meant_for_us else ""
        self._every_s = int(usec) / 2e6 if usec.isdigit() else 0.0
        self._fed_at = float("-inf")

    def alive(self, statuses: Mapping[str, Any]) -> None:
        """Say that the run is alive: called while no inference hangs.

        Args:
            statuses: the status of each stream.
        """
        now = time.monotonic()
        parts = [] if self._is_ready else ["READY=1"]
        self._is_ready = True
        running = sum(status.state.value == "running" for status in statuses.values())
        said = f"STATUS={running} of {len(statuses)} streams running"
        if said != self._said:
            parts.append(said)
            self._said = said
        if self._every_s and now - self._fed_at >= self._every_s:
            parts.append("WATCHDOG=1")
            self._fed_at = now
        self._send(parts)

    def stopping(self) -> None:
        """Say that the run is ending."""
        self._send(["STOPPING=1"])

    def _send(self, parts: Sequence[str]) -> None:
        if not self._address or not parts:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as place:
                place.sendto("\n".join(parts).encode(), address)
        except OSError as error:
            log.debug(f"systemd cannot be notified: {error}")


def supervise(command: Sequence[str]) -> int:
    """Run a command, start it anew when it crashes or ends with 75, and return its exit code when it ends otherwise.

    The waits between two starts grow from half a second to half a minute. SIGINT, SIGTERM, SIGHUP and SIGUSR1 are
    handed on; after one of the first three it is not started again.

    Args:
        command: the program and its arguments.
    """
    return _Supervisor(command).run()


class _Supervisor:
    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)
        self._child: subprocess.Popen[bytes] | None = None
        self._ends = False

    def run(self) -> int:
        before = {number: signal.signal(number, self._hand_on) for number in (*ENDING, signal.SIGUSR1)}
        try:
            return self._run()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _run(self) -> int:
        failures = 0
        while True:
            began = time.monotonic()
            code = self._once()
            if self._ends or code in _FINAL:
                return code if code >= 0 else 128 - code
            failures = 1 if time.monotonic() - began > _STEADY_S else failures + 1
            wait = min(_FIRST_WAIT_S * 2.0 ** (failures - 1), _LONGEST_WAIT_S) * (0.5 + 0.5 * random.random())  # noqa: S311 - spreads restarts; guards nothing
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            log.warning(f"the run {how}; it is restarted in {wait:.1f} s")
            if self._is_ended_within(wait):
                return 0

    def _is_ended_within(self, wait_s: float) -> bool:
        due = time.monotonic() + wait_s
        while time.monotonic() < due and not self._ends:
            time.sleep(0.05)
        return self._ends

    def _once(self) -> int:
        before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # the child inherits it, until it has its own handler
        self._child = subprocess.Popen(self._command)  # noqa: S603 - a list of our own words, no shell
        signal.signal(signal.SIGUSR1, before)
        while True:
            try:
                return self._child.wait(0.2)
            except subprocess.TimeoutExpired:
                continue

    def _hand_on(self, number: int, _: FrameType | None) -> None:
        self._ends = self._ends or number in ENDING
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(number)


def own_command() -> list[str]:
    """Return the command that runs now, without ``--supervise``."""
    rest = [argument for argument in sys.argv[1:] if argument != "--supervise"]
    return [sys.executable, "-m", "ssd_edge", *rest]
