"""The pictures on which a new file is compared with what it was made from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.cli.console import say

if TYPE_CHECKING:
    from ssd_edge.core.frame import UInt8Array

_DRAWN_SIZE, _DRAWN_SEED = (480, 640), 2016


def check_images(folder: Path | None, *, most: int) -> list[UInt8Array]:
    """Read the first ``most`` pictures of the folder, or draw as many scenes, and say which.

    Raises:
        InputError: the folder holds no pictures, or one of them cannot be read.
    """
    from ssd_edge.core.images import list_images, read_image
    from ssd_edge.data.synth.scene import draw_scene

    if folder is None:
        say(f"comparing on {most} drawn scenes; name a folder of your own images with --check")
        return [draw_scene(*_DRAWN_SIZE, _DRAWN_SEED, index).image for index in range(most)]
    paths = list_images(folder)
    say(f"comparing on {len(paths[:most])} of the {len(paths)} images of {folder}")
    return [read_image(path) for path in paths[:most]]
