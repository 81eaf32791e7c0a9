from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from ssd_edge.core.errors import InputError, TrainingError
from ssd_edge.training import loader as loader_module
from ssd_edge.training.loader import ALONE, Batch, BatchLoader, Share, ShuffledDraws, named_worker_death
from tests.training.factories import SIDE, squares, tiny_anchors
from tests.training.test_dataset import training_set


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        draws = ShuffledDraws(50, batch_size=5, seed=seed)
        draws.set_epoch(epoch)
        found = list(draws)
        assert all(draw.epoch == epoch for draw in found)
        return [draw.sample for draw in found]

    assert sorted(order(0, 1)) == list(range(50))
    assert order(0, 1) == order(0, 1)
    assert order(0, 1) != order(0, 2)
    assert order(0, 1) != order(1, 1)


def test_a_worker_is_silent_where_the_sockets_of_an_ending_process_are_gone() -> None:
    """After SIGTERM the main process removes their folder while a worker may still send a batch."""
    script = """
import multiprocessing, pickle, time
from ssd_edge.training.loader import start_worker

class Unsendable:
    def __init__(self, error): self.error = error
    def __reduce__(self): raise self.error

start_worker(0)
queue = multiprocessing.get_context("fork").Queue()
for error in (FileNotFoundError("gone"), RuntimeError("this one is told")):
    queue.put(Unsendable(error))
queue.close()
queue.join_thread()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert "this one is told" in done.stderr
    assert "gone" not in done.stderr


def test_several_processes_cut_the_batches_of_one() -> None:
    def batches(size: int, share: Share = ALONE) -> list[list[int]]:
        draws = ShuffledDraws(50, batch_size=size, seed=3, share=share)
        draws.set_epoch(2)
        order = [draw.sample for draw in draws]
        assert len(order) == len(draws)
        return [order[start : start + size] for start in range(0, len(order), size)]

    parts = zip(batches(4, Share(0, 2)), batches(4, Share(1, 2)), strict=True)
    assert [first + second for first, second in parts] == batches(8)


def batches(loader: BatchLoader, epoch: int) -> list[Batch]:
    return list(loader.epoch(epoch))


def test_batches_are_stacked_examples(tmp_path: Path) -> None:
    loader = BatchLoader(training_set(squares(tmp_path, 7)), batch_size=3, workers=0, seed=0)
    found = batches(loader, 1)
    anchors = len(tiny_anchors())
    assert len(loader) == len(found) == 2
    assert found[0].images.shape == (3, SIDE, SIDE, 3)
    assert found[0].images.dtype == torch.uint8
    assert found[0].targets.labels.shape == (3, anchors)
    assert found[0].targets.offsets.shape == (3, anchors, 4)
    assert len({path for batch in found for path in batch.paths}) == 6


def test_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    examples = training_set(squares(tmp_path, 8), seed=1)
    alone = BatchLoader(examples, batch_size=4, workers=0, seed=1)
    shared = BatchLoader(examples, batch_size=4, workers=2, seed=1)
    for epoch in (1, 2):
        for first, second in zip(batches(alone, epoch), batches(shared, epoch), strict=True):
            assert first.paths == second.paths
            assert torch.equal(first.images, second.images)
            assert torch.equal(first.targets.labels, second.targets.labels)
            assert torch.equal(first.targets.offsets, second.targets.offsets)


def test_too_few_pictures_for_a_batch_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"got 3 images; wanted at least 8\. .*--batch-size 3"):
        BatchLoader(training_set(squares(tmp_path, 3)), batch_size=8, workers=0, seed=0)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_faulty_image_is_left_out_and_named_once(
    tmp_path: Path, workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    labelled = squares(tmp_path, 4)
    faulty = labelled.samples[2].image
    faulty.write_bytes(b"")
    loader = BatchLoader(training_set(labelled), batch_size=2, workers=workers, seed=0)
    with caplog.at_level("WARNING", logger="ssd_edge"):
        seen = [path for epoch in (1, 2) for batch in batches(loader, epoch) for path in batch.paths]
    assert len(seen) == 8
    assert str(faulty) not in seen
    assert [lost.what for lost in loader.left_out] == [str(faulty)]
    assert caplog.text.count("0002.png cannot be read and is left out") == 1


def test_a_set_without_a_readable_image_is_refused(tmp_path: Path) -> None:
    labelled = squares(tmp_path, 2)
    for sample in labelled.samples:
        sample.image.write_bytes(b"")
    loader = BatchLoader(training_set(labelled), batch_size=2, workers=0, seed=0)
    with pytest.raises(InputError, match=r"000\d\.png is empty: wanted an image file$"):
        batches(loader, 1)


def test_an_epoch_goes_on_after_the_batches_that_were_done(tmp_path: Path) -> None:
    batches = BatchLoader(training_set(squares(tmp_path, 20)), batch_size=4, workers=0, seed=0)
    whole = [batch.paths for batch in batches.epoch(3)]
    rest = [batch.paths for batch in batches.epoch(3, done=2)]
    assert rest == whole[2:]
    assert [batch.paths for batch in batches.epoch(3)] == whole


def test_every_process_needs_a_batch(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="do not fill one batch: got 20 images; wanted at least 24") as caught:
        BatchLoader(training_set(squares(tmp_path, 20)), batch_size=8, workers=0, seed=0, share=Share(0, 3))
    assert "--batch-size 6" in str(caught.value)


def test_workers_leave_ctrl_c_to_the_process_that_saves(tmp_path: Path) -> None:
    loader = BatchLoader(training_set(squares(tmp_path, 8)), batch_size=2, workers=1, seed=0)
    found = loader.epoch(1)
    next(found)
    for worker in loader._loader._iterator._workers:
        os.kill(worker.pid, signal.SIGINT)
    rest = [batch.paths for batch in found]
    assert len(rest) == 3


# torch notices the death once more while it cleans up, in a place from which nothing can be raised.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_worker_that_is_killed_ends_the_run_with_a_named_error(tmp_path: Path) -> None:
    loader = BatchLoader(training_set(squares(tmp_path, 64)), batch_size=2, workers=1, seed=0)
    message = r"a data worker was killed by another process or by the system: .*--workers 0"
    with pytest.raises(TrainingError, match=message), named_worker_death():
        for batch in loader.epoch(1):
            assert len(batch.paths) == 2
            for worker in loader._loader._iterator._workers:
                os.kill(worker.pid, signal.SIGKILL)


def test_a_worker_that_was_killed_with_a_lock_in_its_hands_does_not_hang_the_run(tmp_path: Path) -> None:
    loader = BatchLoader(training_set(squares(tmp_path, 64)), batch_size=2, workers=2, seed=0)
    batches = loader.epoch(1)
    next(batches)
    iterator = loader._loader._iterator
    iterator._workers_done_event._cond.acquire()  # as if the killed one had been in the middle of asking
    with suppress(RuntimeError):  # torch hears of the death in whatever line that is
        os.kill(iterator._workers[0].pid, signal.SIGKILL)
        iterator._workers[0].join()
    with suppress(RuntimeError):
        iterator._shutdown_workers()
    assert not any(worker.is_alive() for worker in iterator._workers)


@pytest.mark.parametrize("error", [EOFError(), ConnectionResetError("reset")])
def test_a_worker_that_dies_while_it_hands_a_batch_over_is_named_too(error: Exception) -> None:
    message = "by the system: got (a closed connection|reset)"
    with pytest.raises(TrainingError, match=message), named_worker_death():
        raise error


@pytest.mark.parametrize(
    "text",
    [
        "Caught RuntimeError in DataLoader worker process 1.\nOriginal Traceback …\nRuntimeError: unable to allocate "
        "shared memory(shm) for file </torch_1_2_0>: No space left on device (28)",
        "DataLoader worker (pid 9) is killed by signal: Bus error. It is possible that dataloader's workers are out of "
        "shared memory. Please try to raise your shared memory limit.",
    ],
)
def test_full_shared_memory_is_named_with_what_to_do(text: str) -> None:
    message = r"/dev/shm.*is full: got .*shared memory.*--shm-size 1g.*--workers 0"
    with pytest.raises(TrainingError, match=message), named_worker_death():
        raise RuntimeError(text)


def test_other_faults_of_the_program_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shape mismatch"), named_worker_death():
        raise RuntimeError("shape mismatch")


@pytest.mark.parametrize("reason", ["Killed", "Segmentation fault"])
def test_a_worker_that_the_system_ended_is_named(reason: str) -> None:
    text = f"DataLoader worker (pid 9) is killed by signal: {reason}.\nmore"
    with (
        pytest.raises(TrainingError, match=rf"got DataLoader worker .pid 9. is killed by signal: {reason}\. The usual"),
        named_worker_death(),
    ):
        raise RuntimeError(text)


def test_a_machine_without_shared_memory_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader_module, "_SHM", tmp_path / "none")
    with pytest.raises(TrainingError, match=r"the size of .*none is none; wanted"), named_worker_death():
        raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No such file (2)")
