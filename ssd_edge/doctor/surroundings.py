"""Where the commands run that mend something: as whom, inside of a container, in which virtual environment."""

from __future__ import annotations

from ssd_edge.doctor.facts import Facts

_MARKS = ("/.dockerenv", "/run/.containerenv")


def is_container(facts: Facts) -> bool:
    """Tell whether this is inside of a container of Docker or Podman."""
    return any(facts.paths(mark) for mark in _MARKS)


def as_root(facts: Facts, command: str) -> str:
    """Return a command for root as this user types it; a container's root has no sudo."""
    return command if facts.python().is_root else f"sudo {command}"


def let_see_system(venv: str) -> str:
    """Return the command that lets a virtual environment see the system's packages; what it has is kept."""
    return f"sed -i 's/system-site-packages = false/system-site-packages = true/' {venv}/pyvenv.cfg"
