from __future__ import annotations

import pytest

from ssd_edge.doctor.examine import examine
from ssd_edge.doctor.line import Line, State
from tests.doctor.machines import (
    L4T,
    SITE,
    SYSTEM,
    VENV,
    WITHOUT_GSTREAMER,
    Answers,
    bare_cpu,
    desktop,
    desktop_rtx,
    facts,
    meminfo,
    module,
    orin_nano,
    thor,
)


def examined(answers: Answers) -> dict[str, Line]:
    return {line.name: line for line in examine(facts(answers))}


def not_ok(answers: Answers) -> dict[str, tuple[State, str]]:
    return {name: (line.state, line.do) for name, line in examined(answers).items() if line.state is not State.OK}


@pytest.mark.parametrize("machine", [bare_cpu, orin_nano, desktop, desktop_rtx])
def test_a_machine_in_order_has_nothing_to_mend(machine) -> None:
    assert not_ok(machine()) == {}


@pytest.mark.parametrize("machine", [bare_cpu, orin_nano, thor, desktop, desktop_rtx])
def test_only_what_is_not_in_order_has_a_command(machine) -> None:
    for line in examine(facts(machine())):
        assert bool(line.do) == (line.state is not State.OK), line


def test_a_jetson_is_named_with_its_jetpack() -> None:
    assert (
        examined(orin_nano())["machine"].found
        == "NVIDIA Jetson Orin Nano Developer Kit Super, JetPack 6.2 (L4T 36.4.3)"
    )
    assert examined(thor())["machine"].found == "NVIDIA Jetson AGX Thor Developer Kit, JetPack 7.1 (L4T 38.4.0)"


def test_thor_with_floating_clocks() -> None:
    assert not_ok(thor()) == {"clocks": (State.WARN, "sudo jetson_clocks")}
    assert "315 to 1575 MHz" in examined(thor())["clocks"].found


def test_power_mode_names_the_id_of_this_board() -> None:
    answers = orin_nano() | {"run nvpmodel -q": "NV Power Mode: 15W\n0\n"}
    assert not_ok(answers) == {"power mode": (State.WARN, "sudo nvpmodel -m 2  (MAXN_SUPER)")}


def test_jetson_without_tensorrt_installs_jetpacks_own() -> None:
    answers = orin_nano() | {"module tensorrt": None}
    assert not_ok(answers)["TensorRT"] == (
        State.MISSING,
        "sudo apt-get install python3-libnvinfer libnvinfer-plugin-dev",
    )


def test_venv_that_hides_jetpacks_packages() -> None:
    answers = orin_nano() | {
        "python": {"version": [3, 10, 12], "machine": "aarch64", "venv": VENV, "sees_system": False},
        "module tensorrt": None,
        "module cv2": module("4.11.0", SITE),
        "opencv": WITHOUT_GSTREAMER,
        f"glob {SYSTEM}/cv2*": [f"{SYSTEM}/cv2"],
    }
    found = not_ok(answers)
    anew = f"python3 -m venv --clear --system-site-packages {VENV}"
    assert found["Python"] == (State.WARN, f"Make it anew: {anew}")
    assert anew in found["TensorRT"][1]
    assert anew in found["OpenCV"][1]


def test_pip_opencv_that_shadows_jetpacks() -> None:
    answers = orin_nano() | {
        "module cv2": module("4.11.0", SITE),
        "opencv": WITHOUT_GSTREAMER,
        f"glob {SYSTEM}/cv2*": [f"{SYSTEM}/cv2"],
    }
    line = examined(answers)["OpenCV"]
    assert line.state is State.WARN
    assert f"pip's 4.11.0 without GStreamer hides JetPack's build in {SYSTEM}/cv2" in line.found
    assert line.do == "pip uninstall -y opencv-python opencv-python-headless opencv-contrib-python"


def test_jetson_whose_only_opencv_is_pips() -> None:
    answers = orin_nano() | {"module cv2": module("4.11.0", SITE), "opencv": WITHOUT_GSTREAMER}
    assert examined(answers)["OpenCV"].do.startswith("sudo apt-get install libopencv-python; pip uninstall")


def test_pip_tensorrt_on_a_jetson_is_called_out() -> None:
    answers = orin_nano() | {"module tensorrt": module("11.0.0", SITE)}
    state, do = not_ok(answers)["TensorRT"]
    assert state is State.WARN
    assert do.startswith("pip uninstall -y tensorrt")


def test_jetpack_5_has_too_old_a_python() -> None:
    answers = orin_nano() | {
        L4T: "# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref, EABI: aarch64\n",
        "python": {"version": [3, 8, 10], "machine": "aarch64", "venv": "", "sees_system": True},
    }
    line = examined(answers)["Python"]
    assert line.state is State.MISSING
    assert "flash JetPack 6" in line.do
    assert "JetPack 5.1.2 (L4T 35.4.1)" in examined(answers)["machine"].found


def test_unknown_l4t() -> None:
    line = examined(orin_nano() | {L4T: "# R32 (release), REVISION: 7.1, GCID: 1\n"})["machine"]
    assert line.state is State.WARN
    assert "L4T 32.7.1, of no JetPack known here" in line.found


def test_desktop_tells_how_the_nms_is_lowered() -> None:
    assert "plain ONNX in its place" in examined(desktop())["NMS"].found
    assert examined(orin_nano())["NMS"].found == "plugin BatchedNMSDynamic_TRT"


def test_desktop_driver_and_gpu() -> None:
    found = examined(desktop())
    assert found["driver"].found == "580.82.07, runs programs up to CUDA 13.0"
    assert found["GPU"].found == "NVIDIA GeForce RTX 4070, compute capability 8.9, 12.0 GiB, the first of 2"
    assert examined(desktop_rtx())["TensorRT"].found == "TensorRT-RTX 1.7.1.116"


@pytest.mark.parametrize(("cuda", "package"), [((12, 4), "tensorrt-cu12"), ((13, 0), "tensorrt-cu13")])
def test_desktop_without_tensorrt_takes_the_wheel_of_its_driver(cuda, package) -> None:
    answers = desktop()
    answers["gpu"] = {**answers["gpu"], "driver_cuda": list(cuda)}
    del answers["module tensorrt"]
    assert not_ok(answers)["TensorRT"] == (State.MISSING, f"pip install {package}")


def test_nvidia_card_without_driver() -> None:
    device = "/sys/bus/pci/devices/0000:01:00.0"
    answers = bare_cpu() | {
        "glob /sys/bus/pci/devices/*/vendor": [f"{device}/vendor"],
        f"read {device}/vendor": "0x10de\n",
        f"read {device}/class": "0x030000\n",
    }
    assert not_ok(answers) == {"GPU": (State.MISSING, "sudo ubuntu-drivers install; then restart")}


def test_driver_that_fails_is_quoted() -> None:
    answers = orin_nano() | {"gpu": "cuInit: CUDA error 999, unknown error"}
    line = examined(answers)["GPU"]
    assert line.state is State.MISSING
    assert "CUDA error 999" in line.found


@pytest.mark.parametrize(
    ("pycuda", "state", "do"),
    [
        (None, State.MISSING, "pip install 'pycuda>=2025.1.2'"),
        ({"version": "2024.1", "file": ""}, State.WARN, "pip install 'pycuda>=2025.1.2' --upgrade"),
        (
            {"version": "", "file": "", "problem": "ImportError: libcurand.so.10"},
            State.MISSING,
            "pip install 'pycuda>=2025.1.2' --force-reinstall --no-cache-dir",
        ),
    ],
)
def test_pycuda(pycuda, state, do) -> None:
    assert not_ok(desktop() | {"module pycuda": pycuda}) == {"pycuda": (state, do)}


def test_pycuda_is_told_where_the_compiler_lies() -> None:
    answers = orin_nano() | {
        "module pycuda": None,
        "run nvcc --version": None,
        "run /usr/local/cuda/bin/nvcc --version": "Cuda compilation tools, release 12.6, V12.6.68\n",
    }
    assert not_ok(answers)["pycuda"][1] == "PATH=/usr/local/cuda/bin:$PATH pip install 'pycuda>=2025.1.2'"


def test_jetson_without_cuda_toolkit() -> None:
    answers = orin_nano() | {"module pycuda": None, "run nvcc --version": None}
    assert not_ok(answers)["CUDA toolkit"] == (State.WARN, "sudo apt-get install cuda-toolkit-12-6")


def test_cameras_that_this_user_may_not_read() -> None:
    assert not_ok(orin_nano() | {"access /dev/video0": False}) == {
        "cameras": (State.MISSING, "sudo usermod -aG video $USER; then log in again")
    }
    assert examined(orin_nano())["cameras"].found == "/dev/video0 (vi-output, imx219 9-0010)"


def test_gstreamer_elements_of_the_board() -> None:
    answers = orin_nano() | {"run gst-inspect-1.0 nvarguscamerasrc": None}
    line = examined(answers)["GStreamer"]
    assert (line.state, line.found) == (State.MISSING, "lacks nvarguscamerasrc")
    assert not_ok(orin_nano() | {"run gst-inspect-1.0 --version": None})["GStreamer"][0] is State.MISSING


def test_little_memory() -> None:
    state, do = not_ok(orin_nano() | {"read /proc/meminfo": meminfo(3.4, 0.9)})["memory"]
    assert state is State.WARN
    assert "multi-user.target" in do


def test_onnx_runtime_and_opencv_that_are_not_there() -> None:
    answers = bare_cpu() | {
        "module onnxruntime": None,
        "module cv2": {"version": "", "file": "", "problem": "ImportError: libGL.so.1"},
    }
    found = not_ok(answers)
    assert found["ONNX Runtime"] == (State.MISSING, "pip install 'onnxruntime>=1.17'")
    assert found["OpenCV"][0] is State.MISSING


def test_processor_without_int8_instructions() -> None:
    assert "cannot saturate" in examined(bare_cpu())["processor"].found
    assert "asimddp" in examined(orin_nano())["processor"].found
