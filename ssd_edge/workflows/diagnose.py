"""Checks of this machine and the commands that install what is missing: ``ssd-edge doctor``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssd_edge.core.config import AnyPath
from ssd_edge.core.errors import InputError
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.resources import with_named_resources
from ssd_edge.doctor import board, cameras, computer, nvidia, resources, tensorrt
from ssd_edge.doctor.check import CheckResult, State
from ssd_edge.doctor.facts import FACTS_FORMAT, Facts, Recorded
from ssd_edge.doctor.jetpack import find_jetpack
from ssd_edge.doctor.live import Live


@dataclass(frozen=True)
class DiagnoseResult:
    """The state of a machine.

    Attributes:
        checks: of everything from the board up to the cameras; each has ``name``, ``state``, ``found`` and ``do``.
        facts: what was asked of the machine and what it answered; another machine can evaluate it by these.
        path: None, as nothing is written.
        left_out: empty, as all is looked at.
    """

    checks: tuple[CheckResult, ...]
    facts: Mapping[str, Any]
    path: Path | None = None
    left_out: tuple[LeftOut, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Whether nothing is missing; what only could be better is a warning."""
        return all(check.state is not State.MISSING for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Return the record of the machine as plain JSON values: what ``diagnose(record)`` reads."""
        lines = [
            {"name": check.name, "state": check.state.value, "found": check.found, "do": check.do}
            for check in self.checks
        ]
        return {"format": FACTS_FORMAT, "lines": lines, "facts": dict(self.facts)}


@with_named_resources
def diagnose(record: AnyPath | None = None) -> DiagnoseResult:
    """Look at everything on this machine that matters to ``ssd-edge``, or evaluate another machine by its record.

    Args:
        record: the record of another machine, as ``ssd-edge doctor --json`` writes it; None for this machine.

    Raises:
        InputError: the record cannot be read, or is no whole record.
    """
    if record is None:
        facts = Facts(Live())
        return DiagnoseResult(examine(facts), facts.answers)
    facts = Facts(Recorded(Path(record)))
    try:
        return DiagnoseResult(examine(facts), facts.answers)
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # anything may stand in a file that was edited
        raise InputError(
            f"{record} is not a complete report of a machine",
            got=f"a missing or invalid entry ({error})",
            wanted="a file that ssd-edge doctor --json wrote",
        ) from error


def examine(facts: Facts) -> tuple[CheckResult, ...]:
    """Return the result of every check, from the board up to the cameras."""
    jetpack = find_jetpack(facts)
    checks = (
        board.machine(facts, jetpack),
        computer.python(facts, jetpack),
        computer.processor(facts),
        board.memory(facts, jetpack),
        nvidia.gpu(facts, jetpack),
        nvidia.driver(facts),
        nvidia.cuda(facts, jetpack),
        tensorrt.tensorrt(facts, jetpack),
        tensorrt.plugins(facts),
        nvidia.pycuda(facts, jetpack),
        computer.onnx_runtime(facts),
        computer.openvino(facts),
        cameras.opencv(facts, jetpack),
        cameras.cameras(facts),
        computer.torch(facts),
        *resources.resources(facts),
    )
    if jetpack is None:
        return checks
    return (*checks, cameras.gstreamer(facts), board.power(facts), board.clocks(facts))
