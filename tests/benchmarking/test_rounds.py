"""The rounds by a machine of our own making: its clock is exact, its noise is drawn, and what is planted is known."""

from __future__ import annotations

import statistics
from collections import Counter

import numpy as np
import pytest

from ssd_edge.benchmarking.rounds import LEAST_ROUNDS, Blocks, Plan, measure_rounds, pilot, plan_rounds, turn
from ssd_edge.core.intervals import median_interval, paired_ratio, verdict


class Machine:
    """One processor for all: it drifts from call to call, and spikes now and then, as real ones do."""

    def __init__(self, seed: int, drift: float = 0.3) -> None:
        self.rng, self.calls, self.drift = np.random.default_rng(seed), 0, drift

    def slowness(self) -> float:
        self.calls += 1
        spike = 3.0 if self.rng.random() < 0.02 else 1.0
        return spike * (1 + self.drift * np.sin(self.calls / 400)) * float(self.rng.lognormal(sigma=0.03))


class Engine:
    def __init__(self, machine: Machine, ms: float) -> None:
        self.machine, self.ms = machine, ms
        self.asked: list[tuple[int, int, int]] = []

    def time(self, first: int, calls: int, untimed: int) -> list[float]:
        self.asked.append((first, calls, untimed))
        return [self.ms * self.machine.slowness() for _ in range(untimed + calls)][untimed:]


def measured(ms: dict[str, float], seed: int = 0, rounds: int = 21) -> dict[str, Blocks]:
    machine = Machine(seed)
    engines = {name: Engine(machine, value) for name, value in ms.items()}
    plan = plan_rounds(pilot(engines), seconds=8.0, rounds=rounds)
    return measure_rounds(engines, plan)


@pytest.mark.parametrize("seed", range(8))
def test_the_same_engine_twice_gives_1_within_2_percent(seed: int) -> None:
    found = measured({"a": 10.0, "b": 10.0}, seed)
    ratio = paired_ratio(found["b"].medians, found["a"].medians)
    assert ratio.median == pytest.approx(1.0, abs=0.02)
    assert ratio.half_width < 0.02


@pytest.mark.parametrize("seed", range(8))
def test_a_planted_slow_down_of_5_percent_is_found(seed: int) -> None:
    found = measured({"a": 10.0, "slow": 10.5}, seed)
    ratio = paired_ratio(found["slow"].medians, found["a"].medians)
    assert verdict(ratio) == "slower"
    assert ratio.holds(1.05) or ratio.median == pytest.approx(1.05, abs=0.01)


def test_two_runs_agree_within_their_intervals() -> None:
    runs = [measured({"a": 10.0, "b": 13.0}, seed) for seed in range(10)]
    ratios = [paired_ratio(found["b"].medians, found["a"].medians) for found in runs]
    latencies = [median_interval(found["a"].medians) for found in runs]
    pairs = [(one, other) for kind in (ratios, latencies) for one in kind for other in kind]
    assert statistics.mean(one.agrees_with(other) for one, other in pairs) > 0.95


def test_blocks_last_equally_long() -> None:
    machine = Machine(0)
    engines = {"slow": Engine(machine, 40.0), "quick": Engine(machine, 2.0)}
    plan = plan_rounds({"slow": 40.0, "quick": 2.0}, seconds=8.0, rounds=20)
    found = measure_rounds(engines, plan)
    untimed = engines["slow"].asked[0][2]
    whole = {name: (plan.calls[name] + untimed) * engine.ms for name, engine in engines.items()}
    assert whole == pytest.approx({"slow": 200.0, "quick": 200.0})  # 8 s, 20 rounds, two of them
    assert found["quick"].calls == 20 * plan.calls["quick"]
    assert len(found["slow"].medians) == 20


@pytest.mark.parametrize(("slow_ms", "images"), [(40.0, 4), (40.0, 3), (190.0, 4), (40.0, 5)])
def test_a_slow_one_sees_each_image_as_often_as_a_quick_one(slow_ms: float, images: int) -> None:
    """It has 3 calls in a block of 200 ms, or 1: of the first images only, if each block began with those."""
    engines = {name: Engine(Machine(0), ms) for name, ms in {"slow": slow_ms, "quick": 2.0}.items()}
    plan = plan_rounds({name: engine.ms for name, engine in engines.items()}, seconds=8.0, rounds=20, images=images)
    for first, rounds in ((0, 10), (10, 10)):  # two launches
        measure_rounds(engines, Plan(rounds, plan.calls, plan.untimed), first_round=first)
    for engine in engines.values():
        seen = Counter((first + call) % images for first, calls, _ in engine.asked for call in range(calls))
        assert len(seen) == images
        assert max(seen.values()) - min(seen.values()) <= 1


def test_a_slow_contestant_has_six_rounds_at_least() -> None:
    assert plan_rounds({"a": 9000.0, "b": 5.0}, seconds=1.0, rounds=21) == Plan(
        LEAST_ROUNDS, {"a": 1, "b": 14}, {"a": 1, "b": 2}
    )


def test_nobody_always_comes_behind_the_same() -> None:
    names = ["a", "b", "c", "d"]
    before = Counter(
        (order[place - 1], name)
        for number in range(8)
        for order in [turn(names, number)]
        for place, name in enumerate(order)
        if place
    )
    assert all(before[one, other] == before[other, one] for one in names for other in names if one != other)
    firsts = Counter(turn(names, number)[0] for number in range(8))
    assert firsts == dict.fromkeys(names, 2)


def test_something_can_look_between_blocks() -> None:
    looks: list[int] = []
    machine = Machine(0)
    measure_rounds(
        {"a": Engine(machine, 1.0), "b": Engine(machine, 1.0)},
        Plan(3, {"a": 2, "b": 2}, {"a": 2, "b": 2}),
        between=lambda: looks.append(machine.calls),
    )
    assert len(looks) == 6
    assert looks == sorted(looks)


def test_launches_add_up() -> None:
    both = Blocks(((1.0, 2.0, 9.0),)) + Blocks(((3.0,),))
    assert (both.medians, both.calls, both.spread.maximum) == ((2.0, 3.0), 4, 9.0)
