from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from ssd_edge.core.choices import Metric
from ssd_edge.core.errors import SsdEdgeError
from ssd_edge.core.sample import LabelledSet
from ssd_edge.core.spec import ModelSpec
from ssd_edge.core.text_parsers import parse_json, parse_toml
from ssd_edge.core.xml_parser import parse_xml
from ssd_edge.data.coco import scan_coco
from ssd_edge.data.video_truth import read_video_truth
from ssd_edge.data.voc import read_voc_annotation
from ssd_edge.data.yolo_yaml import read_yolo_yaml
from ssd_edge.doctor.facts import Recorded
from ssd_edge.engines.boards import load_profile
from ssd_edge.evaluation.gate import read_baseline
from ssd_edge.evaluation.video import read_lines
from ssd_edge.importing.graphs.box_table import read_box_table

PARSERS: dict[str, Callable[[str], object]] = {"json": parse_json, "toml": parse_toml, "xml": parse_xml}
DEPTHS = [200, 5_000, 100_000]


def _deep(kind: str, depth: int) -> str:
    if kind == "toml":
        return f"description = {'[' * depth}{']' * depth}"
    if kind == "xml":
        return "<annotation>" * depth + "</annotation>" * depth
    return "[" * depth + "]" * depth if kind == "json" else '{"a":' * depth + "1" + "}" * depth


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("kind", PARSERS)
def test_what_is_nested_without_end_is_a_value_error(kind: str, depth: int) -> None:
    with suppress(ValueError):
        PARSERS[kind](_deep(kind, depth))


def _board(path: Path) -> None:
    target = path.parent / "engines/boards/h.toml"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(path.read_bytes())
    load_profile("h", path.parent)


def _annotation(path: Path) -> None:
    for fault in read_voc_annotation(path).faults:
        raise fault


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "spec": ("a.json", lambda path: ModelSpec.from_json(path.read_text(), origin="a")),
    "coco": ("a.json", lambda path: scan_coco(path, path.parent)),
    "truth": ("a.jsonl", lambda path: read_video_truth(path, ["a"])),
    "lines": ("a.jsonl", lambda path: read_lines(path, ["a"])),
    "baseline": (
        "a.json",
        lambda path: read_baseline(path, LabelledSet(("a",), (), "set"), Metric.VOC, 0.5),
    ),
    "record": ("a.json", Recorded),
    "boxes": ("a.json", read_box_table),
    "numpy": ("a.npy", read_box_table),
    "board": ("h.toml", _board),
    "annotation": ("a.xml", _annotation),
    "data.yaml": ("data.yaml", read_yolo_yaml),
}
SHAPES = (
    "{deep}",
    "names: {deep}",
    '{{"levels": {many}, "anchors": {deep}}}',
    "[{many}]",
    "description = {many}",
    "names: {{{many}: a}}",
    "nc: {many}\nnames: [a]",
    'names: ["\\UFFFFFFFF"]',
    '{{"frame": {many}, "detections": [], "format": 1}}',
    '{{"frame": 1e999, "source": "a", "detections": []}}',
    '{{"images": [{{"id": {many}}}], "annotations": [], "categories": []}}',
    '{{"format": "ssd-edge/eval/1", "metric": "voc", "iou_threshold": {long}, "images": 1e999}}',
    "<annotation><object><name>a</name><bndbox><xmin>{many}</xmin></bndbox></object></annotation>",
    "\x93NUMPY\x01\x00{many}",
)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reader", READERS)
def test_hostile_text_is_one_named_error(tmp_path: Path, reader: str, shape: str) -> None:
    draw = random.Random(f"{reader} {shape}")
    name, read = READERS[reader]
    depth, kind = (
        draw.choice(DEPTHS),
        {"annotation": "xml", "board": "toml"}.get(reader, draw.choice(["json", "object"])),
    )
    text = shape.format(
        deep=_deep(kind, depth),
        many="9" * draw.randint(4_400, 9_000),
        long="1" * draw.randint(400, 4_000),
    )
    (tmp_path / name).write_text(text)
    with pytest.raises(SsdEdgeError):
        read(tmp_path / name)
