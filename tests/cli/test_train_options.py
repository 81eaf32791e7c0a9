from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from ssd_edge.cli.app import load_command
from ssd_edge.cli.train_options import chosen_recipe
from ssd_edge.training.recipe import LossOptions, Optimisation, Recipe
from ssd_edge.training.schedule import learning_rate_factor

DOCUMENT = Path(__file__).parents[2] / "docs" / "training.md"
OPTIMISATION = {
    "lr": "learning_rate",
    "schedule": "schedule",
    "warmup": "warmup_share",
    "momentum": "momentum",
    "weight_decay": "weight_decay",
    "clip_norm": "clip_norm",
    "ema": "average_decay",
}


def recipe(preset: str = "ssd300-vgg16", batch_size: int | None = None, **optimisation) -> Recipe:
    return chosen_recipe(
        preset, recipe={"batch_size": batch_size}, optimisation=optimisation, loss={}, precision="float32"
    )


def documented() -> dict[str, object]:
    """Return what the options of the command stand for that docs/training.md gives as the paper's recipe."""
    (line,) = re.findall(r"^    ssd-edge (train .*--schedule steps.*)$", DOCUMENT.read_text(), re.MULTILINE)
    command = load_command("train")
    return command.make_context("ssd-edge", shlex.split(line)[1:]).params


def test_the_documented_command_is_the_papers_recipe() -> None:
    given = documented()
    chosen = recipe(
        given["preset"], given["batch_size"], **{field: given[option] for option, field in OPTIMISATION.items()}
    )
    assert chosen.batch_size == 32
    assert chosen.augmentation == given["augmentation"] == "ssd"
    assert chosen.optimisation == Optimisation(
        0.001,
        momentum=0.9,
        weight_decay=0.0005,
        schedule="steps",
        warmup_share=0,
        clip_norm=0,
        average_decay=0,
        loss=LossOptions(),
    )
    assert rates(chosen.optimisation) == {0: 1e-3, 1: 1e-3, 79_999: 1e-3, 80_000: 1e-4, 99_999: 1e-4, 100_000: 1e-5}


def rates(settings: Optimisation) -> dict[int, float]:
    """Return the learning rates of some of 120,000 steps, as the loop takes them: in the middle of the step."""
    return {
        step: settings.learning_rate
        * learning_rate_factor((step + 0.5) / 120_000, schedule=settings.schedule, warmup_share=settings.warmup_share)
        for step in (0, 1, 79_999, 80_000, 99_999, 100_000)
    }


@pytest.mark.parametrize(
    ("given", "share"),
    [
        ({}, 0.05),
        ({"schedule": "cosine"}, 0.05),
        ({"schedule": "steps"}, 0.0),
        ({"schedule": "steps", "warmup_share": None}, 0.0),
        ({"schedule": "steps", "warmup_share": 0.1}, 0.1),
        ({"schedule": "cosine", "warmup_share": 0.0}, 0.0),
    ],
)
def test_the_papers_steps_have_no_warm_up_unless_one_is_asked_for(given: dict[str, object], share: float) -> None:
    assert recipe(**given).optimisation.warmup_share == share
