"""What the site has besides docs/: pages of the repository's other texts, of the commands, and of the Python API.

A hook of MkDocs (``mkdocs.yml``). The reference of the commands is made from their options, as ``--help`` is; that of
the API names the public objects, whose docstrings mkdocstrings then shows.
"""

from __future__ import annotations

import enum
import inspect
import posixpath
import re
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ssd_edge
from ssd_edge.cli.app import _COMMANDS, load_command, root

ROOT = Path(__file__).parent.parent
TEXTS = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
EXAMPLES = sorted((ROOT / "examples").glob("*.py")) + sorted((ROOT / "examples").glob("*.ipynb"))
PLAIN = {"LICENSE"}
"""Files that are named by a link and have no page."""

_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def on_config(config: Any) -> Any:
    """Put the pages of the commands into the navigation."""
    for entry in config.nav:
        if "Commands" in entry:
            entry["Commands"] = ["commands/index.md", *({name: page_of(name)} for name in commands())]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are generated."""
    from mkdocs.structure.files import File

    for path, text in pages():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links that lead out of docs/ into links of the site."""
    return relinked(markdown, "docs/" + page.file.src_uri, page.file.src_uri) if is_of_docs(page) else markdown


def on_page_content(html: str, **_: Any) -> str:
    """Show roles of docstrings, as in ``:class:`~a.b.C```, by their last name only."""
    return re.sub(
        r":(?:class|meth|func|mod|data|attr|exc|ref):<code>~?(?:[\w.]*\.)?(\w+)</code>", r"<code>\1</code>", html
    )


def on_post_build(config: Any) -> None:
    """Lay the text of each page beside it, for programs that read: ``llms.txt`` names them."""
    for source in sorted((ROOT / "docs").rglob("*.md")):
        place = Path(config.site_dir) / source.relative_to(ROOT / "docs")
        place.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")


def is_of_docs(page: Any) -> bool:
    """Return whether a page is a file of docs/."""
    return (ROOT / "docs" / page.file.src_uri).is_file()


def pages() -> Iterator[tuple[str, str]]:
    """Yield (path, Markdown) of every generated page."""
    for source, path in TEXTS.items():
        text = relinked((ROOT / source).read_text(encoding="utf-8"), source, path)
        yield path, f"---\nhide: [navigation]\n---\n\n{text}" if path == "index.md" else text
    for example in EXAMPLES:
        yield example_page(example), example_text(example)
    yield "commands/index.md", commands_index()
    for name, command in commands().items():
        yield page_of(name), command_text(name, command)
    yield "api.md", api_text()


def relinked(text: str, source: str, page: str) -> str:
    """Return the text of a file with its links as they are from its page.

    Args:
        text: Markdown.
        source: where it stands in the repository, e.g. ``docs/data.md``.
        page: where it stands in the site, e.g. ``data.md``.
    """

    def replaced(match: re.Match[str]) -> str:
        image, words, target, anchor = match.groups()
        if re.match(r"[a-z]+:", target):
            return match[0]
        place = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if place in PLAIN:
            return str(words)
        there = site_path(place)
        return f"{image}[{words}]({posixpath.relpath(there, posixpath.dirname(page) or '.')}{anchor or ''})"

    return _LINK.sub(replaced, text)


def site_path(place: str) -> str:
    """Return where a file or folder of the repository is in the site."""
    if place in TEXTS:
        return TEXTS[place]
    if place == "examples":
        return example_page(EXAMPLES[0])
    if place.startswith("examples/"):
        return example_page(ROOT / place)
    return place.removeprefix("docs/")


def example_page(example: Path) -> str:
    """Return the path of an example's page."""
    return f"examples/{example.stem}.md"


def example_text(example: Path) -> str:
    """Return a page with a program, or with the cells of a notebook."""
    import json

    text = example.read_text(encoding="utf-8")
    if example.suffix == ".py":
        return f"# {example.name}\n\n```python\n{text}```\n"
    cells = json.loads(text)["cells"]
    parts = [
        f"```python\n{''.join(cell['source'])}\n```" if cell["cell_type"] == "code" else "".join(cell["source"])
        for cell in cells
    ]
    return "\n\n".join(parts) + "\n"


def commands() -> dict[str, Any]:
    """Return every command by what is typed, those of groups too, in the order of the help."""
    found: dict[str, Any] = {}
    for name in _COMMANDS:
        command = load_command(name)
        if hasattr(command, "commands"):
            found |= {f"{name} {part}": inner for part, inner in command.commands.items()}
        else:
            found[name] = command
    return found


def page_of(name: str) -> str:
    """Return the path of a command's page."""
    return f"commands/{name.replace(' ', '-')}.md"


def commands_index() -> str:
    """Return the page that lists the commands."""
    lines = ["# Commands", "", "`ssd-edge COMMAND --help` shows the same in a terminal.", ""]
    lines += ["| command | does |", "|---|---|"]
    for name, command in commands().items():
        link = page_of(name).removeprefix("commands/")
        lines.append(f"| [`ssd-edge {name}`]({link}) | {escaped(summary(command))} |")
    lines += ["", "## Options of all commands", "", "They stand before the command: `ssd-edge -q build`.", ""]
    return "\n".join([*lines, *table(parameters(root))]) + "\n"


def command_text(name: str, command: Any) -> str:
    """Return the page of a command: what it does, its arguments, its options by panel."""
    shown = parameters(command.callback)
    arguments = [part for part in shown if part.is_argument]
    words = [part.names if part.is_required else f"[{part.names}]" for part in arguments]
    lines = [f"# ssd-edge {name}", "", command.help or "", ""]
    lines.append(f"    ssd-edge {name} [OPTIONS] {' '.join(words)}".rstrip())
    if arguments:
        lines += ["", "## Arguments", "", *table(arguments)]
    panels: dict[str, list[Parameter]] = {"Options": []}
    for option in (part for part in shown if not part.is_argument):
        panels.setdefault(option.panel, []).append(option)
    for panel, options in ((name, some) for name, some in panels.items() if some):
        lines += ["", f"## {panel}", "", *table(options)]
    return "\n".join(lines) + "\n"


def summary(command: Any) -> str:
    """Return the first paragraph of a command's help."""
    return " ".join((command.help or "").split("\n\n")[0].split())


@dataclass(frozen=True)
class Parameter:
    """An argument or option of a command, from the signature of its function.

    Attributes:
        names: what is typed, e.g. ``--model, -m``; of an argument its place.
        value: what it takes; empty for a switch.
        help: its text.
        default: as it would be typed; empty where there is none or the text says it.
        panel: the heading that it stands under.
    """

    names: str
    value: str
    help: str
    default: str
    panel: str
    is_argument: bool
    is_required: bool


def parameters(function: Any) -> list[Parameter]:
    """Return the arguments and options of a command's function; hidden ones are left out."""
    function = inspect.unwrap(function)
    hints = typing.get_type_hints(function, include_extras=True)
    found = []
    for name, entry in inspect.signature(function).parameters.items():
        kind, *infos = typing.get_args(hints[name]) or (None,)
        if infos and not infos[0].hidden:  # typer's context has none
            found.append(parameter(name, kind, infos[0], entry.default))
    return found


def parameter(name: str, kind: Any, info: Any, default: Any) -> Parameter:
    """Return one argument or option.

    Args:
        name: in the function.
        kind: its type.
        info: what typer is told of it.
        default: of the function; ``inspect.Parameter.empty`` where it must be given.
    """
    is_argument = type(info).__name__ == "ArgumentInfo"
    # In Annotated[…, typer.Option("--model", "-m")] the first name stands where the default else does.
    first = [info.default] if isinstance(info.default, str) else []
    declared = [word for part in (*first, *(info.param_decls or ())) for word in part.split("/")]
    is_union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    kind = next(part for part in typing.get_args(kind) if part is not type(None)) if is_union else kind
    if not declared:
        word = name.replace("_", "-")
        declared = [f"--{word}", f"--no-{word}"] if kind is bool else [f"--{word}"]
    names = ", ".join(f"`{word}`" for word in declared)
    if is_argument:
        names = re.sub(r"[\[\]{}.]", "", info.metavar or name).upper()
    return Parameter(
        names=names,
        value=value_of(kind, info, "" if is_argument else info.metavar),
        help=(info.help or "").rstrip(),
        default=default_of(default, declared) if info.show_default is True else str(info.show_default or ""),
        panel=info.rich_help_panel or "Options",
        is_argument=is_argument,
        is_required=default is inspect.Parameter.empty,
    )


def table(parts: list[Parameter]) -> list[str]:
    """Return a table of arguments or options; ``docs/site.css`` keeps their names in one piece."""
    rows = ["| | value | |", "|---|---|---|", *(row(part) for part in parts)]
    return ['<div class="options" markdown>', "", *rows, "", "</div>"]


def row(part: Parameter) -> str:
    """Return one row: names, value, help and default."""
    default = f" Default: `{part.default}`." if part.default else ""
    names, value = (text.replace("|", "\\|") for text in (part.names, part.value))
    return f"| {names} | {value} | {escaped(part.help)}{default} |"


def value_of(kind: Any, info: Any, metavar: str | None) -> str:
    """Return what an option takes, e.g. ``number from 1``."""
    if typing.get_origin(kind) is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in typing.get_args(kind))
    inner = [part for part in typing.get_args(kind) if part is not ...]
    if inner:
        return value_of(inner[0], info, metavar) + (
            ", repeatable" if typing.get_origin(kind) is list else f" × {len(inner)}"
        )
    if kind is bool:
        return ""
    if inspect.isclass(kind) and issubclass(kind, enum.Enum):
        return ", ".join(f"`{choice.value}`" for choice in kind)
    words = {int: "number", float: "number", str: "text", Path: "path"}
    limits = " ".join(
        f"{word} {value:g}" for word, value in (("from", info.min), ("to", info.max)) if value is not None
    )
    return f"{escaped(metavar or words.get(kind, kind.__name__))} {limits}".strip()


def default_of(value: Any, names: list[str]) -> str:
    """Return the default as it would be typed; empty where there is none."""
    if any(value is nothing for nothing in (inspect.Parameter.empty, None, False)) or value in ((), []):
        return ""
    if value is True:
        return names[0] if names else "true"
    if isinstance(value, (tuple, list)):
        return " ".join(map(str, value))
    return str(value.value if isinstance(value, enum.Enum) else value)


def escaped(text: str) -> str:
    """Return a text for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def api_text() -> str:
    """Return the page of the Python API: each public name, by kind."""
    kinds: dict[str, list[str]] = {
        "Functions": [],
        "Options": [],
        "Results": [],
        "Types": [],
        "Choices": [],
        "Errors": [],
    }
    for name in sorted(ssd_edge.__all__, key=str.lower):
        if name != "__version__":
            kinds[kind_of(name)].append(name)
    lines = [
        "# API reference",
        "",
        "All public names of the package: `import ssd_edge as ssd`. The [guide](python.md) shows them at work.",
    ]
    for kind, names in kinds.items():
        lines += ["", f"## {kind}", ""]
        for name in names:
            lines += [f"::: ssd_edge.{ssd_edge._HOME_OF[name]}.{name}", "    options: {heading_level: 3}", ""]
    return "\n".join(lines) + "\n"


def kind_of(name: str) -> str:
    """Return the section of the API's page for a public name."""
    if name.endswith("Error"):
        return "Errors"
    if name[0].islower():
        return "Functions"
    if name.endswith("Config") or name in ("AccuracyGate", "Batch", "TrtOptions"):
        return "Options"
    if name.endswith("Result"):
        return "Results"
    value = getattr(ssd_edge, name)
    return "Choices" if inspect.isclass(value) and issubclass(value, enum.Enum) else "Types"
