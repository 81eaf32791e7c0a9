from __future__ import annotations

import ast
import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ssd_edge import __version__
from ssd_edge.cli import app as cli
from ssd_edge.cli.app import Commands, app, load_command, root
from ssd_edge.core.errors import InputError
from tests.quantization.square_model import write_square_model

ROOT = Path(__file__).parents[2]


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "cli.py", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_clone_runs_without_installing() -> None:
    result = call("--version")
    assert (result.returncode, result.stdout) == (0, f"ssd-edge {__version__}\n")


def test_help_lists_the_commands_of_the_chain() -> None:
    result = call("--help")
    assert result.returncode == 0
    assert all(f" {name} " in result.stdout for name in ("data", "train", "export", "build", "run", "eval", "demo"))


def test_a_command_is_imported_when_it_is_called() -> None:
    script = (
        "import sys; from typer.testing import CliRunner; from ssd_edge.cli.app import app\n"
        "def loaded(): return sorted(n for n in sys.modules if n.startswith('ssd_edge.') and n.count('.') > 1)\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0; print(loaded())\n"
        "assert CliRunner().invoke(app, ['inspect', '-h']).exit_code == 0; print('ssd_edge.cli.inspect' in loaded())"
    )
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    few, is_loaded = result.stdout.splitlines()
    assert {name for name in ast.literal_eval(few) if "core" not in name} == {
        "ssd_edge.cli.app",
        "ssd_edge.cli.console",
        "ssd_edge.cli.old_options",
        "ssd_edge.cli.plain_options",
        "ssd_edge.cli.signals",
    }
    assert is_loaded == "True"


def test_the_help_of_a_command_is_what_the_list_says() -> None:
    for name, listed in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        command = load_command(name)
        assert command.name == name
        assert command.help == listed.help


def test_an_old_python_is_named_before_anything_is_imported() -> None:
    script = "import runpy, sys; sys.version_info = (3, 8, 10); runpy.run_path('cli.py', run_name='__main__')"
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr == "ssd-edge needs Python 3.10 or newer, and this is 3.8; on JetPack 5 see docs/jetson.md\n"


def test_a_package_that_cannot_be_imported_is_named_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, str(ROOT / "cli.py"), "run", "a.png"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("ssd-edge: a library of the system is missing: libGL.so.1: got ")
    assert result.stderr.endswith("Install it: apt-get install libgl1\n")
    command.insert(2, "--debug")
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" in result.stderr


@pytest.mark.parametrize(
    ("signal", "code", "said"), [("KeyboardInterrupt()", 130, "ssd-edge: stopped.\n"), ("SystemExit(143)", 143, "")]
)
@pytest.mark.parametrize(
    ("package", "command"), [("cv2", ["run", "a.png"]), ("tensorrt", ["build", "a.onnx", "--target", "tensorrt"])]
)
def test_a_signal_that_an_import_makes_an_error_of_is_a_signal(
    tmp_path: Path, signal: str, code: int, said: str, package: str, command: list[str]
) -> None:
    """As libraries do that pybind11 joins to Python."""
    (tmp_path / f"{package}.py").write_text(f"raise ImportError('initialization failed') from {signal}")
    write_square_model(tmp_path / "a.onnx")
    result = subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), *command], env={**os.environ, "PYTHONPATH": str(tmp_path)}, cwd=tmp_path,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr.replace("using a.onnx\n", "")) == (code, said)


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from ssd_edge.cli.app import app; "
        "print(sorted({'numpy', 'cv2', 'torch', 'onnx', 'onnxruntime', 'matplotlib'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def app_that_raises(error: BaseException) -> typer.Typer:
    app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)
    app.callback()(root)

    @app.command()
    def work() -> None:
        raise error

    return app


def test_named_error_is_one_sentence_and_exit_1() -> None:
    result = CliRunner().invoke(app_that_raises(InputError("a.jpg is empty", wanted="an image")), ["work"])
    assert (result.exit_code, result.stderr) == (1, "ssd-edge: a.jpg is empty: wanted an image\n")


def test_debug_shows_the_traceback() -> None:
    result = CliRunner().invoke(app_that_raises(InputError("a.jpg is empty")), ["--debug", "work"])
    assert isinstance(result.exception, InputError)


def test_ctrl_c_ends_with_130() -> None:
    result = CliRunner().invoke(app_that_raises(KeyboardInterrupt()), ["work"])
    assert (result.exit_code, result.stderr) == (130, "ssd-edge: stopped.\n")


def test_wrong_option_is_a_usage_error() -> None:
    result = call("--nonsense")
    assert result.returncode == 2
    assert "No such option" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("command", [["--help"], ["data", "--help"], ["doctor"]])
def test_a_stdout_that_takes_no_more_is_one_sentence_and_exit_1(command: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, "cli.py", *command], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert result.returncode == 1
    assert result.stderr == "ssd-edge: cannot write to stdout: No space left on device\n"


@pytest.fixture
def dropped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was given up of the output, whose descriptors stay those of the tests."""
    seen: list[str] = []
    monkeypatch.setattr(cli, "drop_unread_output", lambda: seen.append("unread"))
    monkeypatch.setattr(cli, "drop_stdout", lambda: seen.append("stdout"))
    return seen


def leave_by(error: BaseException | None, flushing: Exception | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a command that ends so, with a stdout that is flushed so."""

    class Output(io.StringIO):
        def flush(self) -> None:
            if flushing is not None:
                raise flushing

    monkeypatch.setattr(sys, "stdout", Output())
    typer.main.get_command(app_that_raises(error or typer.Exit(0))).main(["work"])


@pytest.mark.parametrize("flushing", [True, False], ids=["at the end", "in a command"])
@pytest.mark.parametrize("gone", [True, False])
def test_a_broken_pipe_ends_quietly_only_where_it_is_that_of_the_output(
    monkeypatch: pytest.MonkeyPatch, dropped: list[str], gone: bool, flushing: bool
) -> None:
    monkeypatch.setattr(cli, "is_reader_gone", lambda: gone)
    error = BrokenPipeError("of a process that was started, perhaps")
    with pytest.raises(SystemExit if gone else BrokenPipeError) as ended:
        leave_by(None if flushing else error, error if flushing else None, monkeypatch)
    assert dropped == (["unread"] if gone else [])
    assert not gone or ended.value.code == 141  # type: ignore[union-attr]


def test_only_a_full_stdout_is_told_as_one(
    monkeypatch: pytest.MonkeyPatch, dropped: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        leave_by(None, OSError(errno.ENOSPC, "No space left on device"), monkeypatch)
    assert (ended.value.code, dropped) == (1, ["stdout"])
    assert capsys.readouterr().err == "ssd-edge: cannot write to stdout: No space left on device\n"
    with pytest.raises(OSError, match="Input/output error"):
        leave_by(None, OSError(errno.EIO, "Input/output error"), monkeypatch)
    assert dropped == ["stdout"]


def test_an_import_that_fails_otherwise_leads_to_the_doctor() -> None:
    broken = app_that_raises(ImportError("cannot import name 'x' from 'y'"))
    result = CliRunner().invoke(broken, ["work"])
    assert result.exit_code == 1
    assert "cannot import name 'x' from 'y'" in result.stderr
    assert "ssd-edge doctor" in result.stderr
    assert isinstance(CliRunner().invoke(broken, ["--debug", "work"]).exception, ImportError)
