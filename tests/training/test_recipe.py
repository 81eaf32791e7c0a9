from __future__ import annotations

import pytest

from ssd_edge.data.augment import RECIPES
from ssd_edge.model.zoo import preset_names
from ssd_edge.training.recipe import recipe_for


@pytest.mark.parametrize("preset", preset_names())
def test_each_preset_has_a_recipe_that_the_loader_and_the_augmentation_know(preset: str) -> None:
    recipe = recipe_for(preset)
    assert recipe.augmentation in RECIPES
    assert recipe.batch_size >= 8
    assert recipe.epochs >= 1
    assert 0 < recipe.optimisation.learning_rate < 0.1


def test_networks_without_batch_norm_start_from_the_papers_rate() -> None:
    assert recipe_for("ssd300-vgg16").optimisation.learning_rate == 0.001
    assert recipe_for("ssd300-vgg16-batch-norm").optimisation.learning_rate == 0.01


def test_the_light_networks_have_torchvisions_weight_decay() -> None:
    assert recipe_for("ssdlite320-mobilenet-v3-large").optimisation.weight_decay == 4e-5
    assert recipe_for("ssd192-tiny").optimisation.weight_decay == 5e-4
