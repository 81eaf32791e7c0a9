"""``ssd.bench`` on the detector of squares: real workers, real times, and who is left out."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import pytest

from ssd_edge.benchmarking.process import WorkerError
from ssd_edge.benchmarking.startup import Startup
from ssd_edge.benchmarking.task import Task
from ssd_edge.core.errors import InputError, SsdEdgeError
from ssd_edge.core.files import file_digest
from ssd_edge.core.graph_contract import DIGEST_KEY
from ssd_edge.core.progress import ProgressEvent, no_progress
from ssd_edge.workflows.benchmark import run as running
from ssd_edge.workflows.benchmark.benchmark import _contestants, bench
from ssd_edge.workflows.benchmark.config import BenchConfig, BenchOptions
from ssd_edge.workflows.benchmark.entries import Entry, default_models, of_files
from ssd_edge.workflows.benchmark.prepare import find_images, with_sources, write_heads
from ssd_edge.workflows.benchmark.run import Run
from ssd_edge.workflows.benchmark.stages import HEADS, measure_stages
from ssd_edge.workflows.build.build import build
from ssd_edge.workflows.workspace import use_engine
from tests.quantization.square_model import write_pictures, write_square_model

SHORT: dict[str, Any] = {"seconds": 0.3, "rounds": 6, "launches": 1}


@pytest.fixture(autouse=True)
def _short_measurements(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_THROUGHPUT_S", "_STAGES_S", "_GEMM_S"):
        monkeypatch.setattr(running, name, 0.05)


def test_keywords_are_the_fields_of_the_config() -> None:
    assert set(BenchOptions.__annotations__) == {field.name for field in dataclasses.fields(BenchConfig)}


@pytest.mark.slow
def test_the_engines_of_a_workspace_beside_peers(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """All that needs no other package: stages, layouts, start, memory, our weights in other runtimes, pages."""
    write_square_model(tmp_path / "engines/squares/squares.onnx")
    pictures = write_pictures(tmp_path / "pictures", 4)
    for precision in ("int8", "fp32"):
        build(precision=precision, images=pictures[0].parent if precision == "int8" else None, target="onnxruntime",
              workspace=tmp_path)  # fmt: skip
    capfd.readouterr()
    events: list[ProgressEvent] = []
    result = bench(
        workspace=tmp_path, images=pictures[0].parent, against=["onnxruntime", "opencv-dnn", "torchvision"],
        html=tmp_path / "bench.html", markdown=tmp_path / "bench.md", progress=events.append, **SHORT,
    )  # fmt: skip
    assert capfd.readouterr() == ("", "")
    assert result.path == tmp_path / "bench.html"
    assert (tmp_path / "bench.md").is_file()
    first, int8, plain, static, opencv = result.contestants
    assert (first.precision, first.verdict, first.ratio) == ("fp32", "reference", None)
    assert (int8.precision, plain.runtime, static.precision) == ("int8", "onnxruntime", "int8")
    assert opencv.runtime == "opencv-dnn"
    assert [entry.agreement for entry in (plain, opencv)] == [1.0, 1.0], "the same weights see the same"
    for entry in result.contestants:
        assert 0 < entry.latency.low <= entry.latency.median <= entry.latency.high
        assert entry.times.median <= entry.times.p90 <= entry.times.p99
        assert len(entry.block_medians_ms) == 6
        assert len(entry.cold_start_s) == 1
        assert 20 < entry.memory_mib < 2000
        assert entry.macs == first.macs > 100_000
        assert entry.fps > 1
    assert set(first.stages_ms) == {"decode", "resize", "inference", "nms", "output"}
    assert first.run_start_s > 0.05
    assert first.run_memory_mib > 20
    assert opencv.run_start_s is None
    (missing,) = result.left_out
    assert "torchvision needs the checkpoint" in str(missing)
    assert {event.stage for event in events} == {"timing in turns", "throughput and stages"}
    assert json.loads(result.to_json())["contestants"][0]["name"] == first.name


def test_one_file_twice_is_two_contestants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "measure_startup", lambda *_: None)
    model = write_square_model(tmp_path / "squares.onnx")
    images = write_pictures(tmp_path / "pictures", 2)[0].parent
    result = bench([model, model], images=images, quick=True, **SHORT)
    one, other = result.contestants
    assert (one.name, other.name) == ("squares.onnx #1", "squares.onnx #2")
    assert other.agreement == 1.0
    assert (len(one.cold_start_s), result.launches, result.rounds) == (1, 1, 6)
    assert one.throughput == ()
    assert other.ratio is not None
    assert other.ratio.confidence > 0.95


def test_a_missing_file_and_an_empty_workspace_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        bench(tmp_path / "m.onnx")
    with pytest.raises(InputError, match="no file matches"):
        bench(workspace=tmp_path)
    (tmp_path / "video.mp4").write_bytes(b"")
    with pytest.raises(InputError, match=r"video\.mp4 is not a model"):
        bench(tmp_path / "video.mp4")
    with pytest.raises(InputError, match="out of range"):
        bench("m.onnx", rounds=2)


class FakeWorker:
    """A contestant whose answers are known; it counts what it is asked."""

    pid = 1
    cold_start_s = 0.25

    def __init__(self, task: Task) -> None:
        if task.model == "broken":
            raise WorkerError("it cannot be opened")
        self.task, self.asked = task, []
        self.opened = {"parallel": task.kind != "opencv-dnn"}
        self.layout = (1, task.threads)

    def time(self, first: int, calls: int, untimed: int) -> list[float]:
        return [float(self.task.model)] * calls

    def ask(self, action: str, **values: Any) -> Any:
        self.asked.append(action)
        if action == "reopen":
            self.layout = (values["workers"], values["threads"])
        if action == "throughput" and self.task.model == "404":
            raise WorkerError("the worker process ended")
        if action == "throughput" and values["batch"] > 4:
            raise WorkerError("it takes 4 at most")
        return {
            "detections": [{"count": 2, "boxes": [[0, 0, 9, 9]], "scores": [0.9], "class_ids": [0]}],
            "memory": 100.0,
            "stages": {"inference": 1.0},
            "throughput": {"fps": 100.0 * self.layout[0] * values.get("batch", 1), "p50_ms": 1.0, "p99_ms": 2.0},
            "gpu_stages": [{"mode": "graph", "qps": 900.0, "rows": {"Latency": {"median_ms": 1.0, "p99_ms": 2.0}}}],
            "peaks": {"f32": [450.0, "torch"]},
            "reopen": None,
        }[action]


@contextmanager
def fake(task: Task) -> Iterator[FakeWorker]:
    yield FakeWorker(task)


def entry(name: str, ms: str, runtime: str = "onnxruntime", kind: str = "onnxruntime") -> Entry:
    return Entry(name, "net", Task(kind, ms, ("a.jpg",), threads=2), "fp32", runtime)


def measured(*entries: Entry, **options: Any) -> Run:
    run = Run(BenchConfig(rounds=6, seconds=0.1, **options), list(entries), 2, no_progress, start=fake)  # type: ignore[arg-type]
    run.measure()
    return run


def test_who_cannot_be_opened_is_left_out_and_the_others_go_on() -> None:
    run = measured(entry("a", "10"), entry("b", "broken"), entry("c", "20"))
    assert [str(missing) for missing in run.left_out] == ["b: it cannot be opened"]
    assert run.measured["c"].blocks.medians == (20.0,) * 6
    assert run.rounds == 6
    assert run.measured["a"].cold_start_s == [0.25] * 3
    with pytest.raises(SsdEdgeError, match="cannot be opened"):
        measured(entry("b", "broken"))


def test_one_whose_throughput_fails_keeps_its_latency_and_the_others_all() -> None:
    run = measured(entry("a", "404"), entry("b", "20"))
    assert [str(missing) for missing in run.left_out] == ["throughput and stages of a: the worker process ended"]
    assert run.measured["a"].blocks.medians == (404.0,) * 6
    assert len(run.measured["b"].throughput) == 2


def test_run_is_started_as_often_as_the_contestants_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    answers = iter([Startup(9.0, 50.0), Startup(1.0, 70.0), Startup(2.0, None), None, Startup(3.0, 60.0), None])
    monkeypatch.setattr(running, "measure_startup", lambda model, _: started.append(str(model)) or next(answers))
    run = measured(entry("a", "1", kind="ssd-edge"), entry("b", "2", kind="ssd-edge"), quick=True)
    assert started == ["1", "2"] * 3
    assert run.measured["a"].startup == Startup(3.0, 60.0)
    assert run.measured["b"].startup == Startup(1.0, 70.0)


def test_the_best_layout_stands_first_and_batches_end_where_the_runtime_does() -> None:
    run = measured(entry("a", "10"), entry("b", "10", kind="opencv-dnn"), scaling=True, roofline=True)
    found = run.measured["a"]
    assert [(point.workers, point.threads) for point in found.throughput] == [(2, 1), (1, 2)]
    assert [point.batch for point in found.batches] == [1, 2, 4]
    assert [point.callers for point in found.streams] == [1, 2, 4, 8]
    assert [(point.workers, point.threads) for point in run.measured["b"].throughput] == [(1, 2)]
    assert run.peaks["f32"].gops == 450.0


def test_an_engine_of_tensorrt_is_asked_for_its_own_clock() -> None:
    run = measured(entry("a", "10", runtime="tensorrt"))
    (mode,) = run.measured["a"].gpu
    assert (mode.mode, mode.qps, mode.median_ms, mode.p99_ms) == ("graph", 900.0, {"Latency": 1.0}, {"Latency": 2.0})
    assert len(run.measured["a"].throughput) == 1, "a GPU has a layout of its own"


def test_busy_processes_run_beside_the_rounds_and_count_as_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    run = Run(BenchConfig(rounds=6, seconds=0.1, launches=1, busy=2, quick=True), [entry("a", "1")], 2, no_progress,
              start=fake)  # type: ignore[arg-type]  # fmt: skip
    monkeypatch.setattr(FakeWorker, "time", lambda *_: seen.append(tuple(run._helpers)) or [1.0])
    run.measure()
    (helpers,) = set(seen)
    assert len(set(helpers)) == 2
    assert run._helpers == []
    assert not any(is_alive(process) for process in helpers)


def test_an_image_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    write_pictures(tmp_path / "images", 3)
    (tmp_path / "images/000.png").write_bytes(b"nothing")
    images, left_out = find_images(tmp_path / "images", tmp_path / "chosen")
    assert [path.resolve().name for path in images] == ["001.png", "002.png"]
    assert "000.png" in str(left_out[0])
    with pytest.raises(InputError, match="no image that can be read"):
        find_images(tmp_path / "images/000.png", tmp_path / "other")
    with pytest.raises(InputError, match="nowhere does not exist"):
        find_images(tmp_path / "nowhere", tmp_path / "other")


def test_a_worker_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """Killed outright while its worker stands still: nobody could let it go on."""
    model, images = write_square_model(tmp_path / "m.onnx"), write_pictures(tmp_path / "images", 1)
    program = (
        "import sys, time; from ssd_edge.workflows.benchmark.run import start_worker\n"
        "from ssd_edge.benchmarking.task import Task\n"
        f"print(start_worker(Task('ssd-edge', {str(model)!r}, ({str(images[0])!r},))).pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        assert Path(f"/proc/{worker}").exists()
        process.kill()
    deadline = time.monotonic() + 10
    while is_alive(worker) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(worker)


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_quick_asks_for_no_more_than_times() -> None:
    run = measured(entry("a", "10"), quick=True)
    assert run.measured["a"].throughput == []
    assert run.measured["a"].memory_mib == 100.0


@pytest.mark.slow
def test_a_preset_is_built_with_random_weights_that_see_something(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no preset"):
        bench("nonsense")
    result = bench("ssd192-tiny", classes=3, quick=True, workspace=tmp_path, against=["torchvision"], **SHORT)
    assert [entry.name for entry in result.contestants][:2] == [
        "ssd192-tiny ours fp32 on onnxruntime",
        "ssd192-tiny ours int8 on onnxruntime",
    ]
    assert all(entry.detections > 3 for entry in result.contestants)
    assert all("random weights" in entry.note for entry in result.contestants[:2])
    assert [path.name for path in tmp_path.iterdir()] == [], "a bench leaves nothing in the workspace"
    assert any("torchvision has no network" in str(missing) for missing in result.left_out)


@pytest.mark.parametrize("target", ["onnxruntime", "openvino"])
def test_stages_of_an_engine(tmp_path: Path, target: str) -> None:
    if target == "openvino":
        pytest.importorskip("openvino")
    source = write_square_model(tmp_path / "squares.onnx")
    images = tuple(map(str, write_pictures(tmp_path / "pictures", 1)))
    engine = build(source, target=target, workspace=tmp_path).path  # type: ignore[arg-type]
    (contestant,) = of_files([engine], BenchConfig(), images, 1)
    heads = write_heads(contestant, tmp_path)
    assert heads is not None
    task = dataclasses.replace(contestant.task, settings={HEADS: str(heads)})
    assert set(measure_stages(task, 0.05)) == {"decode", "resize", "inference", "nms", "output"}
    assert "nms" not in measure_stages(contestant.task, 0.02), "without the cut graph it is part of inference"


def test_the_checkpoint_of_an_onnx_is_found_by_its_digest(tmp_path: Path) -> None:
    for name in ("other", "mine"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "best.pt").write_text(name)
    model = onnx.load(write_square_model(tmp_path / "squares.onnx"))
    model.metadata_props.add(key=DIGEST_KEY, value=file_digest(tmp_path / "runs/mine/best.pt"))
    onnx.save(model, tmp_path / "squares.onnx")
    (contestant,) = of_files([tmp_path / "squares.onnx"], BenchConfig(), ("a.jpg",), 1)
    (found,) = with_sources([contestant], tmp_path, tmp_path)
    assert found.checkpoint == tmp_path / "runs/mine/best.pt"
    (nowhere,) = with_sources([contestant], tmp_path / "elsewhere", tmp_path)
    assert nowhere.checkpoint is None


def test_by_default_the_engines_of_the_current_model_take_part(tmp_path: Path) -> None:
    write_square_model(tmp_path / "engines/squares/squares.onnx")
    assert default_models(tmp_path) == [tmp_path / "engines/squares/squares.onnx"], "without an engine the ONNX"
    first = build(target="onnxruntime", workspace=tmp_path).path
    other = write_square_model(tmp_path / "engines/others/others.onnx")
    model = onnx.load(other)
    model.doc_string = "another file"
    onnx.save(model, other)
    stranger = build(other, target="onnxruntime", workspace=tmp_path).path
    use_engine(first, workspace=tmp_path)
    assert default_models(tmp_path) == [first]
    use_engine(stranger, workspace=tmp_path)
    assert default_models(tmp_path) == [stranger]


def test_a_share_of_the_peak_is_of_the_type_that_a_network_multiplies_in(tmp_path: Path) -> None:
    source = write_square_model(tmp_path / "squares.onnx")
    run = measured(
        dataclasses.replace(entry("a", "10"), source=source),
        dataclasses.replace(entry("b", "20"), precision="int8"),
        dataclasses.replace(entry("c", "10", runtime="tensorrt"), precision="fp32"),
        dataclasses.replace(entry("d", "10"), same_network=False),
        dataclasses.replace(entry("e", "10"), group="unknown"),
        roofline=True,
    )
    a, b, c, d, e = _contestants(run)
    assert a.macs is not None
    assert a.macs == b.macs == c.macs > 0, "those of one group have one network"
    assert a.peak_share == pytest.approx(2 * a.macs / 0.010 / 450e9)
    assert (b.peak_share, c.peak_share) == (None, None), "no peak is known of int8, and none of a GPU"
    assert (d.macs, d.peak_share, d.agreement) == (None, None, None)
    assert (e.macs, e.peak_share) == (None, None)
    assert [entry.ratio is None for entry in (a, b, e)] == [True, False, True]
