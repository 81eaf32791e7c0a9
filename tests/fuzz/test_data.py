"""Mutated labels, lists, YAML and images: named refusals, or the sound rest with counts that add up."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from random import Random

import numpy as np
import pytest

from ssd_edge.core.errors import SsdEdgeError
from ssd_edge.core.sample import UNKNOWN_CLASS
from ssd_edge.core.tolerance import Tolerance
from ssd_edge.data.find import dataset_splits, usable_split
from ssd_edge.data.lint.check import lint_dataset
from ssd_edge.data.usable import UsableSet
from tests.data.layouts.makers import WITH_SPLITS, WITHOUT_SPLITS, drawn_set

MUTANTS, QUICK, SEED = 300, 60, 16
LONGEST_S = 20.0  # of a mutant; a busy machine stretches the clock
MAKERS = (*WITH_SPLITS, *WITHOUT_SPLITS)
TOKENS = (
    b"nan",
    b"-1",
    b"1e999",
    b"",
    b"0",
    b"9" * 40,
    b"../../x",
    b"\xff\xfe",
    b"<",
    b'"',
    b"{",
    b"[]",
    b"null",
    b"0.5",
)
ANY = Tolerance(max_bad=1.0)


def mutate(folder: Path, random: Random) -> tuple[str, Path]:
    """Change one file of a data set; return what was done, and which file."""
    path = random.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
    data = bytearray(path.read_bytes())
    how = random.choice(["cut", "flip", "token", "double", "remove", "empty", "number", "number", "number"])
    if how == "remove":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "cut":
        path.write_bytes(data[: random.randrange(len(data) + 1)])
    elif how == "double":
        start = random.randrange(len(data) + 1)
        path.write_bytes(data[:start] + data[start:] * 2)
    else:
        for _ in range(random.randrange(1, 4)):
            _change(data, how, random)
        path.write_bytes(data)
    return how, path


def _change(data: bytearray, how: str, random: Random) -> None:
    digits = [place for place, byte in enumerate(data) if byte in b"0123456789"]
    if how == "flip" or not digits:
        place = random.randrange(max(len(data), 1))
        data[place : place + 1] = bytes([random.randrange(256)])
    elif how == "number":
        place = random.choice(digits)
        data[place : place + 1] = random.choice([b"0", b"9", b"-", b".", b"e", b"77", b"x"])
    else:
        place = random.randrange(len(data))
        data[place : place + random.randrange(6)] = random.choice(TOKENS)


def check_counts(usable: UsableSet) -> None:
    """Everything that is listed is learned from or left out, and what is kept lies in its image."""
    samples = usable.labelled.samples
    faulty = sum(finding.consequence == "object" and finding.box is not None for finding in usable.findings)
    assert len(samples) + usable.left_out_images == usable.images
    kept = sum(len(sample) for sample in samples)
    assert 0 <= usable.left_out_objects <= usable.objects
    assert kept - usable.left_out_objects <= usable.objects
    assert sum(int((sample.class_ids == UNKNOWN_CLASS).sum()) for sample in samples) <= faulty
    for sample in samples:
        assert np.isfinite(sample.boxes).all()
        assert (sample.boxes[:, 2:] > sample.boxes[:, :2]).all()
        assert ((sample.class_ids >= 0) | sample.difficult).all()


def read(folder: Path) -> list[UsableSet]:
    """Read all splits as training does."""
    names, found = None, []
    for split in dataset_splits(folder):
        found.append(usable_split(folder, split, names))
        names = found[-1].labelled.class_names
    return found


def run_mutants(numbers: range, tmp_path: Path) -> dict[str, int]:
    outcomes = {"refused": 0, "read": 0, "left out": 0}
    for number in numbers:
        random = Random(f"{SEED} {number}")
        maker = random.choice(MAKERS)
        folder = tmp_path / str(number)
        images = drawn_set(8)
        maker(folder, {"train": images[:5], "val": images[5:]})
        how, path = mutate(folder, random)
        about = f"mutant {number}: {maker.__name__}, {how} {path.relative_to(folder)}"
        began = time.monotonic()
        outcomes[_outcome(folder, about)] += 1
        assert time.monotonic() - began < LONGEST_S, about
    return outcomes


def _outcome(folder: Path, about: str) -> str:
    try:
        found = read(folder)
    except SsdEdgeError:
        with pytest.raises(SsdEdgeError):
            lint_dataset(folder, pixels=False)  # the check agrees
        return "refused"
    report = lint_dataset(folder, pixels=False)
    for usable, checked in zip(found, report.usable.values(), strict=True):
        check_counts(usable)
        assert usable.labelled.digest == checked.labelled.digest, about
        assert [str(entry) for entry in usable.labelled.left_out] == [
            str(entry) for entry in checked.labelled.left_out
        ], about
        with suppress(SsdEdgeError):  # a class without an object left
            usable.check(ANY)
    return "left out" if any(usable.labelled.left_out for usable in found) else "read"


def test_a_few_mutants(tmp_path: Path) -> None:
    outcomes = run_mutants(range(QUICK), tmp_path)
    assert sum(outcomes.values()) == QUICK
    assert min(outcomes.values()) > 0


@pytest.mark.slow
def test_hundreds_of_mutants(tmp_path: Path) -> None:
    outcomes = run_mutants(range(MUTANTS), tmp_path)
    assert sum(outcomes.values()) == MUTANTS
    assert min(outcomes.values()) > MUTANTS / 50
