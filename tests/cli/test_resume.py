"""``train --resume``: after Ctrl-C, after kill -9, and what cannot go on."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from ssd_edge.core.run_data import RunData
from ssd_edge.model.checkpoint import load_checkpoint
from tests.cli.test_train import FAST, train, workspace, write_data  # noqa: F401  (a fixture)
from tests.processes import running

pytestmark = pytest.mark.usefixtures("workspace")
ROOT = Path(__file__).parents[2]


def resume(*options: str):
    return CliRunner().invoke(app, ["train", "--resume", *options])


def stop_after(monkeypatch: pytest.MonkeyPatch, steps: int, *options: str) -> None:
    """Train, and press Ctrl-C after so many steps."""

    def interrupt(self, number: int, loss: object, learning_rate: float) -> None:
        if number == steps:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("ssd_edge.training.callbacks.EpochLog.on_step", interrupt)
        assert train("--save-minutes", "0", *options).exit_code == 130


def same_weights(one: str, other: str) -> bool:
    first, second = (load_checkpoint(Path(path)).model.state_dict() for path in (one, other))
    return all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_goes_on_as_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ["--epochs", "3", "--lr", "0.01", "--seed", "3", "--accumulate", "2", "--freeze", "backbone.stem"]
    assert train(*settings, "--name", "whole").exit_code == 0
    stop_after(monkeypatch, 2, *settings, "--name", "stopped")
    result = resume("last")
    assert result.exit_code == 0, result.stderr
    assert "resuming runs/stopped in epoch 2" in result.stderr
    assert same_weights("runs/whole/last.pt", "runs/stopped/last.pt")
    assert not Path("runs/stopped/state.pt").exists()


def test_a_run_whose_data_set_was_moved_goes_on_there(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ["--epochs", "2", "--seed", "3"]
    assert train(*settings, "--name", "whole").exit_code == 0
    stop_after(monkeypatch, 2, *settings, "--name", "stopped")
    old = Path("data").resolve()
    old.rename("moved")
    result = resume("stopped")
    assert result.exit_code == 1
    assert f"the data set of runs/stopped does not exist any more: got nothing at {old}" in result.stderr
    assert "say where it is now: ssd-edge train DATASET --resume runs/stopped" in result.stderr
    write_data(Path("other"), splits={"train": 12, "val": 4})
    result = resume("stopped", "other")
    assert result.exit_code == 1
    assert "has changed and is no longer what the run trained on" in " ".join(result.stderr.split())
    result = resume("stopped", "moved")
    assert result.exit_code == 0, result.stderr
    assert same_weights("runs/whole/last.pt", "runs/stopped/last.pt")
    data = RunData.of(Path("runs/stopped"))
    assert data is not None
    assert data.dataset == str(Path("moved").resolve())


def test_the_first_image_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    stop_after(monkeypatch, 2, "--epochs", "2", "--name", "stopped")
    missing = sorted(path for path in Path("data").rglob("*.jpg"))[0]
    missing.unlink()
    result = resume("stopped")
    assert result.exit_code == 1
    assert missing.stem in result.stderr


@pytest.mark.slow
def test_kill_9_at_random_moments_changes_no_bit() -> None:
    settings = ["--epochs", "30", "--seed", "5", "--save-minutes", "0"]
    assert train(*settings, "--name", "whole").exit_code == 0
    state = Path("runs/killed/state.pt")
    _killed_soon(["data", *FAST, *settings, "--name", "killed"], state)
    for _ in range(2):
        _killed_soon(["--resume", "killed", "--save-minutes", "0"], state)
    result = resume("killed")
    assert result.exit_code == 0, result.stderr
    assert same_weights("runs/whole/last.pt", "runs/killed/last.pt")
    assert same_weights("runs/whole/best.pt", "runs/killed/best.pt")


def _killed_soon(arguments: list[str], state: Path) -> None:
    """Start it, wait until it has saved something new, and kill it at a random moment after that."""
    with _learning(arguments, state) as process:
        time.sleep(random.random() * 0.4)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert process.returncode == -signal.SIGKILL, "the run was over before it could be killed"


@contextmanager
def _learning(arguments: list[str], state: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a training and yield it when it has saved something new."""
    before = state.stat().st_mtime_ns if state.exists() else 0
    command = [sys.executable, "-c", _ONE_CORE, "train", *arguments]
    with running(command, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}, stderr=PIPE) as process:
        assert process.stderr is not None
        deadline = time.monotonic() + 120
        while not (state.exists() and state.stat().st_mtime_ns > before):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.002)
        yield process


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_run_that_is_ended_by_a_signal_says_how_to_go_on(number: signal.Signals, code: int) -> None:
    settings = ["data", *FAST, "--epochs", "9999", "--save-minutes", "0", "--name", "ended"]
    with _learning(settings, Path("runs/ended/state.pt")) as process:
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == code
    assert "to resume: ssd-edge train --resume runs/ended" in stderr


# As the tests themselves, which run side by side: another number of threads adds up in another order.
_ONE_CORE = """
import ssd_edge.backends.cpu as threads
threads.physical_cores = lambda: 1
from ssd_edge.cli.main import main
main()
"""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["last"], "there is no interrupted run: got no runs/*/state.pt"),
        (["n" * 300], "is not a usable path (File name too long)"),
        (["nowhere"], "there is no run 'nowhere'"),
        (["done"], "runs/done cannot be resumed, as it has no state.pt: got a run that is finished"),
        (["done", "--lr", "0.1"], "--lr cannot be changed when a run is resumed"),
    ],
)
def test_what_cannot_go_on_is_refused_by_name(options: list[str], message: str) -> None:
    Path("runs/done").mkdir(parents=True)
    Path("runs/done/last.pt").write_bytes(b"")
    result = resume(*options)
    assert result.exit_code == 1
    assert message.replace("got a data set", "got a data set") in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("lacking", ["the run", "its data", "its state"])
def test_another_machine_that_does_not_see_the_run_is_told_what_to_share(
    monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    stop_after(monkeypatch, 2, "--epochs", "3", "--name", "stopped")
    where = {"the run": "runs", "its data": "data", "its state": "runs/stopped/state.pt"}[lacking]
    reason = {
        "the run": "there is no run",
        "its data": "the data set of runs/stopped does not exist any more",
        "its state": "has no state.pt",
    }
    Path(where).rename("elsewhere")
    alone = resume("stopped")
    assert alone.exit_code == 1
    assert "cannot resume the run" not in alone.stderr
    monkeypatch.setattr("ssd_edge.cli.train.hush", lambda: None)  # for the tests that follow
    for number in ("0", "1"):  # torchrun numbers the machines anew: that which wrote the run may be any
        _as_torchrun_starts_it(monkeypatch, WORLD_SIZE="2", LOCAL_WORLD_SIZE="1", RANK=number, GROUP_RANK=number)
        result = resume("stopped")
        assert result.exit_code == 1
        assert f"machine {number} of 2 cannot resume the run: got " in result.stderr
        assert reason[lacking] in result.stderr
        assert "under the same paths. Share both between the machines" in result.stderr


def _as_torchrun_starts_it(monkeypatch: pytest.MonkeyPatch, **environment: str) -> None:
    for name, value in {"GROUP_WORLD_SIZE": "2", **environment}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("split", "role"), [("train", "what the run trained on: got 16"), ("val", "what the run was validated on")]
)
def test_other_labels_or_pictures_are_refused(monkeypatch: pytest.MonkeyPatch, split: str, role: str) -> None:
    stop_after(monkeypatch, 2, "--epochs", "3", "--name", "stopped")
    label = min(Path("data/Annotations").glob(f"{split}_*.xml"))
    image = min(Path("data/JPEGImages").glob(f"{split}_*"))
    text, pixels = label.read_text(), image.read_bytes()
    label.write_text(text.replace("<difficult>0", "<difficult>1"))
    _refused(role)
    label.write_text(text)
    image.write_bytes(cv2.imencode(".jpg", np.zeros((60, 80, 3), np.uint8))[1].tobytes())
    _refused(role)
    image.write_bytes(pixels)
    assert resume("stopped").exit_code == 0


def _refused(role: str) -> None:
    result = resume("stopped")
    assert result.exit_code == 1
    assert f"is no longer {role}" in result.stderr


def test_a_damaged_plan_or_state_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    stop_after(monkeypatch, 2, "--epochs", "3", "--name", "stopped")
    plan, state = Path("runs/stopped/plan.json"), Path("runs/stopped/state.pt")
    whole = state.read_bytes()
    state.write_bytes(whole[: len(whole) // 2])
    result = resume("stopped")
    assert result.exit_code == 1
    assert "state.pt is damaged" in result.stderr
    state.write_bytes(whole)
    plan.write_text("{}")
    result = resume("stopped")
    assert result.exit_code == 1
    assert "plan.json is not a plan of a training run" in result.stderr


def test_a_data_set_or_a_run_must_be_named() -> None:
    result = CliRunner().invoke(app, ["train"])
    assert result.exit_code == 1
    assert "no data set is given" in result.stderr
