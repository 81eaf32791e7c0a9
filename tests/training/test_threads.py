from __future__ import annotations

import json
import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ssd_edge.training import threads
from ssd_edge.training.config import Machine, SavedPlan, TrainingPlan
from ssd_edge.training.recipe import recipe_for
from ssd_edge.training.threads import ThreadTimes, choose_threads, measure_threads
from tests.training.factories import squares, tiny_model

SPEC = tiny_model().spec


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ssd_edge.backends.cpu.physical_cores", lambda: 4)


def _measured(monkeypatch: pytest.MonkeyPatch, times: ThreadTimes) -> list[Any]:
    asked: list[Any] = []
    monkeypatch.setattr(threads, "measure_threads", lambda *given, **kept: asked.append((given[1:], kept)) or times)
    return asked


@pytest.mark.usefixtures("four_cores")
@pytest.mark.parametrize(
    ("times", "chosen"), [(ThreadTimes(1.0, 9.0), 1), (ThreadTimes(1.0, 1.2), None), (ThreadTimes(1.0, 0.3), None)]
)
def test_one_thread_is_taken_only_where_it_is_clearly_faster(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, times: ThreadTimes, chosen: int | None
) -> None:
    asked = _measured(monkeypatch, times)
    with caplog.at_level(logging.INFO, "ssd_edge"):
        assert choose_threads(SPEC, "bfloat16", Machine()) == chosen
    assert asked == [((4,), {"bfloat16": True})]
    assert ("takes 9.0 times as long. To use all cores anyway: --cores 4" in caplog.text) == (chosen == 1)


@pytest.mark.usefixtures("four_cores")
@pytest.mark.parametrize("machine", [Machine(cores=2), Machine(devices=2), Machine(device="mps")])
def test_what_is_asked_for_is_not_measured(monkeypatch: pytest.MonkeyPatch, machine: Machine) -> None:
    asked = _measured(monkeypatch, ThreadTimes(1.0, 9.0))
    assert choose_threads(SPEC, "float32", machine) is None
    assert not asked


def test_passes_are_timed_in_turns_and_leave_model_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    model, before, used = tiny_model(), torch.get_num_threads(), []

    def training_pass(network: nn.Module, inputs: Tensor, *, bfloat16: bool) -> None:
        assert network is not model
        used.append(torch.get_num_threads())
        time.sleep(0.05 if torch.get_num_threads() == 2 else 0.001)

    monkeypatch.setattr(threads, "training_pass", training_pass)
    times = measure_threads(model, 2, bfloat16=False)
    assert times.one_s < times.all_s
    assert times.one_is_faster
    assert used == [1, 2] * (len(used) // 2)
    assert torch.get_num_threads() == before


@pytest.mark.usefixtures("four_cores")
def test_a_run_goes_on_with_the_threads_that_it_began_with(tmp_path: Path) -> None:
    images = squares(tmp_path / "data", 2)
    plan = TrainingPlan(SPEC, images, images, recipe_for("ssd192-tiny"), tmp_path, threads=1)
    plan.save()
    resumed = SavedPlan.load(tmp_path).with_images(plan.train_set, plan.val_set, Machine())
    assert (resumed.threads, resumed.cores) == (1, 1)
    assert SavedPlan.load(tmp_path).with_images(plan.train_set, plan.val_set, Machine(cores=3)).cores == 3
    assert replace(plan, threads=None).cores == 4
    assert replace(plan, threads=16).cores == 4  # it may go on on a smaller machine
    content = json.loads((tmp_path / "plan.json").read_text())
    del content["threads"]  # a plan of an earlier version
    (tmp_path / "plan.json").write_text(json.dumps(content))
    assert SavedPlan.load(tmp_path).content.threads is None
