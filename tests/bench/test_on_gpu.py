"""``bench/on_gpu.sh`` and its training part, as far as a machine without a GPU goes."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bench import training_on_gpu
from bench.cuda_layer import PTX
from ssd_edge.core.errors import TrainingError
from tools.emulator.rehearse import needs_emulator
from tools.emulator.surroundings import surroundings

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "bench" / "on_gpu.sh"


def test_shellcheck_finds_nothing() -> None:
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run([shellcheck, SCRIPT], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def program(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(f"#!/usr/bin/env bash\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.slow
@needs_emulator
def test_every_part_runs_and_one_that_fails_is_named(tmp_path: Path) -> None:
    """On the emulated driver all run but training, for which PyTorch has no such GPU."""
    claims = 'if [ "$1" = -c ] && [[ $2 == *torch* ]]; then exit 0; fi'
    python = program(tmp_path, "python", f'{claims}\nexec {sys.executable} "$@"')
    program(tmp_path, "nvidia-smi", "echo a GPU")
    env = {**surroundings("10.3"), "PYTHON": str(python), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    out = tmp_path / "out"
    done = subprocess.run(["bash", SCRIPT, out], env=env, capture_output=True, text=True, timeout=600, check=False)
    lines = {line.partition(":")[0]: line for line in done.stdout.splitlines()}
    assert list(lines) == ["gpu", "cuda_layer", "training", "doctor", "selftest"], done.stdout + done.stderr
    assert [name for name, line in lines.items() if "FAILED" in line] == ["training"]
    assert done.returncode == 1
    assert "by ssd_edge.backends.cuda_python" in (out / "cuda_layer.log").read_text()
    assert "all is given back" in (out / "cuda_layer.log").read_text()
    assert (out / "doctor.json").is_file()
    assert (out / "selftest.html").is_file()


def test_without_a_gpu_it_says_so_and_does_nothing(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    env = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(
        ["bash", SCRIPT, tmp_path / "out"], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert "no CUDA GPU, or a PyTorch without CUDA" in done.stderr
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("architecture", ["sm_75", "sm_87", "sm_90", "sm_120"])
def test_the_kernel_is_ptx_that_nvidia_s_assembler_takes(tmp_path: Path, architecture: str) -> None:
    triton = importlib.util.find_spec("triton")
    program = Path(str(triton.origin)).parent / "backends/nvidia/bin/ptxas" if triton else tmp_path / "none"
    if not program.is_file():
        pytest.skip("there is no ptxas: PyTorch for CUDA brings Triton's")
    (tmp_path / "fill.ptx").write_text(PTX)
    command = [program, f"--gpu-name={architecture}", "fill.ptx", "-o", "fill.cubin"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    if "is not defined for option 'gpu-name'" in done.stderr:
        pytest.skip(f"this ptxas does not know {architecture}")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_both_train_on_the_same_images(capsys: pytest.CaptureFixture[str]) -> None:
    training_on_gpu.main(device="cpu", batches=(2,), steps=1, presets=("ssdlite320-mobilenet-v3-large",))
    said = capsys.readouterr().out
    for name in ("ours, float32", "ours, bfloat16", "torchvision", "torchvision, AMP, channels-last"):
        line = next(line for line in said.splitlines() if line.strip().startswith(name))
        assert float(line.split()[-1]) > 0
    assert "best of ours / best of theirs: " in said


FULL = TrainingError("full", got="as a step of train says it")
FULL.__cause__ = torch.OutOfMemoryError("full")


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("full"), FULL])
def test_a_batch_that_does_not_fit_ends_the_row(error: Exception) -> None:
    def start(batch: int) -> training_on_gpu.Step:
        if batch > 4:
            raise error from error.__cause__
        return lambda: None

    assert len(list(training_on_gpu.rates(start, (2, 4, 8, 16), 1, "cpu"))) == 2


def test_another_error_is_no_lack_of_memory() -> None:
    def start(batch: int) -> training_on_gpu.Step:
        raise TrainingError("the loss", got="nan")

    with pytest.raises(TrainingError, match="the loss"):
        list(training_on_gpu.rates(start, (2,), 1, "cpu"))
