"""Labelling: one row an image, whatever ended in between, and the same rows in any number of shards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

import ssd_edge as ssd
from ssd_edge.data.find import open_dataset
from ssd_edge.labelling import job
from ssd_edge.labelling.on_ray import Resources
from ssd_edge.workflows import label_images
from tests.backends.tiny_onnx import write_tiny_onnx
from tests.labelling.photos import box_of, write_photos, write_tar
from tests.processes import running
from tests.streaming.films import write_bright_film
from tests.test_schemas import check

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

COUNT = 21


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_tiny_onnx(tmp_path / "engines/bright/bright.onnx")
    write_photos(tmp_path / "photos", COUNT)
    return tmp_path


def rows_of(folder: Path | str) -> list[dict[str, object]]:
    """All rows, sorted by id, read without a line of ours."""
    rows = [
        row for part in sorted(Path(folder, "parts").glob("*.parquet")) for row in parquet.read_table(part).to_pylist()
    ]
    return sorted(rows, key=lambda row: str(row["id"]))


def test_each_image_has_one_row(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    events: list[ssd.ProgressEvent] = []
    result = ssd.label("photos", output="out", images_per_part=8, batch=4, progress=events.append)
    assert (result.path, result.labelled, result.left_out, result.labels) == (Path("out"), COUNT, (), None)
    assert result.model == Path("engines/bright/bright.onnx")
    assert result.images_per_second == result.labelled / result.seconds
    rows = rows_of("out")
    assert [row["id"] for row in rows] == [f"photos/{number:04d}.png" for number in range(COUNT)]
    assert all(row["path"] == str(place / str(row["id"])) for row in rows)
    assert [(row["width"], row["height"], row["error"]) for row in rows] == [(128, 64, None)] * COUNT
    np.testing.assert_allclose([row["boxes"] for row in rows], [[box_of(n)] for n in range(COUNT)], atol=2.0)
    assert {tuple(row["classes"]) for row in rows} == {("dog",)}  # type: ignore[arg-type]
    assert str(rows[0]["model"]).startswith("bright@sha256:")
    assert [event.done for event in events if event.stage == "labelling" and not event.is_over] == [0, 1, 2, 3]
    assert capfd.readouterr() == ("", "")


def test_the_summary_counts_what_is_there(place: Path) -> None:
    (place / "photos/0003.png").write_text("damaged")
    result = ssd.label("photos", output="out", batch=4)
    summary = result.summary
    assert (summary.complete, summary.images, summary.errors, summary.detections) == (True, COUNT, 1, COUNT - 1)
    assert (summary.classes["dog"].images, summary.classes["cat"].detections) == (COUNT - 1, 0)
    assert (summary.scores[15], sum(summary.scores)) == (COUNT - 1, COUNT - 1)  # all score 0.75
    assert (dict(summary.objects_per_image), summary.empty) == ({1: COUNT - 1}, 0)
    share = np.sqrt(40 * 30 / (128 * 64))
    np.testing.assert_allclose(summary.relative_sizes, share, atol=0.02)
    assert (result.left_out_count, result.left_out[0].what) == (1, "photos/0003.png")
    assert "not known here" in summary.drift.unknown
    check("label-summary-1", json.loads(result.to_json()))
    stored = json.loads((place / "out/summary.json").read_text())
    assert stored == json.loads(result.to_json())
    assert (stored["digest"], stored["run"]["images"]) == (summary.digest, COUNT)


def test_the_same_call_does_nothing_more_and_what_is_missing_is_done_again(place: Path) -> None:
    first = ssd.label("photos", output="out", images_per_part=4)
    again = ssd.label("photos", output="out", images_per_part=4)
    assert (again.labelled, again.summary) == (0, first.summary)
    (place / "out/parts/part-000002.parquet").unlink()
    (place / "out/parts/.part-000002.elsewhere.1.0a.partial").write_text("half")
    mended = ssd.label("photos", output="out", images_per_part=4)
    assert (mended.labelled, mended.summary.digest) == (4, first.summary.digest)
    assert sorted(path.suffix for path in (place / "out/parts").iterdir()) == [".parquet"] * 6


@pytest.mark.parametrize("shards", [2, 4])
def test_shards_give_the_same_rows(place: Path, shards: int) -> None:
    whole = ssd.label("photos", output="whole", images_per_part=2, batch=2)
    numbers = [(number, shards) for number in range(1, shards + 1)]
    results = [ssd.label("photos", output="out", images_per_part=2, batch=2, shard=number) for number in numbers]
    assert [result.summary.complete for result in results] == [False] * (shards - 1) + [True]
    assert results[0].summary.digest == ""
    assert sum(result.labelled for result in results) == COUNT
    assert results[-1].summary.digest == whole.summary.digest
    assert rows_of("out") == rows_of("whole")


def test_the_folder_may_lie_in_a_source_and_parts_may_have_groups(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ssd_edge.labelling.labeller._GROUP", 4)
    write_bright_film(place / "photos/film.mp4", 9)
    first = ssd.label("photos", output="photos/out", batch=4)
    assert parquet.ParquetFile(place / "photos/out/parts/part-000000.parquet").num_row_groups > 1
    assert first.summary.images == COUNT + 9
    (place / "photos/film.mp4").rename(place / "film.mp4")
    images = ssd.label("photos", output="photos/images", batch=4, format="yolo")
    again = ssd.label("photos", output="photos/images", batch=4, format="coco")
    assert (again.labelled, again.summary.digest) == (0, images.summary.digest)
    assert open_dataset(again.labels, "train", None).object_count == COUNT  # type: ignore[arg-type]


def test_two_processes_at_once_do_no_harm(place: Path) -> None:
    call = "import ssd_edge as ssd; ssd.label('photos', output='out', images_per_part=1, batch=1, threads=1)"
    with (
        running([sys.executable, "-c", call], cwd=place) as first,
        running([sys.executable, "-c", call], cwd=place) as second,
    ):
        assert (first.wait(), second.wait()) == (0, 0)
    assert [row["id"] for row in rows_of("out")] == [f"photos/{number:04d}.png" for number in range(COUNT)]
    assert ssd.label("photos", output="out", images_per_part=1, batch=1).summary.complete


def test_another_job_is_refused_by_what_differs(place: Path) -> None:
    ssd.label("photos", output="out")
    write_tiny_onnx(place / "other.onnx", shift=0.2)
    for options, word in (
        ({"score_threshold": 0.6}, "score_threshold 0.6"),
        ({"batch": 3}, "batch 3"),
        ({"model": "other.onnx"}, "model other"),
        ({"sources": ["photos", "photos/0001.png"]}, ""),
    ):
        call = {"sources": "photos", "model": None, **options}
        sources, model = call.pop("sources"), call.pop("model")
        if word:
            with pytest.raises(ssd.InputError, match=f"out contains another job.*{word}"):
                ssd.label(sources, model, output="out", **call)
        else:
            assert ssd.label(sources, model, output="out").left_out[0].why == "it was already named"
    write_photos(place / "photos", 1, first=99)
    with pytest.raises(ssd.InputError, match="images 22"):
        ssd.label("photos", output="out")
    (place / "notes").mkdir()
    (place / "notes/a.txt").touch()
    with pytest.raises(ssd.InputError, match="not empty"):
        ssd.label("photos", output="notes")
    assert [path.name for path in (place / "notes").iterdir()] == ["a.txt"]


def test_another_job_is_no_source(place: Path) -> None:
    ssd.label("photos", output="photos/first", format="yolo")
    again = ssd.label("photos", output="second")
    assert again.summary.images == COUNT
    assert [entry.what for entry in again.left_out] == ["photos/first"]
    assert ssd.label("photos/first/yolo", output="third").summary.images == COUNT


def test_others_may_list_at_the_same_time(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = job.write_plan

    def while_another_begins(*args: object, **options: object) -> object:
        monkeypatch.setattr(job, "write_plan", listed)
        assert ssd.label("photos", output="out", shard=(2, 2), images_per_part=4).summary.parts == 3
        return listed(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(job, "write_plan", while_another_begins)
    assert ssd.label("photos", output="out", shard=(1, 2), images_per_part=4).summary.complete


def test_a_damaged_part_is_named_where_errors_are_tried_again(place: Path) -> None:
    ssd.label("photos", output="out")
    (place / "out/parts/part-000000.parquet").write_text("damaged")
    with pytest.raises(ssd.ArtifactError, match="part-000000.parquet is damaged"):
        ssd.label("photos", output="out", retry_errors=True)


def test_pre_labels_that_were_corrected_are_kept_and_ids_need_no_suffix(place: Path) -> None:
    names = [f"photos/{number:04d}.png" for number in range(3)]
    table = pyarrow.table({"id": ["17", "user/1.0", "é" * 300], "path": names})
    parquet.write_table(table, place / "t.parquet")
    labels = ssd.label("t.parquet", output="out", format="yolo").labels
    assert labels is not None
    found = open_dataset(labels, "train", None)
    assert (len(found), found.object_count) == (3, 3)
    assert [sample.image.name[:12] for sample in found.samples][:2] == ["0000000-17.p", "0000001-1.0."]
    corrected = next(labels.rglob("0000000-17.txt"))
    corrected.write_text("")
    again = ssd.label("t.parquet", output="out", format="yolo")
    assert (again.labels, corrected.read_text()) == (labels, "")


def test_a_part_with_other_images_is_found(place: Path) -> None:
    ssd.label("photos", output="out", images_per_part=4)
    parts = place / "out/parts"
    (parts / "part-000001.parquet").write_bytes((parts / "part-000000.parquet").read_bytes())
    with pytest.raises(ssd.ArtifactError, match="does not contain the images of the plan"):
        ssd.label("photos", output="out", images_per_part=4)


def test_a_lost_or_damaged_plan_is_made_anew(place: Path) -> None:
    before = ssd.label("photos", output="out", images_per_part=8)
    plan = (place / "out/plan.parquet").read_bytes()
    for damage in (b"junk", None):
        (place / "out/plan.parquet").unlink()
        if damage is not None:
            (place / "out/plan.parquet").write_bytes(damage)
        (place / "out/parts/part-000001.parquet").unlink()
        again = ssd.label("photos", output="out", images_per_part=8)
        assert (again.labelled, again.summary.digest) == (8, before.summary.digest)
        assert (place / "out/plan.parquet").read_bytes() == plan


@pytest.mark.parametrize("name", ["part-0.parquet", "part-000009.parquet", "copy.parquet"])
def test_a_file_beside_the_parts_that_would_double_rows_is_refused(place: Path, name: str) -> None:
    ssd.label("photos", output="out", images_per_part=8)
    parts = place / "out/parts"
    (parts / name).write_bytes((parts / "part-000000.parquet").read_bytes())
    with pytest.raises(ssd.ArtifactError, match=rf"{name} is no part of this job: .*Move them away"):
        ssd.label("photos", output="out", images_per_part=8)
    (parts / name).unlink()
    assert ssd.label("photos", output="out", images_per_part=8).labelled == 0


def test_pre_labels_have_names_of_one_line(place: Path) -> None:
    names = pyarrow.table({"path": ["photos/0000.png"], "id": ["a\nb\x1b[31m"]})
    parquet.write_table(names, place / "t.parquet")
    labels = ssd.label("t.parquet", output="out", format="voc").labels
    assert labels is not None
    assert [path.name for path in labels.rglob("*.png")] == ["0000000-a_b_[31m.png"]
    assert len(open_dataset(labels, "train", None)) == 1


def test_tars_and_videos_beside_folders(place: Path) -> None:
    write_tar(place / "shard.tar", write_photos(place / "more", 3, first=50))
    write_bright_film(place / "film.mp4", 5)
    result = ssd.label(["shard.tar", "film.mp4", "more"], output="out", every=2)
    rows = rows_of("out")
    assert [row["id"] for row in rows] == [
        *(f"film.mp4#{number:06d}" for number in (0, 2, 4)),
        *(f"more/{number:04d}.png" for number in (50, 51, 52)),
        *(f"shard.tar/{number:04d}.png" for number in (50, 51, 52)),
    ]
    assert result.summary.images == 9
    assert [row["boxes"] for row in rows[3:6]] == [row["boxes"] for row in rows[6:]]
    np.testing.assert_allclose(rows[0]["boxes"], [[0, 0, 32, 32]], atol=2.0)
    with pytest.raises(ssd.InputError, match="videos, whose frames are not files"):
        ssd.label(["film.mp4"], output="other", format="coco")


@pytest.mark.parametrize("layout", ["coco", "yolo", "voc"])
def test_pre_labels_are_a_data_set(place: Path, layout: str) -> None:
    write_tar(place / "shard.tar", write_photos(place / "more", 2, first=50))
    (place / "photos/0002.png").write_text("damaged")
    result = ssd.label(["photos", "shard.tar"], output="out", format=layout)
    assert result.labels == Path("out", layout)
    labelled = open_dataset(result.labels, "train", None)
    assert labelled.class_names == ("cat", "dog", "Fußgänger")
    assert (len(labelled), labelled.object_count, labelled.left_out) == (COUNT + 1, COUNT + 1, ())
    by_name = {sample.image.name: sample for sample in labelled.samples}
    for number, row in enumerate(row for part in (rows_of("out"),) for row in part):
        name = f"{number:07d}-{Path(str(row['id'])).name}"
        if row["error"] is None:
            np.testing.assert_allclose(by_name[name].boxes, row["boxes"], atol=0.01)
            assert ssd.load(result.model)(by_name[name].image).boxes.tolist() == row["boxes"]
        else:
            assert name not in by_name


def test_the_drift_from_the_training_set(place: Path) -> None:
    data = ssd.synthesize("signs", train=6, val=1, test=0, size=(64, 64), workers=1).path
    run = place / "runs/bright"
    run.mkdir(parents=True)
    (run / "data.json").write_text(
        json.dumps({"dataset": str(place / data), "train_split": "train", "val_split": "val"})
    )
    result = ssd.label("photos", output="out")
    check("label-summary-1", json.loads(result.to_json()))
    drift = result.summary.drift
    statistics = ssd.data_statistics(data, splits=("train",)).splits["train"]
    assert (drift.unknown, drift.class_distance) == ("", 1.0)  # dogs are no signs
    assert drift.objects_per_image == (round(statistics.objects / 6, 4), 1.0)
    assert drift.class_shares["dog"] == (0.0, 1.0)
    assert sum(before for before, _ in drift.class_shares.values()) == pytest.approx(1, abs=1e-3)
    assert drift.relative_sizes is not None
    assert drift.relative_sizes[0] == pytest.approx(statistics.relative_sizes, abs=1e-5)


def test_images_that_failed_are_tried_again_where_it_is_asked_for(place: Path) -> None:
    whole = (place / "photos/0003.png").read_bytes()
    (place / "photos/0003.png").write_text("damaged")
    assert ssd.label("photos", output="out", images_per_part=4).summary.errors == 1
    (place / "photos/0003.png").write_bytes(whole)
    assert ssd.label("photos", output="out", images_per_part=4).summary.errors == 1
    retried = ssd.label("photos", output="out", images_per_part=4, retry_errors=True)
    assert (retried.labelled, retried.summary.errors) == (4, 0)
    assert retried.summary.digest == ssd.label("photos", output="whole").summary.digest


def test_nothing_that_can_be_read_is_an_error(place: Path) -> None:
    (place / "bad").mkdir()
    (place / "bad/a.png").write_text("no image")
    with pytest.raises(ssd.InputError, match="none of the images can be read"):
        ssd.label("bad", output="out")
    assert len(rows_of("out")) == 1


@pytest.mark.parametrize(
    "options",
    [{"shard": (0, 2)}, {"shard": (3, 2)}, {"threads": 0}, {"every": 0}, {"batch": 1.5}, {"score_threshold": 1.0}],
)
def test_options_that_make_no_sense(options: dict[str, object]) -> None:
    with pytest.raises(ssd.InputError):
        ssd.label("photos", **options)  # type: ignore[arg-type]


def test_without_pyarrow_the_package_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ssd.MissingPackageError, match=r"ssd-edge\[label\]"):
        ssd.label("photos", output="out")


SLOW_IMAGES = """
import sys, time
from ssd_edge.labelling import labeller
read = labeller.read_item
def slow(item):
    time.sleep(0.05)
    return read(item)
labeller.read_item = slow
sys.argv[1:] = "label photos --output out --images-per-part 2 --batch-size 2 --threads 1".split()
from ssd_edge.cli.main import main
main()
"""


@pytest.mark.slow(but="9")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_was_done_before_a_signal_is_kept(place: Path, number: signal.Signals) -> None:
    with running([sys.executable, "-c", SLOW_IMAGES], cwd=place, stderr=subprocess.PIPE) as process:
        parts = place / "out/parts"
        while len(list(parts.glob("*.parquet"))) < 2 and process.poll() is None:
            time.sleep(0.02)
        os.kill(process.pid, number)
        code = process.wait()
    assert code == (-9 if number == signal.SIGKILL else 128 + number)
    done = len(list(parts.glob("*.parquet")))
    assert 2 <= done < 11
    result = ssd.label("photos", output="out", images_per_part=2, batch=2)
    assert result.labelled == COUNT - 2 * done
    assert result.summary.digest == ssd.label("photos", output="whole", images_per_part=2, batch=2).summary.digest
    assert [row["id"] for row in rows_of("out")] == [f"photos/{number:04d}.png" for number in range(COUNT)]
    assert not list(parts.glob(".*"))


def test_a_cluster_gets_what_waits_and_gives_the_same_rows(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray is not installed everywhere: what it is asked for is done here, by a call of its own."""
    whole = ssd.label("photos", output="whole", images_per_part=8)
    asked: list[tuple[int, Resources]] = []

    def on_ray(folder: job.JobFolder, units, resources: Resources, opener, open_video, report) -> int:
        asked.append((len(units), resources))
        assert opener.path == str(place / "engines/bright/bright.onnx")
        assert len(list(open_video(place / "film.mp4"))) == 9
        return ssd.label("photos", output=folder.path, images_per_part=8).labelled

    write_bright_film(place / "film.mp4", 9)
    monkeypatch.setattr(label_images, "require_labelling", lambda **_: None)
    monkeypatch.setattr(label_images, "joined", nullcontext)
    monkeypatch.setattr(label_images, "label_on_ray", on_ray)
    monkeypatch.setattr(
        label_images, "model_facts_on_ray", lambda opener, _: label_images.ModelFacts.of(opener.open(1), opener)
    )
    first = ssd.label("photos", output="out", images_per_part=8, threads=2, engine="ray")
    assert (first.labelled, first.summary.digest) == (COUNT, whole.summary.digest)
    again = ssd.label("photos", output="out", images_per_part=8, engine="ray")
    assert (again.labelled, again.summary.digest) == (0, whole.summary.digest)
    assert asked == [(3, Resources(2, 0))], "nothing waited, and no cluster was troubled"
