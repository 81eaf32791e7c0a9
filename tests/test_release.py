"""The wheel works in an empty folder; ``make release`` proves more of it, and the sdist."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tools import release

builders = pytest.importorskip("hatchling.builders.wheel")


def test_the_wheel_holds_all_and_works_in_an_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(release, "COMMANDS", release.COMMANDS[:2])
    (wheel,) = map(Path, builders.WheelBuilder(str(release.ROOT)).build(directory=str(tmp_path / "dist")))
    release.check_content(wheel)
    program = release.install(wheel, tmp_path / "environment")
    (tmp_path / "workspace").mkdir()
    release.prove(program, tmp_path / "workspace", whole_chain=False)
    assert (tmp_path / "workspace/engines").is_dir()
    assert "environment: works in an empty folder" in capsys.readouterr().out


def test_a_wheel_that_lacks_a_file_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "ssd_edge-0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("ssd_edge/__init__.py", "")
        archive.writestr("tests/__init__.py", "")
    with pytest.raises(SystemExit, match=r"lacks \['ssd_edge/py.typed'.* and holds \['tests/__init__.py'\]"):
        release.check_content(wheel)
