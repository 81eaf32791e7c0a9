"""What the live source answers here is compared with what Python itself says."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import cv2
import onnxruntime

from ssd_edge.doctor import live
from ssd_edge.doctor.facts import Facts
from ssd_edge.doctor.live import Live


def test_modules() -> None:
    facts = Facts(Live())
    found = facts.module("onnxruntime")
    assert found is not None
    assert (found.version, found.file, found.problem) == (onnxruntime.__version__, onnxruntime.__file__, "")
    assert facts.module("no_such_module_here") is None


def test_a_module_that_cannot_be_imported(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "broken_module.py").write_text("raise OSError('libnvinfer.so.10: cannot open')")
    monkeypatch.syspath_prepend(tmp_path)
    found = Facts(Live()).module("broken_module")
    assert found is not None
    assert found.problem == "OSError: libnvinfer.so.10: cannot open"


def test_what_pip_has_installed() -> None:
    facts = Facts(Live())
    assert facts.distribution("onnxruntime") == onnxruntime.__version__
    assert facts.distribution("no-such-package-here") is None


def test_a_part_of_a_package(tmp_path: Path, monkeypatch) -> None:
    """As pycuda, whose own import says nothing of what was compiled for it."""
    (tmp_path / "half_package").mkdir()
    (tmp_path / "half_package/__init__.py").write_text("VERSION_TEXT = '2026.1'")
    (tmp_path / "half_package/driver.py").write_text("raise ImportError('libcuda.so.1: cannot open')")
    (tmp_path / "half_package/tools.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    facts = Facts(Live())
    broken, whole = facts.module("half_package.driver"), facts.module("half_package.tools")
    assert broken is not None
    assert broken.problem == "ImportError: libcuda.so.1: cannot open"
    assert whole is not None
    assert (whole.version, whole.problem) == ("2026.1", "")
    assert facts.module("no_such_package.driver") is None


def test_type_stubs_are_no_module(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "stubs_only").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert Facts(Live()).module("stubs_only") is None


def test_python_and_opencv() -> None:
    facts = Facts(Live())
    assert facts.python().version == sys.version_info[:3]
    assert facts.build_information() == cv2.getBuildInformation()


def test_files_and_commands(tmp_path: Path) -> None:
    facts = Facts(Live())
    (tmp_path / "model").write_bytes(b"Jetson\0")
    assert facts.text(str(tmp_path / "model")) == "Jetson"
    assert facts.text(str(tmp_path / "none")) is None
    assert facts.paths(f"{tmp_path}/m*") == [str(tmp_path / "model")]
    assert facts.output("echo one two") == "one two\n"
    assert facts.output("false") is None
    assert facts.output("no-such-command-here") is None


def test_each_question_is_asked_once(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("first")
    facts = Facts(Live())
    facts.text(str(path))
    path.write_text("second")
    assert facts.text(str(path)) == "first"
    assert facts.answers == {f"read {path}": "first"}


def test_plugins_of_a_broken_tensorrt(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "half_tensorrt.py").write_text("__version__ = '10.3.0'")
    monkeypatch.syspath_prepend(tmp_path)
    assert Facts(Live()).plugins("half_tensorrt") == []


def test_a_command_that_cannot_start_or_hangs_has_no_answer(tmp_path: Path, monkeypatch) -> None:
    for name, text in (("broken", "#!/no/such/interpreter\n"), ("slow", "#!/bin/sh\nexec sleep 60\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(live, "_SECONDS", 0.05)
    assert Facts(Live()).output("broken") is None
    assert Facts(Live()).output("slow") is None


def test_the_room_of_a_disk(tmp_path: Path) -> None:
    facts = Facts(Live())
    total, free = facts.room(str(tmp_path)) or (0, 0)
    assert (total, 0 < free <= total) == (shutil.disk_usage(tmp_path).total, True)
    assert facts.room(str(tmp_path / "absent")) is None
