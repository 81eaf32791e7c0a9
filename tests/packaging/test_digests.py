from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ssd_edge.core.errors import ArtifactError
from ssd_edge.packaging.digests import SUMS_NAME, check_sums, write_sums


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "a package"
    (made / "deep").mkdir(parents=True)
    for name in ("one.txt", "two words.bin", "deep/three.txt", "ä.txt"):
        (made / name).write_bytes(name.encode()[:4])
    write_sums(made)
    return made


def test_a_whole_package_is_whole_to_sha256sum_too(folder: Path) -> None:
    assert check_sums(folder, origin=folder) == ("deep/three.txt", "one.txt", "two words.bin", "ä.txt")
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", SUMS_NAME], cwd=folder, check=True)


def test_any_flipped_bit_of_any_file_is_found(folder: Path) -> None:
    """Of the digests themselves too: the case of a digit, a space, the last line break."""
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        whole = path.read_bytes()
        for place in range(len(whole)):
            for bit in (0x01, 0x20):
                path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
                with pytest.raises(ArtifactError, match="is damaged or has been changed"):
                    check_sums(folder, origin=folder)
        path.write_bytes(whole)
    assert check_sums(folder, origin=folder)


def test_the_file_at_fault_is_named(folder: Path) -> None:
    (folder / "one.txt").write_text("other")
    (folder / "two words.bin").unlink()
    (folder / "added.txt").write_text("")
    with pytest.raises(ArtifactError) as caught:
        check_sums(folder, origin=folder)
    assert caught.value.got == "one.txt changed; two words.bin missing; added.txt not listed"


def test_a_link_is_no_file_of_a_package(folder: Path) -> None:
    (folder / "link").symlink_to("/etc/hostname")
    with pytest.raises(ArtifactError, match="link is a link"):
        check_sums(folder, origin=folder)


def test_without_digests_nothing_is_whole(folder: Path) -> None:
    (folder / SUMS_NAME).unlink()
    with pytest.raises(ArtifactError, match="SHA256SUMS cannot be read"):
        check_sums(folder, origin=folder)
