from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ssd_edge.core.artifact import Format, parse_artifact, read_artifact
from ssd_edge.core.errors import ArtifactError

FORM = Format("ssd-edge/thing/2", "thing", "Create it again: ssd-edge make")


@dataclass(frozen=True)
class Part:
    low: float
    pair: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        if self.low < 0:
            raise ArtifactError("low is out of range", got=str(self.low))


@dataclass(frozen=True)
class Thing:
    name: str
    parts: dict[str, Part]
    count: int = 1
    format: str = FORM.tag


WHOLE: dict[str, Any] = {"format": FORM.tag, "name": "a", "parts": {"x": {"low": 1, "pair": [2, 3]}}, "count": 4}


def parsed(fields: object, **options: Any) -> Thing:
    return parse_artifact(json.dumps(fields), Thing, FORM, origin="t.json", **options)


def refusal(fields: object) -> ArtifactError:
    with pytest.raises(ArtifactError) as caught:
        parsed(fields)
    return caught.value


def test_types_at_any_depth() -> None:
    assert parsed(WHOLE) == Thing("a", {"x": Part(1.0, (2.0, 3.0))}, 4)
    assert parsed({**WHOLE, "parts": {"x": {"low": float("inf")}}}).parts["x"].low == float("inf")


@pytest.mark.parametrize(
    ("change", "got"),
    [
        ({"name": 5}, "$.name"),
        ({"count": True}, "$.count"),
        ({"count": 1.5}, "$.count"),
        ({"parts": {"x": {"low": "1"}}}, "$.parts[...].low"),
        ({"parts": {"x": {"low": 1, "pair": [1]}}}, "length 2"),
        ({"parts": {"x": {"low": -1}}}, "low is out of range"),
        ({"more": 1}, "unknown field 'more'"),
        ({"parts": {"x": {"low": 1, "hihg": 2}}}, "unknown field 'parts.hihg'"),
    ],
)
def test_what_is_damaged_is_named_with_its_place(change: dict[str, Any], got: str) -> None:
    error = refusal({**WHOLE, **change})
    assert "t.json is a damaged thing" in error.what
    assert got in error.got
    assert (error.wanted, error.do) == (FORM.tag, FORM.do)


def test_a_missing_field_is_damage_unless_files_of_this_version_may_lack_it() -> None:
    less = {name: value for name, value in WHOLE.items() if name != "count"}
    assert refusal(less).got == "missing field 'count'"
    assert parsed(less, optional=frozenset({"count"})).count == 1


@pytest.mark.parametrize(
    "text", ["", "[]", "7", "{", "[" * 200_000, '{"format": "ssd-edge/thing/2", "name": "\\ud800"']
)
def test_text_that_is_no_object_is_damaged(text: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        parse_artifact(text, Thing, FORM, origin="t.json")
    assert "damaged" in caught.value.what
    assert len(caught.value.got) <= 300


@pytest.mark.parametrize("tag", [None, "ssd-edge/other/2", "ssd-edge/thing/1", 7, ["ssd-edge/thing/2"]])
def test_a_foreign_or_older_file_says_how_to_make_one(tag: object) -> None:
    error = refusal({**WHOLE, "format": tag})
    assert "of this version" in error.what
    assert error.do == FORM.do


def test_a_newer_file_says_so() -> None:
    error = refusal({**WHOLE, "format": "ssd-edge/thing/3"})
    assert (error.got, error.wanted) == ("'ssd-edge/thing/3'", FORM.tag)
    assert "newer" in error.do


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError) as caught:
        read_artifact(tmp_path / "none.json", Thing, FORM)
    assert "cannot be read (No such file or directory)" in caught.value.what
    assert caught.value.wanted == "a thing"


def test_a_field_with_a_format_of_its_own() -> None:
    made = parsed({**WHOLE, "parts": "text"}, parts={"parts": lambda text: {text: Part(0.0)}})
    assert made.parts == {"text": Part(0.0)}
