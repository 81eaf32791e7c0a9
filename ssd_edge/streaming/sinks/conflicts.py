"""Output conflicts: what is read, and what else is written, is kept from being overwritten."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import path_kind
from ssd_edge.core.images import list_images


def check_keeps_input(output: Path, source: Path) -> None:
    """Raise InputError where writing ``output`` would overwrite ``source``, or an image of that folder."""
    if path_kind(output) == "absent" or path_kind(source) == "absent":
        return
    inside = list_images(source) if path_kind(source) == "folder" and path_kind(output) == "file" else []
    if any(output.samefile(path) for path in (source, *inside)):
        raise InputError(f"the output {output} is also the input", do="Choose another --output.")


def check_distinct(outputs: Sequence[Path]) -> None:
    """Raise InputError where two outputs are one file."""
    for one, other in combinations(outputs, 2):
        together = path_kind(one) != "absent" and path_kind(other) != "absent" and one.samefile(other)
        if together or one.resolve() == other.resolve():
            raise InputError(f"{one} is given for two outputs", wanted="a different file or folder for each output")
