"""What every benchmark keeps to: one timer, one helper for options, and nothing of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.test_architecture import imports_of

BENCH = Path(__file__).parents[2] / "bench"
PACED = {  # they play cameras at a rate, count over seconds of the clock, or time whole processes
    "latency", "end_to_end", "_memory_source",
    "many_streams", "_slow_worker", "_decode_and_engine", "_turns", "label_kills", "label_on_ray",
}  # fmt: skip
SCRIPTS = sorted(path for path in BENCH.glob("*.py") if path.name != "_options.py")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_it_measures_by_the_one_timer_and_uses_the_library(path: Path) -> None:
    names = imports_of(path.read_text(encoding="utf-8"))
    assert not [name for name in names if name.startswith("ssd_edge.cli")]
    assert not [
        name
        for name in names
        if name.split(".")[0] in ({"time", "timeit", "argparse"} - ({"time"} if path.stem in PACED else set()))
    ]
