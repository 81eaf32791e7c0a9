"""Training as a function: what it returns, whom it tells, and what of the process it leaves alone."""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import subprocess
import sys
import threading
from dataclasses import fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from ssd_edge.core.errors import InputError
from ssd_edge.core.progress import ProgressEvent
from ssd_edge.data.find import scan_dataset
from ssd_edge.model.checkpoint import load_checkpoint
from ssd_edge.training.callbacks import Callback
from ssd_edge.workflows.train import train
from ssd_edge.workflows.train_config import TrainConfig, TrainOptions
from tests.cli.test_train import workspace  # noqa: F401  (a fixture)

ROOT = Path(__file__).parents[2]
FAST: dict[str, Any] = {
    "preset": "ssd192-tiny",
    "input_size": 64,
    "batch_size": 8,
    "workers": 0,
    "precision": "float32",
    "cores": 1,
    "check": False,
    "tensorboard": False,
    "report": False,
}


class Stop(Callback):
    """Presses Ctrl-C after so many steps."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_step(self, number, loss, learning_rate) -> None:
        if number == self._step:
            raise KeyboardInterrupt


class Remember(Callback):
    def __init__(self) -> None:
        self.steps: list[int] = []
        self.epochs: list[int] = []

    def on_step(self, number, loss, learning_rate) -> None:
        self.steps.append(number)

    def on_epoch(self, record) -> None:
        self.epochs.append(record.epoch)


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(path).model.state_dict()


def process_state() -> dict[str, Any]:
    state = np.random.get_state()
    backend = sys.modules["matplotlib"].rcParams._get("backend") if "matplotlib" in sys.modules else None
    return {
        "environment": dict(os.environ),
        "python": random.getstate(),
        "numpy": (state[0], state[1].tolist(), *state[2:]),
        "torch": torch.get_rng_state().tolist(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads(), cv2.getNumThreads()),
        "handlers": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "folder": Path.cwd(),
        "log": [
            (logger.handlers[:], logger.level)
            for logger in (logging.getLogger(), logging.getLogger("ssd_edge"), logging.getLogger("lightning_fabric"))
        ],
        "backend": backend if isinstance(backend, str) else None,  # what is not chosen yet is an object
    }


@pytest.mark.usefixtures("workspace")
def test_it_returns_what_was_made_and_measured() -> None:
    seen: list[ProgressEvent] = []
    told = Remember()
    options = {**FAST, "check": True, "report": True}
    result = train("data", name="squares", epochs=2, progress=seen.append, callbacks=[told], **options)
    assert result.path == Path("runs/squares/best.pt")
    assert result.last == Path("runs/squares/last.pt")
    assert result.report == Path("runs/squares/report.html")
    assert all(path.is_file() for path in (result.path, result.last, result.metrics, result.report))
    assert [record.epoch for record in result.epochs] == told.epochs == [1, 2]
    assert told.steps == [1, 2, 3, 4]
    assert result.mean_ap == max(record.mean_ap or 0.0 for record in result.epochs)
    assert load_checkpoint(result.path).metrics["mean_ap"] == result.mean_ap
    assert (result.stopped_by, result.left_out) == ("epochs", ())
    stages = list(dict.fromkeys(event.stage for event in seen))
    assert stages == ["checking", "training", "choosing candidates", "evaluating best.pt"]
    assert seen[-1].is_over


@pytest.mark.usefixtures("workspace")
def test_best_pt_states_the_candidates_that_its_validation_images_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ssd_edge.workflows.training_candidates._WORTHWHILE", -1.0)  # so that any gain is one
    result = train("data", epochs=1, **FAST)
    best, last = (load_checkpoint(path) for path in (result.path, result.last))
    assert (best.spec.nms.max_candidates, last.spec.nms.max_candidates) == (1000, 400)
    assert best.metrics == last.metrics


@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize(
    ("options", "stopped_by"), [({"minutes": 0.01}, "minutes"), ({"epochs": 50, "patience": 1, "lr": 1e-6}, "patience")]
)
def test_it_says_what_ended_the_run(options: dict[str, Any], stopped_by: str) -> None:
    result = train("data", **{**FAST, **options})
    assert result.stopped_by == stopped_by
    assert result.path == Path("runs/ssd192-tiny-1/best.pt")


@pytest.mark.usefixtures("workspace")
def test_each_split_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def scan(folder, split, *rest):
        read.append(split)
        return scan_dataset(folder, split, *rest)

    monkeypatch.setattr("ssd_edge.data.lint.check.scan_dataset", scan)
    monkeypatch.setattr("ssd_edge.data.find.scan_dataset", scan)
    unchecked = train("data", epochs=1, **FAST)
    assert read == ["train", "val"]
    checked = train("data", epochs=1, **{**FAST, "check": True})
    assert read == ["train", "val"] * 2
    plans = [json.loads((result.path.parent / "plan.json").read_text()) for result in (unchecked, checked)]
    assert plans[0]["learnt"] == plans[1]["learnt"]
    assert plans[0]["judged"] == plans[1]["judged"]


@pytest.mark.usefixtures("workspace")
def test_a_run_goes_on_in_its_workspace_to_the_same_bits() -> None:
    settings = {**FAST, "epochs": 3, "seed": 3, "workspace": "elsewhere"}
    whole = train("data", name="whole", **settings)
    with pytest.raises(KeyboardInterrupt):
        train("data", name="stopped", save_minutes=0, callbacks=[Stop(3)], **settings)
    assert Path("elsewhere/runs/stopped/state.pt").is_file()
    resumed = train(resume="last", report=False, workspace="elsewhere")
    assert resumed.path == Path("elsewhere/runs/stopped/best.pt")
    assert [record.epoch for record in resumed.epochs] == [1, 2, 3]
    one, other = weights(whole.last), weights(resumed.last)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.usefixtures("workspace")
def test_only_the_machine_may_change_when_a_run_goes_on() -> None:
    with pytest.raises(InputError, match="lr cannot be changed when a run is resumed: got lr=0.1"):
        train(resume="last", lr=0.1)
    with pytest.raises(InputError, match="there is no interrupted run"):
        train(config=TrainConfig(resume="last", device="cpu", workers=0, save_minutes=1.0))


@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize("workers", [0, 1])
def test_the_process_is_as_it_was_before(workers: int) -> None:
    torch.manual_seed(11)
    before = process_state()
    train("data", epochs=1, **{**FAST, "workers": workers, "tensorboard": True, "report": True})
    assert process_state() == before


@pytest.mark.usefixtures("workspace")
def test_the_process_is_as_it_was_before_after_ctrl_c_too() -> None:
    before = process_state()
    with pytest.raises(KeyboardInterrupt):
        train("data", epochs=2, callbacks=[Stop(2)], **{**FAST, "workers": 1})
    assert process_state() == before


@pytest.mark.usefixtures("workspace")
def test_it_trains_on_a_thread_to_the_same_bits() -> None:
    settings = {**FAST, "epochs": 1}
    results = [train("data", name="main", **settings)]
    thread = threading.Thread(target=lambda: results.append(train("data", name="thread", **{**settings, "workers": 1})))
    thread.start()
    thread.join(120)
    one, other = (weights(result.last) for result in results)
    assert all(torch.equal(one[name], other[name]) for name in one)


SCRIPT = """
import logging, sys
from ssd_edge.workflows.train import train
if len(sys.argv) > 1:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(name)s: %(message)s")
train("data", preset="ssd192-tiny", epochs=1, input_size=64, batch_size=8, workers=0, precision="bfloat16", cores=1)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("workspace")
def test_a_program_is_silent_unless_it_configures_logging() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    quiet, loud = (
        subprocess.run(
            [sys.executable, "-c", SCRIPT, *words], env=environment, capture_output=True, text=True, check=True
        )
        for words in ([], ["log"])
    )
    assert (quiet.stdout, quiet.stderr) == ("", "")
    assert loud.stdout == ""
    assert "ssd_edge: epoch 1: loss" in loud.stderr
    assert "ssd_edge: writing runs/ssd192-tiny-2" in loud.stderr


def test_keywords_are_the_fields_of_the_config() -> None:
    assert list(TrainOptions.__annotations__) == [field.name for field in fields(TrainConfig)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 1}, "batch_size is out of range: got 1; wanted at least 2"),
        ({"warmup": 0.6}, "warmup is out of range: got 0.6; wanted 0 to 0.5"),
        ({"lr": float("nan")}, "lr is out of range: got nan"),
        ({"schedule": "linear"}, "schedule is not one of the allowed values: got 'linear'; wanted 'cosine', 'steps'"),
        ({"freeze": "backbone"}, "freeze has the wrong type: got str 'backbone'; wanted a list"),
        ({"device": "auto"}, "device is not one of the allowed values: got 'auto'; wanted 'cpu', 'cuda', 'mps'"),
    ],
)
def test_an_option_that_cannot_be_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        train("data", **options)


def test_paths_are_taken_as_text_or_as_paths() -> None:
    with pytest.raises(InputError, match="there is no run 'no/run'"):
        train(resume=Path("no/run"))


def test_an_empty_folder_is_called_so_and_stays_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of the run is there when the data are read: it is none of what was found."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="contains no data set split 'train': got an empty folder;"):
        train(".", **FAST)
    assert not list(tmp_path.iterdir())
