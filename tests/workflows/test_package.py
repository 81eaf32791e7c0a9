from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import ssd_edge as ssd
from ssd_edge.core.errors import ArtifactError, InputError, ParityError
from ssd_edge.core.files import file_digest
from ssd_edge.core.images import read_image
from ssd_edge.core.preprocess import preprocess
from ssd_edge.doctor.sample_model import sample_frames
from ssd_edge.graph.source import read_onnx
from ssd_edge.packaging import contents
from ssd_edge.packaging.archive import archive_of
from ssd_edge.packaging.digests import write_sums
from ssd_edge.quantization.calibrate import CalibrationFiles
from ssd_edge.quantization.image_set import ImageSet
from ssd_edge.workflows import package
from tests.quantization.square_model import write_pictures, write_square_model


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The detector of squares, with an image of some beside it."""
    folder = tmp_path_factory.mktemp("squares")
    write_pictures(folder, 2)[1].rename(folder / "0.png")
    return write_square_model(folder / "squares.onnx")


@pytest.fixture(scope="module")
def packages(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root, image = tmp_path_factory.mktemp("packages"), exported.parent / "0.png"
    return {
        host: ssd.package(exported, host=ssd.Host(host), image=image, workspace=root).path
        for host in ("triton", "board")
    }


@pytest.fixture
def copy_of(packages: dict[str, Path], tmp_path: Path):
    def copy(host: str) -> Path:
        return Path(shutil.copytree(packages[host], tmp_path / packages[host].name))

    return copy


def test_the_same_model_gives_the_same_bytes(exported: Path, packages, tmp_path: Path) -> None:
    image = exported.parent / "0.png"
    made = ssd.package(exported, host="triton", image=image, output=tmp_path / packages["triton"].name)
    assert made.archive == archive_of(made.path)
    assert made.archive.read_bytes() == archive_of(packages["triton"]).read_bytes()
    assert made.detections >= 1
    assert "README.md" in made.files


def test_folder_and_archive_are_verified(packages: dict[str, Path]) -> None:
    for host, folder in packages.items():
        found = [ssd.verify_package(path) for path in (folder, archive_of(folder))]
        assert [(one.host, one.model) for one in found] == 2 * [(ssd.Host(host), "selftest")]
        assert found[0].files == found[1].files
        assert found[0].detections >= 1


def test_a_flipped_byte_of_any_file_is_found(copy_of) -> None:
    folder = copy_of("board")
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 4]))
        with pytest.raises(ArtifactError, match="is damaged or has been changed"):
            ssd.verify_package(folder)
        path.write_bytes(whole)
    ssd.verify_package(folder)


def test_another_model_with_right_digests_is_found(copy_of, exported: Path) -> None:
    """Whoever changes a package and its digests has still to give the same detections."""
    folder = copy_of("board")
    check = folder / "selfcheck" / "onnxruntime.json"
    check.write_text(check.read_text().replace('"detections": [\n  [\n   ', '"detections": [\n  [\n   1'))
    write_sums(folder)
    with pytest.raises(ParityError, match="missing: class 1"):
        ssd.verify_package(folder)


def test_a_check_that_leads_out_of_the_package_is_refused(copy_of, exported: Path) -> None:
    folder = copy_of("board")
    shutil.copy(exported, folder.parent / "m.onnx")
    check = folder / "selfcheck" / "onnxruntime.json"
    check.write_text(check.read_text().replace("../workspace/engines/selftest/selftest.onnx", "../../m.onnx"))
    write_sums(folder)
    with pytest.raises(ArtifactError, match="outside of the package"):
        ssd.verify_package(folder)


def test_an_engine_is_compared_too(exported: Path, packages, tmp_path: Path) -> None:
    engine = ssd.build(exported, workspace=tmp_path).path
    assert ssd.verify_package(packages["board"], engine=engine).detections > 1


def changed(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model of squares that scores less."""
    weight = next(entry for entry in model.graph.initializer if entry.name == "logits.weight")
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(0.5), weight.name))
    return model


def test_an_engine_of_another_model_is_found(packages, exported: Path, tmp_path: Path) -> None:
    onnx.save(changed(onnx.load(exported)), tmp_path / "other.onnx")
    engine = ssd.build(tmp_path / "other.onnx", target="onnxruntime", workspace=tmp_path).path
    with pytest.raises(ParityError, match="does not give the same detections.*differences.*Build the engine") as found:
        ssd.verify_package(packages["board"], engine=engine)
    assert str(engine) in str(found.value)


def test_a_form_that_sees_something_else_is_not_packed(exported: Path, tmp_path: Path, monkeypatch) -> None:
    make = contents.make_variant
    monkeypatch.setattr(contents, "make_variant", lambda *values: changed(make(*values)))
    with pytest.raises(ParityError, match="does not give the same detections as .*squares.onnx"):
        ssd.package(exported, host="frigate", image=exported.parent / "0.png", workspace=tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_only_a_package_is_replaced(exported: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(InputError, match="is not a package and will not be replaced"):
        ssd.package(exported, host="board", image=exported.parent / "0.png", output=tmp_path)
    assert (tmp_path / "letter.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "file"), [("site", "site/package.json"), ("site", "site.tar.gz"), ("..", "a"), (".", "a")]
)
def test_what_others_made_is_not_replaced(exported: Path, tmp_path: Path, monkeypatch, name: str, file: str) -> None:
    (tmp_path / "here/site").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    Path(file).write_text('{"name": "site"}')
    with pytest.raises(InputError, match="is not a package and will not be replaced|no name"):
        ssd.package(exported, host="board", image=exported.parent / "0.png", output=name)
    assert Path(file).read_text() == '{"name": "site"}'


@pytest.mark.parametrize(
    ("host", "options", "said"),
    [
        ("board", {"max_batch": 4}, "max_batch= has no effect on a package for board"),
        ("triton", {"wheel": "a.whl"}, "wheel= has no effect on a package for triton"),
        ("board", {"engine": "a.engine"}, "engine= has no effect on a package for board"),
        ("deepstream", {"precision": "bf16"}, "precision= cannot be bf16 for deepstream"),
        ("board", {"wheel": "a.zip"}, "a.zip is not a wheel"),
        ("toaster", {}, "host is not one of the allowed values"),
    ],
)
def test_what_is_not_for_the_host_is_refused(exported: Path, tmp_path: Path, host, options, said: str) -> None:
    with pytest.raises(InputError, match=said):
        ssd.package(exported, host=host, workspace=tmp_path, **options)


def test_a_checkpoint_is_to_be_exported_first(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ssd-edge export"):
        ssd.package(tmp_path / "best.pt", host="board")


def test_what_is_no_package_is_no_package(exported: Path, tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(InputError, match="is not a package"):
            ssd.verify_package(path)
    with pytest.raises(ArtifactError, match="another header"):
        ssd.verify_package(exported)


def test_an_image_without_objects_is_refused(exported: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(contents, "_LEAST_GAP", 1.0)
    with pytest.raises(InputError, match="image=PATH"):
        ssd.package(exported, host="board", image=exported.parent / "0.png", workspace=tmp_path)
    assert not (tmp_path / "packages").exists()


def calibrated_on(workspace: Path, exported: Path, images: list[Path]) -> CalibrationFiles:
    files = CalibrationFiles.of(read_onnx(exported), workspace)
    files.folder.mkdir(parents=True)
    digests = tuple(file_digest(path) for path in images)
    ImageSet(str(workspace), "", 0, tuple(map(str, images)), digests).save(files.image_set)
    return files


def packed_image(folder: Path) -> np.ndarray:
    return read_image(folder / "selfcheck" / "image.png")


def test_the_image_is_one_of_the_calibration_set_eight_of_which_are_tried(
    exported: Path, tmp_path: Path, monkeypatch
) -> None:
    tried: list[np.ndarray] = []
    choose = package.choose_image
    monkeypatch.setattr(package, "choose_image", lambda source, images: tried.extend(images) or choose(source, images))
    images = write_pictures(tmp_path / "images", 20)
    calibrated_on(tmp_path, exported, images)
    made = ssd.package(exported, host="board", workspace=tmp_path)
    for found, path in zip(tried, images[:16:2], strict=True):
        np.testing.assert_array_equal(found, read_image(path))
    candidates = [preprocess(image, read_onnx(exported).spec.input) for image in tried]
    assert sum(np.array_equal(packed_image(made.path), image) for image in candidates) == 1


@pytest.mark.parametrize("fault", ["no set", "damaged set", "an image is gone"])
def test_without_a_readable_calibration_set_scenes_are_drawn(
    exported: Path, tmp_path: Path, monkeypatch, caplog, fault: str
) -> None:
    """Drawn ones have objects of the demo's classes, and this model knows squares: squares are drawn here."""
    drawn = [frame.image for frame in sample_frames(8, seed=3)]
    monkeypatch.setattr(package, "draw_scene", lambda *values: SimpleNamespace(image=drawn[values[-1]]))
    if fault != "no set":
        images = write_pictures(tmp_path / "images", 2, seed=9)
        files = calibrated_on(tmp_path, exported, images)
        if fault == "damaged set":
            files.image_set.write_text("{}")
        else:
            images[0].unlink()
    with caplog.at_level("INFO", logger="ssd_edge"):
        made = ssd.package(exported, host="board", workspace=tmp_path)
    assert "--image" in caplog.text
    assert ("the images of the calibration set cannot be read: " in caplog.text) == (fault != "no set")
    candidates = [preprocess(image, read_onnx(exported).spec.input) for image in drawn]
    assert sum(np.array_equal(packed_image(made.path), image) for image in candidates) == 1
