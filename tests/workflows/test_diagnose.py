"""``diagnose`` as a program calls it: silent, with a typed result that another machine can read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.doctor.check import State
from ssd_edge.doctor.facts import FACTS_FORMAT
from ssd_edge.workflows.diagnose import diagnose
from tests.doctor.machines import orin_nano


def test_this_machine_and_its_record_say_the_same(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    here = diagnose()
    record = tmp_path / "here.json"
    record.write_text(json.dumps(here.to_dict()))
    assert diagnose(record).checks == here.checks
    assert (here.path, here.left_out) == (None, ())
    assert capfd.readouterr() == ("", "")


def test_a_board_is_judged_by_its_record(tmp_path: Path) -> None:
    record = tmp_path / "board.json"
    record.write_text(json.dumps({"format": FACTS_FORMAT, "facts": orin_nano()}))
    board = diagnose(str(record))
    assert board.is_ready
    assert {check.name: check.state for check in board.checks}["power mode"] is State.OK


def test_what_is_missing_is_not_ready(tmp_path: Path) -> None:
    record = tmp_path / "board.json"
    record.write_text(json.dumps({"format": FACTS_FORMAT, "facts": orin_nano() | {"module onnxruntime": None}}))
    board = diagnose(record)
    assert not board.is_ready
    (check,) = [check for check in board.checks if check.state is State.MISSING]
    assert check.do.startswith("pip install")


def test_no_record(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        diagnose(tmp_path / "none.json")
