from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import ArtifactError, TrainingError
from ssd_edge.core.sample import LabelledObject
from ssd_edge.data.writers import open_writer
from ssd_edge.model.checkpoint import load_checkpoint
from ssd_edge.training.precision import PrecisionTimes
from ssd_edge.workflows.training_run import default_workers
from tests.full_disk import full_after
from tests.training.factories import CLASS_NAMES, squares

FAST = [
    "--preset",
    "ssd192-tiny",
    "--input-size",
    "64",
    "--batch-size",
    "8",
    "--workers",
    "0",
    "--precision",
    "float32",
    "--cores",
    "1",
]


def write_data(folder: Path, *, splits: dict[str, int]) -> None:
    """Write a VOC data set of colored squares."""
    writer = open_writer("voc", folder, CLASS_NAMES)
    for seed, (split, count) in enumerate(splits.items()):
        for number, sample in enumerate(squares(folder / "raw" / split, count, seed=seed).samples):
            path = writer.image_path(split, f"{split}_{number}")
            path.parent.mkdir(parents=True, exist_ok=True)
            sample.image.rename(path)
            x1, y1, x2, y2 = map(float, sample.boxes[0])
            found = LabelledObject.of_box(CLASS_NAMES[sample.class_ids[0]], (x1, y1, x2, y2))
            writer.add(split, path, (80, 60), (found,))
    writer.close()


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_data(tmp_path / "data", splits={"train": 16, "val": 4})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ssd_edge.backends.cpu.physical_cores", lambda: 1)  # as tests run side by side
    return tmp_path


def train(*options: str):
    return CliRunner().invoke(app, ["train", "data", *FAST, *options])


def test_trains_and_leaves_checkpoints_and_metrics(workspace: Path) -> None:
    result = train("--epochs", "2", "--name", "squares", "--no-flip", "--seed", "4", "--lr", "0.01")
    assert result.exit_code == 0, result.stderr
    assert "learning from VOC" in result.stderr
    assert "16 images, 16 objects" in result.stderr
    assert "classes: blue, green, red" in result.stderr or "classes: red, green, blue" in result.stderr
    assert (
        "ssd192-tiny at 64 x 64 from random weights, 2 epochs, 8 images per step, peak learning rate 0.01 (cosine)"
        in result.stderr
    )
    assert "not mirrored, seed 4, 0 workers" in result.stderr
    assert "epoch 2: loss" in result.stderr
    assert result.stderr.endswith("next: ssd-edge export runs/squares/best.pt\n")
    best, last = (load_checkpoint(workspace / f"runs/squares/{name}.pt") for name in ("best", "last"))
    assert best.spec.name == "squares"
    assert sorted(best.spec.class_names) == sorted(CLASS_NAMES)
    assert last.metrics["epoch"] == 2
    with (workspace / "runs/squares/metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[1]["mean_ap"]) == pytest.approx(last.metrics["mean_ap"], abs=1e-5)


def test_as_many_epochs_are_validated_as_are_asked_for_and_the_last(workspace: Path) -> None:
    def validated() -> list[str]:
        with Path("runs/rare/metrics.csv").open(newline="") as file:
            return [row["epoch"] for row in csv.DictReader(file) if row["mean_ap"]]

    result = train("--epochs", "3", "--val-every", "2", "--name", "rare")
    assert result.exit_code == 0, result.stderr
    assert validated() == ["2", "3"]
    assert json.loads(Path("runs/rare/plan.json").read_text())["recipe"]["validate_every"] == 2


def test_minutes_end_a_run_and_runs_are_numbered(workspace: Path) -> None:
    for number in (1, 2):
        result = train("--minutes", "0.01")
        assert result.exit_code == 0, result.stderr
        assert "from random weights, 0.01 minutes" in result.stderr
        assert f"writing runs/ssd192-tiny-{number}" in result.stderr
        assert (workspace / f"runs/ssd192-tiny-{number}/best.pt").is_file()


def test_the_same_seed_gives_the_same_weights_whatever_the_workers(workspace: Path) -> None:
    for name, workers in (("first", "0"), ("second", "1")):
        result = train("--epochs", "1", "--name", name, "--seed", "7", "--workers", workers)
        assert result.exit_code == 0, result.stderr
    first, second = (load_checkpoint(Path(f"runs/{name}/last.pt")).model.state_dict() for name in ("first", "second"))
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize(("bfloat16_s", "chosen"), [(0.4, "bfloat16"), (0.95, "float32")])
def test_bfloat16_is_used_where_it_is_measured_to_pay(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, bfloat16_s: float, chosen: str
) -> None:
    used = []

    def record(plan, *_, **__):
        used.append(plan.recipe.optimisation.precision)
        raise KeyboardInterrupt

    monkeypatch.setattr(
        "ssd_edge.training.precision.measure_precisions", lambda *_, **__: PrecisionTimes(1.0, bfloat16_s)
    )
    monkeypatch.setattr("ssd_edge.workflows.training_run.fit", record)
    result = train("--precision", "auto")
    assert f"using {chosen}: here bfloat16 takes {bfloat16_s:.2f} of float32's time" in result.stderr
    assert used == [chosen]


def test_processes_on_several_machines_do_not_measure_each_for_itself(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As torchrun --nnodes 2 --nproc-per-node 1 starts them: two machines could choose two precisions."""
    used = []

    def record(plan, *_, **__):
        used.append(plan.recipe.optimisation.precision)
        raise KeyboardInterrupt

    for name, value in {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("ssd_edge.training.precision.measure_precisions", lambda *_, **__: PrecisionTimes(1.0, 0.4))
    monkeypatch.setattr("ssd_edge.workflows.training_run.fit", record)
    result = train("--precision", "auto")
    assert used == ["float32"]
    assert "8 x 2 devices images per step" in result.stderr


def test_classes_come_from_a_list_or_a_file(workspace: Path) -> None:
    Path("names.txt").write_text("green\n\nblue\nred\n")
    many = ",".join(["green", "blue", "red", *(f"kind of thing {number}" for number in range(80))])  # as COCO's
    assert CliRunner().invoke(app, ["data", "check", "data", "--classes", many]).exit_code == 0
    for name, classes in (("list", "green, blue,red"), ("file", "names.txt")):
        result = train("--epochs", "1", "--name", name, "--classes", classes)
        assert result.exit_code == 0, result.stderr
        assert load_checkpoint(Path(f"runs/{name}/best.pt")).spec.class_names == ("green", "blue", "red")


def test_ctrl_c_says_what_is_kept_and_exits_130(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = 0

    def detect(self, image):
        nonlocal pictures
        pictures += 1
        if pictures > 8:  # in the validation of the second epoch
            raise KeyboardInterrupt
        return Detections.empty()

    with monkeypatch.context() as patched:
        patched.setattr("ssd_edge.model.predict.TorchDetector.detect", detect)
        result = train("--epochs", "3", "--name", "kept")
        assert result.exit_code == 130
        assert (
            "to resume: ssd-edge train --resume runs/kept; runs/kept/last.pt contains the model after the last complete"
            in result.stderr
        )
        assert load_checkpoint(Path("runs/kept/last.pt")).metrics["epoch"] == 1
        pictures = 8
        result = train("--epochs", "3", "--name", "lost")
        assert result.exit_code == 130
        assert "stopped before the first checkpoint was saved; the name runs/lost can be used again" in result.stderr
    assert sorted(path.name for path in Path("runs/lost").iterdir()) == ["data.json", "plan.json", "tensorboard"]
    assert train("--epochs", "1", "--name", "lost").exit_code == 0  # its name is free


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (TrainingError("a data worker was killed by another process or by the system"), 1),
        (ArtifactError("a damaged file"), 1),
        (SystemExit(143), 143),  # as SIGTERM's handler raises
    ],
)
def test_whatever_ends_a_run_early_the_way_back_is_said(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, ending: BaseException, code: int
) -> None:
    def end(self, number: int, loss: object, learning_rate: float) -> None:
        if number == 3:  # in the second epoch
            raise ending

    monkeypatch.setattr("ssd_edge.training.callbacks.EpochLog.on_step", end)
    result = train("--epochs", "3", "--name", "ended")
    assert result.exit_code == code
    assert "to resume: ssd-edge train --resume runs/ended" in result.stderr
    assert "runs/ended/last.pt contains the model after the last complete epoch" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--val-every", "2", "--minutes", "1"], "--val-every counts epochs and needs --epochs: got only --minutes"),
        (["--preset", "ssd9000"], "there is no preset 'ssd9000'"),
        (["--classes", " , "], "--classes lists no class"),
        (["--classes", "red,green,blue,red"], "--classes lists a class twice: got red"),
        (["--classes", "red,green,blue,Background"], "--classes lists 'Background' as a class"),
        (["--name", "n" * 300], f"--name is not a valid name: got '{'n' * 300}'; wanted at most 100 bytes"),
        (["--backbone", "n" * 300], "is not a usable path (File name too long)"),
        (["--classes", "odd.bin"], "odd.bin is not text in UTF-8"),
        (["--classes", "red,green"], "blue"),
        (["--classes", "red,green"], "or use the rest anyway: --max-bad 0.44. To see all errors: ssd-edge data check"),
        (["--name", "../elsewhere"], "--name is not a valid name: got '../elsewhere'"),
        (
            ["--name", "taken"],
            "runs/taken already contains a run: got --name taken; wanted a name that no run has yet. Choose",
        ),
        (["--name", "stopped"], "or delete the folder, or go on with it: --resume stopped."),
        (["--val-split", "dev"], "data contains no data set split 'dev'"),
        (["--device", "mps"], "PyTorch finds no mps device"),
        (["--precision", "float16"], "float16 needs a GPU"),
        (["--batch-size", "32"], "the training images do not fill one batch: got 16 images"),
    ],
)
def test_what_cannot_be_trained_is_refused_by_name(workspace: Path, options: list[str], message: str) -> None:
    Path("odd.bin").write_bytes(b"\xff\xfe\x00\xff")
    Path("runs/taken").mkdir(parents=True)
    Path("runs/taken/best.pt").write_bytes(b"")
    Path("runs/stopped").mkdir()
    Path("runs/stopped/state.pt").write_bytes(b"")
    result = train(*options)
    assert result.exit_code == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_a_backbone_begins_with_what_another_run_has_learnt(workspace: Path) -> None:
    assert train("--epochs", "1", "--name", "first").exit_code == 0
    result = train(
        "--epochs", "1", "--name", "second", "--backbone", "runs/first/best.pt", "--lr", "1e-6", "--freeze", "backbone"
    )
    assert result.exit_code == 0, result.stderr
    assert "from the backbone of runs/first/best.pt, 1 epochs" in result.stderr
    assert "backbone from runs/first/best.pt: " in result.stderr
    first, second = (load_checkpoint(Path(f"runs/{name}/best.pt")).model.state_dict() for name in ("first", "second"))
    assert all(torch.equal(first[key], second[key]) for key in first if key.startswith("backbone"))
    result = train("--epochs", "1", "--backbone", "elsewhere.pth")
    assert result.exit_code == 1
    assert "the weights 'elsewhere.pth' do not exist" in result.stderr


def test_commands_to_type_next_are_quoted_where_names_need_it(workspace: Path) -> None:
    Path("data").rename("my data")
    result = CliRunner().invoke(app, ["train", "my data", *FAST, "--epochs", "1", "--name", "a b", "--no-report"])
    assert result.exit_code == 0, result.stderr
    assert "ssd-edge data priors 'my data' --preset" in result.stderr
    assert result.stderr.endswith("next: ssd-edge export 'runs/a b/best.pt'\n")


def test_commands_to_type_next_are_about_the_same_network_and_pictures(workspace: Path) -> None:
    Path("data/ImageSets/Main/train.txt").rename("data/ImageSets/Main/first.txt")
    (label := min(Path("data/Annotations").glob("train_*.xml"))).write_text("<annotation>")
    options = ("--train-split", "first", "--classes", "red,green,blue", "--epochs", "1")
    result = train(*options, "--strict")
    assert result.exit_code == 1
    command = result.stderr.partition("To see all errors: ssd-edge ")[2].split()
    assert command == ["data", "check", "data", "--split", "first", "--split", "val", "--classes", "red,green,blue"]
    assert f"{label} is not well-formed" in CliRunner().invoke(app, command).stderr
    assert train(*options, "--name", "unlooked", "--no-check").exit_code == 0
    label.write_text("<annotation></annotation>")
    result = train(*options)
    assert "fit them to the data: ssd-edge data priors data --preset ssd192-tiny --input-size 64 --split first" in (
        result.stderr
    )


@pytest.mark.parametrize(
    ("options", "said"), [([], True), (["--empty-negatives", "3"], False), (["--loss", "focal"], False)]
)
def test_pictures_that_teach_nothing_are_counted(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], said: bool
) -> None:
    chosen = []

    def record(plan, *_, **__):
        chosen.append(plan.recipe.optimisation.loss.negatives_of_empty)
        raise KeyboardInterrupt

    monkeypatch.setattr("ssd_edge.workflows.training_run.fit", record)
    for count, line in (
        (1, "1 image contains no object and is not trained on; to use it: --empty-negatives 3\n"),
        (2, "2 images contain no object and are not trained on; to use them: --empty-negatives 3\n"),
    ):
        label = sorted(Path("data/Annotations").glob("train_*.xml"))[count]
        label.write_text(re.sub("<object>.*</object>", "", label.read_text(), flags=re.DOTALL))
        assert (line in train(*options).stderr) == said
    assert chosen == [3 if options[:1] == ["--empty-negatives"] else 0] * 2


def test_a_split_without_objects_teaches_nothing(workspace: Path) -> None:
    for label in Path("data/Annotations").glob("train_*.xml"):
        label.write_text(label.read_text().replace("<difficult>0", "<difficult>1"))
    result = train("--epochs", "1")
    assert result.exit_code == 1
    assert "split train contains no object to learn: got 16 images" in result.stderr


def test_a_full_disk_ends_the_run_and_says_what_is_left(workspace: Path) -> None:
    assert train("--epochs", "1", "--name", "small", "--no-report").exit_code == 0
    checkpoint = Path("runs/small/last.pt").stat().st_size  # the state holds twice as much and momentum
    with full_after(2 * checkpoint):
        result = train("--epochs", "2", "--name", "full", "--no-tensorboard")
    assert result.exit_code == 1
    assert "state.pt cannot be written (File too large). Free some space" in result.stderr
    assert "runs/full/last.pt contains the model after the last complete epoch" in result.stderr
    assert "Traceback" not in result.stderr
    assert load_checkpoint(Path("runs/full/last.pt")).metrics["epoch"] == 1


def test_a_loss_that_is_not_finite_names_its_pictures(workspace: Path) -> None:
    result = train("--epochs", "30", "--lr", "1e12")
    assert result.exit_code == 1
    named = r"(data/JPEGImages/train_\d+\.\w+(, |: )){8}"
    assert re.search(
        rf"is no longer finite, .* {named}.*No single image is the cause: use a smaller --lr", result.stderr
    )


def test_a_split_without_objects_cannot_choose_the_best_epoch(workspace: Path) -> None:
    for label in Path("data/Annotations").glob("val_*.xml"):
        label.write_text(label.read_text().replace("<difficult>0", "<difficult>1"))
    result = train("--epochs", "1")
    assert result.exit_code == 1
    assert "contains no object to validate on: got 4 images" in result.stderr


def test_a_picture_that_cannot_be_read_is_named(workspace: Path) -> None:
    path = sorted(Path("data/JPEGImages").glob("train_*"))[3]
    path.write_bytes(b"no image")
    result = train("--epochs", "1")
    assert result.exit_code == 0
    assert f"{path.name} is not an image" in result.stderr
    assert "left out" in result.stderr


@pytest.mark.parametrize(
    ("fitting", "said"), [(3, "3 of 16 images fit in memory; the others are decoded each time"), (16, "")]
)
def test_it_says_how_many_pictures_fit_in_memory(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, fitting: int, said: str
) -> None:
    monkeypatch.setattr("ssd_edge.training.fit.DECODED_BYTES", fitting * 80 * 60 * 3)
    result = train("--epochs", "1", "--no-report", "--no-tensorboard")
    assert result.exit_code == 0, result.stderr
    assert (said or "16 images") in result.stderr
    assert ("fit in memory" in result.stderr) == bool(said)


@pytest.mark.parametrize("package", ["torch", "torchvision", "lightning_fabric"])
def test_without_its_packages_it_says_what_to_install(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    result = train()
    assert result.exit_code == 1
    assert "training needs PyTorch" in result.stderr
    assert "pip install 'ssd-edge[train,export]'" in result.stderr


def test_half_of_the_cores_prepare_batches() -> None:
    assert default_workers() >= 1
    assert [default_workers(cores) for cores in (1, 2, 9)] == [1, 1, 4]


def test_no_more_cores_are_used_than_are_given(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    before = torch.get_num_threads()
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    result = train("--epochs", "1", "--cores", "3")
    assert result.exit_code == 0, result.stderr
    # To learn, to choose the candidates and back, and to evaluate for the report and back.
    assert threads[:4] == [3, 3, before, 3]
    assert set(threads[4:]) == {before}
