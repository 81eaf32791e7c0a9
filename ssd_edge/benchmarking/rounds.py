"""Contestants in turns: in each round every one has a block, so that a pair of blocks met the machine alike.

A block lasts about as long for each. The order turns from round to round and runs backwards in every second one, so
that nobody always comes behind the same neighbor. A block has all images equally often or, of a slow contestant, a few
of them; it begins one image further in each round, so that over the rounds all contestants have all images alike.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ssd_edge.core.progress import Progress, silent
from ssd_edge.core.timing import Spread

LEAST_ROUNDS = 6
"""Fewer blocks give no interval of 95 %."""

_UNTIMED = 2  # calls at the head of a block: caches, clocks and sleeping threads; of a slow one the first is enough
_SLOW_MS = 50.0
_PILOT = 3
_MOST_CALLS = 200  # of a block


class Timed(Protocol):
    """Something that is timed: a worker, or a stand-in."""

    def time(self, first: int, calls: int, untimed: int) -> list[float]:
        """Return the milliseconds of so many calls, from image number ``first`` on, after some that are not timed."""


@dataclass(frozen=True)
class Blocks:
    """The times of one contestant.

    Attributes:
        blocks: milliseconds of the calls of each round.
    """

    blocks: tuple[tuple[float, ...], ...]

    @property
    def medians(self) -> tuple[float, ...]:
        """The median of each block."""
        return tuple(statistics.median(block) for block in self.blocks)

    @property
    def spread(self) -> Spread:
        """Percentiles over all calls."""
        return Spread.of([value for block in self.blocks for value in block])

    @property
    def calls(self) -> int:
        """Calls that were timed."""
        return sum(map(len, self.blocks))

    def __add__(self, other: Blocks) -> Blocks:
        return Blocks(self.blocks + other.blocks)


@dataclass(frozen=True)
class Plan:
    """Number of rounds, and of calls in each contestant's block, behind some that are not timed."""

    rounds: int
    calls: dict[str, int]
    untimed: dict[str, int]


def plan_rounds(pilot_ms: Mapping[str, float], *, seconds: float, rounds: int, images: int = 1) -> Plan:
    """Return rounds and calls that take about so many seconds, all contestants together.

    Args:
        pilot_ms: what a call of each takes, roughly.
        seconds: for all rounds; a slow contestant may take more, as there are six rounds at least.
        rounds: that are wanted.
        images: that are measured on; a block that is long enough has each of them equally often.
    """
    budget = 1000 * seconds
    untimed = {name: _UNTIMED if ms < _SLOW_MS else 1 for name, ms in pilot_ms.items()}
    once = sum(ms * (1 + untimed[name]) for name, ms in pilot_ms.items())
    rounds = max(LEAST_ROUNDS, min(rounds, int(budget / once)))
    block = budget / rounds / len(pilot_ms)
    calls = {
        name: max(1, min(_MOST_CALLS, math.floor(block / max(ms, 1e-6)) - untimed[name]))
        for name, ms in pilot_ms.items()
    }
    return Plan(rounds, {name: count - count % images if count > images else count for name, count in calls.items()},
                untimed)  # fmt: skip


def measure_rounds(
    contestants: Mapping[str, Timed],
    plan: Plan,
    *,
    first_round: int = 0,
    between: Callable[[], None] = lambda: None,
    progress: Progress = silent,
) -> dict[str, Blocks]:
    """Return the blocks of each contestant.

    Args:
        contestants: by name.
        plan: how many rounds and calls.
        first_round: number of the first; the order of contestants and of images goes on from there.
        between: is called after each block, e.g. to look at what other processes do.
        progress: called after each round.
    """
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in contestants}
    for number in range(plan.rounds):
        for name in turn(list(contestants), first_round + number):
            times = contestants[name].time(first_round + number, plan.calls[name], plan.untimed[name])
            found[name].append(tuple(times))
            between()
        progress(number + 1, plan.rounds)
    return {name: Blocks(tuple(blocks)) for name, blocks in found.items()}


def pilot(contestants: Mapping[str, Timed]) -> dict[str, float]:
    """Return what a call of each takes, in milliseconds: the median of three, after a warm-up."""
    return {name: statistics.median(entry.time(0, _PILOT, _UNTIMED)) for name, entry in contestants.items()}


def turn(names: Sequence[str], number: int) -> list[str]:
    """Return the order of a round: one place on each time, and backwards in every second round."""
    shift = number // 2 % len(names)
    order = [*names[shift:], *names[:shift]]
    return order[::-1] if number % 2 else order
