"""Nothing here can build an image; but what an image is given must be enough to build the package from."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "docker").glob("*.Dockerfile"))


def copied(dockerfile: Path) -> dict[str, str]:
    """Source in the clone -> place in the image, of every COPY."""
    found = {}
    for line in re.findall(r"^COPY (.+)$", dockerfile.read_text(), re.MULTILINE):
        *sources, target = line.split()
        for source in sources:
            found[source] = f"{target}{source}" if target.endswith("/") else target
    return found


def needed() -> list[str]:
    """What pyproject.toml says that a wheel is made of."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    files = ["pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]]
    return [*files, *wheel["packages"], *wheel["force-include"]]


@pytest.mark.parametrize("dockerfile", FILES, ids=lambda path: path.name)
def test_an_image_gets_all_that_the_package_is_made_of(dockerfile: Path) -> None:
    places = copied(dockerfile)
    assert all((ROOT / source).exists() for source in places)
    assert set(needed()) <= set(places)
    assert all(place == f"/src/{source}" for source, place in places.items())


def test_there_are_images_and_needs_to_check() -> None:
    assert [path.name for path in FILES] == ["desktop.Dockerfile", "jetson.Dockerfile"]
    assert {"ssd_edge", "engines/boards", "README.md", "LICENSE"} <= set(needed())
