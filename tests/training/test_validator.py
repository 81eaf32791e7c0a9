from __future__ import annotations

from ssd_edge.training.budget import TimeBudget
from ssd_edge.training.checkpointing import RunPosition
from ssd_edge.training.validator import Validator
from tests.training.test_budget import Clock


def test_the_bar_says_of_how_many_pictures_and_stays_where_the_run_is() -> None:
    seen: list[tuple[int, int | None, str]] = []

    def validate(model, progress) -> float:
        progress(1, 2)
        progress(2, 2)
        return 0.75

    position = RunPosition(epoch=3, spent=40.0)
    validator = Validator(validate, TimeBudget(10), lambda *report: seen.append(report))
    assert validator.run(model=object(), position=position, whole=100.0) == 0.75
    assert seen == [(40, 100, f"epoch 3: validating, image {done} of 2") for done in (1, 2)]


def test_the_budget_learns_how_long_it_took_and_an_interrupted_run_knows_it() -> None:
    clock = Clock()
    budget, later = TimeBudget(10, clock=clock), TimeBudget(10, clock=clock)
    position = RunPosition()
    Validator(lambda model, progress: 0.0, budget, print).run(object(), position, whole=1.0)
    assert len(position.validations) == 1
    position.validations[0] = 100.0
    Validator(lambda model, progress: 0.0, later, print).recall(position)
    assert later.done() == (0.0, 600 - 110)
