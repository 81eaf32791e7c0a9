"""The members of a PyTorch archive, looked at before any of them is unpacked."""

from __future__ import annotations

import zipfile
from pathlib import Path

from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.files import open_regular
from ssd_edge.core.limits import how_to_raise, limit

LARGEST_PICKLE = 64 << 20
"""Bytes of an archive's ``data.pkl``: names and shapes, some 100 bytes for each tensor."""
MOST_TIMES = 20
"""Largest ratio of unpacked to packed size of an archive. PyTorch does not compress, so the usual ratio is one."""


def is_archive(path: Path) -> bool:
    """Return whether the file ends as a zip archive does, be it damaged.

    Raises:
        OSError: it cannot be read.
    """
    with open_regular(path) as file:
        try:
            return zipfile.is_zipfile(file)
        except zipfile.BadZipFile:
            return True


def archive_members(path: Path) -> list[str]:
    """Return the names of the members.

    Raises:
        OSError: the file cannot be read.
        ArtifactError: it is no zip archive, a damaged one, or one that unfolds to more than the limits above.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except OSError:
        raise
    except Exception as error:  # zipfile raises BadZipFile, UnicodeDecodeError, NotImplementedError, ...
        raise ArtifactError(f"{path} cannot be read", got=str(error), wanted="a file written by torch.save") from error
    _check_sizes(path, members)
    return [member.filename for member in members]


def _check_sizes(path: Path, members: list[zipfile.ZipInfo]) -> None:
    unfolded = sum(member.file_size for member in members)
    most = max(MOST_TIMES * path.stat().st_size, limit("unpacked"))
    pickles = max((member.file_size for member in members if member.filename.endswith("data.pkl")), default=0)
    again = "If you trust it, load it with PyTorch and save it again with torch.save."
    limits = (
        (len(members), limit("members"), "members", how_to_raise("members", len(members))),
        (pickles, LARGEST_PICKLE, "bytes of data.pkl", again),
        (unfolded, most, "bytes when unpacked", how_to_raise("unpacked", unfolded)),
    )
    for got, allowed, of_what, do in limits:
        if got > allowed:
            raise ArtifactError(
                f"{path} unpacks to more data than weights need",
                got=f"{got} {of_what}",
                wanted=f"at most {allowed}",
                do=do,
            )
