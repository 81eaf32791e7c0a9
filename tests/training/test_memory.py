from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from ssd_edge.core.spec import ModelSpec
from ssd_edge.model.zoo import build_model, make_spec
from ssd_edge.training import memory
from ssd_edge.training.config import Machine
from ssd_edge.training.memory import batch_that_fits, training_bytes

CPU = Machine(device="cpu", workers=0)


@pytest.fixture(scope="module")
def spec() -> ModelSpec:
    return make_spec("ssd192-tiny", ("a", "b"), input_size=96)


def free(monkeypatch: pytest.MonkeyPatch, size: int | None) -> None:
    monkeypatch.setattr(memory, "_available", lambda machine: size)


@pytest.mark.parametrize(("preset", "side"), [("ssd192-tiny", 96), ("ssdlite320-mobilenet-v3-large", 128)])
def test_the_estimate_holds_what_autograd_keeps(preset: str, side: int) -> None:
    network_spec = make_spec(preset, ("a", "b"), input_size=side)
    model, kept = build_model(network_spec).train(), {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(torch.zeros(4, 3, side, side))
    more = training_bytes(network_spec, 4) - training_bytes(network_spec, 2)
    assert sum(kept.values()) < training_bytes(network_spec, 4)
    assert 0.5 * sum(kept.values()) < 2 * more < 6 * sum(kept.values())


def test_a_step_sees_as_many_images_in_smaller_batches(
    spec: ModelSpec, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    free(monkeypatch, 1 << 40)
    assert batch_that_fits(spec, 32, CPU) == (32, 1)
    free(monkeypatch, int(training_bytes(spec, 32) / 0.7) - (1 << 20))
    with caplog.at_level(logging.INFO, "ssd_edge"):
        assert batch_that_fits(spec, 32, CPU) == (16, 2)
    assert "batches of 16, 2 per step" in caplog.text
    free(monkeypatch, 1 << 20)
    with caplog.at_level(logging.INFO, "ssd_edge"):
        assert batch_that_fits(spec, 32, CPU) == (4, 8)
    assert "may need" in caplog.text


def test_nothing_changes_where_nobody_knows_or_several_processes_train(
    spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, None)
    assert batch_that_fits(spec, 32, CPU) == (32, 1)
    free(monkeypatch, 1 << 20)
    assert batch_that_fits(spec, 32, Machine(devices=2)) == (32, 1)


def test_a_container_has_what_its_limit_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"limit": f"{4 << 30}\n", "used": f"{3 << 30}\n", "stat": f"cache 5\ntotal_inactive_file {1 << 30}\n"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "meminfo").write_text("MemTotal: 1 kB\nMemAvailable:   16777216 kB\n")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_GROUPS", ())
    assert memory._available(CPU) == 16 << 30
    monkeypatch.setattr(memory, "_GROUPS", (tuple(tmp_path / name for name in texts),))
    assert memory._available(CPU) == 2 << 30
    (tmp_path / "limit").write_text("max\n")
    assert memory._available(CPU) == 16 << 30


def test_on_a_gpu_its_own_memory_counts(spec: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (int(training_bytes(spec, 16) / 0.7) + 1024, 1 << 40))
    for device, wanted in (("cuda", (16, 2)), ("auto", (16, 2)), ("mps", (32, 1))):  # what MPS has is not known
        assert batch_that_fits(spec, 32, Machine(device=device, workers=0)) == wanted
