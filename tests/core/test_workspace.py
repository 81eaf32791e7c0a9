from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path

import pytest

from ssd_edge.core.errors import ArtifactError, InputError, MissingPackageError
from ssd_edge.core.manifest import manifest_path
from ssd_edge.core.runs import RECORD_NAME
from ssd_edge.core.workspace import (
    Check,
    last_built_engine,
    newest_checkpoint,
    newest_engine,
    newest_model,
    newest_onnx,
)
from ssd_edge.core.workspace_records import (
    CURRENT_NAME,
    EXPORTED_NAME,
    current_path,
    make_current,
    read_current,
    set_exported,
)
from tests.core.factories import tiny_spec
from tests.core.workspace_files import engine, put


def run(root: Path, name: str, day: int = 0) -> Path:
    """A run whose checkpoint was saved on a day of January; on none where that is 0."""
    best = put(root / f"runs/{name}/best.pt")
    if day:
        record = {"format": "ssd-edge/run/1", "saved_at": f"2026-01-{day:02}T00:00:00+00:00", "origin": "trained"}
        best.with_name(RECORD_NAME).write_text(json.dumps(record))
    return best


def only(text: str) -> Check:
    """A check that engines pass whose name holds a text."""

    def check(path: Path) -> None:
        if text not in path.name:
            raise ArtifactError(f"{path} is foreign", got="an Orin", wanted="a desk", do="Build it here.")

    return check


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


def test_an_export_that_is_gone_is_named_and_no_other_model_takes_its_place(tmp_path: Path) -> None:
    other, last = put(tmp_path / "engines/a/a.onnx"), put(tmp_path / "engines/b/b.onnx")
    set_exported(tmp_path, last)
    last.unlink()
    with pytest.raises(InputError, match=r"b\.onnx, the model that was exported last, does not exist any more") as gone:
        newest_onnx(tmp_path)
    assert gone.value.got == f"other exported models: {other}"
    do = "Export it again: ssd-edge export {}. Or name another model, for example: ssd-edge build {}"
    assert gone.value.do == do.format("CHECKPOINT", other)
    best = run(tmp_path, "b")
    with pytest.raises(InputError) as gone:
        newest_onnx(tmp_path)
    assert gone.value.do == do.format(best, other)
    other.unlink()
    with pytest.raises(InputError) as gone:
        newest_onnx(tmp_path)
    assert gone.value.do == "Export one: ssd-edge export"


def test_without_a_note_the_model_of_the_newest_engine_is_taken(tmp_path: Path) -> None:
    put(tmp_path / "engines/m/a.onnx")
    wanted = put(tmp_path / "engines/m/b.onnx")
    engine(tmp_path, "a", day=1, onnx="a.onnx")
    engine(tmp_path, "b", day=2, onnx="b.onnx")
    assert newest_onnx(tmp_path).path == wanted


def test_unusable_engines_are_passed_over(tmp_path: Path) -> None:
    usable = engine(tmp_path, "m.fp32.onnxruntime", day=1)
    make_current(tmp_path, engine(tmp_path, "m.fp32.tensorrt", day=2), "built")
    assert newest_engine(tmp_path, only("onnxruntime")).path == usable


def test_without_a_current_engine_the_manifests_say_which_is_the_newest(tmp_path: Path) -> None:
    newest = engine(tmp_path, "a", day=2)
    engine(tmp_path, "b", day=1)
    put(tmp_path / "engines/m/c.engine")  # without a manifest
    assert newest_engine(tmp_path).note == f"using {newest}, newest of 3"


def test_another_engine_of_the_same_model_takes_the_place_with_the_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "ssd_edge")
    pinned, built = engine(tmp_path, "a", day=2), engine(tmp_path, "b", day=1)
    engine(tmp_path, "bird", day=3, folder="birds", spec=tiny_spec(name="birds"))
    make_current(tmp_path, pinned, "pinned")
    choice = newest_model(tmp_path, only("b"))
    choice.log()
    assert choice.path == built
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert caplog.messages == [
        f"the current engine (pinned by ssd-edge use) cannot be used: {pinned} is foreign: got an Orin; wanted a desk. "
        "Build it here.",
        f"using {built}, of the same model",
    ]
    assert newest_engine(tmp_path).note == f"using {pinned}, pinned by ssd-edge use"
    assert newest_engine(tmp_path).warning == ""


@pytest.mark.parametrize("left", ["engine", "manifest", "nothing"])
def test_the_onnx_of_the_same_model_takes_the_place_of_its_engine(tmp_path: Path, left: str) -> None:
    current, onnx = engine(tmp_path, "tiny.tensorrt", day=1), put(tmp_path / "engines/m/tiny.onnx")
    put(tmp_path / "engines/m/tiny.int8.tensorrt.onnx")
    engine(tmp_path, "bird.onnxruntime", day=3, folder="birds", spec=tiny_spec(name="birds"))
    set_exported(tmp_path, put(tmp_path / "engines/birds/birds.onnx"))
    make_current(tmp_path, current, "built")
    if left != "engine":
        current.unlink()
    if left == "nothing":
        manifest_path(current).unlink()
    choice = newest_model(tmp_path, only("onnxruntime"))
    assert (choice.path, choice.note) == (onnx, f"using {onnx}, of the same model")
    fault = (
        "is foreign: got an Orin"
        if left == "engine"
        else f"does not exist. Build the engine again: ssd-edge build {onnx}"
    )
    assert choice.warning.startswith(f"the current engine (built last) cannot be used: {current} {fault}")


@pytest.mark.parametrize("left", ["engine", "manifest", "nothing"])
def test_no_other_model_takes_the_place_of_the_current_engine(tmp_path: Path, left: str) -> None:
    current = engine(tmp_path, "a.tensorrt", day=1, folder="tiny")
    other = engine(tmp_path, "bird.onnxruntime", day=3, folder="birds", spec=tiny_spec(name="birds"))
    set_exported(tmp_path, put(tmp_path / "engines/birds/birds.onnx"))
    best = run(tmp_path, "tiny")
    make_current(tmp_path, current, "built")
    if left != "engine":
        current.unlink()
    if left == "nothing":
        manifest_path(current).unlink()
    for choose in (newest_model, newest_engine):
        with pytest.raises(InputError) as refused:
            choose(tmp_path, only("onnxruntime"))
        assert refused.value.what == "the current engine (built last) cannot be used"
        fault = "is foreign: got an Orin; wanted a desk" if left == "engine" else "does not exist"
        assert refused.value.got == f"{current} {fault}"
        assert refused.value.do == (
            f"Export its model and build the engine again: ssd-edge export {best}, then ssd-edge build. "
            f"Or use another: ssd-edge use {other}"
        )


def test_the_remedy_for_a_runtime_that_is_missing_is_its_own(tmp_path: Path) -> None:
    make_current(tmp_path, engine(tmp_path, "a", day=1), "built")

    def check(path: Path) -> None:
        raise MissingPackageError(f"{path} needs openvino", do="Install it: pip install openvino.")

    with pytest.raises(InputError, match=r"a\.engine needs openvino\. Install it: pip install openvino\.$"):
        newest_model(tmp_path, check)


def test_a_model_of_the_same_name_in_another_folder_is_another_model(tmp_path: Path) -> None:
    current = engine(tmp_path, "a", day=1)
    same = engine(tmp_path, "b", day=2, folder="copy")
    engine(tmp_path, "c", day=3, folder="m-v2", onnx_digest="sha256:" + "2" * 64)
    make_current(tmp_path, current, "built")
    current.unlink()
    assert newest_engine(tmp_path).path == same
    same.unlink()
    with pytest.raises(InputError, match="the current engine .* cannot be used"):
        newest_engine(tmp_path)


def test_a_stale_engine_takes_no_place_that_the_onnx_can_take(tmp_path: Path) -> None:
    current, stale = engine(tmp_path, "a", day=1), engine(tmp_path, "b", day=2)
    onnx = put(tmp_path / "engines/m/tiny.onnx")
    onnx.write_bytes(b"exported again")
    make_current(tmp_path, current, "built")
    current.unlink()
    assert stale.is_file()
    assert newest_model(tmp_path, only("")).path == onnx


def test_where_none_can_be_used_the_engines_are_named_with_a_reason(tmp_path: Path) -> None:
    first, last = engine(tmp_path, "a", day=1), engine(tmp_path, "b", day=2)
    with pytest.raises(InputError, match="no engine can be used here") as refused:
        last_built_engine(tmp_path, only("desk"))
    assert refused.value.got == f"{first}, {last}; {last} is foreign: got an Orin; wanted a desk"


def test_where_no_engine_is_current_the_newest_that_can_be_used_is_taken_or_the_newest_onnx(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "ssd_edge")
    onnx, usable = put(tmp_path / "engines/m/m.onnx"), engine(tmp_path, "m.onnxruntime", day=1)
    engine(tmp_path, "m.tensorrt", day=2)
    assert newest_model(tmp_path, only("onnxruntime")).note == f"using {usable}"
    assert newest_model(tmp_path, only("openvino")).note == f"using {onnx}"
    assert caplog.messages == [f"no engine for this machine in engines/; to build one: ssd-edge build {onnx}"]


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
    assert newest_engine(tmp_path, only("onnxruntime")).path == other
    engine.unlink()
    assert newest_engine(tmp_path).path == other


def test_a_workspace_that_has_a_checkpoint_only_is_told_to_export_it(tmp_path: Path) -> None:
    run(tmp_path, "a", day=1)
    with pytest.raises(InputError) as absent:
        newest_onnx(tmp_path)
    assert absent.value.do == "Export one: ssd-edge export"


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "\ud800", "ring"])
def test_names_in_notes_that_no_file_can_have_lead_nowhere(tmp_path: Path, name: str) -> None:
    put(tmp_path / "engines/m/m.onnx")
    built = engine(tmp_path, "a", day=1)
    (tmp_path / "engines/ring").symlink_to("ring")
    for note, field in ((CURRENT_NAME, "engine"), (EXPORTED_NAME, "onnx")):
        fields = {"format": f"ssd-edge/{note.removesuffix('.json')}/1", field: name, "at": "2026-01-01T00:00:00+00:00"}
        if note == CURRENT_NAME:
            fields["why"] = "pinned"
        (tmp_path / "engines" / note).write_text(json.dumps(fields))
    with pytest.raises(InputError, match=r"the model that was exported last, does not exist any more.*m\.onnx"):
        newest_onnx(tmp_path)
    with pytest.raises(
        InputError, match=r"the current engine \(pinned by .* cannot be used: .* does not exist"
    ) as gone:
        newest_model(tmp_path, only(""))
    assert gone.value.do.endswith(f"Or use another: ssd-edge use {built}")
    made = make_current(tmp_path, built, "built")
    assert made is not None
    assert (made.engine, made.why) == ("m/a.engine", "built")
