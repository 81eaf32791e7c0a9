"""What README and docs say, taken apart: code blocks, inline code, commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCUMENTS = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(r"^ *```(\w*)$")


def code_lines(document: Path, *languages: str) -> Iterator[str]:
    """Yield the lines of indented blocks, and of fenced blocks in these languages, without their comments."""
    fence: str | None = None
    text_before = True  # an indented line that goes on with a paragraph or a list is no code
    for line in document.read_text().splitlines():
        if match := _FENCE.match(line):
            fence = match[1] if fence is None else None
            continue
        indented = line.startswith("    ") and (not text_before)
        if line.strip() and (fence in languages if fence is not None else indented):
            yield re.split(r"\s+# ", line.strip())[0]
        text_before = bool(line.strip()) and not indented


def commands(document: Path) -> list[str]:
    """Return every line of a code block that begins with ``ssd-edge``."""
    return [line for line in code_lines(document, "sh") if line.startswith("ssd-edge ")]


def python_blocks(document: Path) -> list[str]:
    """Return the blocks of Python."""
    return re.findall(r"^```python\n(.*?)^```$", document.read_text(), re.MULTILINE | re.DOTALL)


def inline_code(document: Path) -> list[str]:
    """Return the texts between single backticks, outside of fenced blocks."""
    text = re.sub(r"^ *```.*?^ *```$", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [re.sub(r"\s+", " ", code) for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", text)]
