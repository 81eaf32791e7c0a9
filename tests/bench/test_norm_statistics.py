from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.norm_statistics import main
from ssd_edge.workflows.synthesize import synthesize


@pytest.mark.slow
def test_saved_and_exact_statistics_are_compared_preset_by_preset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    synthesize(tmp_path / "signs", train=32, val=4, test=1, size=(64, 64))
    main(tmp_path / "signs", presets=("ssdlite300-squeezenet", "ssd192-tiny"), runs=("2x16",), views=8, input_size=64)
    without, row, figure = capsys.readouterr().out.splitlines()
    assert without == "ssdlite300-squeezenet: no batch norm"
    found = re.fullmatch(r"ssd192-tiny +2x16  (\d\.\d+) saved, (\d\.\d+) exact, ([+-]\d\.\d+)", row)
    assert found
    saved, exact, difference = map(float, found.groups())
    assert difference == pytest.approx(saved - exact, abs=2e-4)
    assert figure.startswith("figure norm_statistics.ssd192-tiny.2x16.difference ")
