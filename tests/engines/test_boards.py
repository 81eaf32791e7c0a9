from __future__ import annotations

from pathlib import Path

import pytest

from ssd_edge.core.choices import Target
from ssd_edge.core.errors import InputError
from ssd_edge.engines import boards
from ssd_edge.engines.boards import find_board, load_profile
from ssd_edge.engines.options import TrtOptions

SHIPPED = {
    "agx-orin": (4.0, ()),
    "desktop": (None, (75, 80, 86, 89, 120)),
    "orin-nano": (1.0, ()),
    "orin-nx": (2.0, ()),
    "thor": (8.0, ()),
    "xavier": (1.0, ()),
}


def write(folder: Path, name: str, text: str) -> None:
    path = folder / "engines" / "boards" / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", SHIPPED)
def test_profiles_that_come_with_it(name: str) -> None:
    found = load_profile(name)
    assert (found.builder_memory_gib, found.compute_capabilities) == SHIPPED[name]
    assert found.description
    TrtOptions(builder_memory_gib=found.builder_memory_gib, opt_level=found.opt_level)


def test_the_workspace_s_own_comes_first(workspace: Path) -> None:
    write(workspace, "orin-nano", 'description = "mine"\nbuilder_memory_gib = 2\nopt_level = 1\n')
    found = load_profile("orin-nano")
    assert (found.description, found.builder_memory_gib, found.opt_level) == ("mine", 2, 1)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super", "orin-nano"),
        ("NVIDIA Orin NX Developer Kit", "orin-nx"),
        ("NVIDIA Jetson AGX Orin Developer Kit", "agx-orin"),
        ("NVIDIA Jetson AGX Thor Developer Kit", "thor"),
        ("NVIDIA Jetson Xavier NX Developer Kit", "xavier"),
        ("Raspberry Pi 5 Model B Rev 1.0", ""),
        (None, ""),
    ],
)
def test_the_board_itself_says_which_profile_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str | None, name: str
) -> None:
    path = tmp_path / "model"
    if model is not None:
        path.write_bytes(model.encode() + b"\0")
    monkeypatch.setattr(boards, "_MODEL", path)
    assert find_board() == name


def test_there_is_none_of_the_name() -> None:
    with pytest.raises(InputError, match=r"no board profile 'toaster': wanted agx-orin, desktop, .*toaster\.toml"):
        load_profile("toaster")


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("builder_memory_gib = 1.0", "no description"),
        ('description = "x"\nbuilder_memory_gib = "lots"', "builder_memory_gib = 'lots'"),
        ('description = "x"\nbuilder_memory_gib = true', "builder_memory_gib = True"),
        ('description = "x"\nopt_level = 2.5', "opt_level = 2.5"),
        ('description = "x"\ncompute_capabilities = 86', "compute_capabilities = 86"),
        ('description = "x"\ncompute_capabilities = ["86"]', r"compute_capabilities = \['86'\]"),
        ('description = "x"\nworkspace = 1', "workspace = 1"),
        ("description = 7", "description = 7"),
        ("nonsense", "Expected '='"),
    ],
)
def test_a_file_that_is_no_profile(workspace: Path, text: str, got: str) -> None:
    write(workspace, "mine", text)
    with pytest.raises(
        InputError, match=rf"mine.toml is not a board profile: got .*{got}.*; wanted lines such as: desc"
    ):
        load_profile("mine")


def test_what_is_chosen_stands_before_the_profile() -> None:
    profile = load_profile("desktop")
    chosen = TrtOptions(opt_level=1, compute_capabilities=(86,)).on_board(profile, Target.TENSORRT_RTX)
    assert (chosen.opt_level, chosen.compute_capabilities) == (1, (86,))
    assert TrtOptions().on_board(profile, Target.TENSORRT_RTX).compute_capabilities == SHIPPED["desktop"][1]
    # TensorRT itself builds for the GPU that it runs on.
    assert TrtOptions().on_board(profile, Target.TENSORRT).compute_capabilities == ()
    assert TrtOptions().on_board(load_profile("orin-nano"), None).builder_memory_gib == 1.0


def test_a_profile_of_an_earlier_release_is_read(workspace: Path) -> None:
    path = workspace / "engines" / "targets" / "old.toml"
    path.parent.mkdir(parents=True)
    path.write_text('description = "old"\nworkspace_gib = 2\n')
    assert load_profile("old").builder_memory_gib == 2
