"""Nothing here can build an image; but what an image is given must be enough to build the package from."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ssd_edge.cli.app import load_command
from ssd_edge.workflows.streams_file import read_streams_file

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
    assert [path.name for path in FILES] == [
        "cpu.Dockerfile", "desktop.Dockerfile", "jetson.Dockerfile", "openvino.Dockerfile",
    ]  # fmt: skip
    assert {"ssd_edge", "engines/boards", "README.md", "LICENSE"} <= set(needed())


def yaml_of(name: str) -> Any:
    return yaml.safe_load((ROOT / "docker" / name).read_text())


def filled(text: str, **values: str) -> str:
    """A text of compose.yaml with its variables; the default where none is given."""
    return re.sub(r"\$\{(\w+):[-?]([^}]*)\}", lambda found: values.get(found[1], found[2]), text)


@pytest.mark.parametrize("dockerfile", FILES, ids=lambda path: path.name)
def test_hadolint_finds_nothing(dockerfile: Path) -> None:
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if hadolint is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([hadolint, dockerfile], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_context_is_what_images_copy_and_nothing_else() -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(kept) == sorted({source for dockerfile in FILES for source in copied(dockerfile)})


@pytest.mark.parametrize("dockerfile", FILES, ids=lambda path: path.name)
def test_the_extras_of_an_image_exist(dockerfile: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extras in re.findall(r"EXTRAS=([\w,]+)", dockerfile.read_text()):
        assert set(extras.split(",")) <= set(project["optional-dependencies"])


@pytest.mark.parametrize("runtime", ["", "openvino"])
def test_compose_builds_from_files_of_the_clone(runtime: str) -> None:
    values = {"WORKSPACE": "/somewhere", **({"RUNTIME": runtime} if runtime else {})}
    services = yaml_of("compose.yaml")["services"]
    build = services["detect"]["build"]
    context = ROOT / "docker" / build["context"]
    assert (context / filled(build["dockerfile"], **values)).resolve() in FILES
    for service in services.values():
        for volume in service["volumes"]:
            source, _, target = filled(volume, **values).partition(":")
            assert target.startswith("/")
            assert source == "/somewhere" or (ROOT / "docker" / source).is_file()
        assert set(service.get("depends_on", [])) <= set(services)


def test_compose_runs_a_command_on_streams_that_the_server_has() -> None:
    services = yaml_of("compose.yaml")["services"]
    command = load_command("run")
    words = [str(word) for word in services["detect"]["command"]]
    assert words[0] == "run"
    options = command.make_context("ssd-edge", words[1:]).params
    mounted = dict(reversed(volume.removesuffix(":ro").split(":")) for volume in services["detect"]["volumes"][:1])
    streams = read_streams_file(ROOT / "docker" / mounted[str(options["config"])])
    for plan in streams.plans:
        server, _, path = plan.uri.removeprefix("rtsp://").partition("/")
        assert server.partition(":")[0] in services
        assert path in yaml_of("mediamtx.yml")["paths"]


def test_docker_itself_takes_the_compose_file() -> None:
    environment = {**os.environ, "WORKSPACE": str(ROOT)}
    line = ["docker", "compose", "-f", "docker/compose.yaml", "config", "--quiet"]
    if shutil.which("docker") is None or subprocess.run([*line[:2], "version"], capture_output=True).returncode:
        pytest.skip("docker compose is not installed")
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
