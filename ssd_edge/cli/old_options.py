"""Option names of earlier releases: they still work, and the help no longer lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from typer.core import TyperCommand

from ssd_edge.cli.console import say
from ssd_edge.cli.plain_options import spare_conversion

OLD_NAMES: dict[str, dict[str, str]] = {
    "build": {
        "--compute-capability": "--compute-capabilities",
        "--device": "--board",
        "--improve": "--refine",
        "--workspace": "--builder-memory",
    },
    "doctor": {"--page": "--html"},
    "eval": {"--iou": "--iou-threshold", "--report": "--html", "--score": "--score-threshold"},
    "export": {"--check": "--check-images"},
    "import": {"--check": "--check-images"},
    "priors": {"--judge-split": "--val-split"},
    "run": {"--reconnect": "--max-retries", "--threads": "--optimize-for"},
    "synth": {"--images": "--train"},
}
"""Old and present name of each option, by command."""


class Command(TyperCommand):
    """A command that also takes the old names of its options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Replace old names and parse the arguments."""
        present = {name for parameter in self.params for name in (*parameter.opts, *parameter.secondary_opts)}
        old = {name: new for name, new in OLD_NAMES.get(str(self.name), {}).items() if name not in present}
        args = renamed(args, old)
        spare_conversion(self.get_params(ctx))
        return super().parse_args(ctx, with_json_target(args) if self.name == "inspect" else args)


def renamed(args: Sequence[str], names: Mapping[str, str]) -> list[str]:
    """Return the arguments with present names of options; what follows ``--`` is no option."""
    end = args.index("--") if "--" in args else len(args)
    return [*(_renamed(word, names) for word in args[:end]), *args[end:]]


def _renamed(word: str, names: Mapping[str, str]) -> str:
    name, equals, value = word.partition("=")
    if name not in names:
        return word
    say(f"{name} is now called {names[name]}")
    return f"{names[name]}{equals}{value}"


def with_json_target(args: Sequence[str]) -> list[str]:
    """Return the arguments of ``inspect`` with ``--json -`` for a ``--json`` without a value, as it once was.

    A word after ``--json`` is its value if another word remains to be the file.
    """
    words = list(args)
    if "--json" not in words:
        return words
    place = words.index("--json")
    others = [word for number, word in enumerate(words) if number != place and (word == "-" or word[:1] != "-")]
    has_value = place + 1 < len(words) and (words[place + 1] == "-" or len(others) > 1)
    return words if has_value else [*words[: place + 1], "-", *words[place + 1 :]]
