"""Rank and world size of this process, from the environment that torchrun and Fabric's launcher set."""

from __future__ import annotations

import os


def is_first_process() -> bool:
    """Whether this process is the one that logs and writes; so is one that trains alone."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))) == 0


def from_torchrun() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def machine_number() -> tuple[int, int]:
    """Return which machine this is and of how many, as torchrun numbers them anew at each start; the first is 0."""
    return int(os.environ.get("GROUP_RANK", "0")), int(os.environ.get("GROUP_WORLD_SIZE", "1"))


def processes_here(asked: int) -> int:
    """Return how many processes train on this machine: torchrun's number where it started them, else ``asked``."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", asked))


def world_size(here: int) -> int:
    """Return how many processes train together: torchrun's number over all machines, else those of this machine."""
    return int(os.environ.get("WORLD_SIZE", here))
