"""docs/python.md and examples/ run as they stand."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / "python.md").read_text(), re.MULTILINE | re.DOTALL)
EXAMPLES = ROOT / "examples"


@pytest.mark.slow
def test_blocks_run_one_after_the_other_in_an_empty_folder(tmp_path: Path) -> None:
    """In a process of its own: the blocks configure logging."""
    assert len(BLOCKS) >= 12
    program = tmp_path / "page.py"
    program.write_text("\n".join(BLOCKS))
    work = tmp_path / "empty folder"
    work.mkdir()
    done = subprocess.run([sys.executable, str(program)], cwd=work, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "mAP@0.5" in done.stdout
    assert "Traceback" not in done.stderr
    assert {entry.name for entry in (work / "engines").iterdir()} >= {"current.json", "signs"}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_examples_use_public_names_only(path: Path) -> None:
    text = path.read_text()
    assert re.findall(r"^(?:from|import) (ssd_edge\S*)", text, re.MULTILINE) == ["ssd_edge"]
    import ssd_edge as ssd

    assert set(re.findall(r"\bssd\.(\w+)", text)) <= set(ssd.__all__)
    assert "main" in runpy.run_path(str(path))


def test_there_are_three_examples_and_a_notebook_among_them() -> None:
    assert len([*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*.ipynb")]) >= 3
    notebook = json.loads(next(EXAMPLES.glob("*.ipynb")).read_text())
    assert all(not cell.get("outputs") for cell in notebook["cells"]), "clear the outputs before a commit"


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(next(EXAMPLES.glob("*.ipynb")), as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert (tmp_path / "engines" / "current.json").is_file()
