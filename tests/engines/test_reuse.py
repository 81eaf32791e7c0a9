from __future__ import annotations

from pathlib import Path

import pytest

from ssd_edge.engines import cache as reuse


@pytest.mark.parametrize(
    "name",
    ["cli/improve.py", "cli/build_lowering.py", "calibration/methods.py", "precision/half.py", "engines/ort_nms.py"],
)
def test_all_code_that_decides_what_is_lowered_identifies_a_build(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    before = reuse._code_digest()
    digest = reuse.file_digest

    def changed(path: Path) -> str:
        return "sha256:another" if path.match(f"ssd_edge/{name}") else digest(path)

    monkeypatch.setattr(reuse, "file_digest", changed)
    assert reuse._code_digest() != before
