"""Devices that are not there, and processes of a run that end before the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import distributed

from ssd_edge.core.errors import InputError, TrainingError
from ssd_edge.training.distributed import joined, make_fabric
from ssd_edge.training.recipe import Device

TORN = (
    "[../third_party/gloo/gloo/transport/tcp/pair.cc:525] Connection closed by peer [127.0.0.1]:2041. This may be due "
    "to a process that ended"
)


@pytest.mark.parametrize("device", ["cuda", "auto"])
def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch, device: Device) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match=r"cannot start.*got.*machine only has: \[0\]; wanted 3 devices.*--devices"):
        make_fabric(device=device, devices=3)


def test_no_process_at_all_is_refused() -> None:
    with pytest.raises(InputError, match=r"cannot start on these devices: got .*wanted 0 devices of type cpu"):
        make_fabric(devices=0)


@dataclass
class Launched:
    """What Fabric knows of its processes, and what starting them does."""

    world_size: int
    launch: Callable[[], None] = lambda: None


@pytest.mark.parametrize(
    ("error", "got"),
    [
        (RuntimeError(TORN), r"127\.0\.0\.1\]:2041|closed by peer"),
        (RuntimeError("Connection reset by peer"), "Connection reset"),
        (distributed.DistBackendError("NCCL communicator was aborted on rank 1."), "NCCL communicator was aborted"),
        (distributed.DistNetworkError("the other side is gone"), "the other side is gone"),
    ],
)
def test_the_end_of_another_process_is_named_with_how_to_go_on(error: RuntimeError, got: str) -> None:
    with (
        pytest.raises(TrainingError, match=rf"another one of the 2 training processes ended.*({got}).*--resume last"),
        joined(Launched(2)),
    ):
        raise error


@pytest.mark.parametrize(("processes", "text"), [(2, "shape mismatch"), (1, TORN)])
def test_errors_of_the_process_itself_stay_what_they_are(processes: int, text: str) -> None:
    error = RuntimeError(text)
    with pytest.raises(RuntimeError) as caught, joined(Launched(processes)):
        raise error
    assert caught.value is error


def test_a_group_that_cannot_be_joined_is_named_too() -> None:
    def refuse() -> None:
        raise distributed.DistNetworkError("the server socket has failed to listen")

    with pytest.raises(TrainingError, match="failed to listen"), joined(Launched(2, refuse)):
        pytest.fail("nothing was joined")
