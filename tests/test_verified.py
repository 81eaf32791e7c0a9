"""What a device's self-test verifies of docs/verified.md, and that the page and its reader name the same statements."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.documents import ROOT
from tools.verified import STATEMENTS, main, report

ORIN = {"name": "Orin", "compute_capability": [8, 7]}


def verdict(precision: str, median_ms: float = 2.0, **changes: Any) -> dict[str, Any]:
    return {
        "precision": precision, "runtime": "tensorrt", "median_ms": median_ms, "build_mib": 900.0, "error": "",
        "faults": [], **changes,
    }  # fmt: skip


def body(name: str, captured: bool) -> dict[str, Any]:
    return {"body": name, "captured": captured, "graph_ms": 0.2 if captured else 0.0, "error": ""}


def found(**changes: Any) -> dict[str, Any]:
    return {
        "lines": [{"name": "machine", "found": "Jetson Orin Nano, JetPack 6.2"}],
        "facts": {"gpu": ORIN},
        "selftest": [verdict("fp32", 4.0), verdict("int8"), verdict("int8-fp16", 1.5)],
        "nms": [body("plugin", True), body("rounds", True), body("loop", False)],
        "camera": {"promised": 30.0, "delivered": 29.9},
        **changes,
    }


def said(**changes: Any) -> dict[str, str]:
    first, *lines = report(found(**changes))
    assert first.endswith("Jetson Orin Nano, JetPack 6.2")
    return {name: answer for name, _, answer in (line.strip().partition(": ") for line in lines)}


def test_a_device_that_passes_verifies_all() -> None:
    answers = said()
    assert list(answers) == list(STATEMENTS)
    assert all(answer.startswith("verified (") for answer in answers.values()), answers
    assert "loop no" in answers["CUDA graphs can capture"]
    assert "1.50 against 2.00 ms" in answers["INT8 with FP16 is faster than INT8 with FP32"]


@pytest.mark.parametrize(
    ("changes", "statement", "answer"),
    [
        (
            {"selftest": [verdict("fp32"), verdict("int8", faults=["3 detections lost"])]},
            "engines of TensorRT and TensorRT-RTX",
            "refuted (int8 on tensorrt: 3 detections lost)",
        ),
        ({"nms": [body("rounds", False)]}, "CUDA graphs can capture", "refuted (rounds no)"),
        (
            {"selftest": [verdict("int8"), verdict("int8-fp16", 2.5)]},
            "INT8 with FP16 is faster than INT8 with FP32",
            "refuted (2.50 against 2.00 ms)",
        ),
        (
            {"camera": {"promised": 30.0, "delivered": 15.1}},
            "a USB camera delivers all its frames",
            "refuted (0.50 of 30 frames a second)",
        ),
        ({"camera": None}, "a USB camera delivers all its frames", "not in this file"),
        ({"selftest": []}, "memory of a build", "not in this file"),
    ],
)
def test_what_a_file_refutes_or_leaves_open(changes: dict[str, Any], statement: str, answer: str) -> None:
    assert said(**changes)[statement] == answer


def test_nothing_of_a_virtual_gpu_counts() -> None:
    answers = said(facts={"gpu": {**ORIN, "name": "Emulated"}}, camera=None)
    assert not [answer for answer in answers.values() if not answer.startswith("not in this file")]


def test_every_statement_is_a_row_of_the_page_and_every_such_row_is_read() -> None:
    rows = [line for line in (ROOT / "docs/verified.md").read_text().splitlines() if "doctor --selftest`" in line]
    rows += [
        line for line in (ROOT / "docs/verified.md").read_text().splitlines() if "doctor --selftest --camera" in line
    ]
    asked = [row.strip("| ").split(" | ")[0] for row in rows if not row.startswith("| `doctor")]
    assert sorted(asked) == sorted(next(row for row in asked if row.startswith(name)) for name in STATEMENTS)


def test_the_program_reads_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "selftest.json").write_text(json.dumps(found()))
    main(str(tmp_path / "selftest.json"))
    assert "memory of a build: verified (fp32 900 MiB" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="usage"):
        main()
