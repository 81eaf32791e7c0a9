"""The random states of GPUs, by a stand-in for them: PyTorch's calls need real ones."""

from __future__ import annotations

import pytest
import torch

from ssd_edge.training.process_state import unchanged_process


class Gpus:
    """Two GPUs that are in use, or not yet."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, in_use: bool) -> None:
        self.in_use = in_use
        self.states = [torch.tensor([1]), torch.tensor([2])]
        self.seeds: list[int] = []
        monkeypatch.setattr(torch.cuda, "is_initialized", lambda: self.in_use)
        monkeypatch.setattr(torch.cuda, "get_rng_state_all", self.read)
        monkeypatch.setattr(torch.cuda, "set_rng_state_all", self.write)
        monkeypatch.setattr(torch.cuda, "manual_seed_all", self.seeds.append)

    def read(self) -> list[torch.Tensor]:
        assert self.in_use, "to look would start them"
        return [state.clone() for state in self.states]

    def write(self, states: list[torch.Tensor]) -> None:
        self.states = states


def test_gpus_that_were_in_use_have_their_random_states_again(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = Gpus(monkeypatch, in_use=True)
    with unchanged_process():
        gpus.states[1] += 40
    assert [int(state) for state in gpus.states] == [1, 2]
    assert gpus.seeds == []


def test_gpus_that_training_began_to_use_have_the_programs_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = Gpus(monkeypatch, in_use=False)
    before = torch.initial_seed()
    with pytest.raises(ValueError, match="in training"), unchanged_process():
        torch.default_generator.manual_seed(before + 1)
        gpus.in_use = True
        raise ValueError("in training")
    assert gpus.seeds == [before]
    assert torch.initial_seed() == before


def test_gpus_that_stay_unused_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = Gpus(monkeypatch, in_use=False)
    with unchanged_process():
        pass
    assert (gpus.seeds, len(gpus.states)) == ([], 2)
