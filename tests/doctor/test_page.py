"""The self-test's page."""

from __future__ import annotations

from pathlib import Path

from ssd_edge.backends.tensorrt.profile import GpuStageTimes
from ssd_edge.doctor.check import missing, ok
from ssd_edge.doctor.page import write_selftest_page
from ssd_edge.doctor.verdict import TOLERANCES, Verdict, stage_table


def written(tmp_path: Path, *verdicts: Verdict) -> str:
    write_selftest_page(tmp_path / "page.html", verdicts, [ok("GPU", "none <here>"), missing("OpenCV", "-", "pip")])
    return (tmp_path / "page.html").read_text()


def verdict(**changes: object) -> Verdict:
    figures = (3, 0, 0.0, 0.0, 0.0, 9, 1.0, 2.0, 3.0)
    return Verdict("fp32", "tensorrt", TOLERANCES["fp32"], *figures, **changes)  # type: ignore[arg-type]


def test_what_went_well_and_what_the_machine_has(tmp_path: Path) -> None:
    page = written(tmp_path, verdict())
    assert "as it should be" in page
    assert "none &lt;here&gt;" in page
    assert '<tr class="error"><th scope="row">OpenCV' in page
    assert "Stages on the GPU" not in page
    assert "virtual" not in page


def test_a_fault_the_stages_and_a_virtual_gpu(tmp_path: Path) -> None:
    stages = (stage_table(GpuStageTimes("graph", [0.1], [1.0], [0.2], [0.01], [2.0], b"")),)
    page = written(tmp_path, verdict(stages=stages, is_virtual=True, graph_differs=True))
    assert "tensorrt (virtual)" in page
    assert "It shows nothing about TensorRT" in page
    assert "the CUDA graph gives other outputs than plain enqueue" in page
    assert "GPU Compute Time" in page
