from __future__ import annotations

import random
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from ssd_edge.core.errors import ArtifactError, InputError, SsdEdgeError
from ssd_edge.core.runs import read_header
from ssd_edge.core.torch_zip import LARGEST_PICKLE, archive_members
from ssd_edge.importing.state_dict import read_state_dict
from ssd_edge.model.checkpoint import load_checkpoint, save_checkpoint
from ssd_edge.model.torch_archive import load_archive
from ssd_edge.model.weight_source import read_weights
from tests.model.factories import tiny_model

READERS: dict[str, Callable[[Path], Any]] = {
    "checkpoint": load_checkpoint,
    "header": read_header,
    "weights": lambda path: read_weights(str(path)),
    "import": read_state_dict,
}
TRIES = 120


def _load(path: Path) -> Any:
    return load_archive(path, lambda reason: ArtifactError("refused", got=reason), wanted="weights")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "best.pt"
    save_checkpoint(path, tiny_model(), {"mean_ap": 0.5})
    return path


def _with_pickle(source: Path, target: Path, change: Callable[[bytes], bytes]) -> None:
    """Copy an archive with another data.pkl, whose checksum is right, so that the parser meets it."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, change(data) if name.endswith("data.pkl") else data)


def _flipped(draw: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed[: draw.randrange(1, len(changed))]) if draw.random() < 0.2 else bytes(changed)


@pytest.mark.parametrize("reader", READERS)
def test_whatever_is_flipped_or_cut_is_one_named_error(whole: Path, tmp_path: Path, reader: str) -> None:
    refused = 0
    for seed in range(TRIES):
        draw, path = random.Random(f"{reader} {seed}"), tmp_path / f"{seed}.pt"
        if seed % 3:
            _with_pickle(whole, path, lambda data, draw=draw: _flipped(draw, data))  # type: ignore[misc]
        else:  # bytes of the archive itself, its names included
            data = bytearray(whole.read_bytes())
            place = draw.randrange(len(data) - 2000, len(data))
            path.write_bytes(data[:place] + _flipped(draw, bytes(data[place:])))
        with suppress(SsdEdgeError):
            READERS[reader](path)
            refused -= 1
        refused += 1
        path.unlink()
    assert refused > TRIES // 4


@pytest.mark.parametrize("reader", READERS)
def test_an_archive_that_unfolds_without_end_is_refused_at_once(whole: Path, tmp_path: Path, reader: str) -> None:
    path = tmp_path / "bomb.pt"
    path.write_bytes(whole.read_bytes())
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("archive/data/99", "w") as member:
        for _ in range(300):
            member.write(bytes(1 << 20))
    with pytest.raises(ArtifactError, match=r"bomb\.pt unpacks to more .* wanted at most \d+"):
        READERS[reader](path)


def test_a_packed_pickle_is_refused_by_its_size(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "packed.pt"
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name) + bytes((LARGEST_PICKLE + 1) * name.endswith("data.pkl")))
    with pytest.raises(ArtifactError, match=r"bytes of data\.pkl; wanted at most 67108864"):
        archive_members(path)


def _nested(depth: int) -> Any:
    return {"model": _nested(depth - 1)} if depth else torch.zeros(1)


def _in_itself() -> Any:
    content: dict[str, Any] = {"a": torch.zeros(2)}
    content["model"] = content
    return content


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"a": torch.zeros(2, device="meta")}, "that are not dense: got a tensor on 'meta'"),
        ({"a": [torch.eye(3).to_sparse()]}, "that are not dense: got a tensor on 'cpu', sparse_coo"),
        ({"a": torch.zeros(1).expand(1 << 40)}, "larger than the file: got 4398046511104 bytes that repeat 4"),
        (_nested(80), "refused: got more than 64 nested containers"),
    ],
)
def test_tensors_without_values_are_refused(tmp_path: Path, content: Any, reason: str) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(ArtifactError, match=reason):
        _load(tmp_path / "a.pt")


def test_a_container_that_holds_itself_ends(tmp_path: Path) -> None:
    torch.save(_in_itself(), tmp_path / "a.pt")
    assert _load(tmp_path / "a.pt").keys() == {"a", "model"}
    for name in ("weights", "import"):
        assert READERS[name](tmp_path / "a.pt")


def test_a_missing_file_is_no_artifact(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.pt cannot be read .No such file"):
        _load(tmp_path / "none.pt")


@pytest.mark.parametrize("seed", range(6))
def test_a_spec_of_absurd_size_is_refused_before_a_network_is_made(whole: Path, tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    side = draw.choice(["height", "width"])
    content = torch.load(whole, weights_only=True)
    old = f'"{side}":64'
    assert old in content["spec"]
    content["spec"] = content["spec"].replace(old, f'"{side}":{draw.randrange(8193, 1 << draw.randrange(20, 60))}')
    torch.save(content, tmp_path / "huge.pt")
    with pytest.raises(ArtifactError, match="input is out of range.*wanted a height and width of 1 to 8192"):
        load_checkpoint(tmp_path / "huge.pt")
