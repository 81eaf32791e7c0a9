from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.model.checkpoint import load_checkpoint, save_checkpoint
from tests.full_disk import full_after
from tests.model.factories import tiny_model


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "runs/first/best.pt"
    save_checkpoint(path, tiny_model(), {"map50": 0.5})
    return path


def _rewrite(path: Path, **changes: Any) -> None:
    content = torch.load(path, weights_only=True)
    torch.save({**content, **changes}, path)


def test_a_checkpoint_comes_back_whole(saved: Path) -> None:
    model, loaded = tiny_model(), load_checkpoint(saved)
    assert loaded.spec == model.spec == loaded.model.spec
    assert loaded.metrics == {"map50": 0.5}
    assert not loaded.model.training
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(loaded.model(images).class_logits, model(images).class_logits)


def test_a_loaded_model_can_train_on(saved: Path) -> None:
    model = load_checkpoint(saved).model.train()
    model(torch.randn(2, 3, 64, 64)).class_logits.sum().backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    assert not torch.equal(
        model.state_dict()["backbone.stem.0.0.weight"], tiny_model().state_dict()["backbone.stem.0.0.weight"]
    )


def test_metrics_are_optional(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a.pt", tiny_model())
    assert load_checkpoint(tmp_path / "a.pt").metrics == {}


@pytest.mark.parametrize("size", [0, 4000, 60_000])
def test_a_full_disk_is_named_and_leaves_the_old_file(saved: Path, size: int) -> None:
    before = saved.read_bytes()
    assert len(before) > 60_000
    with full_after(size), pytest.raises(InputError, match=r"best\.pt cannot be written .File too large."):
        save_checkpoint(saved, tiny_model())
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == ["best.pt"]


def test_ctrl_c_in_the_middle_of_writing_stays_ctrl_c(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch ends its archive even then, fails at that, and raises another error."""

    class Interrupted:
        def __init__(self, file: Any) -> None:
            self.flush, self._file, self._writes = file.flush, file, 0

        def write(self, data: Any) -> int:
            self._writes += 1
            if self._writes == 5:
                raise KeyboardInterrupt
            return self._file.write(data)

    before, save = saved.read_bytes(), torch.save
    monkeypatch.setattr(torch, "save", lambda content, file: save(content, Interrupted(file)))
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(saved, tiny_model())
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == ["best.pt"]


def test_other_faults_of_writing_stay_what_they_are(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(content: object, file: object) -> None:
        raise RuntimeError("a fault of torch")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(RuntimeError, match="a fault of torch"):
        save_checkpoint(saved, tiny_model())


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    torch.save({"format": "ssd-edge/checkpoint/1", "spec": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(ArtifactError, match=r"trap\.pt is a damaged checkpoint"):
        load_checkpoint(tmp_path / "trap.pt")
    assert not (tmp_path / "sprung").exists()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.pt cannot be read .No such file or directory.: wanted a"):
        load_checkpoint(tmp_path / "none.pt")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read .Is a directory."):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", pickle.dumps({"format": 1})])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(ArtifactError, match=rf"a\.pt is not a checkpoint: got a file of {len(content)} bytes"):
        load_checkpoint(tmp_path / "a.pt")


def test_a_cut_off_checkpoint_is_refused(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-2000])
    with pytest.raises(ArtifactError, match="is not a checkpoint"):
        load_checkpoint(saved)


def test_another_archive_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("a.txt", "text")
    with pytest.raises(
        ArtifactError, match=r"a\.pt is a damaged checkpoint: got .*Copy the file again, or train again"
    ):
        load_checkpoint(tmp_path / "a.pt")


@pytest.mark.parametrize(
    ("content", "got"), [({"model": {}}, "None"), ([1, 2], "'list'"), ({"format": "ssd-edge/checkpoint/9"}, "'ssd-ed")]
)
def test_another_projects_checkpoint_is_refused(tmp_path: Path, content: object, got: str) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(ArtifactError, match=rf"of this version: got {got}.* wanted .*ssd-edge import .*a\.pt"):
        load_checkpoint(tmp_path / "a.pt")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metrics": None}, r"damaged checkpoint: got AttributeError"),
        ({"metrics": {"map50": "good"}}, r"damaged checkpoint: got ValueError"),
        ({"state_dict": 3}, r"damaged checkpoint: got TypeError"),
        ({"spec": "{}"}, r"best\.pt is not a model spec of this version"),
        ({"spec": "?"}, r"best\.pt is a damaged model spec"),
    ],
)
def test_damaged_parts_are_named(saved: Path, changes: dict[str, Any], message: str) -> None:
    _rewrite(saved, **changes)
    with pytest.raises(ArtifactError, match=message):
        load_checkpoint(saved)
