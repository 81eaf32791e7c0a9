"""Builds the emulated CUDA driver, and the real pycuda against it, into a folder of their own.

Run by ``make``: ``python -m tools.emulator.build .venv/emulator``. Needs a C++ compiler; nothing of it is on the path
of a program that does not ask for it (see ``rehearse.py``).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PYCUDA = "pycuda==2026.1"
HEADERS = "nvidia-cuda-runtime==13.0.*"
RUNS_WITH = ("pytools>=2022", "platformdirs>=2.2", "mako", "typing-extensions>=4")
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")

SITECONF = """\
BOOST_INC_DIR = []
BOOST_LIB_DIR = []
BOOST_COMPILER = "gcc43"
USE_SHIPPED_BOOST = True
BOOST_PYTHON_LIBNAME = []
BOOST_THREAD_LIBNAME = []
CUDA_TRACE = False
CUDA_ROOT = ""
CUDA_ENABLE_GL = False
CUDA_ENABLE_CURAND = False
CUDADRV_LIB_DIR = [{library!r}]
CUDADRV_LIBNAME = ["cuda"]
CUDART_LIB_DIR = []
CUDART_LIBNAME = []
CURAND_LIB_DIR = []
CURAND_LIBNAME = []
CXXFLAGS = ["-O1", "-w", "-I{headers}", "-I{shim}"]
LDFLAGS = []
"""


def build_driver(folder: Path) -> None:
    """Compile ``libcuda.so.1`` into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / "libcuda.so.1"
    command = ["c++", "-std=c++17", "-O1", "-shared", "-fPIC", "-fvisibility=hidden", "-Wl,-soname,libcuda.so.1"]
    subprocess.run([*command, "-o", str(library), str(HERE / "driver.cc"), "-lpthread", "-ldl"], check=True)
    link = folder / "libcuda.so"
    link.unlink(missing_ok=True)
    link.symlink_to(library.name)


def build_pycuda(library: Path, packages: Path) -> None:
    """Build pycuda from its source archive and install it, with what it imports, into ``packages``."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        headers = _cuda_headers(work)
        source = _source(work)
        conf = SITECONF.format(library=str(library), headers=headers, shim=HERE / "include")
        (source / "siteconf.py").write_text(conf, encoding="utf-8")
        if packages.exists():
            shutil.rmtree(packages)
        _pip("install", "--no-deps", "--target", str(packages), str(source))
        _pip("install", "--no-deps", "--target", str(packages), *RUNS_WITH)


def _cuda_headers(work: Path) -> Path:
    _pip("install", "--no-deps", "--target", str(work / "headers"), HEADERS)
    return next((work / "headers").rglob("cuda.h")).parent


def _source(work: Path) -> Path:
    _pip("download", "--no-deps", "--no-binary", "pycuda", "--dest", str(work), PYCUDA)
    archive = next(work.glob("pycuda-*.tar.gz"))
    with tarfile.open(archive) as opened:
        opened.extractall(work, filter="data")
    return work / archive.name.removesuffix(".tar.gz")


def _pip(*arguments: str) -> None:
    subprocess.run([*PIP, *arguments], check=True)


def main(folder: Path) -> None:
    if sys.platform != "linux" or shutil.which("c++") is None:
        sys.stderr.write("no C++ compiler: the tests of the TensorRT runtime will be skipped\n")
        return
    folder = folder.resolve()
    build_driver(folder / "lib")
    if not (folder / "packages" / "pycuda").is_dir():
        build_pycuda(folder / "lib", folder / "packages")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
