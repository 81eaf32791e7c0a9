from __future__ import annotations

import json

import numpy as np
import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.importing.graphs.box_table import read_box_table
from tests.importing.graphs.foreign_net import anchor_table

LEVEL = {"rows": 4, "cols": 4, "step": [0.25, 0.25], "sizes": [[0.5, 0.5]]}


def test_a_table_in_float64_is_read(tmp_path):
    np.save(tmp_path / "a.npy", anchor_table().astype(np.float64))
    table = read_box_table(tmp_path / "a.npy")
    assert table.boxes.dtype == np.float32
    np.testing.assert_array_equal(table.boxes, anchor_table())


@pytest.mark.parametrize("wrap", [lambda fields: fields, lambda fields: {"name": "m", "anchors": fields}])
def test_levels_are_laid_out(wrap, tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(wrap({"levels": [LEVEL], "clip": "centre"})))
    np.testing.assert_allclose(read_box_table(tmp_path / "a.json").boxes, anchor_table()[64:], atol=1e-7)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"1,2,3,4", "a.csv is not an anchors file: wanted a .npy or .json file. Save"),
        ("a.npy", None, "a.npy cannot be read .No such file"),
        ("a.npy", b"hello", "a.npy contains no table of anchors: got "),
        ("a.npy", b"", "a.npy contains no table of anchors: got "),
        ("a.json", b"{", "a.json contains no table of anchors: got "),
        ("a.json", b"[]", "a.json contains no table of anchors: got "),
        ("a.json", b"{}", "a.json contains no table of anchors: got .*`levels`"),
        ("a.json", b'{"levels": [{"rows": 1}]}', "got .*; wanted .N, 4. numbers, or levels with rows"),
        ("a.json", b'{"levels": []}', "a.json contains no table of anchors: got "),
    ],
)
def test_other_files_are_refused(name, content, message, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_box_table(tmp_path / name)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (anchor_table()[:, :3], r"got float32 \(80, 3\)"),
        (anchor_table()[:0], r"got float32 \(0, 4\)"),
        (np.zeros((80, 4), np.int64), r"got int64 \(80, 4\)"),
        (anchor_table() * 300, "a.npy are not fractions of the image: got numbers from 18.75 to 281.25;.* divide"),
        (anchor_table() * np.nan, "a.npy are not fractions of the image"),
        (anchor_table() * [1, 1, 0, 1], "not in center form: got row 0 has width 0 and height 0.25; wanted cx cy w h"),
    ],
)
def test_other_tables_are_refused(table, message, tmp_path):
    np.save(tmp_path / "a.npy", table)
    with pytest.raises(InputError, match=message):
        read_box_table(tmp_path / "a.npy")


def test_a_pickle_in_a_table_is_not_run(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="a.npy contains no table of anchors: got Object arrays"):
        read_box_table(tmp_path / "a.npy")
