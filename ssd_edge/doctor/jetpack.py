"""JetPack version of a Jetson, from its L4T release."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ssd_edge.doctor.facts import Facts

L4T_RELEASE = "/etc/nv_tegra_release"
BOARD_MODEL = "/proc/device-tree/model"
SOC = "/sys/devices/soc0"

# L4T release -> JetPack, as NVIDIA pairs them; the longest prefix counts.
_JETPACKS = {
    "35.2": "5.1", "35.3": "5.1.1", "35.4": "5.1.2", "35.5": "5.1.3", "35.6": "5.1.4 or later",
    "36.2": "6.0 DP", "36.3": "6.0", "36.4.0": "6.1", "36.4.3": "6.2", "36.4": "6.2.1", "36.5": "6.2.2",
    "38.2": "7.0", "38.4": "7.1", "39.2": "7.2",
}  # fmt: skip


@dataclass(frozen=True)
class JetPack:
    """A Jetson's software.

    Attributes:
        l4t: e.g. ``36.4.3``; empty where it cannot be seen, as in a container.
        name: e.g. ``6.2``; empty where this version does not know the release.
        major: 5, 6 or 7; 0 where it is older or newer than that, or cannot be seen.
    """

    l4t: str
    name: str

    @property
    def is_hidden(self) -> bool:
        """Whether the board is a Jetson, and its release cannot be seen."""
        return not self.l4t

    @property
    def major(self) -> int:
        """JetPack's first number, from the kernel line of L4T."""
        return {"35": 5, "36": 6, "38": 7, "39": 7}.get(self.l4t.partition(".")[0], 0)

    @property
    def text(self) -> str:
        """Text that is shown."""
        if self.is_hidden:
            return "its L4T release cannot be seen"
        return f"JetPack {self.name} (L4T {self.l4t})" if self.name else f"L4T {self.l4t}, of no JetPack known here"


def find_jetpack(facts: Facts) -> JetPack | None:
    """Return the JetPack of a Jetson; None elsewhere.

    The release file reads ``# R36 (release), REVISION: 4.3, GCID: …``. A container has it only where it was passed in,
    but what the kernel says of the chip is seen there too.
    """
    found = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", facts.text(L4T_RELEASE) or "")
    if found is None:
        return JetPack("", "") if (facts.text(f"{SOC}/family") or "").strip() == "Tegra" else None
    l4t = f"{found[1]}.{found[2]}"
    fits = [prefix for prefix in _JETPACKS if l4t == prefix or l4t.startswith(prefix + ".")]
    return JetPack(l4t, _JETPACKS[max(fits, key=len)] if fits else "")


def board_model(facts: Facts) -> str | None:
    """Return the board's name, e.g. ``NVIDIA Jetson AGX Orin Developer Kit``; None on a computer that has none."""
    found = facts.text(BOARD_MODEL) or facts.text(f"{SOC}/machine")
    return found.strip() if found else None
