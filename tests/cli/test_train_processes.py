"""Several processes learn as one with the larger batch, and end together."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from ssd_edge.training.loader import Share, ShuffledDraws
from tests.cli.test_train import train, write_data
from tests.processes import running

ROOT = Path(__file__).parents[2]
SETTINGS = [
    "--preset",
    "ssd192-tiny",
    "--input-size",
    "64",
    "--workers",
    "0",
    "--precision",
    "float32",
    "--device",
    "cpu",
    "--no-check",
]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_data(tmp_path / "data", splits={"train": 32, "val": 4})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ssd_edge.backends.cpu.physical_cores", lambda: 1)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


def torchrun(*options: str, program: Sequence[str] = ("-m", "ssd_edge")) -> list[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    return [*launcher, "--master-addr", "127.0.0.1", "--master-port", str(port), *program, *options]


def losses(run: str) -> list[float]:
    """Return the loss of each step."""
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = event_accumulator.EventAccumulator(f"runs/{run}/tensorboard")
    events.Reload()
    return [event.value for event in events.Scalars("loss/total")]


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one_with_the_double_batch(workspace: Path) -> None:
    # A clipped gradient would be the same at any scale.
    settings = [*SETTINGS, "--epochs", "1", "--seed", "3", "--lr", "1e-4", "--clip-norm", "0"]
    alone = train(*settings, "--batch-size", "8", "--name", "one")
    assert alone.exit_code == 0, alone.stderr
    command = torchrun("train", "data", *settings, "--batch-size", "4", "--name", "two")
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("epoch 1: loss") == 1  # the second process is silent
    one, two = losses("one"), losses("two")
    assert len(one) == 4
    # Rounding differs, and each step from random weights multiplies it, as it does in one process. A gradient of twice
    # the size changes the second loss by 1e-2.
    assert two[:3] == pytest.approx(one[:3], rel=2e-5)
    assert two[3:] == pytest.approx(one[3:], rel=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["torchrun", "devices"])
def test_a_killed_process_ends_the_run_with_an_error(workspace: Path, launcher: str) -> None:
    settings = ["train", "data", *SETTINGS, "--epochs", "9999", "--batch-size", "4", "--name", "killed"]
    own = [sys.executable, "-m", "ssd_edge", *settings, "--devices", "2"]
    command = torchrun(*settings) if launcher == "torchrun" else own
    with running(command, limit_s=300, stderr=subprocess.PIPE) as process:
        _wait_for(Path("runs/killed/state.pt"), process)
        os.kill(_second_process(process.pid), signal.SIGKILL)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    sign = (
        "Signal 9 (SIGKILL) received"
        if launcher == "torchrun"
        else "another one of the 2 training processes ended: got "
    )
    assert sign in stderr
    assert Path("runs/killed/state.pt").is_file()


def _wait_for(file: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 180
    while not file.exists():
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _second_process(parent: int) -> int:
    """Return the process of rank 1: the child whose environment says so."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            status = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(status[1]) == parent and b"\0LOCAL_RANK=1\0" in b"\0" + (folder / "environ").read_bytes():
                return int(folder.name)
        except OSError:
            continue
    raise AssertionError("no second process")


# Reads every image when its turn comes, as with a data set that memory does not hold.
NOTHING_DECODED = """
import ssd_edge.training.fit as fit
fit.DECODED_BYTES = 0
from ssd_edge.cli.main import main
main()
"""


@pytest.mark.slow
def test_a_broken_picture_that_only_the_second_process_sees_is_named_and_left_out(workspace: Path) -> None:
    draws = ShuffledDraws(32, batch_size=4, seed=0, share=Share(1, 2))
    draws.set_epoch(1)
    second = [draw.sample for draw in draws][4]  # of its second batch
    (broken,) = Path("data/JPEGImages").glob(f"train_{second}.*")
    broken.write_bytes(b"no image")
    Path("run.py").write_text(NOTHING_DECODED)
    command = torchrun(
        "train", "data", *SETTINGS, "--epochs", "1", "--batch-size", "4", "--seed", "0", program=["run.py"]
    )
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{broken} is not an image" in done.stderr
    assert "next: ssd-edge export" in done.stderr


# Spoils the targets of one image, as a label could that no reader noticed.
ONE_SPOILT = """
import ssd_edge.training.loader as loader
collate = loader._collate
def spoil(examples):
    batch = collate(examples)
    for number, path in enumerate(batch.paths):
        if path.endswith("{name}"):
            batch.targets.offsets[number] = float("nan")
    return batch
loader._collate = spoil
from ssd_edge.cli.main import main
main()
"""


@pytest.mark.slow
def test_of_two_processes_only_the_picture_with_a_bad_loss_is_named(workspace: Path) -> None:
    draws = ShuffledDraws(32, batch_size=4, seed=0, share=Share(1, 2))
    draws.set_epoch(1)
    second = [draw.sample for draw in draws][4]
    (spoilt,) = Path("data/JPEGImages").glob(f"train_{second}.*")
    Path("run.py").write_text(ONE_SPOILT.format(name=f"/{spoilt.name}"))
    command = torchrun(
        "train", "data", *SETTINGS, "--epochs", "1", "--batch-size", "4", "--seed", "0", program=["run.py"]
    )
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 1
    assert f"the loss is no longer finite, on {spoilt}: got" in done.stderr
    assert done.stderr.count("train_") == done.stderr.count(str(spoilt))  # the first process names no other
