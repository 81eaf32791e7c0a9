"""The errors that a user can meet. Each says what went wrong, what was found, what was wanted, and what to type."""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from typing import Any

from ssd_edge.core.secrets import hide_in_text

_KEYWORD = re.compile("\0([a-z_]+)=([^\0]*)\0")  # no path holds a zero byte
_LONGEST = 300


def keyword(name: str, value: object = "") -> str:
    """Write a function's keyword for a message: as ``name=value``, or as a command's option where that shows it.

    Args:
        name: of the parameter, or of the config's field.
        value: that is advised; empty for none.
    """
    return f"\0{name}={value}\0"


class SsdEdgeError(Exception):
    """Base of every error that is the user's to fix; the command line prints it and exits 1.

    Args:
        what: the thing at fault and what is wrong with it, e.g. ``"photos/a.jpg cannot be read"``.
        got: what was found there; left out of the message when empty.
        wanted: what would have been right; left out when empty.
        do: the command or action that fixes it; left out when empty.
    """

    exit_code = 1
    """Exit codes of a command."""

    def __init__(self, what: str, *, got: str = "", wanted: str = "", do: str = "") -> None:
        parts = {"what": what, "got": got, "wanted": wanted, "do": do}
        self._marked = {part: hide_in_text(text) for part, text in parts.items()}
        self.what, self.got, self.wanted, self.do = (_plain(part) for part in self._marked.values())
        super().__init__(self.what)

    def __str__(self) -> str:
        found = [f"got {self.got}" if self.got else "", f"wanted {self.wanted}" if self.wanted else ""]
        details = "; ".join(part for part in found if part)
        sentence = f"{self.what}: {details}" if details else self.what
        return f"{sentence.rstrip('.')}. {self.do}" if self.do else sentence

    def advise(self, sentence: str) -> None:
        """Add a sentence to what to do; in an error made anew of these parts, no option would be named any more."""
        more = hide_in_text(sentence)
        self.do = f"{self.do.rstrip('.')}. {more}" if self.do else more

    def name_options(self, options: Mapping[str, str]) -> None:
        """Put a command's options in the place of what :func:`keyword` wrote; nothing else of the message changes.

        Args:
            options: of each keyword, e.g. ``{"min_map": "--min-map"}``; a switch takes no value.
        """

        def option(match: re.Match[str]) -> str:
            name, value = options.get(match[1]), match[2]
            if name is None:
                return f"{match[1]}={value}"
            return f"{name} {value}" if value not in ("", "True") else name

        for part, text in self._marked.items():
            if "\0" in text:
                setattr(self, part, getattr(self, part).replace(_plain(text), _KEYWORD.sub(option, text)))


def one_line(error: object) -> str:
    """Return what a library says, in one line; of more than 300 characters only the first, and an ellipsis.

    Credentials of addresses are hidden before the cut, which could leave a part that is no address any more.
    """
    words = hide_in_text(" ".join(str(error).split()))
    return words if len(words) <= _LONGEST else f"{words[: _LONGEST - 2].rstrip()} …"


def _plain(text: str) -> str:
    return _KEYWORD.sub(r"\1=\2", text)


class InputError(SsdEdgeError):
    """An argument, image, video, folder or label file that cannot be used."""


class ArtifactError(SsdEdgeError):
    """A checkpoint, ONNX, engine, manifest or table that is damaged, foreign or stale."""


class DeviceError(SsdEdgeError):
    """A camera, display, processor or GPU that is absent or refuses."""


class InferenceHangError(DeviceError):
    """An inference that does not come back: only another process can go on; exit code 75."""

    exit_code = 75


class MissingPackageError(SsdEdgeError):
    """A Python package that this command needs is not installed."""


class ParityError(SsdEdgeError):
    """Two forms of the same model do not give the same detections."""


class TrainingError(SsdEdgeError):
    """A training run that cannot go on: its loss is no number, or a data worker is gone."""


class AccuracyError(SsdEdgeError):
    """A model is less accurate than demanded.

    Attributes:
        result: what the workflow measured, as it would have returned it; None where a room below it raised the error.
    """

    result: Any = None


def write_remedy(error: OSError, elsewhere: str = "choose another place") -> str:
    """Say what to do where the system refuses a write; ``elsewhere`` names the way to write somewhere else.

    Space is spoken of only where the disk, a quota or a limit is reached, or the system gives no reason (``EIO``).
    """
    if error.errno in (errno.EISDIR, errno.ENOTDIR, errno.EEXIST):
        return f"Rename what has this name now, or {elsewhere}."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"Get the right to write there, or {elsewhere}."
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, None):
        return f"Free some space, or {elsewhere}."
    return f"{elsewhere[0].upper()}{elsewhere[1:]}."
