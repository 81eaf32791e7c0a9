from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import pytest

from bench._options import run


def called_with(monkeypatch: pytest.MonkeyPatch, *typed: str) -> dict[str, object]:
    found: dict[str, object] = {}

    def main(
        model: Path | None = None,
        counts: tuple[int, ...] = (1, 2),
        *,
        rounds: int = 5,
        splits: tuple[Literal["test", "val"], ...] = ("test",),
        threads: Literal["latency", "throughput"] = "latency",
        no_spin: bool = False,
    ) -> int:
        found.update(model=model, counts=counts, rounds=rounds, splits=splits, threads=threads, no_spin=no_spin)
        return 7

    monkeypatch.setattr(sys, "argv", ["bench", *typed])
    with pytest.raises(SystemExit) as leaving:
        run(main)
    found["code"] = leaving.value.code
    return found


def test_defaults_are_those_of_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    found = called_with(monkeypatch)
    assert found == {
        "model": None, "counts": (1, 2), "rounds": 5, "splits": ("test",), "threads": "latency", "no_spin": False,
        "code": 7,
    }  # fmt: skip


def test_what_is_typed_has_the_types_of_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = ["m.onnx", "3", "4", "--rounds", "9", "--splits", "val", "test", "--threads", "throughput", "--no-spin"]
    found = called_with(monkeypatch, *typed)
    assert (found["model"], found["counts"], found["rounds"]) == (Path("m.onnx"), [3, 4], 9)
    assert (found["splits"], found["threads"], found["no_spin"]) == (["val", "test"], "throughput", True)


def test_a_value_that_is_none_of_the_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert called_with(monkeypatch, "--threads", "many")["code"] == 2
