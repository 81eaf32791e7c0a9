from __future__ import annotations

import itertools
import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

import ssd_edge.quantization.observer as module
from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.graph.source import SourceModel, read_onnx
from ssd_edge.quantization.observer import Observer, observed_tensors
from tests.quantization.square_model import square_model, write_pictures, write_square_model


@pytest.fixture
def parts(tmp_path: Path):
    onnx = read_onnx(write_square_model(tmp_path / "squares.onnx"))
    return onnx, write_pictures(tmp_path / "images", 6)


def observer(onnx: SourceModel) -> Observer:
    return Observer(onnx, observed_tensors(square_model()))


def counts(made: Observer) -> dict[str, np.ndarray]:
    return {name: entry.counts for name, entry in made.histograms.items()}


def same(one: Observer, other: Observer) -> bool:
    return all((entry == counts(other)[name]).all() for name, entry in counts(one).items())


def test_the_tensors_are_those_that_int8_stores() -> None:
    assert observed_tensors(square_model()) == [
        "normalised", "conv1.relu", "conv2.relu", "conv3.relu", "logits.map", "offsets.map",
    ]  # fmt: skip


def test_order_of_the_pictures_does_not_matter(parts) -> None:
    onnx, pictures = parts
    one, other = observer(onnx), observer(onnx)
    one.observe(pictures)
    other.observe(pictures[::-1])
    assert same(one, other)
    assert one.histograms["normalised"].counts.sum() == 6 * 3 * 128 * 128


def test_interrupted_and_resumed_is_the_same(parts, tmp_path: Path) -> None:
    onnx, pictures = parts
    whole, first, second = observer(onnx), observer(onnx), observer(onnx)
    whole.observe(pictures)
    state = tmp_path / "work.npz"

    def stop(done: int, total: int | None, note: str = "") -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first.observe(pictures, state=state, progress=stop)
    assert state.is_file()
    told: list[int] = []
    second.observe(pictures, state=state, progress=lambda done, total, note="": told.append(done))
    assert told == [5, 6]
    assert same(whole, second)


def test_ctrl_c_while_a_picture_is_counted_counts_it_to_its_end(parts, tmp_path: Path, monkeypatch) -> None:
    onnx, pictures = parts
    state = tmp_path / "work.npz"
    add, calls = Observer._add, itertools.count()

    def interrupted(self: Observer, name: str, values: np.ndarray) -> None:
        if next(calls) == 2 * len(self.histograms) + 1:  # in the third image
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)
        add(self, name, values)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Observer, "_add", interrupted)
        observer(onnx).observe(pictures, state=state)
    told: list[int] = []
    whole, second = observer(onnx), observer(onnx)
    second.observe(pictures, state=state, progress=lambda done, total, note="": told.append(done))
    assert told == [4, 5, 6]
    whole.observe(pictures)
    assert same(whole, second)


def test_ended_by_a_signal_is_kept_too(parts, tmp_path: Path) -> None:
    onnx, pictures = parts
    state = tmp_path / "work.npz"

    def end(done: int, total: int | None, note: str = "") -> None:
        if done == 2:
            raise SystemExit(143)

    with pytest.raises(SystemExit):
        observer(onnx).observe(pictures, state=state, progress=end)
    assert module._read_state(state).seen == 2


def half_done(onnx: SourceModel, pictures: list[Path], state: Path) -> None:
    made = observer(onnx)
    made.observe(pictures[:3])
    made._save(state)


def cut_short(state: Path) -> None:
    state.write_bytes(state.read_bytes()[:-50])


def bit_flipped(state: Path) -> None:
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 255
    state.write_bytes(bytes(content))


def emptied(state: Path) -> None:
    state.write_bytes(b"")


def no_archive(state: Path) -> None:
    np.save(state, np.zeros(3))
    state.with_suffix(".npz.npy").rename(state)


def header_changed(state: Path, **changes: object) -> None:
    with np.load(state) as saved:
        arrays = dict(saved)
    header = {**json.loads(str(arrays["header"])), **changes}
    np.savez(state, **{**arrays, "header": np.array(json.dumps(header))})


def of_other_tensors(state: Path) -> None:
    header_changed(state, tensors=["another"])


def without_a_number(state: Path) -> None:
    header_changed(state, seen=None)


def beyond_the_end(state: Path) -> None:
    header_changed(state, seen=700)


def other_bins(state: Path) -> None:
    with np.load(state) as saved:
        arrays = dict(saved)
    np.savez(state, **{**arrays, "counts.0": np.zeros(7, np.int64)})


@pytest.mark.parametrize(
    "damage",
    [
        cut_short, bit_flipped, emptied, no_archive, of_other_tensors, without_a_number, beyond_the_end, other_bins,
    ],
)  # fmt: skip
def test_damaged_work_is_named_and_begun_anew(parts, tmp_path: Path, damage, caplog: pytest.LogCaptureFixture) -> None:
    onnx, pictures = parts
    state = tmp_path / "work.npz"
    half_done(onnx, pictures, state)
    damage(state)
    made, whole = observer(onnx), observer(onnx)
    made.observe(pictures, state=state)
    (said,) = caplog.messages
    assert f"{state} cannot be continued (" in said
    whole.observe(pictures)
    assert made.seen == 6
    assert same(made, whole)


def test_work_is_kept_every_few_pictures(parts, tmp_path: Path, monkeypatch) -> None:
    onnx, pictures = parts
    monkeypatch.setattr(module, "_SAVED_EVERY", 2)
    kept: list[bool] = []
    state = tmp_path / "work.npz"
    observer(onnx).observe(pictures, state=state, progress=lambda done, total, note="": kept.append(state.is_file()))
    assert kept == [False, False, True, True, True, True]


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_pictures(parts, count: int) -> None:
    onnx, pictures = parts
    with pytest.raises(InputError, match=f"there are too few images for calibration: got {count}; wanted at least 2"):
        observer(onnx).observe(pictures[:count])


def test_unknown_tensor(parts) -> None:
    onnx, pictures = parts
    with pytest.raises(ArtifactError):
        Observer(onnx, ["nothing"]).observe(pictures)
