from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from ssd_edge.core.errors import TrainingError
from ssd_edge.training.loader import BatchLoader, named_worker_death
from tests.training.factories import squares
from tests.training.test_dataset import training_set


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
    message = r"a data worker was ended from outside: .*--workers 0"
    with pytest.raises(TrainingError, match=message), named_worker_death():
        for batch in loader.epoch(1):
            assert len(batch.paths) == 2
            for worker in loader._loader._iterator._workers:
                os.kill(worker.pid, signal.SIGKILL)


@pytest.mark.parametrize("error", [EOFError(), ConnectionResetError("reset")])
def test_a_worker_that_dies_while_it_hands_a_batch_over_is_named_too(error: Exception) -> None:
    message = "ended from outside: got (a closed connection|reset)"
    with pytest.raises(TrainingError, match=message), named_worker_death():
        raise error


def test_other_faults_of_the_program_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shape mismatch"), named_worker_death():
        raise RuntimeError("shape mismatch")
