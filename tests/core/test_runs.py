from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.runs import Run, list_runs, read_header, read_run, record_run
from ssd_edge.model.checkpoint import save_checkpoint
from tests.exporting.models import lively_model


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("root") / "runs/signs/best.pt"
    save_checkpoint(path, lively_model("ssd192-tiny", input_size=64), {"mean_ap": 0.5})
    return path


def test_a_run_says_what_it_is_without_pytorch(checkpoint: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from ssd_edge.core.runs import list_runs, read_run\n"
        f"(run,) = map(read_run, list_runs(Path({str(checkpoint.parents[2])!r})))\n"
        "print(run.name, run.spec.class_names, run.mean_ap, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "signs ('class 0', 'class 1', 'class 2') 0.5 False\n"


def test_the_date_is_the_one_that_was_written(checkpoint: Path) -> None:
    record_run(checkpoint, "imported", "signs.pth")
    (found,) = list_runs(checkpoint.parents[2])
    assert found.origin == "imported"
    assert found.saved_at.endswith("+00:00")


def test_nothing_of_a_file_is_executed(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return exec, (f"open({str(tmp_path / 'done')!r}, 'w')",)

    path = tmp_path / "best.pt"
    with ZipFile(path, "w") as archive:
        archive.writestr("best/data.pkl", pickle.dumps({"spec": "", "metrics": {}, "state_dict": Evil()}))
    with pytest.raises(ArtifactError):
        read_header(path)
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no archive"])
def test_a_checkpoint_that_cannot_be_read_is_a_run_with_a_fault(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "runs/a/best.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    run = read_run(Run("a", path))
    assert run.spec is None
    assert f"{path} cannot be read" in run.fault
