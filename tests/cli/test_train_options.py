from __future__ import annotations

import dataclasses
import math
import re
import shlex
import typing
from pathlib import Path
from typing import Annotated

import pytest

from ssd_edge.cli.app import load_command
from ssd_edge.cli.train import options_of, train
from ssd_edge.core.config import config_from
from ssd_edge.training.recipe import LossOptions, Optimization, recipe_for
from ssd_edge.training.schedule import learning_rate_factor
from ssd_edge.workflows.train_config import LIMITS, TrainConfig

DOCUMENT = Path(__file__).parents[2] / "docs" / "training.md"


def documented() -> TrainConfig:
    """Return what the command stands for that docs/training.md gives as the paper's recipe."""
    (line,) = re.findall(r"^    ssd-edge (train .*--schedule steps.*)$", DOCUMENT.read_text(), re.MULTILINE)
    context = load_command("train").make_context("ssd-edge", shlex.split(line)[1:])
    return config_from(TrainConfig, None, options_of(context.params))


def test_the_documented_command_is_the_papers_recipe() -> None:
    chosen = documented().recipe("float32", recipe_for("ssd300-vgg16"))
    assert chosen.batch_size == 32
    assert chosen.augmentation == "ssd"
    assert chosen.optimisation == Optimization(
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


def rates(settings: Optimization) -> dict[int, float]:
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
        ({"schedule": "steps", "warmup": None}, 0.0),
        ({"schedule": "steps", "warmup": 0.1}, 0.1),
        ({"schedule": "cosine", "warmup": 0.0}, 0.0),
    ],
)
def test_the_papers_steps_have_no_warm_up_unless_one_is_asked_for(given: dict[str, object], share: float) -> None:
    config = config_from(TrainConfig, None, given)
    chosen = config.recipe("float32", recipe_for("ssd300-vgg16"))
    assert chosen.optimisation.warmup_share == share


def test_the_options_of_the_command_are_the_fields_of_the_config() -> None:
    parameters = {
        parameter.name: parameter for parameter in load_command("train").params if parameter.name != "dataset"
    }
    assert set(parameters) - {"help"} == {field.name for field in dataclasses.fields(TrainConfig)}
    given = load_command("train").make_context("ssd-edge", []).params
    assert config_from(TrainConfig, None, options_of(given)) == TrainConfig()


def test_the_limits_of_the_command_are_those_of_the_config() -> None:
    hints = typing.get_type_hints(train, include_extras=True)
    options = {name: hint.__metadata__[0] for name, hint in hints.items() if typing.get_origin(hint) is Annotated}
    stated = {
        name: (option.min, math.inf if option.max is None else option.max)
        for name, option in options.items()
        if option.min is not None
    }
    assert stated == LIMITS


@pytest.mark.parametrize("field", ["name", "classes", "train_split"])
def test_what_is_called_auto_keeps_its_name(field: str) -> None:
    option = "--" + field.replace("_", "-")
    given = load_command("train").make_context("ssd-edge", [option, "auto"]).params
    assert options_of(given)[field] == "auto"
