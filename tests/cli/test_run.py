from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from ssd_edge.core.frame import Frame
from ssd_edge.core.shutdown import StopRequest
from ssd_edge.streaming.sources.video import VideoSource
from tests.backends.tiny_onnx import FOUND_CLASS, SCORE, write_tiny_onnx
from tests.processes import running
from tests.streaming.films import read_film, write_bright_film

ROOT = Path(__file__).parents[2]
LONG = "a" * 300


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with one model, a video in which it finds one box, and no display."""
    monkeypatch.chdir(tmp_path)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    write_tiny_onnx(tmp_path / "engines" / "bright" / "bright.onnx")
    write_bright_film(tmp_path / "video.mp4", 10)
    return tmp_path


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["run", *arguments])


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(exist_ok=True)
    assert cv2.imwrite(str(path), image)
    return path


def test_a_film_becomes_a_film_and_json_lines(workspace: Path) -> None:
    result = run("video.mp4", "--output", "out/boxes.mp4", "--json", "out/boxes.jsonl")
    assert result.exit_code == 0, result.stderr
    assert "using engines/bright/bright.onnx" in result.stderr
    assert (
        "no engine for this machine in engines/; to build one: ssd-edge build engines/bright/bright.onnx"
        in result.stderr
    )
    assert "video.mp4: 10 frames in" in result.stdout
    assert all(
        stage in result.stdout for stage in ("capture", "preprocess", "infer", "output", "end to end", "p95", "p99")
    )
    written = lines(workspace / "out" / "boxes.jsonl")
    assert [line["frame"] for line in written] == list(range(10))
    assert [line["t"] for line in written] == [round(number / 25, 4) for number in range(10)]
    for line in written:
        (found,) = line["detections"]
        np.testing.assert_allclose(found["box"], [0, 0, 32, 32], atol=2)
        assert (found["score"], found["class_id"], found["label"]) == (SCORE, FOUND_CLASS, "dog")
    pictures = read_film(workspace / "out" / "boxes.mp4")
    assert len(pictures) == 10
    plain = read_film(workspace / "video.mp4")
    assert all(np.abs(drawn.astype(int) - bare).max() > 100 for drawn, bare in zip(pictures, plain, strict=True))


def test_a_folder_of_every_kind_of_picture(workspace: Path) -> None:
    bright = np.full((40, 60, 3), 255, np.uint8)
    write(workspace / "photos" / "colour.jpg", bright)
    write(workspace / "photos" / "grey.png", bright[..., 0])
    write(workspace / "photos" / "alpha.png", np.dstack([bright, bright[..., 0]]))
    write(workspace / "photos" / "deep.png", bright.astype(np.uint16) * 257)
    write(workspace / "photos" / "single.png", bright[:1, :1])
    result = run("photos", "--output", "out", "--json", "boxes.jsonl")
    assert result.exit_code == 0, result.stderr
    names = ["alpha.png", "colour.jpg", "deep.png", "grey.png", "single.png"]
    written = lines(workspace / "boxes.jsonl")
    assert [Path(line["source"]).name for line in written] == names
    assert [line["detections"][0]["box"] for line in written] == [[0, 0, 60, 40]] * 4 + [[0, 0, 1, 1]]
    assert sorted(path.name for path in (workspace / "out").iterdir()) == names


def test_the_pictures_that_a_shell_lists_are_one_source(workspace: Path) -> None:
    names = ["x/b.jpg", "x/a.jpg", "y/a.jpg"]
    for name in names:
        write(workspace / name, np.full((40, 60, 3), 255, np.uint8))
    result = run(*names, "--output", "out", "--json", "boxes.jsonl")
    assert result.exit_code == 0, result.stderr
    assert "x/b.jpg and 2 more images: 3 frames in" in result.stdout
    assert [(line["source"], line["frame"]) for line in lines(workspace / "boxes.jsonl")] == [
        (name, number) for number, name in enumerate(names)
    ]
    assert sorted(path.name for path in (workspace / "out").iterdir()) == ["a-2.jpg", "a.jpg", "b.jpg"]
    before = (workspace / "x/b.jpg").read_bytes()
    refused = run("y/a.jpg", "x/b.jpg", "--output", "x")
    assert refused.exit_code == 1
    assert "x/b.jpg is also the input" in refused.stderr
    assert (workspace / "x/b.jpg").read_bytes() == before


def test_one_image_to_one_image(workspace: Path) -> None:
    write(workspace / "a.jpg", np.zeros((40, 60, 3), np.uint8))
    assert run("a.jpg", "--output", "b.jpg").exit_code == 0
    assert cv2.imread(str(workspace / "b.jpg")).shape == (40, 60, 3)


def test_a_paced_film_is_a_live_source(workspace: Path) -> None:
    result = run("video.mp4", "--pace", "100", "--loop", "--max-frames", "15", "--json", "boxes.jsonl")
    assert result.exit_code == 0, result.stderr
    assert "dropped" in result.stdout
    written = lines(workspace / "boxes.jsonl")
    assert len(written) == 15
    assert written[-1]["frame"] >= 14
    assert written[0]["t"] == 0 or written[0]["frame"] > 0  # a slow machine drops the first frame too


def test_json_on_stdout_is_alone_there(workspace: Path) -> None:
    result = run("video.mp4", "--json", "-", "--optimize-for", "throughput")
    assert [json.loads(line)["frame"] for line in result.stdout.splitlines()] == list(range(10))
    assert "video.mp4: 10 frames in" in result.stderr


@pytest.mark.parametrize("written", ["lines/", "lines.d/", "there"])
def test_one_source_has_its_lines_in_a_folder(workspace: Path, written: str) -> None:
    (workspace / "there").mkdir()
    result = run("video.mp4", "--json", written)
    assert result.exit_code == 0, result.stderr
    assert len(lines(workspace / written / "video.jsonl")) == 10


@pytest.mark.parametrize(("threshold", "count"), [("0.7", 1), ("0.8", 0)])
def test_the_threshold_is_the_users(workspace: Path, threshold: str, count: int) -> None:
    assert run("video.mp4", "--threshold", threshold, "--json", "boxes.jsonl").exit_code == 0
    assert {len(line["detections"]) for line in lines(workspace / "boxes.jsonl")} == {count}


def test_a_threshold_below_the_models_is_pointed_out(workspace: Path) -> None:
    assert "the model was exported with score threshold 0.01" in run("video.mp4", "-t", "0.001").stderr


def test_the_newest_engine_of_this_machine_is_used(workspace: Path) -> None:
    onnx = workspace / "engines" / "bright" / "bright.onnx"
    built = CliRunner().invoke(app, ["build", str(onnx)])
    assert built.exit_code == 0, built.stderr
    foreign = workspace / "engines" / "bright" / "foreign.engine"
    foreign.write_bytes(b"built elsewhere")
    os.utime(foreign, (time.time() + 60, time.time() + 60))
    result = run("video.mp4", "--json", "boxes.jsonl")
    assert result.exit_code == 0, result.stderr
    assert "using engines/bright/bright.fp32.onnxruntime.engine\n" in result.stderr
    assert lines(workspace / "boxes.jsonl")[0]["detections"][0]["label"] == "dog"


def test_without_display_and_output_the_figures_are_shown_and_the_user_is_told(workspace: Path) -> None:
    result = run("video.mp4")
    assert result.exit_code == 0
    assert "no window: no display" in result.stderr
    assert "10 frames" in result.stdout


def test_an_output_that_exists_is_replaced_and_said(workspace: Path) -> None:
    (workspace / "boxes.jsonl").write_text("old\n")
    result = run("video.mp4", "--json", "boxes.jsonl")
    assert "boxes.jsonl already exists and is replaced" in result.stderr
    assert len(lines(workspace / "boxes.jsonl")) == 10


@pytest.fixture
def broken(workspace: Path) -> Path:
    """Everything that a user may give by mistake."""
    (workspace / "empty.jpg").touch()
    (workspace / "empty-folder").mkdir()
    (workspace / "notes.mp4").write_text("notes")
    (workspace / "file").touch()
    cut = write(workspace / "cut" / "b.jpg", np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    cut.write_bytes(cut.read_bytes()[:-100])
    write_tiny_onnx(workspace / "foreign.onnx", with_spec=False)
    (workspace / "text.onnx").write_text("no model")
    write_tiny_onnx(workspace / "model.onnx")
    write(workspace / "photo" / "p0.jpg", np.zeros((40, 60, 3), np.uint8))
    (workspace / "caf\udce9.mp4").write_bytes((workspace / "video.mp4").read_bytes())
    return workspace


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["empty.jpg"], "empty.jpg is empty"),
        (["absent.mp4"], "absent.mp4 does not exist"),
        (["cut/b.jpg"], "cut/b.jpg is truncated"),
        (["cut"], "cut/b.jpg is truncated"),
        (["empty-folder"], "empty-folder contains no images"),
        (["notes.mp4"], "notes.mp4 is not a video that OpenCV can read"),
        (["--camera", "63"], "camera 63 cannot be opened"),
        (["rtsp://127.0.0.1:9/x", "--max-retries", "0"], "rtsp://127.0.0.1:9/x cannot be opened: got not found"),
        (["rtsp://127.0.0.1:9/x", "--reconnect", "0"], "rtsp://127.0.0.1:9/x cannot be opened: got not found"),
        (["video.mp4", "video.mp4", "--output", "a.mp4"], "a.mp4 can take only one source: got several"),
        (["video.mp4", "--classes", "zebra"], "the model has no class 'zebra'"),
        (["video.mp4", "--classes", "dog=high"], "the threshold in --classes dog=high is not a number from 0 to 1"),
        (["--config", "absent.toml"], "absent.toml cannot be read"),
        (["--config", "a.toml", "--every", "2"], "cannot be combined with sources or options: got every"),
        (["video.mp4", "--camera", "0"], "SOURCE and --camera cannot be combined"),
        (["video.mp4", "--config", "a.toml"], "SOURCE and --config cannot be combined. Write the source into a.toml."),
        (["--camera", "0", "--config", "a.toml"], "SOURCE and --config cannot be combined"),
        (["0", "--supervise", "--json", "a.jsonl"], "--supervise would overwrite what was written before. Add --cut"),
        (["0", "--supervise", "--output", "a.mkv"], "--supervise would overwrite what was written before. Add --cut"),
        (["video.mp4", "--model", "foreign.onnx"], "foreign.onnx was not exported by ssd-edge"),
        (["video.mp4", "--model", "text.onnx"], "text.onnx is not an ONNX file"),
        (["video.mp4", "--model", "absent.onnx"], "absent.onnx does not exist"),
        (["video.mp4", "--model", "best.pt"], "ssd-edge export best.pt"),
        (["video.mp4", "--output", "video.mp4"], "the output video.mp4 is also the input"),
        (["cut", "--output", "cut"], "the output cut is also the input"),
        (["video.mp4", "--json", "video.mp4"], "the output video.mp4 is also the input"),
        (["video.mp4", "--output", "file/out.mp4"], "file cannot be written"),
        (["video.mp4", "--output", "file/out"], "cannot be written"),
        (["video.mp4", "--output", "/proc/out.mp4"], "/proc cannot be written"),
        (["video.mp4", "--json", "file/boxes.jsonl"], "file cannot be written"),
        (["video.mp4", "--output", "out.jpg"], "out.jpg can hold only one image"),
        (["video.mp4", "--output", "out.mov"], "out.mov is not a known kind of output"),
        (["video.mp4", "--window"], "no window can be shown"),
        (["video.mp4", "--threshold", "1.5"], "the score threshold is out of range"),
        (["video.mp4", "--pace", "0"], "--pace is out of range"),
        (["video.mp4", "--pace", "nan"], "--pace is out of range: got nan FPS"),
        (["video.mp4", "--pace", "inf"], "--pace is out of range: got inf FPS"),
        (["0", "--fps", "inf"], "the camera's frame rate is out of range: got inf FPS"),
        (["photo/p0.jpg", "--output", "photo"], "photo/p0.jpg is also the input"),
        (["photo", "--output", "photo/p0.jpg"], "photo/p0.jpg is also the input"),
        (["photo", "--json", "photo/p0.jpg"], "photo/p0.jpg is also the input"),
        (["FILE-URI", "--output", "video.mp4"], "the output video.mp4 is also the input"),
        (["video.mp4", "--model", "model.onnx", "--json", "model.onnx"], "model.onnx is also the input"),
        (["video.mp4", "--output", "new.mp4", "--json", "new.mp4"], "new.mp4 is given for two outputs"),
        ([f"{LONG}.mp4"], "File name too long"),
        (["video.mp4", "--output", LONG], "File name too long"),
        (["video.mp4", "--output", f"{LONG}.mp4"], "File name too long"),
        (["video.mp4", "--json", LONG], "File name too long"),
        (["video.mp4", "--model", f"{LONG}.onnx"], "File name too long"),
        (["video.mp4", "--model", "nope.engine"], "nope.engine does not exist: wanted a model"),
        (["caf\udce9.mp4"], "OpenCV cannot open"),
        (["video.mp4", "--width", "640"], "--width, --height and --fps are only for cameras, not for video.mp4"),
        (["0", "--loop"], "--loop is only for files, not for camera 0"),
    ],
)
def test_every_mistake_has_a_sentence_and_leaves_nothing(broken: Path, arguments: list[str], message: str) -> None:
    before = {path: path.stat().st_size for path in broken.rglob("*")}
    uri = (broken / "video.mp4").as_uri()
    result = run(*(uri if argument == "FILE-URI" else argument for argument in arguments))
    assert result.exit_code == 1, result.exception
    assert result.stderr.splitlines()[-1].startswith("ssd-edge: ")
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert {path: path.stat().st_size for path in broken.rglob("*")} == before


def test_what_was_written_is_said(workspace: Path) -> None:
    result = run("video.mp4", "--output", "out.mp4", "--json", "boxes.jsonl")
    assert "wrote out.mp4\n" in result.stderr
    assert "wrote boxes.jsonl\n" in result.stderr


def test_a_run_that_ends_before_its_first_frame_says_that_it_wrote_nothing(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace / "boxes.jsonl").write_text("old\n")

    def silent(source: VideoSource) -> Iterator[Frame]:
        source._interrupted.wait()
        yield from ()

    monkeypatch.setattr(VideoSource, "__iter__", silent)
    monkeypatch.setattr(StopRequest, "requested", True)
    result = run("video.mp4", "--output", "out.mp4", "--json", "boxes.jsonl")
    assert result.exit_code == 0, result.stderr
    assert "video.mp4: 0 frames in" in result.stdout
    assert "nothing was written to out.mp4: no frame came\n" in result.stderr
    assert "nothing was written to boxes.jsonl: no frame came\n" in result.stderr
    assert "wrote " not in result.stderr
    assert (workspace / "boxes.jsonl").read_text() == "old\n"
    assert not (workspace / "out.mp4").exists()


def test_a_film_that_is_cut_short_is_reported(workspace: Path) -> None:
    writer = cv2.VideoWriter("cut.avi", cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (64, 64))
    for _ in range(30):
        writer.write(np.zeros((64, 64, 3), np.uint8))
    writer.release()
    whole = (workspace / "cut.avi").read_bytes()
    (workspace / "cut.avi").write_bytes(whole[: (whole.index(b"movi") + whole.index(b"idx1")) // 2])
    result = run("cut.avi", "--json", "boxes.jsonl")
    assert result.exit_code == 0
    count = len(lines(workspace / "boxes.jsonl"))
    assert f"cut.avi ends after {count} of 30 frames; it is truncated or damaged\n" in result.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's full device")
def test_a_full_disk_is_a_sentence(workspace: Path) -> None:
    result = run("video.mp4", "--json", "/dev/full")
    assert result.exit_code == 1
    assert "/dev/full cannot be written (No space left on device)" in result.stderr


def test_devices_and_pipes_take_json_lines(workspace: Path) -> None:
    result = run("video.mp4", "--json", "/dev/null")
    assert result.exit_code == 0, result.stderr
    assert "exists and is replaced" not in result.stderr
    command = [sys.executable, str(ROOT / "cli.py"), "run", "video.mp4", "--json", "/dev/stdout"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert [json.loads(line)["frame"] for line in said.splitlines()[:10]] == list(range(10))


def test_pictures_whose_names_are_no_utf8_or_look_like_markup(workspace: Path) -> None:
    photos = workspace / "pics["
    photos.mkdir()
    names = ["[red]a.png", "caf\udce9.png", "x].png"]
    for name in names:
        data = cv2.imencode(".png", np.full((40, 60, 3), 255, np.uint8))[1]
        (photos / name).write_bytes(data.tobytes())
    assert run("pics[", "--json", "boxes.jsonl").exit_code == 0
    assert [Path(line["source"]).name for line in lines(workspace / "boxes.jsonl")] == names
    for name in names:
        result = run(f"pics[/{name}", "--json", "boxes.jsonl")
        assert result.exit_code == 0, result.exception
        assert f"pics[/{name}: 1 frames".encode(errors="backslashreplace").decode() in result.stdout


def test_no_model_at_all_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_bright_film(tmp_path / "video.mp4", 2)
    result = run("video.mp4")
    assert result.exit_code == 1
    assert "ssd-edge import --from torchvision:" in result.stderr


def test_a_bad_picture_in_the_middle_keeps_the_results_before_it(broken: Path) -> None:
    write(broken / "cut" / "a.jpg", np.full((40, 60, 3), 255, np.uint8))
    result = run("cut", "--output", "out", "--json", "boxes.jsonl")
    assert result.exit_code == 1
    assert "cut/b.jpg is truncated" in result.stderr
    assert [line["source"] for line in lines(broken / "boxes.jsonl")] == ["cut/a.jpg"]
    assert [path.name for path in (broken / "out").iterdir()] == ["a.jpg"]


def test_camera_0_is_the_default_source(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def absent(number: int, *_: object) -> None:
        asked.append(number)
        raise_absent()

    def raise_absent() -> None:
        from ssd_edge.core.errors import DeviceError

        raise DeviceError("camera 0 cannot be opened")

    monkeypatch.setattr("ssd_edge.streaming.sources.factory.open_camera", absent)
    result = run()
    assert (result.exit_code, asked) == (1, [0])
    assert "using camera 0" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_leaves_a_film_that_plays_and_whole_lines(workspace: Path, number: signal.Signals) -> None:
    boxes, film = workspace / "boxes.jsonl", workspace / "out.mp4"
    command = [
        sys.executable,
        str(ROOT / "cli.py"),
        "run",
        "video.mp4",
        "--loop",
        "--output",
        str(film),
        "--json",
        str(boxes),
    ]
    with running(command, stdout=PIPE, stderr=PIPE) as process:
        deadline = time.monotonic() + 60
        while not (boxes.exists() and boxes.read_text().count("\n") >= 5):
            assert time.monotonic() < deadline
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        process.send_signal(number)
        said, complained = process.communicate(timeout=60)
    assert process.returncode == 0, complained
    assert "(stopped)" in said
    assert boxes.read_text().endswith("\n")
    written = lines(boxes)
    assert [line["frame"] for line in written] == list(range(len(written)))
    assert len(read_film(film)) == len(written) >= 5
    assert not list(workspace.glob("*.partial*")) + list(workspace.glob(".*partial*"))


def test_a_run_never_imports_torch(workspace: Path) -> None:
    program = (
        "import sys\n"
        "from ssd_edge.cli.app import app\n"
        "app(['run', 'video.mp4', '--output', 'out.mp4', '--json', 'boxes.jsonl'], standalone_mode=False)\n"
        "sys.exit(3 if 'torch' in sys.modules else 0)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert len(lines(workspace / "boxes.jsonl")) == 10


def test_a_stream_that_failed_is_exit_code_1_and_the_others_are_whole(workspace: Path) -> None:
    result = run("video.mp4", "63", "--json", "all.jsonl")
    assert result.exit_code == 1
    assert "camera 63 cannot be opened" in result.output
    assert [line["frame"] for line in lines(workspace / "all.jsonl")] == list(range(10))
