from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ssd_edge.core.errors import InputError
from ssd_edge.data.yolo_yaml import read_yolo_yaml

ULTRALYTICS = """\
# COCO8, as its makers write it
path: coco8 # dataset root
train: images/train # images (relative to 'path')
val: images/val
test: # optional

names:
  0: person
  1: traffic light
  2: "stop # sign's"

download: |
  from x import y
  y(['a'])
"""
ROBOFLOW = (
    "train: train/images\nval: valid/images\n\nnc: 3\nnames: ['a b', \"c, d\",\n  e's]\n\nroboflow:\n  version: 1\n"
)
DASHES = "---\ntrain:\n- images/one\n- images/two\nnames:\n- cat\n- 'dog'\n"


def test_the_documented_forms_are_read(tmp_path: Path) -> None:
    config = read_yolo_yaml(_written(tmp_path, ULTRALYTICS.replace("# sign's", "sign's")))
    assert config.class_names == ("person", "traffic light", "stop sign's")
    assert config.root == tmp_path / "coco8"
    assert config.splits == {"train": ("images/train",), "val": ("images/val",)}
    config = read_yolo_yaml(_written(tmp_path, ROBOFLOW))
    assert (config.class_names, config.root) == (("a b", "c, d", "e's"), tmp_path)
    config = read_yolo_yaml(_written(tmp_path, DASHES))
    assert (config.class_names, config.splits) == (("cat", "dog"), {"train": ("images/one", "images/two")})
    assert read_yolo_yaml(_written(tmp_path, "names: {0: cat, 1: 'a, b'}")).class_names == ("cat", "a, b")


def test_quotes_may_hold_comments_and_escapes(tmp_path: Path) -> None:
    assert read_yolo_yaml(_written(tmp_path, ULTRALYTICS)).class_names == ("person", "traffic light", "stop # sign's")
    assert read_yolo_yaml(_written(tmp_path, 'names: ["a\\u0041", "\\""]\n')).class_names == ("aA", '"')


def test_all_values_are_text_and_other_keys_are_passed_over(tmp_path: Path) -> None:
    text = "names: [no, 1.0, null, 007]\nother: &a !!set {x, y}\nagain: *a\n"
    assert read_yolo_yaml(_written(tmp_path, text)).class_names == ("no", "1.0", "null", "007")
    config = read_yolo_yaml(_written(tmp_path, "? [train, names]\n: [x]\n? {val: y}\n: z\nnames: [cat]\ntest: t\n"))
    assert (config.class_names, config.splits) == (("cat",), {"test": ("t",)})


def test_agrees_with_a_whole_yaml_reader(tmp_path: Path) -> None:
    for text in (ULTRALYTICS, ROBOFLOW, DASHES):
        names = yaml.safe_load(text)["names"]
        expected = tuple(names[number] for number in range(len(names)))
        assert read_yolo_yaml(_written(tmp_path, text)).class_names == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: x\n", "has no key 'names': got train"),
        ("", "has no key 'names': got no key"),
        ("nc: 3\nnames: [a, b]\n", "'nc' is not the number of 'names': got nc: 3 and 2 names"),
        ("names: [a, a]\n", "lists a class twice"),
        ("names:\n", "the value of 'names' is invalid"),
        ("names: [[a], b]\n", "the value of 'names' is invalid"),
        ("names: ['a, b]\n", "the value of 'names' is invalid"),
        ("names: &anchor [a]\n", "the value of 'names' is invalid"),
        ("names: cat\n", "the value of 'names' is invalid"),
        ("names: [*a]\n", "the value of 'names' is invalid"),
        ("path: !!python/object:os.system x\nnames: [a]\n", "the value of 'path' is invalid"),
        ("names: *a\n", "the value of 'names' is invalid"),
        ("names: !!python/object:os.system x\n", "the value of 'names' is invalid"),
        ("names:\n  0: a\n  2: b\n", "the value of 'names' is invalid"),
        ("names:\n  - a\n  1: b\n", "the value of 'names' is invalid"),
        ("names: [a]\nnames: [b]\n", "line 2: the key 'names' occurs twice"),
        ("names:\n- a\n-\n", "line 3: the value of 'names' is invalid"),
        ("names: [a]\nval: " + 30 * "[" + 30 * "]", "line 2: the value of 'val' is invalid"),
        ("names: [a]\nother: [1\n", r"line 3 is not valid YAML"),
        ("names: [a]\n---\nnames: [b]\n", "is not valid YAML"),
        ("names: [a]\nx: " + "y" * (1 << 20), "is too large for a label file"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"data\.yaml.*{message}"):
        read_yolo_yaml(_written(tmp_path, text))


def _written(folder: Path, text: str) -> Path:
    path = folder / "data.yaml"
    path.write_text(text, encoding="utf-8")
    return path
