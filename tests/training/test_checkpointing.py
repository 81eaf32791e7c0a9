"""A run that was stopped and goes on ends with the same bits as one that was not."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.model.checkpoint import load_checkpoint
from ssd_edge.training.budget import EpochBudget, TimeBudget
from ssd_edge.training.checkpointing import RunState
from ssd_edge.training.loader import BatchLoader
from ssd_edge.training.loop import Training
from ssd_edge.training.recipe import Optimization
from ssd_edge.training.run_folder import RunFolder
from tests.full_disk import full_after
from tests.training.factories import squares, tiny_model
from tests.training.test_dataset import training_set

EPOCHS, PICTURES, BATCH = 4, 20, 4
STEPS = EPOCHS * PICTURES // BATCH


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("squares")


def run(
    pictures: Path,
    files: RunFolder,
    *,
    state: RunState | None = None,
    stop_at: int = 0,
    judge_at: int = 0,
    save_every: float = 3,
    **settings,
) -> RunFolder:
    """Train, a state every ``save_every`` seconds (one a look); stop after a step, or while an epoch is evaluated."""
    loader = BatchLoader(training_set(squares(pictures, PICTURES), recipe="ssd"), batch_size=BATCH, workers=0, seed=5)
    scores = dict(enumerate((0.3, 0.5, 0.4, 0.45), start=1))

    def validate(model, progress) -> float:
        if 1 + len(files.records) == judge_at:
            raise KeyboardInterrupt
        return scores[1 + len(files.records)]

    def stop(done: int, whole: int | None, note: str = "") -> None:
        if done == stop_at:
            raise KeyboardInterrupt

    Training(
        tiny_model(seed=1 if state is None else 2),
        loader,
        validate,
        optimisation=Optimization(0.02, **settings),
        budget=EpochBudget(EPOCHS, steps_per_epoch=len(loader)),
        files=files,
        progress=stop,
        save_every_s=save_every,
        clock=ticking(),
    ).run(state)
    return files


def ticking() -> Callable[[], float]:
    clock = itertools.count()
    return lambda: float(next(clock))


def weights(path: Path) -> Iterator[tuple[str, torch.Tensor]]:
    return iter(load_checkpoint(path).model.state_dict().items())


def timeless(metrics: Path) -> list[list[str]]:
    rows = [line.split(",") for line in metrics.read_text().splitlines()]
    timed = {number for number, name in enumerate(rows[0]) if name in ("seconds", "images_per_s")}
    return [[cell for number, cell in enumerate(row) if number not in timed] for row in rows]


@pytest.fixture(scope="module")
def unbroken(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the tests themselves: another number adds up in another order
    files = run(pictures, RunFolder(tmp_path_factory.mktemp("unbroken")))
    torch.set_num_threads(threads)
    return files


@pytest.mark.parametrize("stop_at", [4, 7, 13, 19])
def test_a_stopped_run_goes_on_to_the_same_bits(
    stop_at: int, pictures: Path, unbroken: RunFolder, tmp_path: Path
) -> None:
    stopped = RunFolder(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(pictures, stopped, stop_at=stop_at)
    state = RunState.load(stopped.state)
    assert 0 < state.average_updates <= stop_at
    torch.manual_seed(99)
    resumed = run(pictures, RunFolder(tmp_path), state=state)
    for wanted, got in ((unbroken.last, resumed.last), (unbroken.best, resumed.best)):
        for (name, one), (_, other) in zip(weights(wanted), weights(got), strict=True):
            assert torch.equal(one, other), name
    assert timeless(resumed.metrics) == timeless(unbroken.metrics)
    assert resumed.best_mean_ap == 0.5
    assert not resumed.state.exists()


def test_a_run_killed_while_it_is_judged_goes_on_to_the_same_record(
    pictures: Path, unbroken: RunFolder, tmp_path: Path
) -> None:
    """Its state may be that of the epoch's last step: no step is left to make."""
    stopped = RunFolder(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(pictures, stopped, judge_at=2, save_every=0)
    state = RunState.load(stopped.state)
    assert (state.epoch, state.batches) == (2, PICTURES // BATCH)
    resumed = run(pictures, RunFolder(tmp_path), state=state)
    assert timeless(resumed.metrics) == timeless(unbroken.metrics)


def test_a_run_stopped_twice_goes_on_to_the_same_bits(pictures: Path, unbroken: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(pictures, RunFolder(tmp_path), stop_at=8)
    with pytest.raises(KeyboardInterrupt):
        run(pictures, RunFolder(tmp_path), state=RunState.load(tmp_path / "state.pt"), stop_at=16)
    resumed = run(pictures, RunFolder(tmp_path), state=RunState.load(tmp_path / "state.pt"))
    for (name, one), (_, other) in zip(weights(unbroken.last), weights(resumed.last), strict=True):
        assert torch.equal(one, other), name


def test_patience_ends_a_run_and_counts_over_an_interruption(pictures: Path, tmp_path: Path) -> None:
    patient = run(pictures, RunFolder(tmp_path / "a"), patience=1)
    assert [record.mean_ap for record in patient.records] == [0.3, 0.5, 0.4]
    with pytest.raises(KeyboardInterrupt):
        run(pictures, RunFolder(tmp_path / "b"), patience=2, stop_at=3 * PICTURES // BATCH + 1)
    state = RunState.load(tmp_path / "b" / "state.pt")
    assert state.since_best == 1
    resumed = run(pictures, RunFolder(tmp_path / "b"), state=state, patience=2)
    assert len(resumed.records) == 4


def test_a_run_that_goes_on_knows_how_long_its_validations_took(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a budget of time would set too little aside for the last one, and end too late."""
    seen: list[float] = []
    monkeypatch.setattr(EpochBudget, "validated", lambda self, seconds: seen.append(seconds))
    with pytest.raises(KeyboardInterrupt):
        run(pictures, RunFolder(tmp_path), stop_at=13)
    before = list(seen)
    assert len(before) == 2
    seen.clear()
    run(pictures, RunFolder(tmp_path), state=RunState.load(tmp_path / "state.pt"))
    assert seen[:2] == before
    assert len(seen) == EPOCHS


class Clock:
    """Seconds that the test turns on."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_the_time_that_an_epoch_was_judged_for_is_spent_when_a_run_goes_on(pictures: Path, tmp_path: Path) -> None:
    """Else each resume would add a validation's time to the run."""
    clock, judging_s = Clock(), 30.0
    loader = BatchLoader(training_set(squares(pictures, PICTURES), recipe="none"), batch_size=BATCH, workers=0, seed=5)

    def judge(model, progress) -> float:
        clock.seconds += judging_s
        return 0.5

    def step(done: int, whole: int | None, note: str = "") -> None:
        if clock.seconds > judging_s:
            raise KeyboardInterrupt  # in the second epoch, before a step's state is written
        clock.seconds += 1

    with pytest.raises(KeyboardInterrupt):
        Training(
            tiny_model(),
            loader,
            judge,
            optimisation=Optimization(0.02),
            budget=TimeBudget(10.0, clock=clock),
            files=RunFolder(tmp_path),
            progress=step,
            save_every_s=1e9,
            clock=clock,
        ).run()
    state = RunState.load(tmp_path / "state.pt")
    assert (state.epoch, state.batches) == (2, 0)
    assert state.spent == clock.seconds == PICTURES // BATCH + judging_s


def test_a_time_budget_goes_on_with_what_was_left() -> None:
    clock = ticking()
    budget = TimeBudget(1.0, clock=clock)
    budget.start(spent=40.0)
    spent, whole = budget.done()
    assert (spent, whole) == (41.0, 57.0)


def test_a_state_that_cannot_be_used_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    with pytest.raises(InputError, match=r"state\.pt cannot be read .No such file"):
        RunState.load(path)
    path.write_bytes(b"PK nonsense")
    with pytest.raises(ArtifactError, match=r"state\.pt is damaged"):
        RunState.load(path)
    torch.save([1, 2], path)
    with pytest.raises(ArtifactError, match=r"state\.pt is damaged: got list"):
        RunState.load(path)
    torch.save({"format": "ssd-edge/run-state/0"}, path)
    with pytest.raises(
        ArtifactError, match=r"another version of ssd-edge: got 'ssd-edge/run-state/0'; wanted ssd-edge/run-state/2"
    ):
        RunState.load(path)
    torch.save({"format": "ssd-edge/run-state/2", "epoch": 3}, path)
    with pytest.raises(ArtifactError, match="is damaged"):
        RunState.load(path)


@pytest.fixture(scope="module")
def stopped(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.raises(KeyboardInterrupt):
        run(pictures, RunFolder(folder), stop_at=7)
    return folder / "state.pt"


def test_a_run_goes_on_with_as_many_processes_only(pictures: Path, stopped: Path) -> None:
    state = replace(RunState.load(stopped), processes=2)
    with pytest.raises(InputError, match="a different number of processes: got 1 now; wanted 2.*--devices 2"):
        run(pictures, RunFolder(stopped.parent), state=state)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weights", {}),
        ("average", {"x": torch.zeros(1)}),
        ("optimiser", {"state": {}, "param_groups": []}),
        ("random", torch.zeros(3)),
        ("records", [{"epoch": 1, "nothing": 2}]),
        ("losses", torch.zeros(2, 3)),
        ("losses", None),
        ("validations", 7),
    ],
)
def test_a_state_whose_parts_do_not_fit_is_damaged(pictures: Path, stopped: Path, name: str, value: object) -> None:
    before = stopped.read_bytes()
    state = replace(RunState.load(stopped), **{name: value})
    with pytest.raises(ArtifactError, match=r"state\.pt is damaged: got \w+Error: .*Train again"):
        run(pictures, RunFolder(stopped.parent), state=state)
    assert stopped.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_not_called_a_damaged_state(
    pictures: Path, stopped: Path, tmp_path: Path
) -> None:
    """Whose advice is to train again: the state would be lost."""
    (tmp_path / "metrics.csv").mkdir()
    with pytest.raises(InputError, match=r"metrics\.csv cannot be written"):
        run(pictures, RunFolder(tmp_path), state=RunState.load(stopped))


def test_a_full_disk_leaves_the_state_before(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(pictures, RunFolder(tmp_path), stop_at=7)
    before = (tmp_path / "state.pt").read_bytes()
    between = (len(before) + (tmp_path / "last.pt").stat().st_size) // 2
    with full_after(between), pytest.raises(InputError, match=r"state\.pt cannot be written .File too large."):
        run(pictures, RunFolder(tmp_path), state=RunState.load(tmp_path / "state.pt"))
    assert (tmp_path / "state.pt").read_bytes() == before
    assert not list(tmp_path.glob(".*partial*"))
