"""The whole chain through the public names: silent, from any thread, and without a trace in the process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHAIN = """
import logging, os, random, signal, sys, threading

import cv2
import numpy as np

import ssd_edge as ssd


def state(with_torch):
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    chance = {
        "random": hash(random.getstate()),
        "numpy": hash(np.random.get_state()[1].tobytes()),
    }
    threads, flags = [cv2.getNumThreads()], ()
    if with_torch:
        torch = sys.modules["torch"]
        chance["torch"] = hash(torch.random.get_rng_state().numpy().tobytes())
        threads += [torch.get_num_threads(), torch.get_num_interop_threads()]
        flags = torch.is_grad_enabled(), torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    errors = np.geterr(), sys.excepthook, threading.excepthook, sys.getrecursionlimit(), os.getcwd(), os.umask(0o22)
    return {
        "environment": dict(os.environ), "signal handlers": handlers, "chance": chance, "threads": threads,
        "flags": flags, "errors": errors, "alive": {thread.name for thread in threading.enumerate()},
        "handlers of logging": (logging.root.handlers[:], logging.root.level),
    }


def checked(function, *inputs, **options):
    with_torch = "torch" in sys.modules  # its import is watched too
    before = state(with_torch)
    result = function(*inputs, **options)
    after = state(with_torch)
    changed = [name for name in before if before[name] != after[name]]
    assert not changed, (function.__name__, changed, [(before[name], after[name]) for name in changed])
    return result


def chain(name):
    data = checked(ssd.synthesize, f"{name}-data", train=16, val=6, test=6, size=(96, 96)).path
    assert not checked(ssd.check_data, data).errors
    checked(ssd.data_statistics, data)
    run = checked(
        ssd.train, data, name=name, preset="ssd192-tiny", input_size=64, epochs=1, batch_size=8, workers=1, cores=1,
        tensorboard=False,
    )
    model = checked(ssd.export, run.path)
    checked(ssd.calibrate, model.path, data, method="minmax")
    engine = checked(ssd.build, model.path, precision="int8")
    assert not engine.reused and checked(ssd.build, model.path, precision="int8").reused
    other = checked(ssd.build, model.path, precision="int8", target="openvino")
    gate = ssd.AccuracyGate(data, split="val", max_drop_points=100)
    checked(ssd.build, model.path, precision="int8", accuracy=gate, force=True)
    forms = run.path, model.path, engine.path, other.path
    found = checked(ssd.evaluate, forms, data, split="test")
    assert len(found.models) == 4
    for path in forms:
        checked(ssd.inspect, path)
    image = np.full((96, 96, 3), 90, np.uint8)
    for path in forms:
        with checked(ssd.load, path) as detect:
            assert len(checked(detect, [image] * 3)) == 3
    for path in forms[2:]:
        with ssd.load(path) as detect, ssd.stream(data / "JPEGImages", detect, max_frames=3) as frames:
            assert [frame.index for frame, detections in frames] == [0, 1, 2]
        done = checked(ssd.run_streams, data / "JPEGImages", path, json_path=f"{name}.jsonl", window=False)
        assert done.frames == 28
    checked(ssd.find_runs)
    checked(ssd.diagnose)


for module in ("onnxruntime", "onnx", "matplotlib"):  # what imports change is theirs
    __import__(module)
"""


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    script = folder / "chain.py"
    script.write_text(CHAIN + program)
    return subprocess.run([sys.executable, str(script)], cwd=folder, capture_output=True, text=True, check=False)


def test_the_chain_is_silent_and_leaves_the_process_as_it_was(tmp_path: Path) -> None:
    done = run("chain('quiet')\n", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    made = {entry.name for entry in tmp_path.iterdir()}
    assert made == {"chain.py", "quiet-data", "runs", "engines", "calibration", "quiet.jsonl"}


@pytest.mark.slow
def test_the_chain_runs_on_a_thread_and_its_messages_are_logged(tmp_path: Path) -> None:
    program = (
        "logging.basicConfig(level=logging.INFO, format='%(name)s: %(message)s')\n"
        "faults = []\n"
        "def work():\n"
        "    try: chain('thread')\n"
        "    except BaseException as error: faults.append(error)\n"
        "thread = threading.Thread(target=work, name='worker')\n"
        "thread.start(); thread.join()\n"
        "assert not faults, faults\n"
    )
    done = run(program, tmp_path)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr[-3000:]
    lines = done.stderr.splitlines()
    assert len(lines) > 10
    assert all(line.startswith("ssd_edge") for line in lines), [
        line for line in lines if not line.startswith("ssd_edge")
    ]


@pytest.mark.slow
def test_two_processes_share_a_workspace(tmp_path: Path) -> None:
    script = tmp_path / "chain.py"
    script.write_text(CHAIN + "chain(sys.argv[1])\n")
    both = [
        subprocess.Popen([sys.executable, str(script), name], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        for name in ("one", "two")
    ]
    ends = [(process.communicate(timeout=600)[1], process.returncode) for process in both]
    assert ends == [("", 0), ("", 0)]
    assert sorted(entry.name for entry in (tmp_path / "runs").iterdir()) == ["one", "two"]
