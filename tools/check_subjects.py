"""Check the subjects of commits: at most 72 characters, no full stop. ``python3 tools/check_subjects.py [FOLDER]``.

Commits before ``SINCE`` are left alone. A shallow clone is checked as far as it goes, and a folder without a repository
(an unpacked archive) passes. It needs Python and git only.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SINCE = 1795797000  # 2026-11-27 16:30 UTC: the rule began there
MOST = 72


def subjects(folder: Path) -> list[tuple[str, str]]:
    """Return hash and subject of every commit since then that this clone holds, merges left out."""
    log = ["git", "-C", str(folder), "log", "--no-merges", "--format=%h%x09%ct%x09%s", "HEAD"]
    done = subprocess.run(log, capture_output=True, text=True, encoding="utf-8", errors="replace", check=False)
    if done.returncode:
        print(f"subjects are not checked: {done.stderr.strip().splitlines()[-1:]}")
        return []
    lines = (line.split("\t", 2) for line in done.stdout.splitlines())
    return [(commit, subject) for commit, time, subject in lines if int(time) > SINCE]


def faults(subject: str) -> list[str]:
    """Return what is wrong with a subject."""
    found = []
    if len(subject) > MOST:
        found.append(f"{len(subject)} characters, at most {MOST}")
    if subject.endswith("."):
        found.append("a full stop at the end")
    return found


def main(folder: Path) -> int:
    """Print every subject that is wrong; return the exit code."""
    wrong = [(commit, subject, faults(subject)) for commit, subject in subjects(folder) if faults(subject)]
    for commit, subject, found in wrong:
        print(f"{commit} {subject!r}: {', '.join(found)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
