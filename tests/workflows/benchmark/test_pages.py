"""The same figures in the terminal's tables, in Markdown and on the page."""

from __future__ import annotations

import json
import re
from pathlib import Path

from ssd_edge.workflows.benchmark.markdown import markdown_text, write_markdown
from ssd_edge.workflows.benchmark.page import write_bench_page
from ssd_edge.workflows.benchmark.tables import bench_tables, label, machine_lines
from tests.workflows.benchmark.made_result import made_result


def test_tables_hold_what_was_measured() -> None:
    tables = {table.title: table for table in bench_tables(made_result())}
    assert list(tables) == [
        "Latency: net", "Compared", "Throughput", "Stages", "Start and memory", "Batches", "Streams",
        "Share of the processor's peak", "TensorRT", "Clocks and power",
    ]  # fmt: skip
    latency = tables["Latency: net"].rows
    assert latency[0] == ("int8", "8.10 (8.00–8.30)", "8.25", "8.29")
    compared = tables["Compared"].rows
    assert compared[0] == ("int8", "–", "reference", "12", "–")
    assert (compared[1][0], *compared[1][2:]) == ("torchvision fp32", "slower", "13", "97 %")
    assert compared[2][1:3] == ("1.000 (1.000–1.000)", "same")
    assert tables["Throughput"].rows == (("int8", "240.0", "2 × 1 thread", "9.5", "1 × 2 threads: 200.0"),)
    assert tables["Stages"].rows[0][3:5] == ("7.00 78%", "0.70 7.8%")
    assert tables["Start and memory"].rows[0] == ("int8", "0.40", "111", "0.61", "133")
    assert tables["Batches"].rows == (("int8", "240.0", "260.0"),)
    assert tables["Share of the processor's peak"].rows == (("int8", "0.443", "11.7 %"),)
    assert tables["TensorRT"].columns == ("", "engine, graph")
    assert tables["TensorRT"].rows[:2] == (("Throughput, qps", "900.0"), ("Latency, ms", "1.100"))


def test_every_row_has_a_cell_for_every_column() -> None:
    for table in bench_tables(made_result()):
        assert {len(row) for row in table.rows} == {len(table.columns)}, table.title


def test_a_busy_neighbor_stands_first_and_a_quiet_run_says_so() -> None:
    busy, quiet = made_result(others=0.6), made_result(others=0.0)
    assert busy.is_disturbed
    assert "make 0.60" in machine_lines(busy)[0]
    assert machine_lines(busy)[0] == busy.warnings[0]
    assert not quiet.is_disturbed
    assert not any("others" in warning for warning in quiet.warnings)
    assert json.loads(busy.to_json())["is_disturbed"] is True


def test_markdown_is_well_formed(tmp_path: Path) -> None:
    result = made_result()
    write_markdown(tmp_path / "bench.md", result)
    text = (tmp_path / "bench.md").read_text()
    assert text == markdown_text(result)
    assert "left out: ultralytics" in text
    for block in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
        assert len({line.count("|") for line in block.strip().splitlines()}) == 1, block


def test_the_page_has_tables_charts_and_the_warning(tmp_path: Path) -> None:
    write_bench_page(tmp_path / "bench.html", made_result())
    text = (tmp_path / "bench.html").read_text()
    assert text.count("<svg") == 3  # blocks, batches, streams
    assert 'class="error"' in text
    assert text.count("<table") == len(bench_tables(made_result()))
    assert "torchvision fp32" in text


def test_names_of_several_networks_stay_whole() -> None:
    result = made_result()
    first = result.contestants[0]
    assert label(result, first) == "int8"
    other = type(first)(**{**vars(first), "name": "other int8", "group": "other"})
    both = type(result)(**{**vars(result), "contestants": (first, other)})
    assert [label(both, entry) for entry in both.contestants] == ["net int8", "other int8"]
