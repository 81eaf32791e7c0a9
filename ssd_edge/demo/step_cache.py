"""Steps that are skipped when nothing that they depend on has changed, as ``make`` does it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from ssd_edge import __version__
from ssd_edge.core.files import file_digest, text_digest, written_beside
from ssd_edge.core.log import log
from ssd_edge.core.text_parsers import parse_json
from ssd_edge.core.timing import Stopwatch

STAMP_FORMAT = "ssd-edge/stamp/1"

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
        packages: distributions whose version the result depends on; that of ``ssd-edge`` counts for every step.
        version: of the work; a higher one does a step again that was done by a lower one.
    """

    name: str
    work: Callable[[Sequence[Done]], Facts]
    settings: Mapping[str, object]
    inputs: Sequence[Path]
    outputs: Sequence[Path]
    packages: Sequence[str] = ()
    version: int = 1

    def key(self) -> str:
        """Return one ``sha256:…`` of all that the result depends on."""
        versions = {name: _version_of(name) for name in self.packages}
        depends = [self.settings, self.version, {"ssd-edge": __version__, **versions}, tree_digest(self.inputs)]
        return text_digest(json.dumps(depends, sort_keys=True))


def _version_of(package: str) -> str:
    """Return what is installed of a distribution; empty where it is not."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def run_steps(steps: Sequence[Step], folder: Path, *, fresh: bool = False) -> tuple[Done, ...]:
    """Do each step in order, unless its key is that of its last run and its outputs are untouched.

    A stamp in ``folder`` is removed before its step's work begins and written after it ended well: a step that fails or
    is stopped runs again next time, and those before it do not. The log names each step that begins, ends or is
    skipped.

    Args:
        steps: in order.
        folder: where the stamps lie.
        fresh: do every step, whatever its stamp says.
    """
    done: list[Done] = []
    for step in steps:
        stamp, key = folder / f"{step.name}.json", step.key()
        known = None if fresh else _read(stamp, key, step)
        if known is None:
            log.info(f"{step.name} …")
            stamp.unlink(missing_ok=True)
            known = _do(step, stamp, key, done)
            log.info(f"{step.name}: {known.facts['detail']} ({known.seconds:.1f} s)")
        else:
            log.info(f"{step.name}: unchanged, reused: {known.facts['detail']} (took {known.seconds:.1f} s)")
        done.append(known)
    return tuple(done)


def _do(step: Step, stamp: Path, key: str, before: Sequence[Done]) -> Done:
    watch = Stopwatch()
    with watch:
        facts = step.work(before)
    seconds = watch.timing.total_s
    fields = {
        "format": STAMP_FORMAT,
        "inputs": key,
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


def _read(stamp: Path, key: str, step: Step) -> Done | None:
    """Return what the stamp says where it still holds; an unreadable stamp is no stamp: the step is done again."""
    try:
        fields = parse_json(stamp.read_text(encoding="utf-8"))
        holds = fields["format"] == STAMP_FORMAT and fields["inputs"] == key
        there = holds and all(path.exists() for path in step.outputs)
        if not there or fields["outputs"] != tree_digest(step.outputs):
            return None
        return Done(step.name, fields["facts"], fields["seconds"], skipped=True)
    except (OSError, ValueError, KeyError, TypeError):
        return None
