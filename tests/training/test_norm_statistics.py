"""Statistics of batch norms that fit the weights: compared with PyTorch's own averages, and in a run that is short."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from ssd_edge.model.checkpoint import load_checkpoint
from ssd_edge.model.predict import DecodedSSD
from ssd_edge.training.budget import EpochBudget
from ssd_edge.training.loader import BatchLoader
from ssd_edge.training.loop import Training
from ssd_edge.training.norm_statistics import estimate_norms_, joined_batches, learning_norms
from ssd_edge.training.recipe import Optimization
from ssd_edge.training.run_folder import RunFolder
from ssd_edge.training.step import freeze_
from tests.training.factories import squares, tiny_model
from tests.training.test_dataset import training_set


def views(batches: int, size: int = 32) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [torch.randint(0, 256, (size, 64, 64, 3), dtype=torch.uint8, generator=generator) for _ in range(batches)]


def statistics(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items() if "running_" in name}


def test_they_are_those_of_pytorchs_own_pass_over_the_views() -> None:
    model = tiny_model()
    names = learning_norms(model)
    reference = copy.deepcopy(model)
    normalized = DecodedSSD(model).normalized
    update_bn([normalized(batch) for batch in views(3)], reference)
    assert estimate_norms_(model.eval(), names, views(3), normalized) == 96
    wanted = statistics(reference)
    for name, value in statistics(model).items():
        torch.testing.assert_close(value, wanted[name], rtol=1e-4, atol=1e-5)


def test_small_batches_are_normalized_together() -> None:
    whole, cut = tiny_model().eval(), tiny_model().eval()
    names = learning_norms(tiny_model())
    normalized = DecodedSSD(whole).normalized
    estimate_norms_(whole, names, views(1), normalized)
    assert estimate_norms_(cut, names, views(1)[0].split(8), normalized) == 32
    for one, other in zip(statistics(whole).values(), statistics(cut).values(), strict=True):
        torch.testing.assert_close(one, other)


def test_a_rest_goes_to_the_last_batch() -> None:
    sizes = [len(batch) for batch in joined_batches([torch.zeros(3)] * 5, 6)]
    assert sizes == [6, 9]
    assert [len(batch) for batch in joined_batches([torch.zeros(3)], 6)] == [3]
    assert list(joined_batches([], 6)) == []


def test_what_is_frozen_or_has_no_views_keeps_its_statistics() -> None:
    model = tiny_model().train()
    freeze_(model, ["backbone"])
    names, before = learning_norms(model), statistics(model)
    assert all(name.startswith("head") for name in names)
    estimate_norms_(model.eval(), learning_norms(tiny_model()), [], DecodedSSD(model).normalized)
    estimate_norms_(model, names, views(1), DecodedSSD(model).normalized)
    assert all(torch.equal(before[name], value) for name, value in statistics(model).items() if "backbone" in name)


def test_weights_stay_and_an_error_leaves_the_statistics() -> None:
    model = tiny_model().eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}

    def broken():
        yield views(1)[0]
        yield views(1)[0]
        raise RuntimeError("a worker died")

    with pytest.raises(RuntimeError):
        estimate_norms_(model, learning_norms(tiny_model()), broken(), DecodedSSD(model).normalized)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_short_run_is_validated_with_the_statistics_of_its_averaged_weights(tmp_path: Path) -> None:
    model = tiny_model()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1e-3  # as good as never followed
    loader = BatchLoader(training_set(squares(tmp_path / "data", 16), recipe="none"), batch_size=8, workers=0, seed=0)
    files, kept = RunFolder(tmp_path / "run"), []

    def validate(averaged, progress) -> float:
        assert not averaged.training
        kept.append(statistics(averaged))
        return 0.5

    Training(
        model,
        loader,
        validate,
        optimisation=Optimization(learning_rate=0.02),
        budget=EpochBudget(2, steps_per_epoch=len(loader)),
        files=files,
    ).run()
    saved = load_checkpoint(files.last).model
    reference = copy.deepcopy(saved)
    normalized = DecodedSSD(saved).normalized
    update_bn([torch.cat([normalized(batch.images) for batch in loader.epoch(2)])], reference)
    wanted = statistics(reference)
    for name, value in statistics(saved).items():
        torch.testing.assert_close(value, wanted[name], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(value, kept[-1][name])


def test_a_norm_without_statistics_is_a_bug_that_is_named() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False)).eval()
    with pytest.raises(ValueError, match="a batch norm has no running statistics"):
        estimate_norms_(model, ["0"], views(1), DecodedSSD(tiny_model()).normalized)
