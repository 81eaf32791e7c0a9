"""Result of one check of a machine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ssd_edge.doctor.facts import Facts


class State(str, Enum):
    """State of a check: ok, works but could be better, or missing for the best runtime of ``ssd-edge run``."""

    OK = "ok"
    WARN = "warn"
    MISSING = "missing"


@dataclass(frozen=True)
class CheckResult:
    """Thing that was checked.

    Attributes:
        name: e.g. ``TensorRT``.
        found: what is there, or why nothing is.
        do: the command that fixes it on this very system; empty where there is nothing to fix.
    """

    name: str
    state: State
    found: str
    do: str = ""


def ok(name: str, found: str) -> CheckResult:
    """Return a result with nothing to fix."""
    return CheckResult(name, State.OK, found)


def warn(name: str, found: str, do: str) -> CheckResult:
    """Return a result about something that works, but worse than it could."""
    return CheckResult(name, State.WARN, found, do)


def missing(name: str, found: str, do: str) -> CheckResult:
    """Return a result about something that must be fixed."""
    return CheckResult(name, State.MISSING, found, do)


_MARKS = ("/.dockerenv", "/run/.containerenv")


def is_container(facts: Facts) -> bool:
    """Return whether this is inside of a container of Docker or Podman."""
    return any(facts.paths(mark) for mark in _MARKS)


def as_root(facts: Facts, command: str) -> str:
    """Return a command for root as this user types it; a container's root has no sudo."""
    return command if facts.python().is_root else f"sudo {command}"


def let_see_system(venv: str) -> str:
    """Return the command that lets a virtual environment see the system's packages; what it has is kept."""
    return f"sed -i 's/system-site-packages = false/system-site-packages = true/' {venv}/pyvenv.cfg"
