"""What the tests of the TensorRT backend run on the emulated GPU, each in a process of its own."""

from __future__ import annotations

import dataclasses
import importlib
import logging
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from ssd_edge.backends.cuda import load_driver
from ssd_edge.backends.detector import Detector
from ssd_edge.backends.ort import OrtBackend
from ssd_edge.backends.tensorrt.backend import TrtBackend
from ssd_edge.core.errors import SsdEdgeError
from ssd_edge.core.files import file_digest
from ssd_edge.core.frame import Frame
from ssd_edge.core.manifest import EngineManifest, EngineOptions, manifest_path
from ssd_edge.workflows.load import load
from tests.backends.tiny_onnx import SIZE, tiny_spec, write_tiny_onnx
from tools.emulator.rehearse import inject, report
from tools.emulator.standin.plan import write_engine
from tools.emulator.standin.releases import RELEASES
from tools.emulator.surroundings import capability


def write_tiny_engine(folder: str | Path, in_release: str = "10.3", **changes: Any) -> Path:
    """Write the tiny model's ONNX, engine and manifest."""
    onnx = write_tiny_onnx(Path(folder) / "bright.onnx")
    target = "tensorrt-rtx" if in_release == "rtx" else "tensorrt"
    engine = onnx.with_name(f"bright.fp32.{target}.engine")
    plugin = in_release not in ("11.4", "rtx")
    shared = changes.pop("shared_profiles", True)
    write_engine(
        engine, onnx.read_bytes(), release=in_release, sm=capability(in_release), profile=(1, 1, 4), plugin=plugin,
        shared=shared,
    )  # fmt: skip
    manifest = EngineManifest(
        spec=tiny_spec(), target=target, precision="fp32", onnx=onnx.name, onnx_digest=file_digest(onnx),
        engine_digest=file_digest(engine), runtime=target, runtime_version=RELEASES[in_release],
        device="sm_80 and later" if in_release == "rtx" else "Emulated sm_87", batch=(1, 1, 4),
        built_at="2025-01-01T00:00:00+00:00", options=EngineOptions(nms="plugin" if plugin else ""),
    )  # fmt: skip
    dataclasses.replace(manifest, **changes).save(manifest_path(engine))
    return engine


def picture(number: int) -> np.ndarray:
    """A black image with a bright rectangle that differs from those of the neighbors."""
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    left, top = number % 40, number * 7 % 40
    image[top : top + 8 + number % 5, left : left + 9 + number % 7] = 255
    return image


def pipeline(folder: str, in_release: str, frames: int) -> dict[str, Any]:
    """The streaming pipeline with the TensorRT backend and with ONNX Runtime, on the same frames."""
    from ssd_edge.streaming.pipeline import Pipeline
    from ssd_edge.streaming.running_stream import Stream
    from ssd_edge.streaming.sources.base import Source, SourceInfo

    class Frames(Source):
        def __init__(self) -> None:
            super().__init__(SourceInfo("frames", live=False, frames=frames))

        def __iter__(self) -> Any:
            return (Frame(picture(number), number, 0.0, "frames") for number in range(frames))

    class Keep:
        needs_image = False

        def __init__(self) -> None:
            self.found: list[Any] = []
            self.allocations: list[int] = []

        def write(self, frame: Any, detections: Any) -> None:
            self.found.append([detections.boxes.tolist(), detections.scores.tolist(), detections.class_ids.tolist()])
            if len(self.found) in (1, frames) and report()["calls"]:
                self.allocations.append(report()["allocations"])

    inject("slow_queries", 1)
    on_gpu, on_cpu = Keep(), Keep()
    engine = write_tiny_engine(folder, in_release)
    with Detector(TrtBackend(engine)) as detector:
        Pipeline([Stream(Frames(), [on_gpu])], detector).run()  # type: ignore[list-item]
    with Detector(OrtBackend(engine.with_name("bright.onnx"))) as detector:
        Pipeline([Stream(Frames(), [on_cpu])], detector).run()  # type: ignore[list-item]
    same = on_gpu.found == on_cpu.found
    binding = load_driver().__name__
    return {"same": same, "frames": len(on_gpu.found), "allocations": on_gpu.allocations, "binding": binding}


def batches(folder: str, sizes: list[int], fault: str = "", **changes: Any) -> list[str]:
    """Infer batches of some sizes with a planted fault; return what was wrong, in words."""
    engine = write_tiny_engine(folder, **changes)
    if fault:
        _plant(fault)
    wrong: list[str] = []
    number = 0
    try:
        with TrtBackend(engine) as backend, OrtBackend(engine.with_name("bright.onnx")) as truth:
            for size in sizes:
                batch = np.stack([picture(number + row) for row in range(size)])
                number += size
                same = map(np.array_equal, backend.infer(batch), truth.infer(batch))
                wrong += [] if all(same) else [f"other outputs for a batch of {size}"]
    except SsdEdgeError as error:
        wrong.append(f"{type(error).__name__}: {error}")
    return [*wrong, *(["pinned memory is left"] if report()["pinned_blocks"] else [])]


def lists(folder: str) -> dict[str, Any]:
    """Lists of images through a loaded engine that takes up to four at a time, from eight threads."""
    engine = write_tiny_engine(folder)
    images = [picture(number) for number in range(10)]
    refused = ""
    try:
        load(engine, device="cpu")
    except SsdEdgeError as error:
        refused = str(error)
    with load(engine, device="cuda") as detect, load(engine.with_name("bright.onnx")) as truth:
        wanted = [found.to_dict() for found in truth(images)]
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(detect, [images] * 8))
        alone = [detect(image).to_dict() for image in images]
    same = all([each.to_dict() for each in group] == wanted for group in found)
    return {"same": same and alone == wanted, "refused": refused}


COUNTED = {"allocation": "allocations", "kernel": "kernels", "lose": "calls"}


def injected(folder: str, what: str, frames: int = 3, in_release: str = "10.3") -> list[dict[str, Any]]:
    """Let the N-th allocation, kernel or call fail, for each N that an undisturbed run has; return how each ended."""
    engine = write_tiny_engine(folder, in_release)
    with OrtBackend(engine.with_name("bright.onnx")) as truth:
        wanted = [truth.infer(picture(frame)[None]) for frame in range(frames)]
    before = report()[COUNTED[what]]
    assert _attempt(engine, wanted)["done"] == frames
    answers = []
    for number in range(report()[COUNTED[what]] - before):
        inject("heal", 0)
        inject(what, number)
        answers.append({"number": number, **_attempt(engine, wanted), "report": report()})
    inject("heal", 0)
    return answers


def _attempt(engine: Path, wanted: list[Any]) -> dict[str, Any]:
    """Run the frames; return the error, how many came through, and whether those are right."""
    error, right = "", []
    try:
        with TrtBackend(engine) as backend:
            for frame, truth in enumerate(wanted):
                right.append(all(map(np.array_equal, backend.infer(picture(frame)[None]), truth)))
    except SsdEdgeError as caught:
        error = f"{type(caught).__name__}: {caught}"
    return {"error": error, "done": len(right), "right": all(right)}


def threads(folder: str) -> dict[str, Any]:
    """Many threads use one backend, with batches of all sizes."""
    inject("slow_queries", 20)
    engine = write_tiny_engine(folder)
    wrong: list[int] = []
    with TrtBackend(engine) as backend, OrtBackend(engine.with_name("bright.onnx")) as truth:

        def work(first: int) -> None:
            for number in range(first, 200, 4):
                batch = np.stack([picture(number + row) for row in range(1 + number // 4 % 4)])
                if not all(map(np.array_equal, backend.infer(batch), truth.infer(batch))):
                    wrong.append(number)

        crew = [threading.Thread(target=work, args=(first,)) for first in range(4)]
        for worker in crew:
            worker.start()
        for worker in crew:
            worker.join()
    return {"wrong": wrong}


def logged(folder: str) -> list[str]:
    """What the log says while a backend is opened and used."""
    lines = _listen()
    lines += batches(folder, [1, 1, 1])
    return lines


def runtime_cache(folder: str, spoil: str = "") -> dict[str, Any]:
    """Open a TensorRT-RTX engine twice; return how many kernels each opening compiled, and the log."""
    lines = _listen()
    engine = write_tiny_engine(folder, "rtx")
    path = engine.with_suffix(".cache")
    standin = importlib.import_module("tensorrt_rtx")._standin
    compiled, whole = [], b""
    for opening in range(2):
        before = standin.compiled
        with TrtBackend(engine) as backend:
            backend.infer(picture(opening)[None])
        compiled.append(standin.compiled - before)
        if opening == 0:
            whole = path.read_bytes()
            _spoil(path, spoil)
    mended = path.is_file() and not path.is_symlink() and path.read_bytes() == whole
    return {"compiled": compiled, "lines": lines, "mended": mended}


def _spoil(path: Path, how: str) -> None:
    if how == "cut off":
        path.write_bytes(path.read_bytes()[:-7])
    elif how == "of another GPU":
        path.write_bytes(path.read_bytes().replace(b" 89,", b" 120,"))
    elif how == "not writable":
        path.unlink()
        path.mkdir()
    elif how == "not readable":
        path.unlink()
        path.symlink_to("/proc/self/mem")  # a regular file whose beginning nobody can read


def _listen() -> list[str]:
    """Return a list that fills with what the backends log."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("ssd_edge")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    return lines


def refused(folder: str, **changes: Any) -> str:
    """The error for an engine whose manifest was changed."""
    engine = write_tiny_engine(folder, **changes)
    try:
        TrtBackend(engine).close()
    except SsdEdgeError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def overlap(folder: str) -> int:
    """Let two callers in at once while the GPU is slow; return how many batches were in flight together."""
    from ssd_edge.backends.tensorrt import session as trt_session

    most = 0
    begin = trt_session.Session._begin

    def counting(self: Any, *job: Any) -> None:
        nonlocal most
        begin(self, *job)
        most = max(most, len(self._flight))

    trt_session.Session._begin = counting  # type: ignore[method-assign]
    with TrtBackend(write_tiny_engine(folder)) as backend:
        backend.infer(picture(0)[None])
        inject("slow_queries", 200)
        crew = [threading.Thread(target=backend.infer, args=(picture(number)[None],)) for number in range(2)]
        for worker in crew:
            worker.start()
        for worker in crew:
            worker.join()
    return most


def new_size_meets_a_batch_in_flight(
    folder: str, first: int, second: int, fault: str = "", **changes: Any
) -> list[str]:
    """Hand over a batch of a size that was not met yet while another is in flight; return what was wrong, in words."""
    engine = write_tiny_engine(folder, **changes)
    if fault:
        _plant(fault)
    begun = _begun()
    wrong: list[str] = []
    with TrtBackend(engine) as backend, OrtBackend(engine.with_name("bright.onnx")) as truth:
        backend.infer(picture(0)[None])
        begun.clear()
        inject("slow_queries", 200)

        def work(size: int) -> None:
            batch = np.stack([picture(10 * size + row) for row in range(size)])
            try:
                same = all(map(np.array_equal, backend.infer(batch), truth.infer(batch)))
                wrong.extend([] if same else [f"other outputs for a batch of {size}"])
            except SsdEdgeError as error:
                wrong.append(f"{type(error).__name__}: {error}")

        crew = [threading.Thread(target=work, args=(size,)) for size in (first, second)]
        for worker in crew:
            worker.start()
            assert begun.wait(10)
        for worker in crew:
            worker.join()
    return wrong


def refused_while_another_is_in_flight(folder: str) -> list[str]:
    """TensorRT takes no second batch while the first is in flight; return the errors that the two callers see."""
    begun = _begun()
    errors: list[str] = []
    with TrtBackend(write_tiny_engine(folder)) as backend:
        backend.infer(picture(0)[None])
        begun.clear()
        inject("slow_queries", 200)

        def work(number: int) -> None:
            try:
                backend.infer(picture(number)[None])
            except SsdEdgeError as error:
                errors.append(str(error))

        crew = [threading.Thread(target=work, args=(number,)) for number in range(2)]
        crew[0].start()
        assert begun.wait(10)
        _plant("every_start_refused")
        crew[1].start()
        for worker in crew:
            worker.join()
    return errors


def interrupted_close(folder: str) -> dict[str, Any]:
    """Press Ctrl-C while the backend is closed, which takes its time; return what is left by then."""
    _plant("slow_end")
    backend = TrtBackend(write_tiny_engine(folder))
    backend.infer(picture(0)[None])
    threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    interrupted = False
    try:
        backend.close()
    except KeyboardInterrupt:
        interrupted = True
    return {"interrupted": interrupted, "report": report()}


def never_closed(folder: str) -> None:
    """Use a backend and leave it as it is."""
    backend = TrtBackend(write_tiny_engine(folder))
    backend.infer(picture(0)[None])


def opened_while_the_process_ends(folder: str) -> None:
    """Let a signal come while the thread that opens the engine has just begun, so that nobody closes it."""
    start = threading.Thread.start

    def interrupted(self: Any) -> None:
        start(self)
        if self.name == "ssd-edge-gpu":
            raise SystemExit(143)

    threading.Thread.start = interrupted  # type: ignore[method-assign]
    TrtBackend(write_tiny_engine(folder))


def _plant(fault: str) -> None:
    from tests.backends import trt_faults

    getattr(trt_faults, fault)()


def _begun() -> threading.Event:
    """Return an event that is set whenever the thread that owns the GPU takes a batch."""
    from ssd_edge.backends.tensorrt import session as trt_session

    taken, begin = threading.Event(), trt_session.Session._begin

    def reporting(self: Any, *job: Any) -> None:
        begin(self, *job)
        taken.set()

    trt_session.Session._begin = reporting  # type: ignore[method-assign]
    return taken


def flags_of_events(folder: str) -> list[str]:
    """Return how the events that the backend and the self-test's clocks wait for were made: ``spin`` or ``sleep``."""
    driver = importlib.import_module("pycuda.driver")
    from ssd_edge.backends.tensorrt.profile import measure_stages

    made: list[str] = []
    event, sleeps = driver.Event, driver.event_flags.BLOCKING_SYNC

    def making(flags: int = 0) -> Any:
        made.append("sleep" if flags & sleeps else "spin")
        return event(flags)

    driver.Event = making
    batches(folder, [1])
    measure_stages(write_tiny_engine(folder), picture(0), frames=1)
    return made


def opening_with_a_bug(folder: str) -> str:
    """Open an engine where something raises what is no error of ours; return what the caller sees."""
    from ssd_edge.backends.tensorrt import session as trt_session

    def buggy(*_: Any) -> None:
        raise ZeroDivisionError("a bug")

    trt_session.Slot = buggy  # type: ignore[assignment,misc]
    try:
        TrtBackend(write_tiny_engine(folder))
    except SsdEdgeError as error:
        return str(error)
    return "nothing"
