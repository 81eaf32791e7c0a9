from __future__ import annotations

import json
from pathlib import Path

import pytest

from ssd_edge.core.calibration_table import CalibrationTable, Histogram, TensorRange, preprocessing_digest
from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.files import file_digest
from ssd_edge.core.spec import InputSpec

ENTRY = InputSpec(64, 64, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "rgb")


def table(onnx: Path) -> CalibrationTable:
    ranges = {"a": TensorRange(0.0, 5.5, Histogram(0.0, 6.0, (3, 0, 9))), "b": TensorRange(-1.25, 0.1)}
    return CalibrationTable("m", file_digest(onnx), preprocessing_digest(ENTRY), ("sha256:i",) * 8, "minmax", ranges)


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    (tmp_path / "m.onnx").write_bytes(b"graph")
    return tmp_path / "m.onnx"


def test_survives_its_file(tmp_path: Path, onnx: Path) -> None:
    table(onnx).save(tmp_path / "m.ranges.json")
    found = CalibrationTable.load(tmp_path / "m.ranges.json")
    assert found == table(onnx)
    assert found.digest == table(onnx).digest
    assert found.ranges["b"].amax == 1.25


def test_belongs_to_one_onnx_and_one_preprocessing(tmp_path: Path, onnx: Path) -> None:
    made, path = table(onnx), tmp_path / "m.ranges.json"
    made.refuse_if_foreign(path, onnx, file_digest(onnx), ENTRY)
    other = InputSpec(64, 64, (1.0, 0.0, 0.0), (1.0, 1.0, 1.0), "rgb")
    with pytest.raises(ArtifactError, match="does not belong to the preprocessing of the model"):
        made.refuse_if_foreign(path, onnx, file_digest(onnx), other)
    onnx.write_bytes(b"edited")
    with pytest.raises(
        ArtifactError, match=r"m.ranges.json does not belong to the current .*m.onnx.*ssd-edge calibrate /.*m.onnx$"
    ):
        made.refuse_if_foreign(path, onnx, file_digest(onnx), ENTRY)


def test_damaged_or_missing(tmp_path: Path, onnx: Path) -> None:
    path = tmp_path / "m.ranges.json"
    with pytest.raises(ArtifactError, match="cannot be read"):
        CalibrationTable.load(path)
    table(onnx).save(path)
    whole = path.read_text()
    fields = json.loads(whole)
    fields["ranges"]["a"]["low"] = 9
    for text in (whole[: len(whole) // 2], "[]", "{}", json.dumps({**fields})):
        path.write_text(text)
        with pytest.raises(ArtifactError, match="is (a damaged|not a) calibration table"):
            CalibrationTable.load(path)


def test_a_table_of_the_format_before_is_refused_by_name(tmp_path: Path, onnx: Path) -> None:
    """It does not say which images nothing may be evaluated on."""
    path = tmp_path / "m.ranges.json"
    table(onnx).save(path)
    path.write_text(path.read_text().replace("ranges/2", "ranges/1"))
    with pytest.raises(ArtifactError) as caught:
        CalibrationTable.load(path)
    assert str(caught.value) == (
        f"{path} is not a calibration table of this version: got 'ssd-edge/ranges/1'; wanted ssd-edge/ranges/2. "
        "Create it again: ssd-edge calibrate"
    )


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("model",), 5), (("images",), "many"), (("images",), [True]), (("method",), "median"),
        (("method",), []), (("ranges",), {}), (("ranges",), []), (("ranges", "b", "low"), True),
        (("ranges", "b", "low"), "0"), (("ranges", "b", "low"), float("nan")), (("ranges", "b", "high"), 1e39),
        (("ranges", "b", "high"), 10**400), (("ranges", "a", "histogram", "counts"), ["a"]),
        (("ranges", "a", "histogram", "counts"), [-1]), (("ranges", "a", "histogram", "low"), float("nan")),
    ],
)  # fmt: skip
def test_fields_that_are_none(tmp_path: Path, onnx: Path, place: tuple[str, ...], value: object) -> None:
    path = tmp_path / "m.ranges.json"
    table(onnx).save(path)
    fields = json.loads(path.read_text())
    holder = fields
    for name in place[:-1]:
        holder = holder[name]
    holder[place[-1]] = value
    path.write_text(json.dumps(fields))
    with pytest.raises(ArtifactError, match=r"m\.ranges\.json is a damaged calibration table: got "):
        CalibrationTable.load(path)


def test_endless_nesting(tmp_path: Path) -> None:
    (tmp_path / "m.ranges.json").write_text("[" * 100_000)
    with pytest.raises(ArtifactError, match="is a damaged calibration table: got .*recursion"):
        CalibrationTable.load(tmp_path / "m.ranges.json")


def test_no_range() -> None:
    with pytest.raises(ArtifactError, match="a range is invalid"):
        TensorRange(2, 1)
    with pytest.raises(ArtifactError, match="a range is invalid"):
        TensorRange(0, float("nan"))
