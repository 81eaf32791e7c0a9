from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from ssd_edge.core.errors import InputError, MissingPackageError
from ssd_edge.core.sample import LabelledObject
from ssd_edge.data.writers import VocWriter
from ssd_edge.engines.build import build_engine
from ssd_edge.workflows.open_model import open_model
from tests.backends.tiny_onnx import CLASS_NAMES, SIZE, write_tiny_onnx

# Class (the model always says dog) and bright rectangle of each image: two of the three dogs are found where they
# are, and the cat, found as a dog in the second image, is a wrong detection of the same score.
PICTURES = [("dog", (8, 8, 40, 40)), ("cat", (16, 8, 48, 40)), ("dog", (8, 24, 56, 56))]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "pets", CLASS_NAMES)


def write_dataset(folder: Path, class_names: tuple[str, ...]) -> Path:
    writer = VocWriter(folder, class_names)
    for number, (label, (x1, y1, x2, y2)) in enumerate(PICTURES):
        image = np.zeros((SIZE, SIZE, 3), np.uint8)
        image[y1:y2, x1:x2] = 255
        path = writer.image_path("test", f"{number:03d}")
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 100])
        writer.add("test", path, (SIZE, SIZE), [LabelledObject.of_box(label, (x1, y1, x2, y2))])
    writer.close()
    return folder


def run(*arguments: object):
    return CliRunner().invoke(app, ["eval", *map(str, arguments)])


# Dogs: right, wrong, right in order of the images (equal scores): precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1.
DOG_AP = 0.5 * 1 + 0.5 * 2 / 3


def test_map_is_the_one_worked_out_by_hand(tmp_path: Path, dataset: Path) -> None:
    model = write_tiny_onnx(tmp_path / "bright.onnx")
    result = run(model, dataset, "--json", "-")
    assert result.exit_code == 0, result.stderr
    assert "3 images, 3 objects" in result.stderr
    fields = json.loads(result.stdout)
    (found,) = fields["models"]
    assert fields["format"] == "ssd-edge/eval/1"
    assert (fields["images"], fields["metric"], fields["iou_threshold"]) == (3, "voc", 0.5)
    dog = found["classes"]["dog"]
    assert {name: dog[name] for name in ("ap", "objects", "difficult")} == {
        "ap": pytest.approx(DOG_AP),
        "objects": 2,
        "difficult": 0,
    }
    assert dog["best_f1"] == pytest.approx(
        {"precision": 2 / 3, "recall": 1, "f1": 0.8, "score": dog["best_f1"]["score"]}
    )
    assert found["classes"]["cat"]["best_f1"] is None
    assert found["classes"]["cat"]["ap"] == 0.0
    assert found["classes"]["Fußgänger"]["ap"] is None
    assert found["map"] == pytest.approx(DOG_AP / 2)
    assert found["fps"] == pytest.approx(1000 / found["detect_ms"]["median"])


def test_errors_are_counted_by_kind_with_what_they_cost(tmp_path: Path, dataset: Path) -> None:
    model, poor = write_tiny_onnx(tmp_path / "bright.onnx"), write_tiny_onnx(tmp_path / "poor.onnx", shift=0.4)
    page = tmp_path / "page.html"
    result = run(model, poor, dataset, "--json", tmp_path / "f.json", "--html", page)
    assert result.exit_code == 0, result.stderr
    first, second = (entry["errors"] for entry in json.loads((tmp_path / "f.json").read_text())["models"])
    nothing = {"lost_map": 0.0, "count": 0}
    assert first == {
        "classification": {"lost_map": pytest.approx(1 - DOG_AP / 2), "count": 1},  # with a cat for a cat all is right
        **dict.fromkeys(("localisation", "both", "duplicate", "background", "missed"), nothing),
    }
    assert sum(kind["count"] for kind in second.values()) > 3
    assert re.search(r"classification[^\n]*58\.33 / 1 ", result.stdout)
    assert re.search(r"dog[^\n]*0\.800 at 0\.\d{3}", result.stdout)
    text = page.read_text(encoding="utf-8")
    assert "Errors by kind" in text
    assert "the box is on an object of another class</small></th><td>58.33</td><td>1</td>" in text


def test_eleven_points(tmp_path: Path, dataset: Path) -> None:
    model = write_tiny_onnx(tmp_path / "bright.onnx")
    found = json.loads(run(model, dataset, "--metric", "voc07", "--json", "-").stdout)["models"][0]
    assert found["classes"]["dog"]["ap"] == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)


def test_onnx_and_engine_stand_side_by_side(tmp_path: Path, dataset: Path) -> None:
    model = write_tiny_onnx(tmp_path / "bright.onnx")
    poor = write_tiny_onnx(tmp_path / "poor.onnx", shift=0.4)
    engine = build_engine(model).engine
    target = tmp_path / "out" / "figures.json"
    result = run(model, engine, poor, dataset, "--json", target)
    assert result.exit_code == 0, result.stderr
    found = json.loads(target.read_text(encoding="utf-8"))["models"]
    assert [Path(entry["path"]).name for entry in found] == ["bright.onnx", engine.name, "poor.onnx"]
    assert [entry["map"] for entry in found] == [pytest.approx(DOG_AP / 2), pytest.approx(DOG_AP / 2), 0.0]
    assert "0.4167" in result.stdout
    assert "Fußgänger" in result.stdout


def test_checkpoint_is_judged_by_the_same_code(tmp_path: Path, dataset: Path) -> None:
    torch = pytest.importorskip("torch")
    from ssd_edge.data.find import open_dataset
    from ssd_edge.evaluation.evaluate import evaluate
    from ssd_edge.model.checkpoint import save_checkpoint
    from ssd_edge.model.predict import TorchDetector
    from ssd_edge.model.zoo import build_model, make_spec

    torch.manual_seed(5)
    model = build_model(make_spec("ssd192-tiny", CLASS_NAMES, input_size=64)).eval()
    save_checkpoint(tmp_path / "random.pt", model)
    result = run(tmp_path / "random.pt", dataset, "--cores", "1", "--json", "-")
    assert result.exit_code == 0, result.stderr
    wanted = evaluate(TorchDetector(model).detect, CLASS_NAMES, open_dataset(dataset, "test")).accuracy
    assert json.loads(result.stdout)["models"][0]["map"] == pytest.approx(wanted.mean_ap, abs=1e-9)


def test_model_below_the_minimum_exits_with_one_and_still_writes_its_figures(tmp_path: Path, dataset: Path) -> None:
    model = write_tiny_onnx(tmp_path / "bright.onnx")
    result = run(model, dataset, "--min-map", "0.5", "--json", tmp_path / "f.json")
    assert result.exit_code == 1
    assert "bright.onnx is not accurate enough: got mAP 0.4167; wanted at least 0.5 (--min-map)" in result.stderr
    assert (tmp_path / "f.json").is_file()
    assert run(model, dataset, "--min-map", "0.4").exit_code == 0


def test_every_model_below_the_minimum_is_named(tmp_path: Path, dataset: Path) -> None:
    models = [write_tiny_onnx(tmp_path / f"{name}.onnx", shift=0.4) for name in "ab"]
    result = run(*models, dataset, "--min-map", "0.5")
    assert "a.onnx, " in result.stderr
    assert "b.onnx are not accurate enough: got mAP 0.0000, mAP 0.0000" in result.stderr


def test_compare_shows_the_distance_from_the_first(tmp_path: Path, dataset: Path) -> None:
    models = [write_tiny_onnx(tmp_path / "bright.onnx"), write_tiny_onnx(tmp_path / "poor.onnx", shift=0.4)]
    table = run(*models, dataset, "--compare").stdout
    assert all(text in table for text in ("points", "speed", "+0.00", "1.00x", "-41.67"))
    assert "-41.67" not in run(*models, dataset).stdout
    assert "--compare needs at least two models: got one" in run(models[0], dataset, "--compare").stderr


def test_drop_against_the_first_model_exits_with_one(tmp_path: Path, dataset: Path) -> None:
    models = [write_tiny_onnx(tmp_path / "bright.onnx"), write_tiny_onnx(tmp_path / "poor.onnx", shift=0.4)]
    result = run(*models, dataset, "--max-drop", "41")
    assert result.exit_code == 1
    assert "poor.onnx loses too much compared with" in result.stderr
    assert "bright.onnx (mAP 0.4167): got a loss of 41.67 points; wanted at most 41 (--max-drop)" in result.stderr
    assert run(*models, dataset, "--max-drop", "42").exit_code == 0


def test_drop_against_an_earlier_evaluation_exits_with_one(tmp_path: Path, dataset: Path) -> None:
    good, poor = write_tiny_onnx(tmp_path / "bright.onnx"), write_tiny_onnx(tmp_path / "poor.onnx", shift=0.4)
    figures = tmp_path / "before.json"
    assert run(good, dataset, "--json", figures).exit_code == 0
    result = run(poor, dataset, "--max-drop", "1", "--baseline", figures)
    assert result.exit_code == 1
    assert "before.json (mAP 0.4167): got a loss of 41.67 points" in result.stderr
    assert run(good, dataset, "--max-drop", "0", "--baseline", figures).exit_code == 0
    other = run(good, dataset, "--max-drop", "1", "--baseline", figures, "--metric", "voc07")
    assert "was evaluated with other settings" in other.stderr


def test_gates_that_would_say_nothing_are_refused(tmp_path: Path, dataset: Path) -> None:
    model = write_tiny_onnx(tmp_path / "bright.onnx")
    assert "--max-drop needs a reference" in run(model, dataset, "--max-drop", "1").stderr
    assert "--gate-on needs a gate: got coco-ap" in run(model, dataset, "--gate-on", "coco-ap").stderr
    assert "--baseline needs --max-drop" in run(model, dataset, "--baseline", tmp_path / "f.json").stderr


COCO_DOG_AP = (51 * 1 + 50 * 2 / 3) / 101  # both dogs at .50, at 101 recalls: 1 up to recall 0.5, then 2/3


def test_gates_can_go_by_coco(tmp_path: Path, dataset: Path) -> None:
    model, figures = write_tiny_onnx(tmp_path / "bright.onnx"), tmp_path / "f.json"
    limits = {"just": COCO_DOG_AP / 2 - 1e-4, "more": COCO_DOG_AP / 2 + 1e-4}
    just = run(model, dataset, "--gate-on", "coco-ap50", "--min-map", limits["just"], "--json", figures)
    assert just.exit_code == 0, just.stderr
    more = run(model, dataset, "--gate-on", "coco-ap50", "--min-map", limits["more"])
    assert more.exit_code == 1
    assert "bright.onnx is not accurate enough: got COCO AP50 0.4175; wanted at least 0.417" in more.stderr
    poor = write_tiny_onnx(tmp_path / "poor.onnx", shift=0.4)
    dropped = run(poor, dataset, "--gate-on", "coco-ap50", "--max-drop", "1", "--baseline", figures)
    assert dropped.exit_code == 1
    assert "f.json (COCO AP50 0.4175): got a loss of 41.75 points" in dropped.stderr


def test_coco_numbers_are_shown_and_written(tmp_path: Path, dataset: Path) -> None:
    model, figures = write_tiny_onnx(tmp_path / "bright.onnx"), tmp_path / "f.json"
    result = run(model, dataset, "--coco", "--json", figures)
    assert result.exit_code == 0, result.stderr
    assert "COCO AP of each class" in result.stdout
    assert re.search(r"AP50\s+│\s+0\.41[78]\s", result.stdout)
    found = json.loads(figures.read_text(encoding="utf-8"))["models"][0]
    assert found["coco"]["ap_50"] == pytest.approx(COCO_DOG_AP / 2)
    assert found["coco"]["classes"]["Fußgänger"] is None
    assert "coco" not in json.loads(run(model, dataset, "--json", "-").stdout)["models"][0]


def test_coco_without_its_package_is_refused_before_the_work(
    tmp_path: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    model = write_tiny_onnx(tmp_path / "bright.onnx")
    result = run(model, dataset, "--coco")
    assert result.exit_code == 1
    assert "needs the package faster-coco-eval" in result.stderr
    assert "evaluating on" not in result.stderr
    assert run(model, dataset).exit_code == 0


def test_report_holds_curves_and_pictures_from_the_worst_to_the_best(tmp_path: Path, dataset: Path) -> None:
    model, page = write_tiny_onnx(tmp_path / "bright.onnx"), tmp_path / "out" / "figures.html"
    old = tmp_path / "out" / "figures-stills" / "04-of-an-earlier-run.png"
    old.parent.mkdir(parents=True)
    old.touch()
    result = run(model, dataset, "--html", page)
    assert result.exit_code == 0, result.stderr
    text = page.read_text(encoding="utf-8")
    assert text.count('class="chart"') == len(CLASS_NAMES)
    assert text.count("data:image/jpeg;base64,") == len(PICTURES)
    assert "0 found, 1 wrong, 1 missed" in text  # the cat that is found as a dog
    pictures = sorted((tmp_path / "out" / "figures-stills").glob("*.png"))
    assert [path.name for path in pictures] == ["01-001.png", "02-000.png", "03-002.png"]
    assert all(cv2.imread(str(path)) is not None for path in pictures)


def test_recall_and_precision_at_a_score(tmp_path: Path, dataset: Path) -> None:
    model = write_tiny_onnx(tmp_path / "bright.onnx")
    found = json.loads(run(model, dataset, "--json", "-").stdout)["models"][0]["at_score"]
    assert found["score"] == 0.5
    assert found["classes"]["dog"] == {"precision": pytest.approx(2 / 3), "recall": 1.0}
    assert found["classes"]["cat"] == {"precision": None, "recall": 0.0}
    assert found["classes"]["Fußgänger"] == {"precision": None, "recall": None}
    strict = json.loads(run(model, dataset, "--score-threshold", "1", "--json", "-").stdout)["models"][0]["at_score"]
    assert strict["classes"]["dog"] == {"precision": None, "recall": 0.0}


def test_class_that_the_model_does_not_know_is_named(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "zoo", ("cat", "dog", "emu"))
    result = run(write_tiny_onnx(tmp_path / "bright.onnx"), dataset)
    assert result.exit_code == 1
    assert "the model does not have the classes 'emu' of VOC" in result.stderr
    assert (
        "got a model with the classes cat, dog, Fußgänger; wanted a model with the classes cat, dog, emu"
        in result.stderr
    )


def test_class_that_the_data_lack_is_said(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "two", ("dog", "cat"))
    result = run(write_tiny_onnx(tmp_path / "bright.onnx"), dataset, "--json", "-")
    assert "classes without objects in these images: Fußgänger" in result.stderr
    found = json.loads(result.stdout)["models"][0]
    assert found["classes_not_judged"] == ["Fußgänger"]
    assert found["classes"]["dog"]["ap"] == pytest.approx(DOG_AP)  # numbered 0 here, 1 in the model


def test_file_that_is_no_model_is_named(tmp_path: Path, dataset: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    result = run(tmp_path / "notes.txt", dataset)
    assert result.exit_code == 1
    assert "notes.txt is not a model: got suffix '.txt'; wanted .pt, .onnx, .engine" in result.stderr


@pytest.mark.parametrize("name", ["m.pt", "m.onnx", "m.engine"])
def test_missing_model_is_named(tmp_path: Path, dataset: Path, name: str) -> None:
    result = run(tmp_path / name, dataset)
    assert result.exit_code == 1
    assert f"{name} does not exist: wanted a model file" in result.stderr


def test_every_model_is_looked_for_before_the_first_is_judged(tmp_path: Path, dataset: Path) -> None:
    model = write_tiny_onnx(tmp_path / "bright.onnx")
    result = run(model, tmp_path / "m.onnx", dataset)
    assert result.exit_code == 1
    assert "m.onnx does not exist" in result.stderr
    assert "evaluating on" not in result.stderr
    long = tmp_path / f"{'n' * 300}.onnx"
    assert ".onnx is not a usable path (File name too long)" in run(long, dataset).stderr
    assert "cannot be written (File name too long)" in run(model, dataset, "--html", long).stderr
    twice = run(model, model, dataset, "--compare", "--max-drop", "1")
    assert twice.exit_code == 1
    assert "bright.onnx is given twice: wanted each model only once" in twice.stderr


def test_checkpoint_without_pytorch_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.pt").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "torch", None)
    with (
        pytest.raises(MissingPackageError, match=r"m\.pt is a checkpoint, which needs PyTorch.*pip install 'ssd-edge"),
        open_model(tmp_path / "m.pt"),
    ):
        pass


def test_unwritable_figures_are_named(tmp_path: Path, dataset: Path) -> None:
    (tmp_path / "file").write_text("x")
    result = run(write_tiny_onnx(tmp_path / "bright.onnx"), dataset, "--json", tmp_path / "file" / "f.json")
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


def test_pytorch_is_not_imported_for_an_onnx(tmp_path: Path, dataset: Path) -> None:
    model = write_tiny_onnx(tmp_path / "bright.onnx")
    code = (
        "import sys; from typer.testing import CliRunner; from ssd_edge.cli.app import app;"
        f"result = CliRunner().invoke(app, ['eval', {str(model)!r}, {str(dataset)!r}]);"
        "sys.exit(result.exit_code or (3 if 'torch' in sys.modules else 0))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_open_model_refuses_by_suffix(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"m\.pth is not a model"), open_model(tmp_path / "m.pth"):
        pass
