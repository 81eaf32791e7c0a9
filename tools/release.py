"""Builds the wheel and the sdist into dist/ and proves each in an empty folder: ``make release``.

Each is installed into a virtual environment of its own that sees the packages of this one, but not this clone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
IN_THE_WHEEL = ("ssd_edge/py.typed", "ssd_edge/engines/boards/orin-nano.toml", "ssd_edge/reporting/page.html")
INSIDE = """
import ssd_edge
from ssd_edge.engines.boards import load_profile
load_profile("orin-nano")
print(ssd_edge.__file__)
"""
COMMANDS = (("--help",), ("init",), ("doctor",), ("models",))
SMALL = ("--preset", "ssd192-tiny", "--epochs", "1", "--batch-size", "4", "--device", "cpu", "--workers", "0")


def build(folder: Path) -> list[Path]:
    """Build both; the wheel is made of what the sdist holds."""
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)], check=True)
    return sorted(folder.iterdir())


def check_content(wheel: Path) -> None:
    """Fail where the wheel lacks a file that no import would miss."""
    names = set(zipfile.ZipFile(wheel).namelist())
    missing = [name for name in IN_THE_WHEEL if name not in names]
    strays = sorted(name for name in names if not name.startswith(("ssd_edge/", "ssd_edge-")))
    if missing or strays:
        sys.exit(f"{wheel.name} lacks {missing} and holds {strays} besides the package")


def install(package: Path, folder: Path) -> Path:
    """Return the ssd-edge of a new environment; what it depends on is taken from this one."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    packages = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    # A plain path in a .pth: the .pth files of that folder, among them the editable clone's, are not read.
    Path(packages, "these.pth").write_text(
        "\n".join(dict.fromkeys(map(sysconfig.get_path, ("purelib", "platlib")))) + "\n"
    )
    pip = [sys.executable, "-m", "pip", "--quiet", "--python", str(python), "install"]
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--ignore-installed", str(package)], check=True)
    return folder / "bin" / "ssd-edge"


def prove(program: Path, workspace: Path, *, whole_chain: bool) -> None:
    """Run the commands of the README in an empty folder."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*words: str, codes: tuple[int, ...] = (0,)) -> str:
        done = subprocess.run(
            [str(program), *words], cwd=workspace, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode not in codes or "Traceback" in done.stderr:
            sys.exit(f"ssd-edge {' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    inside = [str(program.with_name("python")), "-c", INSIDE]
    where = subprocess.run(inside, cwd=workspace, env=environment, capture_output=True, text=True, check=True).stdout
    if not where.startswith(str(program.parents[1])):
        sys.exit(f"the package that is proved is not the installed one, but {where}")
    for words in COMMANDS:
        run(*words, codes=(0, 1) if words == ("doctor",) else (0,))  # 1: something is missing on this machine, and said
    if whole_chain:
        run("data", "synth", "data", "--train", "8", "--val", "4", "--test", "4")
        run("train", "data", *SMALL)
        run("export", "--score-threshold", "0.001")
        run("build", "--int8", "--target", "onnxruntime")
        run("run", "data/JPEGImages", "--json", "boxes.jsonl", "--no-window", "--max-frames", "2")
        print(run("runs"), end="")
    print(f"{program.parents[1].name}: works in an empty folder", flush=True)


def main() -> None:
    packages = build(DIST)
    for package in packages:
        is_wheel = package.suffix == ".whl"
        if is_wheel:
            check_content(package)
        with tempfile.TemporaryDirectory() as folder:
            workspace = Path(folder, "workspace")
            workspace.mkdir()
            program = install(package, Path(folder, "wheel" if is_wheel else "sdist"))
            prove(program, workspace, whole_chain=is_wheel)
    print("\n".join(f"{package.relative_to(ROOT)}  {package.stat().st_size / 1e3:.0f} kB" for package in packages))


if __name__ == "__main__":
    main()
