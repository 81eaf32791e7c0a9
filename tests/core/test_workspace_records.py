from __future__ import annotations

import os
from pathlib import Path

import pytest

from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.workspace import newest_engine
from ssd_edge.core.workspace_records import (
    CURRENT_NAME,
    EXPORTED_NAME,
    check_note,
    clear_current,
    current_path,
    make_current,
    refuse_record,
    set_exported,
)
from tests.core.workspace_files import engine, put


def test_what_is_pinned_stays_when_another_engine_is_built(tmp_path: Path) -> None:
    pinned = put(tmp_path / "engines/m/m.int8.onnxruntime.engine")
    other = put(tmp_path / "engines/m/m.fp32.onnxruntime.engine")
    make_current(tmp_path, pinned, "pinned")
    held = make_current(tmp_path, other, "built")
    assert held is not None
    assert (held.why, newest_engine(tmp_path).path) == ("pinned", pinned)
    make_current(tmp_path, other, "pinned")
    assert newest_engine(tmp_path).path == other
    other.unlink()  # a pin that leads nowhere holds nothing
    held = make_current(tmp_path, pinned, "built")
    assert held is not None
    assert held.why == "built"


def test_a_record_is_told_from_other_files_and_says_what_it_names(tmp_path: Path) -> None:
    made, onnx = engine(tmp_path, "current", day=1), put(tmp_path / "engines/m/my model.onnx")
    make_current(tmp_path, made, "built")
    set_exported(tmp_path, onnx)
    refuse_record(made.with_suffix(".json"), "Look:")  # the manifest of an engine of that name
    for name, what, named in (
        (CURRENT_NAME, "current engine", str(made)),
        (EXPORTED_NAME, "exported model", f"'{onnx}'"),
    ):
        with pytest.raises(InputError) as refused:
            refuse_record(tmp_path / "engines" / name, "Look:")
        assert refused.value.what == f"{tmp_path / 'engines' / name} is the workspace's record of the {what}"
        assert refused.value.do == f"Look: {named}"
    current_path(tmp_path).write_text("{}")
    with pytest.raises(ArtifactError, match="is not a record of the current engine"):
        refuse_record(current_path(tmp_path), "Look:")


def test_an_engine_elsewhere_is_never_current(tmp_path: Path) -> None:
    engine = put(tmp_path / "elsewhere/m.engine")
    assert make_current(tmp_path, engine, "built") is None
    assert not current_path(tmp_path).exists()


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"format": "ssd-edge/current/1", "engine": 5}'])
def test_a_damaged_record_is_named_and_a_build_writes_it_anew(tmp_path: Path, text: str) -> None:
    engine = put(tmp_path / "engines/m/m.engine")
    current_path(tmp_path).write_text(text)
    with pytest.raises(ArtifactError, match=r"current\.json is (a damaged|not a) record of the current engine"):
        newest_engine(tmp_path)
    make_current(tmp_path, engine, "built")
    assert newest_engine(tmp_path).path == engine


def test_a_record_that_cannot_be_removed_is_named(tmp_path: Path) -> None:
    make_current(tmp_path, engine(tmp_path, "a", day=1), "pinned")
    clear_current(tmp_path)
    clear_current(tmp_path)  # nothing is pinned: nothing to do
    assert not current_path(tmp_path).exists()
    current_path(tmp_path).mkdir()
    with pytest.raises(InputError, match=rf"{current_path(tmp_path).name} cannot be removed"):
        clear_current(tmp_path)


@pytest.mark.parametrize(("name", "other"), [(CURRENT_NAME, EXPORTED_NAME), (EXPORTED_NAME, CURRENT_NAME)])
@pytest.mark.parametrize("made", [None, "engines/m/m", "engines/../engines/m"])
def test_a_note_that_cannot_be_written_is_found_beforehand(
    tmp_path: Path, name: str, other: str, made: str | None
) -> None:
    path = None if made is None else tmp_path / made
    check_note(tmp_path, name, path)
    place = tmp_path / "engines" / name
    place.mkdir(parents=True)
    with pytest.raises(InputError, match=rf"{name} is a folder.*Remove"):
        check_note(tmp_path, name, path)
    check_note(tmp_path, other, path)
    place.rmdir()
    os.mkfifo(place)
    with pytest.raises(InputError, match=f"{name} is not a regular file"):
        check_note(tmp_path, name, path)


@pytest.mark.parametrize("made", ["m.onnx", "engines/../m.onnx", "ring", "a\0b"])
def test_what_lies_outside_of_engines_needs_no_note(tmp_path: Path, made: str) -> None:
    (tmp_path / "engines" / EXPORTED_NAME).mkdir(parents=True)
    (tmp_path / "ring").symlink_to("ring")
    check_note(tmp_path, EXPORTED_NAME, tmp_path / made)
