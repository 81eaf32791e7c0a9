"""The script that travels with a package: what it compares, and that it runs without ssd-edge."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import ssd_edge as ssd
from ssd_edge.packaging import selfcheck
from ssd_edge.packaging.selfcheck import differences, main, read_image, rows_of

ROW = (1.0, 0.8, 0.1, 0.2, 0.3, 0.4)


def test_the_same_rows_do_not_differ_in_any_order() -> None:
    other = (0.0, 0.6, 0.5, 0.5, 0.9, 0.9)
    assert differences([ROW, other], [other, ROW, (1.0, 0.1, 0, 0, 1, 1)], 0.3, 1e-3, 1e-4) == []


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        ([], "missing"),
        ([(2.0, *ROW[1:])], "missing"),
        ([(*ROW[:5], 0.402)], "missing"),
        ([(1.0, 0.8002, *ROW[2:])], "score 0.8002"),
        ([ROW, ROW], "too much"),
        ([ROW, (0.0, 0.5, 0, 0, 1, 1)], "too much"),
    ],
)
def test_what_differs_is_named(found: list[tuple[float, ...]], fault: str) -> None:
    assert differences([ROW], found, 0.3, 1e-3, 1e-4)[0].startswith(fault)


def test_a_detection_near_the_floor_may_fall_below_it() -> None:
    low = (1.0, 0.32, *ROW[2:])
    assert differences([low], [(1.0, 0.28, *ROW[2:])], 0.3, 1e-3, 0.05) == []
    assert differences([], [low], 0.3, 1e-3, 0.05) == []


def test_rows_are_read_as_each_form_has_them() -> None:
    boxes = np.array([[[0.1, 0.2, 0.3, 0.4], [0, 0, 0, 0]]], np.float32)
    scores, classes = np.array([[0.8, 0]], np.float32), np.array([[1, -1]], np.float32)
    contract = rows_of("portable", [np.array([[1]]), boxes, scores, classes], (100, 50))
    ssd = rows_of("frigate-ssd", [np.array([[[[0, 1, 0.8, 0.1, 0.2, 0.3, 0.4], [0] * 7]]], np.float32)], (100, 50))
    nas = np.array([[0, 10, 10, 30, 20, 0.8, 1], [0, 0, 0, 0, 0, 0, -1]], np.float32)
    for found in (contract, ssd, rows_of("frigate-yolonas", [nas], (100, 50))):
        np.testing.assert_allclose(found, [ROW], atol=1e-6)


def run(package: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(package / "selfcheck" / "selfcheck.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_script_runs_alone(copy_of) -> None:
    package = copy_of("triton")
    assert "ssd_edge" not in (package / "selfcheck" / "selfcheck.py").read_text()
    done = run(package)
    assert done.returncode == 0, done.stderr
    count = len(json.loads((package / "selfcheck" / "onnxruntime.json").read_text())["detections"])
    assert done.stdout.splitlines() == [f"{name}: the same {count} detections" for name in ("onnxruntime", "tensorrt")]


def test_the_script_sees_a_model_whose_weights_changed(copy_of) -> None:
    package = copy_of("triton")
    path = package / "build" / "model.onnx"
    model = onnx.load(path)
    weight = next(entry for entry in model.graph.initializer if len(entry.dims) == 4)
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1.05), weight.name))
    onnx.save(model, path)
    done = run(package)
    assert done.returncode == 1
    assert "tensorrt: the same" not in done.stdout
    assert "onnxruntime: the same" in done.stdout


def test_openvino_runs_the_exported_file_too(copy_of) -> None:
    pytest.importorskip("openvino")
    package = copy_of("triton")
    done = run(package, "--runtime", "openvino")
    assert done.returncode == 0, done.stdout + done.stderr
    checks = sorted(path.stem for path in (package / "selfcheck").glob("*.json"))
    assert [line.partition(": the same ")[0] for line in done.stdout.splitlines()] == checks


def test_what_the_script_lacks_is_said_in_a_sentence(copy_of) -> None:
    package = copy_of("board")
    script = package / "selfcheck" / "selfcheck.py"
    program = (
        f"import runpy, sys; sys.modules['onnxruntime'] = None; runpy.run_path({str(script)!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-Ic", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "selfcheck.py: onnxruntime is not installed: pip install onnxruntime\n"
    (package / "selfcheck" / "image.png").unlink()
    done = run(package)
    assert done.returncode == 1
    checks = checks_of(package)
    assert len(done.stderr.splitlines()) == len(checks) > 0, "a line for each check"
    assert done.stderr.count(str(package / "selfcheck" / "image.png")) == len(checks)


def checks_of(package: Path) -> list[str]:
    return [str(path) for path in sorted((package / "selfcheck").glob("*.json"))]


def changed(path: str, change) -> None:
    """Write a check again after a change of its fields."""
    check = json.loads(Path(path).read_text())
    change(check)
    Path(path).write_text(json.dumps(check))


def refusal(stderr: str, path: str) -> str:
    """Return the one line that says why a check cannot be made: what, got, wanted, and what to do."""
    (line,) = stderr.splitlines()
    assert re.fullmatch(rf"selfcheck\.py: {re.escape(path)} cannot be checked: got \S.*; wanted \S.*\. [A-Z].*\.", line)
    return line


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("host", list(ssd.Host), ids=str)
def test_each_form_gives_its_detections_in_each_runtime(packages, capsys, host: str, runtime: str) -> None:
    pytest.importorskip(runtime)
    checks = checks_of(packages[host])
    assert main([*checks, "--runtime", runtime]) == 0
    counts = [len(json.loads(Path(path).read_text())["detections"]) for path in checks]
    assert min(counts) >= 1
    assert capsys.readouterr().out.splitlines() == [
        f"{Path(path).stem}: the same {count} detections" for path, count in zip(checks, counts, strict=True)
    ]


@pytest.mark.parametrize("host", ["triton", "deepstream"])
def test_a_server_is_asked_for_its_model_with_the_tensor_that_it_takes(packages, capsys, host: str) -> None:
    triton = pytest.importorskip("tests.packaging.triton_server")
    for path in checks_of(packages[host]):
        check = json.loads(Path(path).read_text())
        with triton.serving("served", Path(path).parent / check["model"]) as url:
            words = [path, "--runtime", "triton", "--url", url]
            assert main([*words, "--name", "served"]) == 0
            assert capsys.readouterr().out == f"{Path(path).stem}: the same {len(check['detections'])} detections\n"
            assert main(words) == 1
            assert f"unknown model {check['name']}" in refusal(capsys.readouterr().err, path)


def test_a_server_that_does_not_answer_is_said_in_a_sentence(packages, capsys) -> None:
    pytest.importorskip("tritonclient.grpc")
    path = checks_of(packages["triton"])[0]
    assert main([path, "--runtime", "triton", "--url", "127.0.0.1:1"]) == 1
    said = refusal(capsys.readouterr().err, path)
    assert "UNAVAILABLE" in said
    assert "--url" in said


def test_another_box_is_found_unless_it_is_tolerated(copy_of, capsys) -> None:
    (path,) = checks_of(copy_of("board"))[:1]
    changed(path, lambda check: check["detections"][0].__setitem__(2, check["detections"][0][2] + 0.01))
    assert main([path]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"{Path(path).stem}: 2 differences"
    assert [line.split(":")[0] for line in said[1:]] == ["  missing", "  too much"]
    assert main([path, "--box-tolerance", "0.011"]) == 0
    assert main([path, "--box-tolerance", "0.009"]) == 1
    changed(path, lambda check: check.__setitem__("box_tolerance", 0.011))
    capsys.readouterr()
    assert main([path]) == 0
    assert main([path, "--box-tolerance", "0"]) == 1, "none is another tolerance than as packed"


def test_another_score_is_found_unless_it_is_tolerated(copy_of, capsys) -> None:
    (path,) = checks_of(copy_of("board"))[:1]
    changed(path, lambda check: check["detections"][0].__setitem__(1, check["detections"][0][1] - 0.01))
    assert main([path]) == 1
    assert capsys.readouterr().out.splitlines()[1].startswith("  score 0.")
    assert main([path, "--score-tolerance", "0.011"]) == 0
    changed(path, lambda check: check.__setitem__("score_tolerance", 0.011))
    assert main([path]) == 0
    assert main([path, "--score-tolerance", "0"]) == 1


def test_one_model_that_differs_fails_the_run_and_the_others_are_still_checked(copy_of, capsys) -> None:
    first, second = checks_of(copy_of("triton"))
    changed(first, lambda check: check["detections"].pop())
    assert main([first, second]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "onnxruntime: 1 differences"
    assert said[1].startswith("  too much: class ")
    assert said[2].startswith("tensorrt: the same ")


def test_another_file_of_the_model_is_checked_instead(packages, exported: Path, tmp_path: Path, capsys) -> None:
    path = checks_of(packages["board"])[0]
    assert main([path, "--model", str(exported)]) == 0
    model = onnx.load(exported)
    weight = next(entry for entry in model.graph.initializer if len(entry.dims) == 4)
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1.05), weight.name))
    onnx.save(model, tmp_path / "other.onnx")
    capsys.readouterr()
    assert main([path, "--model", str(tmp_path / "other.onnx")]) == 1
    assert "differences" in capsys.readouterr().out


def test_without_opencv_pillow_reads_the_same_pixels(packages, monkeypatch) -> None:
    image = packages["board"] / "selfcheck" / "image.png"
    wanted = read_image(image)
    assert wanted.shape == (64, 64, 3)
    monkeypatch.setitem(sys.modules, "cv2", None)
    np.testing.assert_array_equal(read_image(image), wanted)
    assert main([checks_of(packages["board"])[0]]) == 0


@pytest.mark.parametrize(
    ("runtime", "modules", "said"),
    [
        ("onnxruntime", ["onnxruntime"], "onnxruntime is not installed: pip install onnxruntime"),
        ("openvino", ["openvino"], "openvino is not installed: pip install openvino"),
        ("openvino", ["onnx"], "onnx is not installed: pip install onnx"),
        ("triton", ["tritonclient"], "tritonclient is not installed: pip install 'tritonclient[grpc]'"),
        ("onnxruntime", ["cv2", "PIL"], "PIL is not installed: pip install opencv-python"),
    ],
)
def test_the_package_that_is_missing_is_named(packages, monkeypatch, capsys, runtime, modules, said: str) -> None:
    if "onnx" in modules:
        pytest.importorskip("openvino")
    for name in modules:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SystemExit) as ended:
        main([checks_of(packages["board"])[0], "--runtime", runtime])
    assert ended.value.code == f"selfcheck.py: {said}"
    assert capsys.readouterr().out == ""


def no_image(check: Path) -> None:
    (check.parent / "image.png").write_bytes(b"no image")


def no_image_file(check: Path) -> None:
    (check.parent / "image.png").unlink()


def no_model(check: Path) -> None:
    (check.parent / json.loads(check.read_text())["model"]).write_bytes(b"no model")


def no_model_file(check: Path) -> None:
    (check.parent / json.loads(check.read_text())["model"]).unlink()


def another_model(check: Path) -> None:
    entry = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "other", [entry], [])
    graph.output.add().CopyFrom(onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1]))
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, check.parent / json.loads(check.read_text())["model"])


def no_json(check: Path) -> None:
    check.write_text('{"image":')


def no_text(check: Path) -> None:
    check.write_bytes(b"\xff\xfe{}")


def no_object(check: Path) -> None:
    check.write_text("[1]")


def no_file(check: Path) -> None:
    check.unlink()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (no_image, "image.png"),
        (no_image_file, r"image\.png \(No such file"),
        (no_model, "InvalidProtobuf"),
        (no_model_file, "NoSuchFile"),
        (another_model, "InvalidArgument|ValueError"),
        (no_json, "JSONDecodeError"),
        (no_text, "UnicodeDecodeError"),
        (no_object, "list"),
        (no_file, "No such file"),
    ],
)
def test_what_is_damaged_is_refused_in_a_sentence_and_the_others_are_still_checked(
    copy_of, capsys, damage, said: str
) -> None:
    folder, whole = copy_of("board") / "selfcheck", copy_of("deepstream") / "selfcheck"
    (other,) = sorted(map(str, whole.glob("*.json")))[:1]
    damage(folder / "onnxruntime.json")
    assert main([str(folder / "onnxruntime.json"), other]) == 1
    told = capsys.readouterr()
    assert told.out.startswith(f"{Path(other).stem}: the same ")
    assert re.search(f"got .*({said}).*; wanted", refusal(told.err, str(folder / "onnxruntime.json")))


@pytest.mark.parametrize(
    "name",
    ["image", "model", "name", "form", "input", "outputs", "floor", "box_tolerance", "score_tolerance", "detections"],
)
def test_a_field_that_is_missing_is_named(copy_of, capsys, name: str) -> None:
    path = checks_of(copy_of("board"))[0]
    changed(path, lambda check: check.pop(name))
    assert main([path]) == 1
    assert f"got no {name};" in refusal(capsys.readouterr().err, path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image", 3),
        ("name", None),
        ("outputs", "num_detections"),
        ("outputs", ["num_detections", 1]),
        ("floor", "0.3"),
        ("floor", True),
        ("box_tolerance", float("nan")),
        ("score_tolerance", float("inf")),
        ("detections", {}),
        ("detections", [[1.0, 0.8, 0.1, 0.2, 0.3]]),
        ("detections", [[1.0, 0.8, 0.1, 0.2, 0.3, "0.4"]]),
        ("detections", [[1.0, float("nan"), 0.1, 0.2, 0.3, 0.4]]),
    ],
)
def test_a_field_of_another_kind_is_named_and_passes_for_nothing(copy_of, capsys, name: str, value: object) -> None:
    path = checks_of(copy_of("board"))[0]
    changed(path, lambda check: check.__setitem__(name, value))
    assert main([path]) == 1
    assert re.search(rf"got .+ as its {name}; wanted", refusal(capsys.readouterr().err, path))


def test_a_runtime_that_speaks_many_lines_is_quoted_in_one(packages, capsys, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("Exception from core.cpp:1:\n\n  no such device\n" + "at some place\n" * 1000)

    monkeypatch.setitem(selfcheck.RUNTIMES, "onnxruntime", refuse)
    path = checks_of(packages["board"])[0]
    assert main([path]) == 1
    said = refusal(capsys.readouterr().err, path)
    assert "RuntimeError: Exception from core.cpp:1: no such device at some place" in said
    assert len(said) < 1000 + len(path)


def test_a_package_that_is_installed_and_broken_is_not_called_missing(packages, capsys, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise ImportError("libGL.so.1: cannot open shared object file")  # as Python raises it, without a name

    monkeypatch.setitem(selfcheck.RUNTIMES, "onnxruntime", refuse)
    path = checks_of(packages["board"])[0]
    assert main([path]) == 1
    assert "ImportError: libGL.so.1" in refusal(capsys.readouterr().err, path)


def test_a_script_without_checks_does_not_pass(copy_of) -> None:
    package = copy_of("board")
    for path in checks_of(package):
        Path(path).unlink()
    done = run(package)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"there is no check in {package / 'selfcheck'}" in done.stderr
    with pytest.raises(SystemExit, match="there is no check in "):  # where the script itself lies
        main([])
