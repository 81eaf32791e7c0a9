from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.labelling.items import Item, NotListed, find_items
from ssd_edge.labelling.labeller import member_bytes
from ssd_edge.labelling.plan import PlanReader, numbers_of, write_plan
from tests.labelling.photos import write_photos, write_tar

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def found(*sources: Path | str) -> tuple[list[Item], NotListed]:
    not_listed = NotListed()
    return list(find_items([str(source) for source in sources], not_listed)), not_listed


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path / "photos/b", 2)
    write_photos(tmp_path / "photos", 1, first=7)
    (tmp_path / "photos/.hidden.png").touch()
    (tmp_path / "photos/notes.md").touch()
    (tmp_path / "photos/a.MP4").touch()
    return tmp_path


def test_a_folder_is_walked_in_the_order_of_its_names(photos: Path) -> None:
    items, not_listed = found("photos")
    assert [item.id for item in items] == ["photos/0007.png", "photos/a.MP4", "photos/b/0000.png", "photos/b/0001.png"]
    assert [item.kind for item in items] == ["file", "video", "file", "file"]
    assert all(item.path == str(photos / item.id) for item in items)
    assert not_listed.count == 0
    assert [item.id for item in found("photos/b/.")[0]] == ["photos/b/0000.png", "photos/b/0001.png"]


def test_a_link_to_an_image_is_one_and_a_link_to_a_folder_is_not_followed(photos: Path) -> None:
    (photos / "photos/b/link.png").symlink_to(photos / "photos/0007.png")
    (photos / "photos/b/round").symlink_to(photos / "photos")
    assert [item.id for item in found("photos/b")[0]][-1] == "photos/b/link.png"


def test_the_images_of_a_tar_are_found_by_their_bytes(photos: Path) -> None:
    write_tar(photos / "shard.tar", sorted((photos / "photos/b").glob("*.png")))
    items, _ = found("shard.tar")
    assert [item.id for item in items] == ["shard.tar/0000.png", "shard.tar/0001.png"]
    assert [member_bytes(item) for item in items] == [
        (photos / f"photos/b/000{number}.png").read_bytes() for number in range(2)
    ]


def test_a_tar_that_is_cut_short_gives_what_it_holds(photos: Path) -> None:
    shard = write_tar(photos / "shard.tar", sorted((photos / "photos/b").glob("*.png")))
    whole = shard.read_bytes()
    for kept in (2500, 2048, 8192):  # in a header, between members, before the end mark
        shard.write_bytes(whole[:kept])
        items, not_listed = found("shard.tar")
        assert [item.id for item in items] == ["shard.tar/0000.png", "shard.tar/0001.png"][: 1 + kept // 8000]
        assert (not_listed.count, not_listed.named[0].what) == (1, "shard.tar")
    (photos / "none.tar").write_text("no tar")
    assert found("none.tar")[1].count == 1


def test_what_a_tar_has_twice_or_as_a_link_is_counted(photos: Path) -> None:
    image = photos / "photos/b/0000.png"
    with tarfile.open(photos / "shard.tar", "w") as tar:
        for name in ("a.png", "b.png", "a.png"):
            tar.add(image, name)
        link = tarfile.TarInfo("c.png")
        link.type, link.linkname = tarfile.LNKTYPE, "a.png"
        tar.addfile(link)
    plan = write_plan(photos / "plan.parquet", ["shard.tar"], 8)
    assert plan.images == 2
    assert {(entry.what, entry.why) for entry in plan.not_listed.named} == {
        ("shard.tar/a.png", "its tar already contains this name"), ("shard.tar/c.png", "it is a link or no file"),
    }  # fmt: skip


def test_lists_and_tables_name_images_relative_to_themselves(photos: Path) -> None:
    (photos / "photos/list.txt").write_text(f"b/0001.png\n\n{photos}/photos/0007.png\r\nmissing.png\n")
    items, _ = found("photos/list.txt")
    assert [item.path for item in items] == [
        str(photos / "photos" / name) for name in ("b/0001.png", "0007.png", "missing.png")
    ]
    table = pyarrow.table({"id": [5, None], "path": ["b/0001.png", "0007.png"], "other": [1, 2]})
    parquet.write_table(table, photos / "photos/table.parquet")
    assert [item.id for item in found("photos/table.parquet")[0]] == ["5", "photos/0007.png"]


@pytest.mark.parametrize("name", ["none", "a.tar.gz", "a.doc"])
def test_what_is_no_source_is_refused(name: str, tmp_path: Path) -> None:
    if name != "none":
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=name):
        found(tmp_path / name)


def test_a_table_without_paths_is_refused(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.table({"file": ["a.png"]}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match="has no column 'path'"):
        found(tmp_path / "t.parquet")
    (tmp_path / "t.parquet").write_text("no table")
    with pytest.raises(InputError, match="cannot be read"):
        found(tmp_path / "t.parquet")


def test_a_name_that_no_table_can_hold_is_counted(tmp_path: Path) -> None:
    write_photos(tmp_path, 1)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")).touch()
    items, not_listed = found(tmp_path)
    assert (len(items), not_listed.count) == (1, 1)


def test_a_plan_has_each_image_once_in_units_of_a_size(photos: Path) -> None:
    write_photos(photos / "many", 5)
    (photos / "list.txt").write_text("many/0003.png\nmany/../many/0000.png\n")
    plan = write_plan(photos / "plan.parquet", ["many", "list.txt", "photos"], 2)
    assert (plan.images, plan.videos, plan.parts, plan.not_listed.count) == (8, 1, 5, 2)
    with PlanReader(photos / "plan.parquet") as reader:
        units = [reader.items(number) for number in range(plan.parts)]
    assert [len(unit) for unit in units] == [2, 2, 2, 1, 2]  # the video stands alone
    assert [item for unit in units for item in unit] == found("many", "photos")[0]
    again = write_plan(photos / "again.parquet", ["many", "list.txt", "photos"], 2)
    assert again.digest == plan.digest
    assert write_plan(photos / "other.parquet", ["many", "photos/b"], 2).digest != plan.digest


def test_ids_that_are_given_twice_are_refused(photos: Path) -> None:
    parquet.write_table(pyarrow.table({"id": [1, 1], "path": ["a.png", "b.png"]}), photos / "t.parquet")
    with pytest.raises(InputError, match="id '1'"):
        write_plan(photos / "plan.parquet", ["t.parquet"], 2)


def test_no_images_are_no_plan(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no image or video to label"):
        write_plan(tmp_path / "plan.parquet", [str(tmp_path)], 2)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a.tar").write_text("no tar")
    with pytest.raises(InputError, match="a.tar: the rest of it cannot be read"):
        write_plan(tmp_path / "plan.parquet", [str(tmp_path)], 2)


def test_shards_divide_the_units() -> None:
    shards = [list(numbers_of(11, (number, 4))) for number in range(1, 5)]
    assert sorted(number for shard in shards for number in shard) == list(range(11))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_an_address_is_not_fetched_and_its_password_is_nowhere(photos: Path) -> None:
    (photos / "list.txt").write_text("https://user:secret@example.com/a.jpg\ns3://bucket/b.jpg\n  \nphotos/0007.png\n")
    parquet.write_table(pyarrow.table({"path": ["rtsp://user:secret@camera/1"]}), photos / "t.parquet")
    items, not_listed = found("list.txt", "t.parquet")
    assert [item.id for item in items] == ["photos/0007.png"]
    assert (not_listed.count, "secret" in str(not_listed.named)) == (3, False)
    assert not_listed.named[0].what.endswith("example.com/a.jpg")
    with pytest.raises(InputError, match="is an address, and nothing is fetched") as refused:
        found("https://user:secret@example.com/shard.tar")
    assert "secret" not in str(refused.value)
    (photos / "x:").mkdir()  # one letter, as a drive of Windows
    write_photos(photos / "x:", 1)
    (photos / "list.txt").write_text("x:/0000.png")
    assert len(found("list.txt")[0]) == 1


def test_a_list_from_windows(photos: Path) -> None:
    (photos / "list.txt").write_bytes(b"\xef\xbb\xbfphotos/0007.png\r\nphotos/b/0000.png\r\n")
    assert [item.id for item in found("list.txt")[0]] == ["photos/0007.png", "photos/b/0000.png"]


@pytest.mark.parametrize(
    ("name", "values", "wanted"),
    [
        ("path", [1, 2], "wanted text"),
        ("path", [b"a.png", b"b.png"], "wanted text"),
        ("path", [["a.png"], ["b.png"]], "wanted text"),
        ("id", [["a"], ["b"]], "wanted text or whole numbers"),
        ("id", [1.5, 2.5], "wanted text or whole numbers"),
    ],
)
def test_a_column_of_another_kind_is_refused_by_its_name(
    photos: Path, name: str, values: list[object], wanted: str
) -> None:
    parquet.write_table(pyarrow.table({"path": ["a.png", "b.png"], name: values}), photos / "t.parquet")
    with pytest.raises(InputError, match=rf"the column '{name}' of t\.parquet cannot be used.*{wanted}"):
        found("t.parquet")


def test_a_column_may_be_a_dictionary_and_an_id_a_number(photos: Path) -> None:
    paths = pyarrow.array(["photos/0007.png"]).dictionary_encode()
    parquet.write_table(pyarrow.table({"path": paths, "id": [17]}), photos / "t.parquet")
    assert [item.id for item in found("t.parquet")[0]] == ["17"]


def test_names_of_a_tar_lead_nowhere(photos: Path) -> None:
    data = (photos / "photos/0007.png").read_bytes()
    with tarfile.open(photos / "h.tar", "w") as tar:
        for name in ("../x.png", "/etc/y.png", "a/../../z.png"):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    items, _ = found("h.tar")
    assert [item.id for item in items] == ["h.tar/../x.png", "h.tar//etc/y.png", "h.tar/a/../../z.png"]
    assert {item.path for item in items} == {str(photos / "h.tar")}
    assert [member_bytes(item) for item in items] == [data] * 3


def test_a_tar_that_leads_back_to_its_beginning_ends(photos: Path) -> None:
    """A negative size: Python before 3.11.14 reads the same header for ever."""
    member = tarfile.TarInfo("a.png")
    member.size = -tarfile.BLOCKSIZE
    (photos / "back.tar").write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(10_240))
    items, not_listed = found("back.tar")
    assert (items, not_listed.count) == ([], 1)


def test_a_tar_of_long_names_without_end_ends(photos: Path) -> None:
    name = tarfile.TarInfo("././@LongLink")
    name.type, name.size = tarfile.GNUTYPE_LONGNAME, 1
    (photos / "long.tar").write_bytes((name.tobuf(tarfile.GNU_FORMAT) + bytes(512)) * 3000)
    items, not_listed = found("long.tar")
    assert (items, not_listed.count) == ([], 1)


def test_folders_lie_in_one_another_as_deep_as_they_may(photos: Path) -> None:
    deep = photos / "deep" / "/".join("d" * 1500)
    subprocess.run(["mkdir", "-p", deep], check=True)
    try:
        (photos / "photos/0007.png").rename(deep / "a.png")
        assert [item.path for item in found("deep")[0]] == [str(deep / "a.png")]
    finally:
        subprocess.run(["rm", "-r", photos / "deep"], check=True)  # Python's own rmtree calls itself for each


@pytest.mark.parametrize("name", ["a.txt", "a.tar", "a.parquet", "a.png"])
def test_a_pipe_is_refused_without_waiting_for_it(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match=f"{name} is not a regular file"):
        found(tmp_path / name)


def test_a_folder_that_goes_away_meanwhile_is_counted(photos: Path) -> None:
    write_photos(photos / "photos/c", 1)
    not_listed = NotListed()
    items = find_items(["photos"], not_listed)
    assert next(items).id == "photos/0007.png"
    shutil.rmtree(photos / "photos/b")
    assert [item.id for item in items] == ["photos/a.MP4", "photos/c/0000.png"]
    assert [(entry.what, entry.why) for entry in not_listed.named] == [("photos/b", "No such file or directory")]


def test_a_member_of_a_tar_that_lies_in_pieces_is_counted(photos: Path) -> None:
    image = photos / "photos/b/0000.png"
    sparse = tarfile.TarInfo("a.png")
    sparse.type = tarfile.GNUTYPE_SPARSE
    with tarfile.open(photos / "shard.tar", "w", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(sparse)
        tar.add(image, "b.png")
    items, not_listed = found("shard.tar")
    assert [member_bytes(item) for item in items] == [image.read_bytes()]
    assert [(entry.what, entry.why) for entry in not_listed.named] == [
        ("shard.tar/a.png", "its bytes do not lie in one piece")
    ]


def test_a_row_without_a_path_is_counted(photos: Path) -> None:
    table = pyarrow.table({"id": ["a", "b", "c"], "path": ["b/0001.png", None, "0007.png"]})
    parquet.write_table(table, photos / "photos/table.parquet")
    items, not_listed = found("photos/table.parquet")
    assert [item.id for item in items] == ["a", "c"]
    assert [(entry.what, entry.why) for entry in not_listed.named] == [
        ("photos/table.parquet", "a row has no value in the column 'path'")
    ]
