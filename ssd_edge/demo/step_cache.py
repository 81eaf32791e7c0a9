"""Steps that are skipped when nothing that they depend on has changed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssd_edge.core.files import file_digest, text_digest, written_beside

STAMP_FORMAT = "ssd-edge/stamp/1"
_PACKAGE = Path(__file__).parents[1]

Facts = dict[str, Any]


@dataclass(frozen=True)
class Done:
    """A step that is done.

    Attributes:
        facts: what the step found out, as it returned it; plain JSON values, ``detail`` being a sentence for the user.
        seconds: how long it took when it ran.
        skipped: it was done before and nothing has changed since.
    """

    name: str
    facts: Facts
    seconds: float
    skipped: bool


@dataclass(frozen=True)
class Step:
    """Work that need not be done twice.

    Attributes:
        name: the stamp's name.
        work: takes what the steps before it left, and returns its facts.
        settings: plain JSON values that the result depends on.
        inputs: files and folders that it reads; a folder stands for all files below it.
        outputs: files and folders that it writes.
        rooms: rooms of the package whose code the result depends on; core is always one.
    """

    name: str
    work: Callable[[Sequence[Done]], Facts]
    settings: Mapping[str, object]
    inputs: Sequence[Path]
    outputs: Sequence[Path]
    rooms: Sequence[str]


def run_steps(steps: Sequence[Step], folder: Path, *, fresh: bool, announce: Callable[[str], None]) -> tuple[Done, ...]:
    """Do each step in order, unless it was done with the same settings, inputs and code and its outputs are untouched.

    A stamp in ``folder`` is removed before its step's work begins and written after it ended well: a step that fails or
    is stopped runs again next time, and those before it do not.

    Args:
        steps: in order.
        folder: where the stamps lie.
        fresh: do every step, whatever its stamp says.
        announce: told of each step that begins, ends or is skipped.
    """
    done: list[Done] = []
    for step in steps:
        stamp = folder / f"{step.name}.json"
        digest = _inputs_digest(step)
        known = None if fresh else _read(stamp, digest, step)
        if known is None:
            announce(f"{step.name} …")
            stamp.unlink(missing_ok=True)
            known = _do(step, stamp, digest, done)
            announce(f"{step.name}: {known.facts['detail']} ({known.seconds:.1f} s)")
        else:
            announce(f"{step.name}: nothing changed, kept: {known.facts['detail']} (took {known.seconds:.1f} s)")
        done.append(known)
    return tuple(done)


def _do(step: Step, stamp: Path, digest: str, before: Sequence[Done]) -> Done:
    started = time.monotonic()
    facts = step.work(before)
    seconds = time.monotonic() - started
    fields = {
        "format": STAMP_FORMAT,
        "inputs": digest,
        "outputs": tree_digest(step.outputs),
        "seconds": seconds,
        "facts": facts,
    }
    with written_beside(stamp) as partial:
        partial.write_text(json.dumps(fields, indent=1), encoding="utf-8")
    return Done(step.name, facts, seconds, skipped=False)


def tree_digest(paths: Iterable[Path]) -> str:
    """Return one ``sha256:…`` of the names and bytes of all files; a folder stands for all files below it."""
    lines = []
    for root in paths:
        files = sorted(path for path in root.rglob("*") if path.is_file()) if root.is_dir() else [root]
        lines += [f"{path.relative_to(root.parent).as_posix()} {file_digest(path)}" for path in files]
    return text_digest("\n".join(lines))


def _inputs_digest(step: Step) -> str:
    code = [path for room in ("core", *step.rooms) for path in sorted((_PACKAGE / room).rglob("*.py"))]
    settings = json.dumps(step.settings, sort_keys=True)
    return text_digest("\n".join([settings, tree_digest(step.inputs), tree_digest(code)]))


def _read(stamp: Path, digest: str, step: Step) -> Done | None:
    """Return what the stamp says where it still holds; an unreadable stamp is no stamp: the step is done again."""
    try:
        fields = json.loads(stamp.read_text(encoding="utf-8"))
        holds = fields["format"] == STAMP_FORMAT and fields["inputs"] == digest
        there = holds and all(path.exists() for path in step.outputs)
        if not there or fields["outputs"] != tree_digest(step.outputs):
            return None
        return Done(step.name, fields["facts"], fields["seconds"], skipped=True)
    except (OSError, ValueError, KeyError, TypeError):
        return None
