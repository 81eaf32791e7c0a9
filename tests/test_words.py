"""One word for one thing: help, errors, log lines, docstrings, public names and documents use the field's words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_defaults import OPTIONS

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "ssd_edge"

ROOMS = tuple(
    sorted(path.name for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file())
)
"""Rooms and modules whose every text and name is held: all."""

DOCUMENTS = tuple(
    str(path.relative_to(ROOT))
    for path in [ROOT / "README.md", ROOT / "docs/llms.txt", *sorted((ROOT / "docs").glob("*.md"))]
)
"""Documents that are held; CONTRIBUTING.md lists the words that are not used."""

LEFT_OUT = {  # a pattern of words that are not used, and what is said instead
    r"pictures?|pics?": "image",
    r"films?": "video",
    r"judg(e|es|ed|ing|ement)": "evaluate, validate",
    r"learnt|relearn\w*": "learned, trained",
    r"told|tells?|telling|heard": "log, call",
    r"rivals?": "alternatives",
    r"wish(es|ed)?": "options",
    r"whoever|whosoever|wherefore|whither|thereby|hereby": "(say who or why)",
    r"heed(s|ed)?": "(say what reads it)",
    r"flatter(s|ed)?": "too optimistic",
    r"mend(s|ed|ing)?": "fix",
    r"shall": "must, will",
    r"artefacts?": "artifact",
    r"colou?rs?(?<!color)(?<!colors)|colour\w*": "color",
    r"centres?|centred": "center",
    r"(equal|quant|normal|optim|local|recogn|initial|serial|organ|summar)is(e|es|ed|ing|er|ers|ation)": "-ize",
    r"neighbours?": "neighbor",
    r"behaviours?": "behavior",
    r"grey": "gray",
    r"default box(es)?": "anchor (it is called default box once, where SSD is explained)",
    r"tables? of ranges": "calibration table",
    r"for ever": "without end",
}
STARTS = re.compile(r"(What|Which|Where|How|Does|Why)\b")
"""First words of a docstring that asks instead of stating."""

EXCEPTIONS: dict[tuple[str, str], str] = {
    ("ssd_edge/cli/inspect.py", "default boxes"): "a key of inspect --json since the first release",
    ("ssd_edge/cli/inspect.py", "table of ranges"): "a value of inspect --json since the first release",
    ("ssd_edge/data/statistics.py", "picture sizes"): "a key of data check --json",
    ("ssd_edge/data/statistics.py", "picture_sizes"): "a key of data check --json",
    ("ssd_edge/engines/ort_build.py", "picture_and_candidate"): "a tensor's name in engines",
    ("ssd_edge/streaming/sinks/growing_file.py", "tell"): "a method of Python's files",
    ("ssd_edge/training/checkpointing.py", "optimiser"): "a key of state.pt",
    ("ssd_edge/training/config.py", "learnt"): "a key of plan.json",
    ("ssd_edge/training/config.py", "judged"): "a key of plan.json",
    ("ssd_edge/training/", "optimisation"): "a key of plan.json",
    ("ssd_edge/training/", "localisation"): "a key of plan.json and a column of metrics.csv",
    ("docs/evaluation.md", "`localisation` in JSON"): "a key of eval --json",
    ("docs/evaluation.md", "classes_not_judged"): "a key of eval --json",
    ("docs/evaluation.md", "pictures_calibrated_with"): "a key of eval --json",
    ("docs/data.md", "the paper calls them default boxes"): "the one place that explains the word",
    ("ssd_edge/core/spec.py", "none, size or centre"): "a stored value of specs",
    ("ssd_edge/core/manifest.py", "equalised"): "a stored value of manifests",
    ("ssd_edge/quantization/refine.py", "equalised"): "a stored value of manifests",
}
"""Texts that keep a word, by file and a part of the text, each with its reason."""

_WORDS = {
    re.compile(rf"(?<![A-Za-z])(?:{pattern})(?![A-Za-z])", re.IGNORECASE): say for pattern, say in LEFT_OUT.items()
}


def found_in(text: str) -> list[str]:
    """Return what is wrong with a text: the word, and the word to use."""
    return [f"{match[0]!r} → {say}" for words, say in _WORDS.items() if (match := words.search(text))]


def texts_of(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (place, text) of each docstring and of each literal of several words; f-strings without their values."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            text = node.value
        else:
            continue
        if " " in text.strip():
            yield f"{path.relative_to(ROOT)}:{node.lineno}", text


def docstrings_of(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (place, docstring) of the module, its classes and its functions, and of what stands below a constant."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        for entry in getattr(node, "body", []) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) else []:
            if (
                isinstance(entry, ast.Expr)
                and isinstance(entry.value, ast.Constant)
                and isinstance(entry.value.value, str)
            ):
                yield f"{path.relative_to(ROOT)}:{entry.lineno}", entry.value.value


def names_of(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (place, words) of each name that another module can use: functions, classes, parameters, fields."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.arg):
            names = [node.arg]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = [node.target.id]
        else:
            continue
        for name in names:
            if not name.startswith("_"):
                yield f"{path.relative_to(ROOT)}:{node.lineno} {name}", in_words(name)


def in_words(name: str) -> str:
    """Return ``read_picture`` and ``ImageSink`` as words."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ")


def is_excepted(place: str, text: str) -> bool:
    return any(place.startswith(file) and part in text for file, part in EXCEPTIONS)


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.relative_to(PACKAGE).parts[0] in ROOMS]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_texts_and_names_use_the_words_of_the_field(path: Path) -> None:
    faults = [
        f"{place}: {', '.join(found)} in {text.strip()[:100]!r}"
        for place, text in [*texts_of(path), *names_of(path)]
        if (found := found_in(text)) and not is_excepted(place, text)
    ]
    faults += [
        f"{place}: begins with a question: {text[:80]!r}"
        for place, text in docstrings_of(path)
        if STARTS.match(text.strip())
    ]
    assert not faults, "\n" + "\n".join(faults)


@pytest.mark.parametrize(("command", "option"), OPTIONS, ids=[f"{path} {option.name}" for path, option in OPTIONS])
def test_help_texts_use_the_words_of_the_field(command: str, option: object) -> None:
    text = getattr(option, "help", None) or ""
    assert not found_in(f"{in_words(option.name)} {text}")  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_use_the_words_of_the_field(name: str) -> None:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    faults = [
        f"{name}:{number}: {', '.join(found)}"
        for number, line in enumerate(lines, 1)
        if (found := found_in(line)) and not is_excepted(name, line)
    ]
    assert not faults, "\n" + "\n".join(faults)


def test_every_exception_is_needed() -> None:
    """A text that was rewritten takes its exception with it."""
    texts = [entry for path in FILES for entry in [*texts_of(path), *names_of(path)]]
    texts += [(name, line) for name in DOCUMENTS for line in (ROOT / name).read_text(encoding="utf-8").splitlines()]
    for file, part in EXCEPTIONS:
        assert any(place.startswith(file) and part in text and found_in(text) for place, text in texts), (file, part)


@pytest.mark.parametrize(
    "word", ["picture", "Films", "is judged", "Colour", "PictureSink", "quantise", "a wish", "told"]
)
def test_a_left_out_word_is_found(word: str) -> None:
    assert found_in(in_words(word))


@pytest.mark.parametrize(
    "word", ["image", "color", "colors", "artifact", "center", "quantize", "prejudgments", "filmed"]
)
def test_other_words_are_not(word: str) -> None:
    assert not found_in(word)
