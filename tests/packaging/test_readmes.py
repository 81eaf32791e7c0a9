"""Every command of a package's own README runs in a copy of it, or it is said why it cannot run here."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ssd_edge as ssd

ELSEWHERE = {  # a pattern of commands that are not run here, and what they need
    r"docker run ": "a container of NVIDIA's",
    r"deepstream-app ": "DeepStream",
    r"python3 .* --runtime triton": "a server of Triton",
    r"sudo systemctl |systemctl |journalctl ": "the installed service",
    r"sudo ./install.sh .*-- --(fp16|int8)$": "a GPU, or a calibration table",
}
SUDO = '#!/bin/sh\nexec "$@"\n'


def commands(package: Path) -> list[str]:
    """The lines of code of the README, in order."""
    return re.findall(r"^ {4}(\S.*)$", (package / "README.md").read_text(), re.MULTILINE)


def runs_here(line: str) -> bool:
    if "--runtime openvino" in line and importlib.util.find_spec("openvino") is None:
        return False  # pip install 'ssd-edge[openvino]'
    return not any(re.match(pattern, line) for pattern in ELSEWHERE)


@pytest.mark.slow(but="frigate")
@pytest.mark.parametrize("host", [host.value for host in ssd.Host])
def test_every_command_of_a_readme_runs(copy_of, tmp_path: Path, host: str) -> None:
    package, programs = copy_of(host), tmp_path / "programs"
    programs.mkdir()
    if host == "board":
        shutil.copy(package / "workspace" / "streams.toml", tmp_path / "my-streams.toml")
    (tmp_path / "config").mkdir()
    for name, text in {
        "sudo": SUDO,
        "python3": f'#!/bin/sh\nexec {sys.executable} "$@"\n',
        "ssd-edge": f'#!/bin/sh\nexec {sys.executable} -m ssd_edge "$@"\n',
    }.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    env = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(ssd.__file__).parent.parent),
    }
    lines = commands(package)
    ran = 0
    for line in filter(runs_here, lines):
        typed = line.replace("my-streams.toml", str(tmp_path / "my-streams.toml"))
        typed = typed.replace("/path/to/frigate/config/model_cache", str(tmp_path / "config"))
        if "install.sh" in typed:  # into a folder of its own, without a service
            typed = f"{typed} --prefix {tmp_path / 'opt'} --no-service"
        done = subprocess.run(["sh", "-c", typed], cwd=package, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        ran += 1
    assert ran >= 2
    assert any("sha256sum --check" in line for line in lines)


def test_a_reason_is_used() -> None:
    assert not runs_here("docker run --rm image")
    assert runs_here("python3 selfcheck/selfcheck.py")
