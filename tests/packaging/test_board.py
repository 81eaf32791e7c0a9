"""The package of a board: its script checks before it changes anything, and what it installs is a workspace."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

import ssd_edge as ssd
from ssd_edge.core.files import file_digest
from ssd_edge.packaging.board import slug
from ssd_edge.workflows.streams_file import read_streams_file

DOCTOR_REFUSES = 'if [ "$1" = doctor ]; then echo "lacks  TensorRT"; exit 1; fi\n'
JETSON = "# R{} (release), REVISION: 4.0, GCID: 1, BOARD: generic, EABI: aarch64"


class Machine:
    """A file system of its own, with a program in the place of ssd-edge that writes down how it was called."""

    def __init__(self, package: Path, folder: Path) -> None:
        self.package, self.folder, self.calls = package, folder, folder / "calls"
        self.root = folder / "root"
        (self.root / "etc" / "systemd" / "system").mkdir(parents=True)
        (self.root / "etc" / "group").write_text("root:x:0:\nvideo:x:44:\nrender:x:104:\n")
        (folder / "bin").mkdir()
        self.calls.touch()
        self.program("")

    def program(self, extra: str) -> None:
        body = f'#!/bin/sh\necho "$@" >>"{self.calls}"\n{extra}'
        body += 'if [ "$1" = build ]; then echo \'{"engine": "lively/m.engine"}\' >engines/current.json; fi\n'
        for path in (self.folder / "bin" / "ssd-edge", self.root / "usr" / "bin" / "ssd-edge"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body)
            path.chmod(0o755)

    def install(self, *options: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}
        env.pop("SUDO_USER", None)
        script = [str(self.package / "install.sh"), *options]
        return subprocess.run(script, env=env, capture_output=True, text=True, check=False, cwd=self.folder)

    def files(self) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted(self.folder.rglob("*")) if path.is_file()}


@pytest.fixture
def machine(copy_of, tmp_path: Path) -> Machine:
    return Machine(copy_of("board"), tmp_path)


def test_it_installs_a_workspace_that_runs(machine: Machine) -> None:
    prefix = machine.folder / "opt"
    done = machine.install("--prefix", str(prefix), "--no-service", "--", "--fp16")
    assert done.returncode == 0, done.stderr
    calls = machine.calls.read_text().splitlines()
    assert calls[:2] == ["doctor", "build engines/lively/lively.onnx --fp16"]
    assert calls[2].startswith(f"package --verify {machine.package} --engine {prefix}/engines/lively/m.engine")
    for name in ("runs", "calibration", "engines/lively/lively.onnx", "streams.toml", "out"):
        assert (prefix / name).exists()


def test_it_installs_a_service_into_another_root(machine: Machine) -> None:
    (machine.root / "etc" / "nv_tegra_release").write_text(JETSON.format(36))
    options = ("--root", str(machine.root), "--user", "cam", "--ssd-edge", "/usr/bin/ssd-edge")
    done = machine.install(*options)
    assert done.returncode == 0, done.stderr
    assert "JetPack 6" in done.stdout
    assert machine.calls.read_text() == ""  # nothing of the other machine runs here
    unit = (machine.root / "etc/systemd/system/ssd-edge-lively.service").read_text()
    for line in (
        'ExecStart="/usr/bin/ssd-edge" run --config streams.toml', "WorkingDirectory=/opt/ssd-edge/lively", "User=cam",
        "SupplementaryGroups=video render", "Type=notify", "WatchdogSec=60",
    ):  # fmt: skip
        assert line in unit.splitlines()
    assert "%PREFIX%" not in unit
    assert (machine.root / "opt/ssd-edge/lively/engines/lively/lively.onnx").is_file()


def test_an_update_keeps_the_cameras(machine: Machine) -> None:
    prefix, mine = machine.folder / "opt", machine.folder / "mine.toml"
    mine.write_text("# mine")
    options = ("--prefix", str(prefix), "--no-service")
    assert machine.install(*options, "--streams", str(mine)).returncode == 0
    assert machine.install(*options).returncode == 0
    assert (prefix / "streams.toml").read_text() == "# mine"


@pytest.mark.parametrize("release", [36, 38, 39])
def test_a_dry_run_changes_nothing(machine: Machine, release: int) -> None:
    (machine.root / "etc" / "nv_tegra_release").write_text(JETSON.format(release))
    before = machine.files()
    done = machine.install("--root", str(machine.root), "--ssd-edge", "/usr/bin/ssd-edge", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert f"JetPack {6 if release == 36 else 7}" in done.stdout
    assert "would write:" in done.stdout
    assert machine.files() == before


def refused(machine: Machine, *options: str) -> str:
    before = machine.files()
    done = machine.install("--prefix", str(machine.folder / "opt"), *options)
    assert done.returncode == 1
    assert "nothing was changed" in done.stderr
    after = machine.files()
    after[str(machine.calls)] = before[str(machine.calls)]
    assert after == before
    assert not (machine.folder / "opt").exists()
    return done.stderr


def test_a_flipped_byte_stops_it(machine: Machine) -> None:
    path = machine.package / "workspace" / "engines" / "lively" / "lively.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert "lively.onnx: FAILED" in refused(machine, "--no-service")


def test_what_the_doctor_misses_stops_it_unless_forced(machine: Machine) -> None:
    machine.program(DOCTOR_REFUSES)
    assert "TensorRT" in refused(machine, "--no-service")
    assert machine.install("--prefix", str(machine.folder / "opt"), "--no-service", "--force").returncode == 0


@pytest.mark.parametrize("release", [32, 35])
def test_an_old_jetpack_is_named(machine: Machine, release: int) -> None:
    (machine.root / "etc" / "nv_tegra_release").write_text(JETSON.format(release))
    assert f"L4T {release}" in refused(machine, "--root", str(machine.root), "--ssd-edge", "/usr/bin/ssd-edge")


def test_without_a_program_it_says_how_to_get_one(machine: Machine) -> None:
    shutil.rmtree(machine.folder / "bin")
    (machine.folder / "bin").mkdir()
    for tool in ("sh", "env", "python3", "sha256sum", "sed", "find", "head", "uname", "dirname", "du", "cut", "df",
                 "awk", "id", "basename", "grep"):  # fmt: skip
        (machine.folder / "bin" / tool).symlink_to(shutil.which(tool) or "/bin/false")
    env = {"PATH": str(machine.folder / "bin")}
    script = [str(machine.package / "install.sh"), "--prefix", str(machine.folder / "opt"), "--no-service"]
    done = subprocess.run(script, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "--ssd-edge PROGRAM" in done.stderr


def test_a_service_of_another_is_not_replaced(machine: Machine) -> None:
    unit = machine.root / "etc/systemd/system/ssd-edge-lively.service"
    unit.write_text("[Unit]\n")
    options = ("--root", str(machine.root), "--ssd-edge", "/usr/bin/ssd-edge")
    assert "is another's" in refused(machine, *options)
    assert unit.read_text() == "[Unit]\n"


@pytest.mark.parametrize(
    "options", [("--nonsense",), ("--prefix",), ("--prefix", "relative"), ("--prefix", "/a b"), ("--user", "a|b")]
)
def test_wrong_usage_ends_with_2(machine: Machine, options: tuple[str, ...]) -> None:
    assert machine.install(*options).returncode == 2


def test_its_cameras_are_a_file_of_streams(packages: dict[str, Path]) -> None:
    found = read_streams_file(packages["board"] / "workspace" / "streams.toml")
    assert [(plan.name, plan.uri) for plan in found.plans] == [("camera", "0")]
    assert found.plans[0].config.cut == "1h"


def test_a_calibration_table_travels_along(exported: Path, tmp_path: Path) -> None:
    image = exported.parent / "0.png"
    ssd.calibrate(exported, images=exported.parent, workspace=tmp_path)
    made = ssd.package(exported, host="board", image=image, workspace=tmp_path)
    table = made.path / "workspace" / "calibration" / "lively.ranges.json"
    assert table.read_bytes() == (tmp_path / "calibration" / "lively.ranges.json").read_bytes()
    assert "has a calibration table" in (made.path / "README.md").read_text()
    measured = tmp_path / "calibration" / "lively.ranges.json"
    measured.write_text(measured.read_text().replace(file_digest(exported), "sha256:" + "0" * 64))
    with pytest.raises(ssd.ArtifactError, match="does not belong to"):
        ssd.package(exported, host="board", image=image, workspace=tmp_path)


def test_the_scripts_are_clean(packages: dict[str, Path]) -> None:
    checker = shutil.which("shellcheck")
    if checker is None:
        pytest.skip("shellcheck is not installed")
    scripts = [packages["board"] / "install.sh", packages["triton"] / "build" / "build-plan.sh"]
    done = subprocess.run([checker, *map(str, scripts)], capture_output=True, text=True, check=False)
    assert done.stdout == ""


def test_systemd_takes_the_service(machine: Machine) -> None:
    checker = shutil.which("systemd-analyze")
    if checker is None:
        pytest.skip("systemd is not installed")
    (machine.root / "opt").mkdir()
    machine.install("--root", str(machine.root), "--user", "root", "--ssd-edge", "/usr/bin/ssd-edge")
    unit = machine.root / "etc/systemd/system/ssd-edge-lively.service"
    text = unit.read_text().replace("/usr/bin/ssd-edge", "/bin/true")
    unit.write_text(text)
    done = subprocess.run([checker, "verify", str(unit)], capture_output=True, text=True, check=False)
    assert str(unit) not in done.stderr
    assert "ssd-edge-lively" not in done.stderr


@pytest.fixture
def with_wheel(exported: Path, tmp_path: Path) -> Path:
    """A package with a wheel of a program in the place of ssd-edge, whose doctor refuses where it is told to."""
    wheel = tmp_path / "ssd_edge-9.9-py3-none-any.whl"
    info = "ssd_edge-9.9.dist-info"
    program = "import os, sys\ndef main():\n    sys.exit(sys.argv[1] == 'doctor' and 'REFUSE' in os.environ)\n"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("fake_edge.py", program)
        file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: ssd-edge\nVersion: 9.9\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/entry_points.txt", "[console_scripts]\nssd-edge = fake_edge:main\n")
        file.writestr(f"{info}/RECORD", "")
    made = ssd.package(
        exported, host="board", wheel=wheel, image=exported.parent / "0.png", output=tmp_path / "with-wheel"
    )
    return made.path


def without_program() -> dict[str, str]:
    places = [place for place in os.environ["PATH"].split(":") if not (Path(place) / "ssd-edge").exists()]
    return {**os.environ, "PATH": ":".join(places)}


def test_an_update_takes_the_wheel_after_the_checks(with_wheel: Path, tmp_path: Path) -> None:
    machine = Machine(with_wheel, tmp_path / "machine")
    prefix = tmp_path / "opt"
    (prefix / "venv").mkdir(parents=True)
    programs = shutil.move(machine.folder / "bin", prefix / "venv/bin")
    shutil.copy(Path(programs, "ssd-edge"), Path(programs, "pip"))
    script = [str(with_wheel / "install.sh"), "--prefix", str(prefix), "--no-service"]
    subprocess.run(script, env=without_program(), capture_output=True, text=True, check=True)
    calls = [line.split()[0] for line in machine.calls.read_text().splitlines()]
    assert calls == ["doctor", "install", "build", "package"]
    assert "ssd_edge-9.9-py3-none-any.whl" in machine.calls.read_text()
    machine.calls.write_text("")
    machine.program(DOCTOR_REFUSES)
    shutil.copy(machine.folder / "bin/ssd-edge", programs)
    assert subprocess.run(script, env=without_program(), capture_output=True, check=False).returncode == 1
    assert machine.calls.read_text().strip() == "doctor"


@pytest.mark.slow
def test_a_program_from_the_wheel_checks_first_and_goes_again(with_wheel: Path, tmp_path: Path) -> None:
    env = without_program()
    prefix = tmp_path / "opt"
    script = [str(with_wheel / "install.sh"), "--prefix", str(prefix), "--no-service"]
    done = subprocess.run(script, env={**env, "REFUSE": "1"}, capture_output=True, text=True, check=False)
    assert "ssd_edge-9.9-py3-none-any.whl, to be installed" in done.stdout, done.stderr
    assert "what ssd-edge doctor names above" in done.stderr  # the doctor of the program from the wheel
    assert (done.returncode, prefix.exists()) == (1, False)


def test_a_name_becomes_one_word() -> None:
    assert slug("my model's v2") == "my-model-s-v2"
