from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from ssd_edge.doctor.check import CheckResult, State, let_see_system
from ssd_edge.workflows.diagnose import examine
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
    jetpack_5,
    jetson_container,
    meminfo,
    module,
    orin_nano,
    thor,
)


def examined(answers: Answers) -> dict[str, CheckResult]:
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


def test_power_mode_where_only_root_may_ask() -> None:
    answers = orin_nano() | {"run nvpmodel -q": None, "read /var/lib/nvpmodel/status": "pmode:0001\n"}
    assert not_ok(answers) == {"power mode": (State.WARN, "sudo nvpmodel -m 2  (MAXN_SUPER)")}
    assert examined(answers)["power mode"].found == "25W: the clocks are limited"
    untold = orin_nano() | {"run nvpmodel -q": None}
    assert not_ok(untold)["power mode"] == (State.WARN, "sudo nvpmodel -q")


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
    see = f"sed -i 's/system-site-packages = false/system-site-packages = true/' {VENV}/pyvenv.cfg"
    assert found["Python"] == (State.WARN, see)
    assert found["TensorRT"][1] == f"sudo apt-get install python3-libnvinfer libnvinfer-plugin-dev; {see}"
    assert found["OpenCV"][1].startswith(f"{see}; pip uninstall -y opencv-python")


def test_the_advice_lets_a_virtual_environment_see_the_system(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv")
    assert subprocess.run(let_see_system(str(tmp_path / "venv")), shell=True, check=False).returncode == 0
    asked = [tmp_path / "venv" / "bin" / "python", "-c", "import sys; print(sys.path)"]
    seen = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert sysconfig.get_path("purelib", vars={"base": sys.base_prefix}) in seen


def test_python_that_is_not_the_boards() -> None:
    answers = orin_nano() | {"python": {"version": [3, 12, 1], "machine": "aarch64", "venv": "", "sees_system": True}}
    line = examined(answers)["Python"]
    assert (line.state, line.found) == (State.WARN, "3.12.1, but JetPack's TensorRT and OpenCV are for Python 3.10")
    assert line.do.startswith("/usr/bin/python3 -m venv --system-site-packages .venv")


def test_pip_opencv_that_shadows_jetpacks() -> None:
    answers = orin_nano() | {
        "module cv2": module("4.11.0", SITE),
        "opencv": WITHOUT_GSTREAMER,
        f"glob {SYSTEM}/cv2*": [f"{SYSTEM}/cv2"],
    }
    line = examined(answers)["OpenCV"]
    assert line.state is State.WARN
    assert f"pip's 4.11.0 without GStreamer hides the build in {SYSTEM}/cv2" in line.found
    uninstall = "pip uninstall -y opencv-python opencv-python-headless opencv-contrib-python"
    assert line.do == f"{uninstall}; pip install 'numpy<2' ml_dtypes"


def test_jetson_whose_only_opencv_is_pips() -> None:
    answers = orin_nano() | {"module cv2": module("4.11.0", SITE), "opencv": WITHOUT_GSTREAMER}
    assert examined(answers)["OpenCV"].do.startswith("sudo apt-get install libopencv-python; pip uninstall")
    answers = thor() | {"module cv2": module("4.11.0", SITE), "opencv": WITHOUT_GSTREAMER}
    assert examined(answers)["OpenCV"].do.startswith("sudo apt-get install python3-opencv; pip uninstall")


@pytest.mark.parametrize(
    ("problem", "do"),
    [
        (
            "ImportError: libGL.so.1: cannot open shared object file: No such file or directory",
            "sudo apt-get install libgl1 libglib2.0-0",
        ),
        (
            "ImportError: libgthread-2.0.so.0: cannot open shared object file: No such file or directory",
            "sudo apt-get install libgl1 libglib2.0-0",
        ),
        (
            "ImportError: libSM.so.6: cannot open shared object file: No such file or directory",
            "sudo apt-get install libgl1 libglib2.0-0 libsm6",
        ),
        (
            "ImportError: libodd.so.3: cannot open shared object file: No such file or directory",
            "Install the system's package that has libodd.so",
        ),
        ("ImportError: numpy.core.multiarray failed to import", "pip install 'numpy<2' ml_dtypes"),
        ("AttributeError: _ARRAY_API not found", "pip install 'numpy<2' ml_dtypes"),
        ("SystemError: something else", "pip install --force-reinstall opencv-python"),
    ],
)
def test_opencv_that_cannot_be_imported(problem: str, do: str) -> None:
    broken = {"version": "", "file": "", "problem": problem}
    line = examined(bare_cpu() | {"module cv2": broken})["OpenCV"]
    assert (line.state, line.do) == (State.MISSING, do)
    assert problem in line.found
    as_root = bare_cpu() | {"module cv2": broken, "python": {**bare_cpu()["python"], "is_root": True}}
    assert examined(as_root)["OpenCV"].do == do.removeprefix("sudo ")


def test_pip_tensorrt_on_a_jetson_is_called_out() -> None:
    answers = orin_nano() | {"module tensorrt": module("11.0.0", SITE)}
    state, do = not_ok(answers)["TensorRT"]
    assert state is State.WARN
    assert do.startswith("pip uninstall -y tensorrt")
    assert "; sudo apt-get install" in do
    in_container = jetson_container() | {"module tensorrt": module("11.0.0", SITE)}
    assert "; apt-get install" in not_ok(in_container)["TensorRT"][1]


def test_jetpack_5_has_too_old_a_python() -> None:
    answers = orin_nano() | {
        L4T: "# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref, EABI: aarch64\n",
        "python": {"version": [3, 8, 10], "machine": "aarch64", "venv": "", "sees_system": True},
    }
    line = examined(answers)["Python"]
    assert line.state is State.MISSING
    assert "flash JetPack 6" in line.do
    assert "JetPack 5.1.2 (L4T 35.4.1)" in examined(answers)["machine"].found


def test_jetpack_5_with_a_python_of_ones_own_runs_on_the_processor() -> None:
    found = not_ok(jetpack_5())
    assert set(found) == {"TensorRT", "OpenCV", "power mode"}
    assert all(state is State.WARN for state, _ in found.values())
    assert "flash jetpack 6" in found["TensorRT"][1].lower()
    assert "is for Python 3.8" in examined(jetpack_5())["OpenCV"].found
    assert examined(jetpack_5())["pycuda"].found == "not installed, and not needed without TensorRT"


def test_container_on_a_jetson_is_known_for_what_it_is() -> None:
    found = examined(jetson_container())
    assert found["machine"].found == "NVIDIA Jetson Orin Nano Developer Kit Super, its L4T release cannot be seen"
    assert found["machine"].do == "In a container: docker run -v /etc/nv_tegra_release:/etc/nv_tegra_release:ro …"
    assert found["power mode"].found == "not visible in a container; on the host: sudo nvpmodel -q"
    assert set(not_ok(jetson_container())) == {"machine"}
    assert "those are for outside of this container" in found["OpenCV"].found
    assert "csi://0" not in found["cameras"].found
    without = not_ok(jetson_container() | {"module tensorrt": None})
    assert without["TensorRT"] == (State.MISSING, "apt-get install python3-libnvinfer libnvinfer-plugin-dev")


def test_clocks_are_set_outside_of_a_container() -> None:
    floating = {"read /sys/class/devfreq/17000000.gpu/min_freq": "306000000\n"}
    assert not_ok(orin_nano() | floating) == {"clocks": (State.WARN, "sudo jetson_clocks")}
    outside = not_ok(jetson_container() | floating)["clocks"]
    assert outside == (State.WARN, "outside of the container: sudo jetson_clocks")


def test_container_without_nvidias_runtime() -> None:
    line = examined(jetson_container() | {"gpu": None})["GPU"]
    assert (line.state, line.do) == (State.MISSING, "docker run --runtime nvidia …")
    device = "/sys/bus/pci/devices/0000:01:00.0"
    desktop_container = bare_cpu() | {
        "glob /.dockerenv": ["/.dockerenv"],
        "glob /sys/bus/pci/devices/*/vendor": [f"{device}/vendor"],
        f"read {device}/vendor": "0x10de\n",
        f"read {device}/class": "0x030000\n",
    }
    assert not_ok(desktop_container) == {"GPU": (State.MISSING, "docker run --gpus all …")}


def test_gpu_that_this_user_may_not_use() -> None:
    answers = orin_nano() | {"gpu": "cuInit: CUDA error 100", "glob /dev/nvmap": ["/dev/nvmap"]}
    assert not_ok(answers)["GPU"][1] == "sudo usermod -aG video,render $USER; then log in again"


def test_cameras_that_are_not_passed_into_a_container() -> None:
    answers = jetson_container() | {
        "glob /dev/video*": [],
        "glob /sys/class/video4linux/video*": ["/sys/class/video4linux/video0"],
    }
    line = examined(answers)["cameras"]
    assert (line.state, line.do) == (State.MISSING, "docker run --device /dev/video0 …")
    assert "/dev/video0 (vi-output, imx219 9-0010): not passed into this container" in line.found
    assert (
        examined(jetson_container() | {"access /dev/video0": False})["cameras"].do == "docker run --group-add video …"
    )


def test_memory_that_a_container_may_have() -> None:
    gib = 1 << 30
    answers = bare_cpu() | {
        "read /sys/fs/cgroup/memory.max": f"{2 * gib}\n",
        "read /sys/fs/cgroup/memory.current": f"{1 * gib}\n",
        "read /sys/fs/cgroup/memory.stat": f"anon 1\ninactive_file {gib // 4}\n",
    }
    line = examined(answers)["memory"]
    assert line.found == "1.2 GiB free of 2.0, which this container may have; building an engine needs 1.5 GiB"
    assert line.do == "Close other programs, or give the container more."
    assert examined(answers | {"read /sys/fs/cgroup/memory.max": "max\n"})["memory"].found == "6.0 GiB free of 8.0"


def test_unknown_l4t() -> None:
    line = examined(orin_nano() | {L4T: "# R32 (release), REVISION: 7.1, GCID: 1\n"})["machine"]
    assert line.state is State.WARN
    assert "L4T 32.7.1, of no JetPack known here" in line.found


def test_desktop_tells_how_the_nms_is_lowered() -> None:
    assert "plain ONNX instead" in examined(desktop())["NMS"].found
    assert examined(orin_nano())["NMS"].found == "plugin BatchedNMSDynamic_TRT"


def test_desktop_driver_and_gpu() -> None:
    found = examined(desktop())
    assert found["driver"].found == "580.82.07, runs programs up to CUDA 13.0"
    assert found["GPU"].found == "NVIDIA GeForce RTX 4070, compute capability 8.9, 12.0 GiB, the first of 2"
    module = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build  (builder@host)\n"
    found = examined(desktop() | {"read /proc/driver/nvidia/version": module})
    assert found["driver"].found == "580.159.04, runs programs up to CUDA 13.0"
    assert examined(desktop_rtx())["TensorRT"].found == "TensorRT-RTX 1.7.1.116"


@pytest.mark.parametrize(("cuda", "package"), [((12, 4), "tensorrt-cu12"), ((13, 0), "tensorrt-cu13")])
def test_desktop_without_tensorrt_takes_the_wheel_of_its_driver(cuda, package) -> None:
    answers = desktop()
    answers["gpu"] = {**answers["gpu"], "driver_cuda": list(cuda)}
    del answers["module tensorrt"]
    assert not_ok(answers)["TensorRT"] == (State.MISSING, f"pip install {package}")


def with_driver_for(answers: Answers, *cuda: int) -> Answers:
    return answers | {"gpu": {**answers["gpu"], "driver_cuda": list(cuda)}}


def test_tensorrt_for_a_newer_cuda_than_the_drivers() -> None:
    wheel = {"distribution tensorrt-cu13": "11.4.0.106"}
    line = examined(with_driver_for(desktop() | wheel, 12, 8))["TensorRT"]
    assert line.state is State.MISSING
    assert line.found == "11.4.0.106 of tensorrt-cu13, and this driver runs programs up to CUDA 12.8"
    assert line.do == (
        "pip uninstall -y tensorrt tensorrt-cu13 tensorrt-cu13-bindings tensorrt-cu13-libs; "
        "pip install tensorrt-cu12==11.4.0.106  # or install NVIDIA's driver 580 or newer"
    )
    in_container = with_driver_for(desktop() | wheel | {"glob /.dockerenv": ["/.dockerenv"]}, 12, 8)
    assert examined(in_container)["TensorRT"].do.endswith("  # or install NVIDIA's driver 580 or newer on the host")
    assert examined(desktop() | wheel)["TensorRT"].state is State.OK


def test_tensorrt_rtx_for_a_newer_cuda_than_the_drivers() -> None:
    wheel = {"distribution tensorrt-rtx-cu13-libs": "1.7.1.116"}
    line = examined(with_driver_for(desktop_rtx() | wheel, 12, 8))["TensorRT"]
    assert (line.state, line.do) == (State.MISSING, "Install NVIDIA's driver 580 or newer")


def test_tensorrt_for_an_older_cuda_than_the_drivers_runs() -> None:
    answers = desktop() | {"distribution tensorrt-cu12": "11.4.0.106"}
    assert not_ok(answers) == {}
    beside_rtx = answers | {"distribution tensorrt-rtx-cu13-libs": "1.7.1.116"}
    assert not_ok(with_driver_for(beside_rtx, 12, 8)) == {}


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
        (None, State.MISSING, "pip install 'cuda-bindings==13.*'"),
        ({"version": "2024.1", "file": ""}, State.WARN, "pip install 'pycuda>=2025.1.2' --upgrade"),
        (
            {"version": "", "file": "", "problem": "SyntaxError: invalid syntax"},
            State.MISSING,
            "pip install 'pycuda>=2025.1.2' --force-reinstall --no-cache-dir",
        ),
    ],
)
def test_pycuda(pycuda, state, do) -> None:
    assert not_ok(desktop() | {"module pycuda": pycuda}) == {"pycuda": (state, do)}


def test_pycuda_that_was_compiled_for_another_cuda() -> None:
    problem = "ImportError: libcurand.so.10: cannot open shared object file: No such file or directory"
    broken = {"version": "2026.1", "file": "", "problem": problem}
    line = examined(desktop() | {"module pycuda.driver": broken})["pycuda"]
    assert (line.state, line.found) == (State.MISSING, f"cannot be imported: {problem}")
    assert line.do == "pip install 'pycuda>=2025.1.2' --force-reinstall --no-cache-dir"
    without_compiler = desktop() | {"run nvcc --version": None}
    assert examined(without_compiler)["CUDA toolkit"].found == "none; not needed, as pycuda is already built"
    assert examined(without_compiler | {"module pycuda.driver": broken})["CUDA toolkit"].state is State.WARN


def test_pycuda_is_told_where_the_compiler_lies() -> None:
    broken = {"version": "2026.1", "file": "", "problem": "ImportError: libcurand.so.10"}
    answers = orin_nano() | {
        "module pycuda": broken,
        "run nvcc --version": None,
        "run /usr/local/cuda/bin/nvcc --version": "Cuda compilation tools, release 12.6, V12.6.68\n",
    }
    wanted = "PATH=/usr/local/cuda/bin:$PATH pip install 'pycuda>=2025.1.2' --force-reinstall --no-cache-dir"
    assert not_ok(answers)["pycuda"][1] == wanted
    without_headers = examined(answers | {"glob /usr/include/python3.*/Python.h": []})["pycuda"].do
    assert without_headers.startswith("sudo apt-get install python3-dev; PATH=")


def test_jetson_without_cuda_toolkit() -> None:
    broken = {"version": "2026.1", "file": "", "problem": "ImportError: libcurand.so.10"}
    answers = orin_nano() | {"module pycuda": broken, "run nvcc --version": None}
    assert not_ok(answers)["CUDA toolkit"] == (State.WARN, "sudo apt-get install cuda-toolkit-12-6")
    assert "CUDA toolkit" not in not_ok(orin_nano() | {"module pycuda": None, "run nvcc --version": None})


def test_cuda_python_takes_the_place_of_pycuda() -> None:
    answers = orin_nano() | {"module pycuda": None, "run nvcc --version": None}
    assert not_ok(answers) == {"pycuda": (State.MISSING, "pip install 'cuda-bindings==12.*'")}
    bindings = {"module cuda.bindings": {"version": "12.9.0", "file": ""}, "distribution cuda-bindings": "12.9.0"}
    assert not_ok(answers | bindings) == {}
    assert examined(answers | bindings)["pycuda"].found == "cuda-python 12.9.0 is used instead"


def test_a_torch_for_the_processor_beside_a_gpu() -> None:
    built_for_cpu = {"module torch": {"version": "2.9.0+cpu", "file": ""}}
    state, do = not_ok(desktop() | built_for_cpu)["PyTorch"]
    assert (state, "https://pytorch.org/get-started" in do) == (State.WARN, True)
    assert "PyTorch" not in not_ok(bare_cpu() | built_for_cpu)
    assert "PyTorch" not in not_ok(desktop() | {"module torch": {"version": "2.9.0+cu130", "file": ""}})


def test_cameras_that_this_user_may_not_read() -> None:
    assert not_ok(orin_nano() | {"access /dev/video0": False}) == {
        "cameras": (State.MISSING, "sudo usermod -aG video $USER; then log in again")
    }
    assert examined(orin_nano())["cameras"].found == (
        "/dev/video0 (vi-output, imx219 9-0010); CSI cameras are opened so: ssd-edge run csi://0"
    )


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
