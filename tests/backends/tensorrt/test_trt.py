from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tools.emulator.rehearse import needs_emulator, rehearse
from tools.emulator.surroundings import surroundings, without_pycuda

pytestmark = needs_emulator
HERE = "tests.backends.trt_rehearsals"
KEPT = ("device_blocks", "pinned_blocks", "streams", "events", "graphs", "executables", "primary_uses")


def nothing_left(report: dict[str, Any]) -> bool:
    return all(report[kind] == 0 for kind in KEPT)


@pytest.mark.parametrize("integrated", ["0", "1"])
@pytest.mark.parametrize("release", ["8.5", "8.6", "10.3", "10.16", "11.4", "rtx"])
def test_the_pipeline_sees_what_onnx_runtime_sees(tmp_path: Path, release: str, integrated: str) -> None:
    frames = 2000 if integrated == "0" else 200
    result, report = rehearse(
        f"{HERE}:pipeline", release, env={"SSD_EDGE_EMU_INTEGRATED": integrated},
        folder=str(tmp_path), in_release=release, frames=frames,
    )  # fmt: skip
    assert result["same"]
    assert result["frames"] == frames
    first, last = result["allocations"][:2]
    assert first == last, "memory was allocated after the first frame"
    assert report["faults"] == []
    assert nothing_left(report)
    assert report["graph_launches"] == frames + 1  # with the warm-up
    assert (report["copies"] == 0) == (integrated == "1")
    assert (tmp_path / "bright.fp32.tensorrt-rtx.cache").exists() == (release == "rtx")


@pytest.mark.slow(but="10.3")
@pytest.mark.parametrize("release", ["10.3", "8.5", "8.6", "10.16", "11.4", "rtx"])
def test_cuda_python_takes_the_place_of_pycuda(tmp_path: Path, release: str) -> None:
    pytest.importorskip("cuda.bindings", reason="cuda-python is not installed: pip install cuda-bindings")
    for integrated in ("0", "1"):
        result, report = rehearse(
            f"{HERE}:pipeline", release, env={"SSD_EDGE_EMU_INTEGRATED": integrated, **without_pycuda(release)},
            folder=str(tmp_path), in_release=release, frames=100,
        )  # fmt: skip
        assert result["same"]
        assert result["binding"] == "ssd_edge.backends.cuda_python"
        assert report["faults"] == []
        assert nothing_left(report)
        assert report["graph_launches"] == 100 + 1
        assert (report["copies"] == 0) == (integrated == "1")


@pytest.mark.slow
@pytest.mark.parametrize("what", ["allocation", "kernel", "lose"])
def test_an_injected_error_is_named_with_cuda_python_too(tmp_path: Path, what: str) -> None:
    pytest.importorskip("cuda.bindings", reason="cuda-python is not installed: pip install cuda-bindings")
    env = without_pycuda("10.3")
    answers, _ = rehearse(f"{HERE}:injected", "10.3", env=env, folder=str(tmp_path), in_release="10.3", what=what)
    for answer in answers:
        assert nothing_left(answer["report"]), answer
        assert answer["report"]["faults"] == [], answer
        assert answer["right"], answer
        assert answer["error"] or answer["done"] == 3, answer


def test_tensorrt_8_refuses_a_second_context_where_the_profile_is_not_shared(tmp_path: Path) -> None:
    changes = {"in_release": "8.6", "shared_profiles": False}
    wrong, report = rehearse(f"{HERE}:batches", "8.6", folder=str(tmp_path), sizes=[1], **changes)
    assert "TensorRT does not take (1, 64, 64, 3)" in wrong[0]
    assert "mOptimizationProfile >= 0" in wrong[0]
    assert nothing_left(report)


def test_a_list_is_run_in_batches_that_the_engine_takes(tmp_path: Path) -> None:
    result, report = rehearse(f"{HERE}:lists", "10.3", folder=str(tmp_path))
    assert result["same"]
    assert "runs on the first NVIDIA GPU only: got device 'cpu'; wanted 'auto' or 'cuda'" in result["refused"]
    assert report["faults"] == []
    assert nothing_left(report)


def test_what_rtx_compiled_is_kept_for_the_next_opening(tmp_path: Path) -> None:
    result, report = rehearse(f"{HERE}:runtime_cache", "rtx", folder=str(tmp_path))
    first, second = result["compiled"]
    assert first > 0
    assert second == 0
    assert result["mended"]
    assert [line for line in result["lines"] if "CUDA graph" not in line] == []
    assert report["faults"] == []


@pytest.mark.parametrize(
    ("spoil", "said", "mended"),
    [
        ("cut off", "bright.fp32.tensorrt-rtx.cache is damaged, or belongs to another release or GPU", True),
        ("of another GPU", "bright.fp32.tensorrt-rtx.cache is damaged, or belongs to another release or GPU", True),
        ("not writable", "compiled again at the next start: ", False),
        ("not readable", "cannot be read (Input/output error): kernels are compiled again", False),
    ],
)
def test_a_runtime_cache_that_is_of_no_use_is_named_and_replaced(
    tmp_path: Path, spoil: str, said: str, mended: bool
) -> None:
    result, report = rehearse(f"{HERE}:runtime_cache", "rtx", folder=str(tmp_path), spoil=spoil)
    assert result["compiled"][0] == result["compiled"][1] > 0
    assert any(said in line for line in result["lines"]), result["lines"]
    assert result["mended"] == mended
    assert report["faults"] == []
    assert nothing_left(report)


def test_batches_of_several_sizes(tmp_path: Path) -> None:
    wrong, report = rehearse(f"{HERE}:batches", folder=str(tmp_path), sizes=[1, 2, 4, 1, 3, 2, 1])
    assert wrong == []
    assert report["faults"] == []
    assert nothing_left(report)


def test_threads_share_one_backend(tmp_path: Path) -> None:
    result, report = rehearse(f"{HERE}:threads", folder=str(tmp_path))
    assert result == {"wrong": []}
    assert report["faults"] == []


def test_a_second_batch_joins_the_first_while_it_runs(tmp_path: Path) -> None:
    together, report = rehearse(f"{HERE}:overlap", folder=str(tmp_path))
    assert together == 2
    assert report["faults"] == []


def test_a_batch_of_a_new_size_harms_none_that_is_in_flight(tmp_path: Path) -> None:
    rehearsal = f"{HERE}:new_size_meets_a_batch_in_flight"
    wrong, report = rehearse(rehearsal, folder=str(tmp_path), first=1, second=2)
    assert wrong == []
    assert report["faults"] == []
    assert nothing_left(report)


def test_what_is_in_flight_ends_before_its_memory_is_given_back(tmp_path: Path) -> None:
    errors, report = rehearse(f"{HERE}:refused_while_another_is_in_flight", folder=str(tmp_path))
    assert errors == ["TensorRT cannot run the engine"] * 2
    assert report["faults"] == []
    assert nothing_left(report)


def test_ctrl_c_while_a_backend_closes_waits_until_all_is_given_back(tmp_path: Path) -> None:
    """Where Python's own join was interrupted, another takes the thread for ended, until 3.12."""
    result, _ = rehearse(f"{HERE}:interrupted_close", folder=str(tmp_path))
    assert result["interrupted"]
    assert nothing_left(result["report"])


@pytest.mark.parametrize(("left", "code"), [("never_closed", 0), ("opened_while_the_process_ends", 143)])
def test_a_process_that_ends_gives_all_back_also_where_nobody_closed(tmp_path: Path, left: str, code: int) -> None:
    report = tmp_path / "report.json"
    call = f"import tests.backends.trt_rehearsals as it; it.{left}({str(tmp_path)!r})"
    env = surroundings("10.3", {"SSD_EDGE_EMU_REPORT": str(report)})
    done = subprocess.run([sys.executable, "-c", call], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, "")
    found = json.loads(report.read_text())
    assert found["faults"] == []
    assert nothing_left(found)


def test_who_waits_for_the_gpu_sleeps(tmp_path: Path) -> None:
    """A wait that spins takes a core, of which a board has few."""
    made, _ = rehearse(f"{HERE}:flags_of_events", folder=str(tmp_path))
    assert len(made) >= 6 + 4
    assert set(made) == {"sleep"}


def test_the_log_says_whether_a_graph_is_used(tmp_path: Path) -> None:
    lines, _ = rehearse(f"{HERE}:logged", folder=str(tmp_path))
    assert lines == ["CUDA graph for batches of 1"] * 2
    lines, report = rehearse(f"{HERE}:logged", folder=str(tmp_path), env={"SSD_EDGE_STANDIN_NO_GRAPH": "1"})
    assert len(lines) == 2
    assert lines[0].startswith("no CUDA graph for batches of 1, using plain enqueue instead: ")
    assert report["graph_launches"] == 0
    assert report["faults"] == []
    assert nothing_left(report)


@pytest.mark.slow
@pytest.mark.parametrize(("release", "integrated"), [("10.3", "0"), ("10.3", "1"), ("rtx", "0")])
@pytest.mark.parametrize(
    ("what", "message", "least"),
    [("allocation", "memory", 14), ("kernel", "launch failed", 5), ("lose", "unknown", 80)],
)
def test_an_injected_error_is_named_and_everything_is_given_back(
    tmp_path: Path, what: str, message: str, least: int, release: str, integrated: str
) -> None:
    env = {"SSD_EDGE_EMU_INTEGRATED": integrated}
    answers, _ = rehearse(f"{HERE}:injected", release, env=env, folder=str(tmp_path), in_release=release, what=what)
    assert len(answers) >= least  # each allocation, launch and call that a run makes
    for answer in answers:
        assert nothing_left(answer["report"]), answer
        assert answer["report"]["faults"] == [], answer
        assert answer["right"], answer  # what came through before is what it should be
        # A graph that cannot be made is done without, and a device that is lost while all is given back hurts nobody.
        assert answer["error"] or answer["done"] == 3, answer
        if answer["error"]:
            assert answer["error"].startswith("DeviceError: "), answer
            assert message in answer["error"].lower(), answer
    assert sum(bool(answer["error"]) for answer in answers) >= least - 3


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"runtime_version": "8.6.2"}, "got tensorrt 8.6.2 on Emulated sm_87; wanted tensorrt 10.3.0"),
        ({"device": "Xavier sm_72"}, "got tensorrt 10.3.0 on Xavier sm_72"),
        ({"engine_digest": "sha256:0"}, "not the file that its manifest describes"),
        ({"onnx_digest": "sha256:0"}, "was built from another version of"),
    ],
)
def test_an_engine_that_does_not_belong_here_is_refused_with_the_command(
    tmp_path: Path, changes: dict[str, str], found: str
) -> None:
    error, report = rehearse(f"{HERE}:refused", folder=str(tmp_path), **changes)
    assert error.startswith("ArtifactError: ")
    assert found in error
    assert error.endswith(f"ssd-edge build {tmp_path / 'bright.onnx'}")
    assert report["allocations"] == 0


@pytest.mark.parametrize("integrated", ["0", "1"])
def test_an_engine_for_all_later_cards_is_none_for_a_board(tmp_path: Path, integrated: str) -> None:
    changes = {"device": "RTX 3060 sm_86", "options": {"nms": "plugin", "hardware_compatible": True}}
    env = {"SSD_EDGE_EMU_INTEGRATED": integrated}
    error, _ = rehearse(f"{HERE}:refused", env=env, folder=str(tmp_path), **changes)
    assert ("got tensorrt 10.3.0 on RTX 3060 sm_86" in error) == (integrated == "1")
    assert bool(error) == (integrated == "1")


def test_an_engine_whose_plugin_is_gone_is_refused(tmp_path: Path) -> None:
    changes = {"in_release": "11.4", "options": {"nms": "plugin"}}
    error, report = rehearse(f"{HERE}:refused", "11.4", folder=str(tmp_path), **changes)
    assert "needs a plugin that tensorrt 11.4.0.106 does not have" in error
    assert error.endswith("bright.onnx")
    assert nothing_left(report)


def test_a_bug_while_an_engine_is_opened_leaves_nothing_behind(tmp_path: Path) -> None:
    answer, report = rehearse(f"{HERE}:opening_with_a_bug", folder=str(tmp_path))
    assert "ended unexpectedly: got ZeroDivisionError: a bug (trt_rehearsals.py, line " in answer
    assert report["faults"] == []
    assert nothing_left(report)
