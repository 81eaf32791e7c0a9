"""Clocks and power while a run lasts, by NVIDIA's own tools: nvidia-smi (NVML), or tegrastats on a Jetson."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType

_SMI = ("clocks.sm", "clocks.mem", "power.draw", "temperature.gpu", "utilization.gpu")
_SMI_NAMES = ("GPU clock, MHz", "memory clock, MHz", "power, W", "temperature, °C", "GPU use, %")
_EVERY_MS = "200"
_TEGRA = {
    "GPU clock, MHz": re.compile(r"GR3D_FREQ \d+%@\[?(\d+)"),
    "GPU use, %": re.compile(r"GR3D_FREQ (\d+)%"),
    "memory clock, MHz": re.compile(r"EMC_FREQ \d+%@(\d+)"),
    "temperature, °C": re.compile(r"\bgpu@([\d.]+)C", re.IGNORECASE),
    "power, mW": re.compile(r"\b(?:VDD_IN|POM_5V_IN|VIN_SYS_5V0) (\d+)(?:mW)?/"),
}

Parser = Callable[[str], dict[str, float]]


@dataclass(frozen=True)
class Reading:
    """One quantity over a run: the least, the median and the largest value, in the unit that its name says."""

    least: float
    median: float
    most: float


def parse_smi(line: str) -> dict[str, float]:
    """Return the values of a line of ``nvidia-smi``, as CSV without units; what it does not know is left out."""
    found = {}
    for name, text in zip(_SMI_NAMES, line.split(","), strict=False):
        try:
            found[name] = float(text)
        except ValueError:  # "[N/A]"
            continue
    return found


def parse_tegrastats(line: str) -> dict[str, float]:
    """Return the values of a line of tegrastats."""
    return {name: float(match[1]) for name, pattern in _TEGRA.items() if (match := pattern.search(line))}


class PowerMonitor:
    """Runs the tool that is there while the block lasts: ``with PowerMonitor() as monitor: …; monitor.readings()``."""

    def __init__(self) -> None:
        self._rows: list[dict[str, float]] = []
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def __enter__(self) -> PowerMonitor:
        command, parse = _tool()
        if command:
            self._process = subprocess.Popen(  # noqa: S603 - words of our own, no shell
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True
            )
            self._reader = threading.Thread(target=self._read, args=(self._process, parse), daemon=True)
            self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._reader is not None:
            self._process.terminate()
            self._process.wait()
            self._reader.join()
            if self._process.stdout is not None:
                self._process.stdout.close()

    def readings(self) -> Mapping[str, Reading]:
        """Return each quantity that was seen; nothing where no tool is there."""
        names = {name: None for row in list(self._rows) for name in row}
        columns = {name: [row[name] for row in self._rows if name in row] for name in names}
        return {name: Reading(min(seen), statistics.median(seen), max(seen)) for name, seen in columns.items()}

    def _read(self, process: subprocess.Popen[str], parse: Parser) -> None:
        for line in process.stdout or ():
            self._rows.append(parse(line))


def _tool() -> tuple[Sequence[str], Parser]:
    """Return the command and its parser; tegrastats first, as a Jetson may have an nvidia-smi of no use."""
    tegrastats = shutil.which("tegrastats")
    if tegrastats is not None:
        return (tegrastats, "--interval", _EVERY_MS), parse_tegrastats
    smi = shutil.which("nvidia-smi")
    if smi is not None:
        query = f"--query-gpu={','.join(_SMI)}"
        return (smi, "--id=0", query, "--format=csv,noheader,nounits", f"--loop-ms={_EVERY_MS}"), parse_smi
    return (), parse_smi
