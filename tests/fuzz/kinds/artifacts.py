"""The files that one command writes and another reads: JSON and TOML."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random

from tests.fuzz.harness import FuzzKind
from tests.fuzz.kinds.models import write_workspace
from tests.fuzz.mutate import mutate_file, mutate_json, mutate_lines

_TABLE, _SET = "calibration/selftest.ranges.json", "calibration/selftest.images.json"
_ENGINE = "engines/selftest/selftest.fp32.onnxruntime"


def _changes(name: str, change=mutate_json):
    def mutate(folder: Path, rng: Random, outside: Path) -> str:
        return mutate_file(folder / name, change, rng, outside)

    return mutate


def _with_board(folder: Path) -> None:
    write_workspace(folder)
    for sub in ("targets", "boards"):
        board = folder / "engines" / sub / "mine.toml"
        board.parent.mkdir()
        board.write_text(
            'description = "a board"\nbuilder_memory_gib = 1.5\nopt_level = 3\ncompute_capabilities = [86, 120]\n'
        )


def _with_priors(folder: Path) -> None:
    from tests.fuzz.kinds.models import write_priors

    write_workspace(folder)
    write_priors(folder / "priors.json")


def _records(folder: Path, rng: Random, outside: Path) -> str:
    name = rng.choice(("current.json", "exported.json"))
    path = folder / "engines" / name
    if path.is_file():
        return mutate_file(path, mutate_json, rng, outside)
    shutil.rmtree(path, ignore_errors=True)
    path.write_text(json.dumps({"format": "ssd-edge/exported/1", "onnx": "../../outside/x.onnx", "at": "2026"}))
    return f"{name} leads out"


KINDS = (
    FuzzKind(
        "table", write_workspace, _changes(_TABLE),
        (("inspect", _TABLE), ("inspect", "--json", _TABLE), ("build", "--int8", "--force")),
        may_make=("engines/",),
    ),
    FuzzKind("image-set", write_workspace, _changes(_SET), (("inspect", _SET),)),
    FuzzKind(
        "manifest", write_workspace, _changes(f"{_ENGINE}.json"),
        (
            ("inspect", f"{_ENGINE}.json"), ("inspect", f"{_ENGINE}.engine"), ("run", "images", "--no-window"),
            ("build",),
        ),
        may_make=("engines/selftest/runtimes.json",),  # which runtime is the faster one: a measurement that stays true
    ),
    FuzzKind("records", write_workspace, _records, (("run", "images", "--no-window"), ("build",), ("runs",))),
    FuzzKind(
        "board", _with_board, _changes("engines/boards/mine.toml", mutate_lines),
        (("build", "--target", "tensorrt", "--board", "mine"),),
        sound_codes=(0, 1),
    ),
    FuzzKind(
        "priors", _with_priors, _changes("priors.json"),
        (("data", "check", "voc", "--preset", "ssd192-tiny", "--input-size", "64", "--priors", "priors.json"),),
        sound_codes=(0, 1),
    ),
)  # fmt: skip
