from __future__ import annotations

import errno
import io
import os
import tarfile
import zlib
from pathlib import Path

import pytest

from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.packaging.archive import _HEADER, archive_of, unpacked, write_archive
from ssd_edge.packaging.digests import check_sums, write_sums


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "m-triton"
    (made / "deep").mkdir(parents=True)
    (made / "run.sh").write_text("#!/bin/sh\n")
    (made / "run.sh").chmod(0o755)
    (made / "deep" / "model.bin").write_bytes(bytes(range(256)) * 4)
    write_sums(made)
    return made


def test_an_archive_gives_the_files_back(folder: Path) -> None:
    write_archive(folder, archive_of(folder))
    with tarfile.open(archive_of(folder)) as tar:
        assert tar.getnames() == [f"m-triton/{name}" for name in ("SHA256SUMS", "deep/model.bin", "run.sh")]
    with unpacked(archive_of(folder)) as found:
        assert found.name == "m-triton"
        assert check_sums(found, origin=found) == check_sums(folder, origin=folder)
        assert os.access(found / "run.sh", os.X_OK)
        assert not os.access(found / "deep" / "model.bin", os.X_OK)


def test_times_owners_and_umask_change_nothing(folder: Path, tmp_path: Path) -> None:
    write_archive(folder, tmp_path / "a.tar.gz")
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
    (folder / "deep" / "model.bin").chmod(0o600)
    write_archive(folder, tmp_path / "b.tar.gz")
    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()


def test_any_flipped_byte_is_found(folder: Path) -> None:
    """Of the header too, which no check sum of gzip covers."""
    archive = archive_of(folder)
    write_archive(folder, archive)
    whole = archive.read_bytes()
    ends = {*range(12), *range(len(whole) - 12, len(whole))}
    for place in sorted(ends | {*range(0, len(whole), 9)}):
        archive.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with pytest.raises(ArtifactError, match="is damaged or has been changed"), unpacked(archive) as found:
            check_sums(found, origin=archive)


@pytest.mark.parametrize("length", [0, 5, 100, -1])
def test_an_archive_that_was_cut_off_is_found(folder: Path, length: int) -> None:
    archive = archive_of(folder)
    write_archive(folder, archive)
    archive.write_bytes(archive.read_bytes()[:length])
    with pytest.raises(ArtifactError), unpacked(archive):
        pass


@pytest.mark.parametrize("name", ["../out", "/out", "m/../../out", "out"])
def test_a_member_never_leaves_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArtifactError, match="the member"), unpacked(hostile(tmp_path, tarfile.TarInfo(name))):
        pass
    assert not (tmp_path.parent / "out").exists()


@pytest.mark.parametrize("names", [("m/a", "m/a"), ("m/a", "m/a/b"), ("m/" + "a" * 300,)])
def test_names_that_cannot_be_files_are_damage(tmp_path: Path, names: tuple[str, ...]) -> None:
    archive = hostile(tmp_path, *map(tarfile.TarInfo, names))
    with pytest.raises(ArtifactError, match="damaged or has been changed"), unpacked(archive):
        pass


def test_what_cannot_be_read_and_a_full_disk_are_no_damage(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="/dev/null cannot be read"), unpacked(Path("/dev/null")):
        pass
    write_archive(folder, archive_of(folder))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ssd_edge.packaging.archive._write", full)
    with pytest.raises(InputError, match="TMPDIR"), unpacked(archive_of(folder)):
        pass


def test_names_for_names_without_end_are_damage(tmp_path: Path) -> None:
    long = tarfile.TarInfo("././@LongLink")
    long.type, long.size = tarfile.GNUTYPE_LONGNAME, 1
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for _ in range(3000):
            tar.addfile(long, io.BytesIO(b"a"))
    path = tmp_path / "m.tar.gz"
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    path.write_bytes(_HEADER + deflate.compress(packed.getvalue()) + deflate.flush() + bytes(8))
    with pytest.raises(ArtifactError, match="recursion"), unpacked(path):
        pass


def test_a_link_is_refused(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("m/link")
    entry.type, entry.linkname = tarfile.SYMTYPE, "/etc"
    with pytest.raises(ArtifactError, match="the member"), unpacked(hostile(tmp_path, entry)):
        pass


def test_an_archive_that_unfolds_to_too_much_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_archive(folder, archive_of(folder))
    monkeypatch.setenv("SSD_EDGE_LIMITS", "bytes=1000")
    with pytest.raises((ArtifactError, InputError), match="--limit bytes="), unpacked(archive_of(folder)):
        pass


def test_an_archive_holds_one_folder(tmp_path: Path) -> None:
    archive = hostile(tmp_path, tarfile.TarInfo("a/file"), tarfile.TarInfo("b/file"))
    with pytest.raises(ArtifactError, match="2 entries at the top"), unpacked(archive):
        pass
    with unpacked(hostile(tmp_path, tarfile.TarInfo("a/file"))) as found:
        assert [path.name for path in found.iterdir()] == ["file"]
    with pytest.raises(ArtifactError, match="0 entries at the top"), unpacked(hostile(tmp_path)):
        pass


def test_what_follows_the_last_member_is_checked_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = hostile(tmp_path, tarfile.TarInfo("m/file"), behind=bytes(3 << 20))
    with unpacked(archive) as found:
        assert (found / "file").read_bytes() == b""
    monkeypatch.setenv("SSD_EDGE_LIMITS", "bytes=1M")
    with pytest.raises(ArtifactError, match="unpacks to too much data.*--limit bytes="), unpacked(archive):
        pass
    monkeypatch.delenv("SSD_EDGE_LIMITS")
    whole = archive.read_bytes()
    archive.write_bytes(whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:])  # of the check sum
    with pytest.raises(ArtifactError, match="is damaged or has been changed"), unpacked(archive):
        pass


def hostile(tmp_path: Path, *entries: tarfile.TarInfo, behind: bytes = b"") -> Path:
    """An archive with our header and members of another's making."""
    from ssd_edge.packaging.archive import _Gzip

    archive = tmp_path / "hostile.tar.gz"
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for entry in entries:
            tar.addfile(entry)
    with archive.open("wb") as file:
        packer = _Gzip(file)
        packer.write(plain.getvalue() + behind)
        packer.finish()
    return archive
