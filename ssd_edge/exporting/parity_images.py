"""The images on which a new file is compared with what it was made from."""

from __future__ import annotations

from pathlib import Path

from ssd_edge.core.errors import SsdEdgeError
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.images import list_images, read_image
from ssd_edge.core.log import log
from ssd_edge.core.run_data import RunData
from ssd_edge.data.find import open_dataset
from ssd_edge.scenes.scene import draw_scene

_DRAWN_SIZE, _DRAWN_SEED = (480, 640), 2016


def check_images(folder: Path | None, *, most: int, run: Path | None = None) -> list[UInt8Array]:
    """Read the first ``most`` images of the folder, or some that a run was validated on, or draw scenes; say which.

    Args:
        folder: of images; None where none is named.
        most: how many images.
        run: whose folder says what it was validated on; None where there is no run.

    Raises:
        InputError: the folder holds no images, or one of them cannot be read.
    """
    if folder is None:
        validated_on = _validated_on(run, most) if run is not None else []
        if validated_on:
            return validated_on
        log.info(f"comparing on {most} generated scenes; to compare on your own images: --check-images FOLDER")
        return [draw_scene(*_DRAWN_SIZE, _DRAWN_SEED, index).image for index in range(most)]
    paths = list_images(folder)
    log.info(f"comparing on {len(paths[:most])} of the {len(paths)} images of {folder}")
    return [read_image(path) for path in paths[:most]]


def _validated_on(run: Path, most: int) -> list[UInt8Array]:
    """Read some images that a run was validated on, from all over the split; none where they cannot be read here."""
    data = RunData.of(run)
    if data is None:
        if (lost := RunData.lost(run)) is not None:
            log.warning(f"the data set that {run} was validated on does not exist any more: {lost.dataset}")
        return []
    try:
        paths = [sample.image for sample in open_dataset(Path(data.dataset), data.val_split).samples]
        images = [read_image(path) for path in paths[:: max(1, len(paths) // most)][:most]]
    except SsdEdgeError as error:
        log.info(f"the validation images of {run} cannot be read: {error}")
        return []
    log.info(f"comparing on {len(images)} images of {data.dataset}, split {data.val_split}")
    return images
