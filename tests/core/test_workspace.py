from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path

import pytest

from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.manifest import manifest_path
from ssd_edge.core.runs import RECORD_NAME
from ssd_edge.core.workspace import (
    CURRENT_NAME,
    EXPORTED_NAME,
    check_note,
    clear_current,
    current_path,
    make_current,
    newest_checkpoint,
    newest_engine,
    newest_onnx,
    read_current,
    set_exported,
)
from tests.core.factories import manifest


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def run(root: Path, name: str, day: int = 0) -> Path:
    """A run whose checkpoint was saved on a day of January; on none where that is 0."""
    best = put(root / f"runs/{name}/best.pt")
    if day:
        record = {"format": "ssd-edge/run/1", "saved_at": f"2026-01-{day:02}T00:00:00+00:00", "origin": "trained"}
        best.with_name(RECORD_NAME).write_text(json.dumps(record))
    return best


def engine(root: Path, name: str, day: int, **changes: object) -> Path:
    """An engine that was built on a day of January."""
    path = put(root / f"engines/m/{name}.engine")
    manifest(built_at=f"2026-01-{day:02}T00:00:00+00:00", **changes).save(manifest_path(path))
    return path


def test_the_checkpoint_that_was_saved_last_is_chosen_and_said(tmp_path: Path) -> None:
    newest = run(tmp_path, "a", day=9)
    run(tmp_path, "b", day=1)
    run(tmp_path, "c")  # says no date: an older version trained it
    put(tmp_path / "runs/newest/last.pt")
    choice = newest_checkpoint(tmp_path)
    assert choice.path == newest
    assert choice.note == f"using {newest}, newest of 3"


def test_a_run_of_an_older_version_says_by_its_curves_when_it_began(tmp_path: Path) -> None:
    for name, second in (("old", 1_700_000_000), ("new", 1_700_000_100)):
        run(tmp_path, name)
        put(tmp_path / f"runs/{name}/tensorboard/events.out.tfevents.{second}.host.1.0")
    assert newest_checkpoint(tmp_path).path.parent.name == "new"


def test_checkpoints_without_a_date_are_not_guessed_among(tmp_path: Path) -> None:
    only = run(tmp_path, "a")
    assert newest_checkpoint(tmp_path).note == f"using {only}"
    last = run(tmp_path, "b")
    with pytest.raises(
        InputError, match=f"of 2 checkpoints is unknown.*Choose one, for example: ssd-edge export {last}"
    ):
        newest_checkpoint(tmp_path)


def test_single_file_is_said_without_a_count(tmp_path: Path) -> None:
    path = put(tmp_path / "engines/m/m.onnx")
    assert newest_onnx(tmp_path).note == f"using {path}"


def test_the_model_that_was_exported_last_is_taken(tmp_path: Path) -> None:
    first, last = put(tmp_path / "engines/a/a.onnx"), put(tmp_path / "engines/b/b.onnx")
    with pytest.raises(InputError, match="of 2 exported models is unknown.*Choose one, for example: ssd-edge build"):
        newest_onnx(tmp_path)
    set_exported(tmp_path, first)
    assert newest_onnx(tmp_path).path == first
    set_exported(tmp_path, last)
    set_exported(tmp_path, tmp_path / "elsewhere.onnx")
    assert newest_onnx(tmp_path).note == f"using {last}, newest of 2"
    last.unlink()
    assert newest_onnx(tmp_path).path == first


def test_without_a_note_the_model_of_the_newest_engine_is_taken(tmp_path: Path) -> None:
    put(tmp_path / "engines/m/a.onnx")
    wanted = put(tmp_path / "engines/m/b.onnx")
    engine(tmp_path, "a", day=1, onnx="a.onnx")
    engine(tmp_path, "b", day=2, onnx="b.onnx")
    assert newest_onnx(tmp_path).path == wanted


def test_unusable_engines_are_passed_over(tmp_path: Path) -> None:
    usable = engine(tmp_path, "m.fp32.onnxruntime", day=1)
    make_current(tmp_path, engine(tmp_path, "m.fp32.tensorrt", day=2), "built")
    assert newest_engine(tmp_path, lambda path: "onnxruntime" in path.name).path == usable


def test_without_a_current_engine_the_manifests_say_which_is_the_newest(tmp_path: Path) -> None:
    newest = engine(tmp_path, "a", day=2)
    engine(tmp_path, "b", day=1)
    put(tmp_path / "engines/m/c.engine")  # without a manifest
    assert newest_engine(tmp_path).note == f"using {newest}, newest of 3"


def test_a_pinned_engine_that_cannot_be_used_here_is_named(tmp_path: Path) -> None:
    pinned, built = engine(tmp_path, "a", day=2), engine(tmp_path, "b", day=1)
    make_current(tmp_path, pinned, "pinned")
    choice = newest_engine(tmp_path, lambda path: path == built)
    assert choice.note == f"{pinned} is pinned and cannot be used here; using {built}"
    assert newest_engine(tmp_path).note == f"using {pinned}, pinned by ssd-edge use"


def test_a_copied_workspace_chooses_the_same_files(tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    for day, name in enumerate(("b", "c", "a"), start=1):
        run(root, name, day=day)
        engine(root, f"{name}.int8.onnxruntime", day=day)
        put(root / f"engines/m/{name}.onnx")
    engine(root, "other", day=9)
    set_exported(root, root / "engines/m/b.onnx")
    make_current(root, root / "engines/m/c.int8.onnxruntime.engine", "built")
    chosen = [choose(root).path.relative_to(root) for choose in (newest_checkpoint, newest_onnx, newest_engine)]
    assert list(map(str, chosen)) == ["runs/a/best.pt", "engines/m/b.onnx", "engines/m/c.int8.onnxruntime.engine"]
    copy = tmp_path / "copy"
    shutil.copytree(root, copy, copy_function=shutil.copyfile)
    shuffled = random.Random(0)
    for path in copy.rglob("*"):
        os.utime(path, (shuffled.randrange(10**9),) * 2)
    again = [choose(copy).path.relative_to(copy) for choose in (newest_checkpoint, newest_onnx, newest_engine)]
    assert again == chosen


def test_what_a_killed_process_left_half_written_is_passed_over(tmp_path: Path) -> None:
    whole = put(tmp_path / "engines/m/m.onnx")
    put(tmp_path / "engines/m/.m.4711.partial.onnx")
    assert newest_onnx(tmp_path).path == whole


@pytest.mark.parametrize(
    ("choose", "do"),
    [
        (newest_checkpoint, "Train one: ssd-edge train"),
        (newest_onnx, "ssd-edge import --from torchvision:.*ssd-edge train"),
        (newest_engine, "Build one: ssd-edge build"),
    ],
)
def test_empty_workspace_names_the_command(tmp_path: Path, choose: object, do: str) -> None:
    with pytest.raises(InputError, match=do):
        choose(tmp_path)  # type: ignore[operator]


def test_the_current_engine_is_taken_whatever_the_file_times_say(tmp_path: Path) -> None:
    engine = put(tmp_path / "engines/m/m.fp32.onnxruntime.engine")
    put(tmp_path / "engines/m/m.int8.onnxruntime.engine")
    assert make_current(tmp_path, engine, "built") == read_current(tmp_path)
    assert newest_engine(tmp_path).path == engine
    copied = tmp_path / "copied"
    shutil.copytree(tmp_path / "engines", copied / "engines")
    choice = newest_engine(copied)
    assert choice.path == copied / "engines/m/m.fp32.onnxruntime.engine"
    assert choice.note == f"using {choice.path}, built last"
    fields = json.loads(current_path(tmp_path).read_text())
    assert (fields["format"], fields["engine"]) == ("ssd-edge/current/1", "m/m.fp32.onnxruntime.engine")


def test_a_current_engine_that_cannot_run_here_or_is_gone_is_passed_over(tmp_path: Path) -> None:
    other = put(tmp_path / "engines/m/m.fp32.onnxruntime.engine")
    engine = put(tmp_path / "engines/m/m.fp32.tensorrt.engine")
    make_current(tmp_path, engine, "built")
    assert newest_engine(tmp_path, lambda path: "onnxruntime" in path.name).path == other
    engine.unlink()
    assert newest_engine(tmp_path).path == other


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


def test_a_workspace_that_has_a_checkpoint_only_is_told_to_export_it(tmp_path: Path) -> None:
    run(tmp_path, "a", day=1)
    with pytest.raises(InputError) as absent:
        newest_onnx(tmp_path)
    assert absent.value.do == "Export one: ssd-edge export"


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


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "\ud800", "ring"])
def test_names_in_notes_that_no_file_can_have_lead_nowhere(tmp_path: Path, name: str) -> None:
    onnx, built = put(tmp_path / "engines/m/m.onnx"), engine(tmp_path, "a", day=1)
    (tmp_path / "engines/ring").symlink_to("ring")
    for note, field in ((CURRENT_NAME, "engine"), (EXPORTED_NAME, "onnx")):
        fields = {"format": f"ssd-edge/{note.removesuffix('.json')}/1", field: name, "at": "2026-01-01T00:00:00+00:00"}
        if note == CURRENT_NAME:
            fields["why"] = "pinned"
        (tmp_path / "engines" / note).write_text(json.dumps(fields))
    assert newest_onnx(tmp_path).path == onnx
    assert newest_engine(tmp_path).path == built
    made = make_current(tmp_path, built, "built")
    assert made is not None
    assert (made.engine, made.why) == ("m/a.engine", "built")
