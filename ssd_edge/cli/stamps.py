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
        facts: what the step found out, as it returned it; plain JSON values.
        seconds: how long it took when it ran.
        skipped: it was done before and nothing has changed since.
    """

    name: str
    facts: Facts
    seconds: float
    skipped: bool


class Steps:
    """Runs steps, and leaves a stamp for each that ended well.

    Args:
        folder: where the stamps lie.
        fresh: run every step, whatever its stamp says.
        announce: told of each step that is skipped or begins.
    """

    def __init__(self, folder: Path, *, fresh: bool, announce: Callable[[str], None]) -> None:
        self._folder, self._fresh, self._announce = folder, fresh, announce

    def run(
        self,
        name: str,
        work: Callable[[], Facts],
        *,
        settings: Mapping[str, object],
        inputs: Sequence[Path],
        outputs: Sequence[Path],
        rooms: Sequence[str],
    ) -> Done:
        """Do ``work`` unless it was done with the same settings, inputs and code, and its outputs are as it left them.

        The stamp is removed before the work begins: a step that fails or is stopped runs again next time.

        Args:
            name: the stamp's name.
            work: returns its facts.
            settings: plain JSON values that the result depends on.
            inputs: files and folders that it reads; a folder stands for all files below it.
            outputs: files and folders that it writes.
            rooms: rooms of the package whose code the result depends on; core is always one.
        """
        digest = _inputs_digest(settings, inputs, rooms)
        stamp = self._folder / f"{name}.json"
        known = None if self._fresh else _read(stamp, digest, outputs)
        if known is not None:
            self._announce(f"{name}: nothing changed, kept ({known['seconds']:.1f} s when it ran)")
            return Done(name, known["facts"], known["seconds"], skipped=True)
        stamp.unlink(missing_ok=True)
        self._announce(f"{name} …")
        started = time.monotonic()
        facts = work()
        seconds = time.monotonic() - started
        fields = {"format": STAMP_FORMAT, "inputs": digest, "outputs": tree_digest(outputs)}
        with written_beside(stamp) as partial:
            partial.write_text(json.dumps({**fields, "seconds": seconds, "facts": facts}, indent=1), encoding="utf-8")
        return Done(name, facts, seconds, skipped=False)


def tree_digest(paths: Iterable[Path]) -> str:
    """Return one ``sha256:…`` of the names and bytes of all files; a folder stands for all files below it."""
    lines = []
    for root in paths:
        files = sorted(path for path in root.rglob("*") if path.is_file()) if root.is_dir() else [root]
        lines += [f"{path.relative_to(root.parent).as_posix()} {file_digest(path)}" for path in files]
    return text_digest("\n".join(lines))


def _inputs_digest(settings: Mapping[str, object], inputs: Sequence[Path], rooms: Sequence[str]) -> str:
    code = [path for room in ("core", *rooms) for path in sorted((_PACKAGE / room).rglob("*.py"))]
    parts = [json.dumps(settings, sort_keys=True), tree_digest(inputs), tree_digest(code)]
    return text_digest("\n".join(parts))


def _read(stamp: Path, digest: str, outputs: Sequence[Path]) -> dict[str, Any] | None:
    """Return the stamp's fields where they still hold; an unreadable stamp is no stamp: the step runs again."""
    try:
        fields: dict[str, Any] = json.loads(stamp.read_text(encoding="utf-8"))
        holds = fields["format"] == STAMP_FORMAT and fields["inputs"] == digest
        there = all(path.exists() for path in outputs)
        return fields if holds and there and fields["outputs"] == tree_digest(outputs) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
