"""What those who carry on are given: the check of commit subjects, the issue forms."""

from __future__ import annotations

import fnmatch
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.documents import ROOT

NEW, OLD = "2026-12-01T12:00:00Z", "2026-11-01T12:00:00Z"
LONG = "Say in the subject of a commit all that one knows about it, and the weather besides"


def git(folder: Path, *words: str, date: str = NEW) -> None:
    names = ["-c", "user.name=A", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    dates = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date, "PATH": "/usr/bin:/bin:/usr/local/bin"}
    subprocess.run(["git", *names, *words], cwd=folder, env=dates, capture_output=True, check=True)


def commit(folder: Path, subject: str, date: str = NEW) -> None:
    git(folder, "commit", "--allow-empty", "-m", f"{subject}\n\n{LONG}", date=date)


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, str(ROOT / "tools" / "check_subjects.py"), str(folder)]
    return subprocess.run(program, capture_output=True, text=True, check=False)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init")
    commit(folder, LONG, OLD)
    commit(folder, "Keep subjects short")
    return folder


def test_old_subjects_are_left_alone(repository: Path) -> None:
    assert check(repository).returncode == 0


@pytest.mark.parametrize("subject", [LONG, "End with a full stop."])
def test_a_new_subject_that_is_wrong_is_named(repository: Path, subject: str) -> None:
    commit(repository, subject)
    commit(repository, "Add another one")
    done = check(repository)
    assert done.returncode == 1
    assert done.stdout.count("\n") == 1
    assert subject in done.stdout


def test_shallow_and_detached_clones_are_checked(repository: Path, tmp_path: Path) -> None:
    commit(repository, LONG)
    git(tmp_path, "clone", "--depth=1", f"file://{repository}", "shallow")
    git(tmp_path / "shallow", "checkout", "--detach")
    assert check(tmp_path / "shallow").returncode == 1


def test_an_archive_without_a_repository_passes(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    done = check(tmp_path / "archive")
    assert done.returncode == 0
    assert "not checked" in done.stdout


def test_the_subjects_of_this_clone_are_right() -> None:
    assert check(ROOT).stdout.replace("\n", "") == "" or "not checked" in check(ROOT).stdout


FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


@pytest.mark.parametrize("form", [path for path in FORMS if path.name != "config.yml"], ids=lambda path: path.name)
def test_issue_forms_ask_for_the_machine(form: Path) -> None:
    fields = yaml.safe_load(form.read_text())
    assert fields["name"]
    assert fields["description"]
    inputs = [part for part in fields["body"] if part["type"] != "markdown"]
    assert all(part["attributes"]["label"] for part in inputs)
    assert len({part["id"] for part in inputs}) == len(inputs)
    assert any("`ssd-edge doctor --json -`" in part["attributes"].get("description", "") for part in inputs)


def test_no_folder_of_tests_is_passed_over(pytestconfig: pytest.Config) -> None:
    """pytest does not enter folders of some names, such as ``build``, and says nothing of it."""
    passed_over = pytestconfig.getini("norecursedirs")
    folders = {parent for path in (ROOT / "tests").rglob("test_*.py") for parent in path.relative_to(ROOT).parents}
    left = [str(folder) for folder in folders for name in passed_over if fnmatch.fnmatch(folder.name, name)]
    assert not left
    assert "tests/workflows/build" in map(str, folders)
