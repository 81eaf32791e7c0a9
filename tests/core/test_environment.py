from __future__ import annotations

import ast
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from ssd_edge.core.environment import environment, unchanged_environment

PACKAGE = Path(__file__).parent.parent.parent / "ssd_edge"
RECORDERS = {"onnxruntime", "onnxsim", "openvino"}
DOORS = {  # ways in which a command comes to ONNX Runtime, and to the copy inside onnxsim
    "sessions": "from ssd_edge.backends.ort_session import load_runtime; load_runtime().SessionOptions()",
    "OpenVINO": "from ssd_edge.backends.openvino.module import core; assert core().available_devices",
    "doctor and OpenVINO": "from ssd_edge.doctor.live import Live; assert Live().ask('module', 'openvino')['version']",
    "doctor": "from ssd_edge.doctor.live import Live; assert Live().ask('module', 'onnxruntime')['version']",
    "export": "from ssd_edge.core.requirements import require; require('export', '', '')",
}


def test_what_the_block_sets_is_gone_after_it_and_what_the_user_set_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(17)
    names = [f"SSD_EDGE_TEST_{draw.getrandbits(32):x}" for _ in range(6)]
    for name in names[:3]:
        monkeypatch.setenv(name, "user's")
    before = dict(os.environ)
    with pytest.raises(KeyError), environment(**dict.fromkeys(names, "ours")):
        assert [os.environ[name] for name in names] == ["user's"] * 3 + ["ours"] * 3
        raise KeyError
    assert dict(os.environ) == before


@pytest.mark.parametrize("door", DOORS)
def test_nothing_is_recorded_and_the_environment_is_left_alone(door: str, tmp_path: Path) -> None:
    written, after = _run(DOORS[door], tmp_path)
    assert written == []
    assert after == "None"


def test_a_user_may_have_the_telemetry(tmp_path: Path) -> None:
    assert _run(DOORS["sessions"], tmp_path, ORT_DISABLE_TELEMETRY="0")[1] == "0"


def _run(code: str, folder: Path, **variables: str) -> tuple[list[str], str]:
    """Run Python with a home and a TMPDIR of its own; return the files written there and the variable at the end."""
    places = {"HOME": folder / "home", "TMPDIR": folder / "tmp"}
    for place in places.values():
        place.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    spelled = {name: str(place) for name, place in places.items()}
    code += "\nimport os; print(os.environ.get('ORT_DISABLE_TELEMETRY'))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept | spelled | variables, capture_output=True, text=True, check=True
    )
    return [str(path) for path in folder.rglob("*") if path.is_file()], done.stdout.strip()


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_what_records_is_imported_where_it_may_not(path: Path) -> None:
    """Only inside ``with no_telemetry():``, or for types."""
    tree = ast.parse(path.read_text())
    allowed = {id(node) for block in ast.walk(tree) if _is_guard(block) for node in ast.walk(block)}
    # onnxruntime.capi lies in a package that is there already
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import) and id(node) not in allowed]
    assert not RECORDERS & {alias.name.partition(".")[0] for node in imports for alias in node.names}


def _is_guard(node: ast.AST) -> bool:
    if isinstance(node, ast.With):
        return any("no_telemetry()" in ast.unparse(item) for item in node.items)
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def test_after_the_block_every_variable_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSD_EDGE_TEST_CHANGED", "user's")
    monkeypatch.setenv("SSD_EDGE_TEST_REMOVED", "")
    before = dict(os.environ)
    with pytest.raises(KeyError), unchanged_environment():
        os.environ.update(SSD_EDGE_TEST_CHANGED="a package's", SSD_EDGE_TEST_NEW="a package's")
        del os.environ["SSD_EDGE_TEST_REMOVED"]
        raise KeyError
    assert dict(os.environ) == before
