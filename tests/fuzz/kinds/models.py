"""Models: checkpoints, exported ONNX, engines, and the weights and graphs of others."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.harness import FuzzKind
from tests.fuzz.mutate import NUMBERS, hostile_text, mutate_bytes, mutate_file, mutate_json, mutate_tree

ONNX = "engines/selftest/selftest.onnx"
ENGINE = "engines/selftest/selftest.fp32.onnxruntime.engine"


def command(*arguments: str) -> None:
    """Run ``ssd-edge`` in a child of this one: a session of ONNX Runtime brings threads, which no fork survives."""
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "ssd_edge", *arguments], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr)


def write_workspace(folder: Path) -> None:
    """The square model of the self-test with images, labels, ranges and an engine."""
    from tests.quantization.square_model import write_labelled, write_pictures, write_square_model

    write_square_model(folder / ONNX)
    write_pictures(folder / "images", 4)
    write_labelled(folder / "voc", "val", 2)
    os.chdir(folder)
    command("calibrate", "--images", "images", "--method", "minmax")
    command("build", "--target", "onnxruntime")


def write_checkpoint(folder: Path) -> None:
    """The smallest preset with random weights, and an image."""
    from ssd_edge.model.checkpoint import save_checkpoint
    from tests.model.factories import tiny_model
    from tests.quantization.square_model import write_pictures

    save_checkpoint(folder / "best.pt", tiny_model(), {"map50": 0.5})
    write_pictures(folder / "images", 2)


def write_priors(path: Path) -> None:
    """Anchors for the smallest preset."""
    import dataclasses

    from ssd_edge.data.priors_file import PRIORS_FORMAT
    from tests.model.factories import tiny_spec

    anchors = dataclasses.asdict(tiny_spec().anchors)
    fields = {"preset": "ssd192-tiny", "height": 64, "width": 64, "anchors": anchors, "fitted_to": {}}
    path.write_text(json.dumps({"format": PRIORS_FORMAT, **fields}))


def write_foreign(folder: Path) -> None:
    """What another project saved: a nested dictionary of tensors."""
    import torch

    from tests.model.factories import tiny_model

    weights = {f"module.{name}": tensor for name, tensor in tiny_model().state_dict().items()}
    torch.save({"epoch": 3, "state_dict": weights, "best": 0.5}, folder / "other.pth")
    (folder / "labels.txt").write_text("car\nbus\ntram\n")


def mutate_checkpoint(folder: Path, rng: Random, outside: Path) -> str:
    """Change what a checkpoint holds, its archive, or its bytes."""
    path = next(path for path in folder.iterdir() if path.suffix in (".pt", ".pth"))
    kind = rng.randrange(10)
    if kind < 5:
        return _content(path, rng, outside)
    if kind < 8:
        return _member(path, rng)
    return mutate_file(path, _plain, rng, outside)


def _plain(data: bytes, rng: Random, _outside: Path) -> bytes:
    return mutate_bytes(data, rng)


def _content(path: Path, rng: Random, outside: Path) -> str:
    import torch

    content = torch.load(path, weights_only=True)
    draw = rng.random()
    if draw < 0.5 and "spec" in content:
        content["spec"] = mutate_json(content["spec"].encode(), rng, outside).decode(errors="surrogateescape")
        how = "its spec"
    elif draw < 0.8:
        name = rng.choice(list(content["state_dict"]))
        content["state_dict"][name] = _other_tensor(content["state_dict"][name], rng)
        how = f"the tensor {name}"
    else:
        content = mutate_tree(content, rng, outside)
        how = "its dictionary"
    torch.save(content, path)
    return f"{path.name}: {how} changed"


def _other_tensor(tensor: Any, rng: Random) -> Any:
    import torch

    changes = (
        lambda: tensor.double(), lambda: tensor.bool(), lambda: torch.empty(tensor.shape, device="meta"),
        lambda: tensor.flatten(), lambda: tensor.new_zeros(()), lambda: tensor.new_zeros((0, 3)),
        lambda: torch.full(tensor.shape, float("nan")), lambda: torch.full(tensor.shape, 1e38),
        lambda: torch.zeros(1).expand(1 << 40), lambda: torch.zeros(1).expand(1 << 20, 1 << 20),
        lambda: tensor.float().to_sparse(), lambda: tensor.to(torch.complex64), lambda: [tensor], lambda: "x",
        lambda: torch.quantize_per_tensor(tensor.float(), 0.1, 0, torch.qint8), lambda: None,
    )  # fmt: skip
    return rng.choice(changes)()


def _member(path: Path, rng: Random) -> str:
    """Rewrite the archive with one member changed, packed, renamed, left out or twice."""
    with zipfile.ZipFile(path) as archive:
        members = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    at, kind = rng.randrange(len(members)), rng.randrange(7)
    pickles = [number for number, (name, _) in enumerate(members) if name.endswith("data.pkl")]
    if kind < 3:
        at = pickles[0]
    name, data = members[at]
    packed = zipfile.ZIP_STORED
    if kind < 4:
        members[at] = name, mutate_bytes(data, rng)
    elif kind == 4:
        members[at] = rng.choice(("../../x", "/x", "a/../data.pkl", "é", "a" * 60_000, "x")), data
    elif kind == 5:
        packed, members[at] = zipfile.ZIP_DEFLATED, (name, data + bytes(rng.choice((0, 1 << 20, 1 << 28))))
    else:
        members.pop(at)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", packed) as archive:
        for entry, content in members:
            archive.writestr(zipfile.ZipInfo(entry), content, compress_type=packed)
    path.write_bytes(made.getvalue())
    return f"{path.name}: member {name} changed ({kind})"


def mutate_graph(data: bytes, rng: Random, outside: Path) -> bytes:
    """Change a field of an ONNX, its spec, or its bytes."""
    import onnx

    if rng.random() < 0.2:
        return mutate_bytes(data, rng)
    model = onnx.ModelProto.FromString(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        if rng.random() < 0.25 and model.metadata_props:
            entry = rng.choice(model.metadata_props)
            text = entry.value.encode()
            if text.startswith(b"{"):
                entry.value = mutate_json(text, rng, outside).decode(errors="replace")
            else:
                entry.value = _text(rng, outside)
        else:
            _field(model, rng, outside)
    try:
        return bytes(model.SerializeToString())
    except Exception:  # noqa: BLE001 - what protobuf does not write is no file
        return mutate_bytes(data, rng)


def _text(rng: Random, outside: Path) -> str:
    return hostile_text(rng, outside).encode(errors="replace").decode()


def _field(model: Any, rng: Random, outside: Path) -> None:
    """Walk from the model down at random, and change the field where the walk ends."""
    message = model
    while True:
        filled = message.ListFields()
        if not filled:
            return
        field, value = rng.choice(filled)
        inner = _one_of(field, value, rng)
        if field.message_type is not None and inner is not None and rng.random() < 0.85:
            message = inner
            continue
        _change_field(message, field, value, rng, outside)
        return


def _is_repeated(field: Any) -> bool:
    return bool(field.is_repeated) if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED


def _one_of(field: Any, value: Any, rng: Random) -> Any:
    if not _is_repeated(field):
        return value
    return rng.choice(value) if len(value) else None


def _change_field(message: Any, field: Any, value: Any, rng: Random, outside: Path) -> None:
    if _is_repeated(field):
        at, kind = rng.randrange(len(value)), rng.randrange(4)
        if kind == 0 or (kind == 1 and field.message_type is None):
            del value[at]
        elif field.message_type is not None:
            value.append(value[at])
            if kind == 3:
                del value[at]
        else:
            _set(lambda new: value.__setitem__(at, new), value[at], rng, outside)
    elif field.message_type is not None or rng.random() < 0.2:
        message.ClearField(field.name)
    else:
        _set(lambda new: setattr(message, field.name, new), value, rng, outside)


def _set(put: Any, old: Any, rng: Random, outside: Path) -> None:
    if isinstance(old, str):
        new: Any = _text(rng, outside)
    elif isinstance(old, bytes):
        new = mutate_bytes(old, rng)
    else:
        new = rng.choice((*NUMBERS, old + 1, -old))
    for value in (new, 0, 1):
        try:
            put(value)
        except (TypeError, ValueError, OverflowError):
            continue
        return


def _onnx(folder: Path, rng: Random, outside: Path) -> str:
    return mutate_file(folder / ONNX, mutate_graph, rng, outside)


def _engine(folder: Path, rng: Random, outside: Path) -> str:
    """Change an engine; mostly its manifest states the digest of the changed bytes."""
    from ssd_edge.core.files import file_digest

    how = mutate_file(folder / ENGINE, mutate_graph, rng, outside)
    manifest = (folder / ENGINE).with_suffix(".json")
    if (folder / ENGINE).is_file() and rng.random() < 0.9:
        fields = json.loads(manifest.read_text())
        fields["engine_digest"] = file_digest(folder / ENGINE)
        manifest.write_text(json.dumps(fields))
    return how


def write_foreign_onnx(folder: Path) -> None:
    """A graph that another tool exported, as the tests of the importer build it."""
    from tests.importing.graphs.foreign_net import ForeignNet

    ForeignNet().write(folder, "other.onnx")
    (folder / "labels.txt").write_text("car\nbus\ntram\n")


def _foreign_onnx(folder: Path, rng: Random, outside: Path) -> str:
    return mutate_file(folder / "other.onnx", mutate_graph, rng, outside)


KINDS = (
    FuzzKind(
        "checkpoint", write_checkpoint, mutate_checkpoint,
        (
            ("inspect", "best.pt"), ("inspect", "--json", "best.pt"), ("export", "best.pt", "--check-images", "images"),
            ("import", "best.pt"),
        ),
        may_make=("runs/",), sound_codes=(0, 1),
    ),
    FuzzKind(
        "foreign-weights", write_foreign, mutate_checkpoint,
        (("import", "other.pth", "--labels", "labels.txt"), ("export", "other.pth")), sound_codes=(1,),
    ),
    FuzzKind(
        "onnx", write_workspace, _onnx,
        (("inspect", ONNX), ("run", "images", "-m", ONNX, "--no-window"), ("build", ONNX, "--force"), ("import", ONNX),
         ("calibrate", ONNX, "--images", "images", "--method", "minmax"), ("eval", ONNX, "voc", "--split", "val")),
        may_make=("calibration/", "runs/"), sound_codes=(0, 1),
    ),
    FuzzKind(
        "foreign-onnx", write_foreign_onnx, _foreign_onnx,
        (("import", "other.onnx", "--labels", "labels.txt"), ("inspect", "other.onnx")), sound_codes=(0, 1),
    ),
    FuzzKind(
        "engine", write_workspace, _engine,
        (
            ("inspect", ENGINE), ("run", "images", "-m", ENGINE, "--no-window"),
            ("eval", ENGINE, "voc", "--split", "val"),
        ),
        sound_codes=(0, 1),
    ),
)  # fmt: skip
