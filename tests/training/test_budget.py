from __future__ import annotations

import pytest

from ssd_edge.training.budget import EpochBudget, LimitedBudget, TimeBudget


class Clock:
    """Seconds that the test turns on."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize(("every", "validated"), [(1, [1, 2, 3, 4, 5]), (2, [2, 4])])
def test_epochs_are_counted_in_steps_and_validated_as_often_as_is_asked(every: int, validated: list[int]) -> None:
    budget = EpochBudget(5, steps_per_epoch=2, validate_every=every)
    budget.start()
    allowed = []
    for epoch in range(1, 6):
        budget.count_step()
        budget.count_step()
        assert budget.done() == (2 * epoch, 10)
        if budget.allows_validation():
            allowed.append(epoch)
            budget.validated(1e9)
    assert allowed == validated


def test_a_run_that_goes_on_validates_at_the_same_epochs() -> None:
    budget = EpochBudget(4, steps_per_epoch=2, validate_every=2)
    budget.start(spent=3)
    budget.count_step()
    assert budget.allows_validation()


def test_time_is_counted_from_the_start_and_ends_with_room_for_the_last_validation() -> None:
    clock = Clock()
    budget = TimeBudget(10, clock=clock)
    clock.seconds += 50
    budget.start()
    assert budget.done() == (0, pytest.approx(570))
    clock.seconds += 100
    budget.validated(20)
    spent, whole = budget.done()
    assert (spent, whole) == (pytest.approx(100), pytest.approx(600 - 22))
    clock.seconds += 10_000
    assert budget.done() == (whole, whole)


def test_a_long_validation_leaves_half_of_the_time_to_training() -> None:
    budget = TimeBudget(1, clock=Clock())
    budget.validated(100)
    assert budget.done()[1] == pytest.approx(30)


def test_validations_take_a_tenth_of_the_time() -> None:
    clock = Clock()
    budget = TimeBudget(10, clock=clock)
    budget.start()
    clock.seconds += 5
    assert budget.allows_validation(), "the first one shows how long it takes"
    budget.validated(4)
    clock.seconds += 70
    assert not budget.allows_validation(), "8.4 s of 75 s"
    clock.seconds += 20
    assert budget.allows_validation(), "8.4 s of 95 s"


def limited(clock: Clock, minutes: float) -> LimitedBudget:
    return LimitedBudget(EpochBudget(10, steps_per_epoch=10), TimeBudget(minutes, clock=clock))


def test_with_time_enough_a_limited_budget_is_that_of_the_steps() -> None:
    clock = Clock()
    budget, steps = limited(clock, 100), EpochBudget(10, steps_per_epoch=10)
    for one in (budget, steps):
        one.start()
    for _ in range(100):
        clock.seconds += 1
        for one in (budget, steps):
            one.count_step()
        assert budget.done() == steps.done()
    assert budget.done() == (100, 100)


def test_where_time_is_short_a_limited_budget_follows_the_clock_to_the_end() -> None:
    clock = Clock()
    budget = limited(clock, 1)
    budget.start()
    shares = []
    for _ in range(12):
        clock.seconds += 5
        budget.count_step()
        shares.append(budget.done()[0] / budget.done()[1])
    assert shares == sorted(shares)
    assert shares[0] > 2 * 1 / 100  # five of sixty seconds, and one of a hundred steps
    assert shares[-1] == 1.0


def test_a_limited_budget_goes_on_where_it_was() -> None:
    clock = Clock()
    budget = limited(clock, 1)
    budget.start(40)
    assert budget.done() == (40, 100)
    budget.validated(12.0)
    clock.seconds += 60
    assert budget.done() == (100, 100)
