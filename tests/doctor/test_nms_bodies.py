from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.emulator.rehearse import command_line, needs_emulator


@needs_emulator
@pytest.mark.slow(but="11.4")
@pytest.mark.parametrize(
    ("release", "captured"),
    [
        ("11.4", {"plugin": None, "rounds": True, "loop": False, "efficient": True}),
        ("10.3", {"plugin": True, "rounds": True, "loop": True, "efficient": True}),
        ("rtx", {"plugin": None, "rounds": True, "loop": False, "efficient": None}),
    ],
)
def test_each_form_of_the_nms_is_captured_or_not(
    tmp_path: Path, release: str, captured: dict[str, bool | None]
) -> None:
    """As the stand-in has it, which refuses what TensorRT 11 and RTX are said to refuse."""
    done = command_line("doctor", "--selftest", "--frames", "20", release=release, cwd=tmp_path)
    record = json.loads((tmp_path / "selftest.json").read_text())
    forms = {form["body"]: form for form in record["nms"]}
    assert {body: None if form["error"] else form["captured"] for body, form in forms.items()} == captured, done.stderr
    assert all(form["enqueue_ms"] > 0 for form in forms.values() if not form["error"])
    assert "rounds on tensorrt" in (tmp_path / "selftest.html").read_text()
    assert record["camera"] is None
    assert all("build_mib" in verdict for verdict in record["selftest"])
